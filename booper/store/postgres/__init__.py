"""booper's store in a PostgreSQL database, for several nodes at once."""

from booper.store.postgres.store import PostgresStore as PostgresStore
from booper.store.postgres.store import open_store as open_store

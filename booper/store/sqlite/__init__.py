"""The store over one SQLite file: `open_store` is the only way in."""

from booper.store.sqlite.first_key import FirstKeyFile
from booper.store.sqlite.lock import DatabaseLocked
from booper.store.sqlite.store import SQLiteStore, open_store

__all__ = ["DatabaseLocked", "FirstKeyFile", "SQLiteStore", "open_store"]

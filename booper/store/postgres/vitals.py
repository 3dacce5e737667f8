"""How a PostgreSQL database is doing: its size, and how long it has been read."""

from collections.abc import Mapping, Sequence
from typing import Final

from booper.store.postgres.connections import Readers
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.vitals import Commits

SIZE: Final = "SELECT pg_database_size(current_database())"


class PostgresVitals:
    """Vital signs of a PostgreSQL database (`booper.store.vitals.Vitals`)."""

    def __init__(self, commits: Commits, readers: Sequence[Readers]) -> None:
        self.commits = commits
        self._readers = readers

    def oldest_reader_seconds(self) -> float:
        """Return how long the oldest read of this process has been running, 0 if none is."""
        return max(reader.running_seconds() for reader in self._readers)

    async def sizes(self) -> Mapping[str, int]:
        """Return the size of the database in bytes.

        Its log is the server's, and PostgreSQL does not tell how much of its files is free.
        """
        return {"file": await self._readers[0].run(read_size), "log": 0, "free": 0}

    async def disk_free(self) -> None:
        """Return None: PostgreSQL does not tell how much room its disk has."""


def read_size(opened: PostgresTransaction) -> int:
    """Return how many bytes the database has."""
    [(size,)] = opened.execute(SIZE)
    return int(size)

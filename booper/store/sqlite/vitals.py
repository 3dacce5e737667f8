"""How a SQLite file is doing: the sizes of its parts, and how long it has been read."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import disk_usage
from typing import Final

from booper.errors import StoreUnavailable
from booper.store.sqlite.connection import Connection
from booper.store.vitals import Commits

FREE: Final = """
SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size
"""


class SQLiteVitals:
    """Vital signs of a SQLite file (`booper.store.vitals.Vitals`)."""

    def __init__(self, path: Path, commits: Commits, readers: Sequence[Connection]) -> None:
        self.commits = commits
        self._path = path.absolute()
        self._readers = readers

    def oldest_reader_seconds(self) -> float:
        """Return how long the oldest read of this process has been running, 0 if none is."""
        return max(reader.running_seconds() for reader in self._readers)

    async def sizes(self) -> Mapping[str, int]:
        """Return the size of the file, of its log, and of the file's free pages in bytes."""
        return await self._readers[0].run(self._read_sizes)

    async def disk_free(self) -> int:
        """Return how many bytes are free where the file is."""
        try:
            return (await asyncio.to_thread(disk_usage, self._path.parent)).free
        except OSError as error:
            raise StoreUnavailable(f"{self._path.parent}: {error.strerror}") from error

    def _read_sizes(self, connection: sqlite3.Connection) -> Mapping[str, int]:
        (free,) = connection.execute(FREE).fetchone()
        real = self._path.resolve()
        log = real.with_name(f"{real.name}-wal")
        return {"file": _size(real), "log": _size(log), "free": int(free)}


def _size(path: Path) -> int:
    """Return a file's size, 0 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0

"""Database files as booper makes them, for tests that need one to begin with."""

import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from booper.store.sqlite.schema import migrate


def make_database(path: Path) -> None:
    """Make an empty database at a path, as a copy: migrating takes as long as a start without."""
    with open(path, "xb", opener=_owners_alone) as file:
        file.write(_empty())


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "booper.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            migrate(connection, str(path))
        return path.read_bytes()


def _owners_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

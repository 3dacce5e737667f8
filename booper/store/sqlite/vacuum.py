"""Writing a database anew without its free space, while nobody serves it."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from booper.errors import BooperError, StoreFull
from booper.store.sqlite.lock import FileLock, ProcessLock
from booper.store.sqlite.schema import APPLICATION_ID, UnusableDatabase

# The new contents stand in a temporary file and in the log before they are in the database
# (https://www.sqlite.org/lang_vacuum.html).
COPIES: Final = 2


def vacuum(database: Path) -> tuple[int, int]:
    """Write a database anew, such that it can give space back in steps from then on.

    Return how many bytes it had, and has.

    Raises:
        StartError: another process serves it, or it is no database of booper's.
        StoreFull: there is no room for the copies.
        BooperError: it cannot be done; the database is as it was.
    """
    with ProcessLock(database), FileLock(database):
        before = database.stat().st_size
        _check_room(database.resolve().parent, COPIES * before)
        os.environ.setdefault("SQLITE_TMPDIR", str(database.resolve().parent))
        try:
            with closing(sqlite3.connect(database, isolation_level=None)) as connection:
                (mark,) = connection.execute("PRAGMA application_id").fetchone()
                if mark != APPLICATION_ID:
                    raise UnusableDatabase(f"{database} is a database of another program")
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise BooperError(f"cannot write {database} anew: {error}") from error
        return before, database.stat().st_size


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise StoreFull(
            f"there are {free:,} bytes free in {folder}, and {size:,} are needed; free some space"
        )

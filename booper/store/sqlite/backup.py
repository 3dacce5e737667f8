"""Copying a database while it is in use, by SQLite's online backup."""

import sqlite3
from contextlib import closing
from pathlib import Path

from booper.errors import BooperError
from booper.store.sqlite.connection import BUSY_MILLISECONDS


def copy(source: Path, target: Path) -> None:
    """Fill an empty file with the database as it is at this moment; writers go on meanwhile.

    All pages go in one step, under one read transaction: between steps another process's write
    would make the copy begin anew (https://www.sqlite.org/c3ref/backup_finish.html), under load
    for ever. Checkpoints cannot pass the reader, so the log grows by what is written meanwhile;
    the copy is not synced, to keep that short. Its caller must do that.

    Raises:
        BooperError: `source` cannot be read or `target` not written.
    """
    try:
        with (
            closing(_connect(source, "ro")) as reader,
            closing(_connect(target, "rw")) as writer,
        ):
            # Nobody sees the copy before it is whole.
            writer.execute("PRAGMA journal_mode = OFF")
            writer.execute("PRAGMA synchronous = OFF")
            reader.backup(writer, pages=-1)
    except sqlite3.Error as error:
        raise BooperError(f"cannot copy the database {source}: {error}") from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_MILLISECONDS / 1000
    )

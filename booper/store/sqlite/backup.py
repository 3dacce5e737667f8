"""Copies of a database: made while it is in use, checked, and on disk before they have a name."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path

from booper.errors import BooperError, StartError
from booper.store.sqlite.checking import check_integrity
from booper.store.sqlite.connection import BUSY_MILLISECONDS
from booper.store.sqlite.unnamed import Guarded, sync, unnamed_file

# 1 MB: how much is copied between two looks at whether to go on.
STEP_PAGES = 256

# What stays free on the disk of a copy: a full one stops the scheduler.
SPARE_BYTES = 64 << 20


def back_up(
    database: Path,
    target: Path,
    *,
    overwrite: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
    guarded: Guarded = nullcontext,
) -> int:
    """Copy a database to `target`, readable by its owner alone; return how many bytes that is.

    Writers go on meanwhile. The copy is read again from the disk and checked before it has its
    name. `is_stopped` is asked between two steps.

    Raises:
        StartError: there is no database, or something that must not be lost is in the way.
        BooperError: the copy could not be made, or not as it should be; nothing is left of it.
    """
    check_there(database)
    _check_free(database, target, overwrite=overwrite)
    try:
        check_room(target.parent, size_of(database), f"the copy of {database}")
        with unnamed_file(target, guarded) as unnamed:
            copy(database, unnamed, is_stopped)
            sync(unnamed)
            if damage := find_damage(unnamed, is_stopped):
                raise BooperError(
                    f"the copy of {database} is damaged ({damage}); `booper check --database` "
                    "shows whether the database is"
                )
            unnamed.replace(target)
        sync(target.parent)
        return target.stat().st_size
    except OSError as error:
        raise BooperError(f"cannot write {target}: {error.strerror}") from error


def copy(
    source: Path,
    target: Path,
    is_stopped: Callable[[], bool] = lambda: False,
    reading: str = "mode=ro",
) -> None:
    """Fill an empty file with the database as it is at this moment; writers go on meanwhile.

    All pages are read in one transaction. Without it another process's write between two steps
    would make the copy begin anew (https://www.sqlite.org/c3ref/backup_finish.html), under load
    for ever. Checkpoints cannot pass the reader, so the log grows by what is written meanwhile;
    the copy is not synced, to keep that short. Its caller must do that. `reading` is the query of
    the URI by which `source` is opened.

    Raises:
        BooperError: `source` cannot be read or `target` not written, or it was stopped.
    """

    def go_on(status: int, remaining: int, total: int) -> None:
        if is_stopped():
            raise BooperError("the copy was stopped")

    try:
        with (
            closing(connect(source, reading)) as reader,
            closing(connect(target, "mode=rw")) as writer,
        ):
            # Nobody sees the copy before it is whole.
            writer.execute("PRAGMA journal_mode = OFF")
            writer.execute("PRAGMA synchronous = OFF")
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            reader.backup(writer, pages=STEP_PAGES, progress=go_on)
    except sqlite3.Error as error:
        raise BooperError(f"cannot copy the database {source}: {error}") from error


def find_damage(path: Path, is_stopped: Callable[[], bool] = lambda: False) -> str:
    """Return what is damaged in a copy that has just been synced; empty if it is whole."""
    _read_from_disk(path, is_stopped)
    try:
        with closing(connect(path, "immutable=1")) as opened:
            opened.set_progress_handler(is_stopped, 100_000)
            return "; ".join(check_integrity(opened)[:1])
    except sqlite3.Error as error:
        return str(error)


def connect(path: Path, query: str) -> sqlite3.Connection:
    """Open a database file by a URI with this query (https://www.sqlite.org/uri.html)."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_MILLISECONDS / 1000,
    )


def check_there(database: Path) -> None:
    """Check that there is a database. Raises: StartError."""
    if not database.is_file():
        raise StartError(
            f"there is no database {database}; run this in booper's folder, or use --database"
        )


def size_of(database: Path) -> int:
    """Return how many bytes a database has, with its log. Raises: OSError."""
    log = database.with_name(f"{database.name}-wal")
    return database.stat().st_size + (log.stat().st_size if log.exists() else 0)


def check_room(folder: Path, needed: int, what: str) -> None:
    """Check that a folder's disk has room for what is about to be written.

    Raises:
        BooperError: there is too little.
        OSError: there is no such folder.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise BooperError(
            f"{what} needs {needed + SPARE_BYTES:,} bytes, and the disk of {folder} has {free:,} "
            "free; free some space"
        )


def _check_free(database: Path, target: Path, *, overwrite: bool) -> None:
    if target.exists() and target.samefile(database):
        raise StartError(f"{target} is the database itself; name another file")
    if os.path.lexists(target) and not overwrite:
        raise StartError(f"{target} exists already; name another file, or use --force")
    for suffix in ("-wal", "-journal"):
        # SQLite would take what stands in it for a part of the copy.
        rest = target.with_name(target.name + suffix)
        if rest.exists():
            raise StartError(f"{rest} belongs to an earlier {target}; remove it, or name another")


def _read_from_disk(path: Path, is_stopped: Callable[[], bool]) -> None:
    """Read a synced file from the disk, not from the memory in which it was written.

    In one sweep: a check that reads page after page takes five times as long (measured).
    """
    with path.open("rb", buffering=0) as file:
        _forget_cached(file.fileno())
        while not is_stopped() and file.read(1 << 20):
            pass


def _forget_cached(descriptor: int) -> None:
    if hasattr(os, "posix_fadvise"):  # macOS has none
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

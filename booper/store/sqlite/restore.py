"""Putting a backup in the place of a database that nobody serves; what was there is moved aside."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from booper.errors import BooperError, StartError
from booper.store.sqlite.backup import check_room, connect, copy, find_damage, size_of
from booper.store.sqlite.lock import FileLock, ProcessLock
from booper.store.sqlite.schema import UnusableDatabase, read_version
from booper.store.sqlite.unnamed import sync, unnamed_file

# The database comes first: while it is gone nothing reads its log into another file.
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")


class Restored(msgspec.Struct, frozen=True):
    """The result of a restore: the backup's schema, its bytes, and where the old files are now."""

    schema: int
    size: int
    moved: Sequence[Path]


def restore(backup: Path, database: Path, now: datetime, *, overwrite: bool) -> Restored:
    """Put a copy of `backup` in the place of `database`.

    What is there is moved to names that end in `.replaced-TIME`: an old log without its database
    always, a database if `overwrite` is set.

    Raises:
        StartError: the place is in use or taken, or `backup` is none that this booper can use.
        BooperError: the copy could not be made. Nothing has changed.
    """
    _check_different(backup, database)
    reading = _reading(backup)
    schema = _schema_of(backup, reading)
    real = database.resolve()
    try:
        with ProcessLock(database), FileLock(real):
            if os.path.lexists(real) and not overwrite:
                raise StartError(
                    f"{database} exists already; --force moves it aside and restores {backup}"
                )
            check_room(real.parent, size_of(backup), f"the copy of {backup}")
            with unnamed_file(real) as unnamed:
                copy(backup, unnamed, reading=reading)
                sync(unnamed)
                if damage := find_damage(unnamed):
                    raise StartError(f"{backup} is damaged: {damage}; use another backup")
                _take_owner(real, unnamed)
                moved = _move_aside(real, f"{real.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
                unnamed.replace(real)
            sync(real.parent)
            return Restored(schema, real.stat().st_size, moved)
    except OSError as error:
        raise BooperError(f"cannot restore {database}: {error}") from error


def _check_different(backup: Path, database: Path) -> None:
    if not backup.is_file():
        raise StartError(f"there is no backup {backup}")
    if database.exists() and backup.samefile(database):
        raise StartError(f"{backup} is the database itself; name a backup")


def _reading(backup: Path) -> str:
    """Return how to open a backup: with its log if it has one, else so that nothing is written."""
    log = backup.with_name(f"{backup.name}-wal")
    return "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"


def _schema_of(backup: Path, reading: str) -> int:
    """Return the number of a backup's schema. Raises: UnusableDatabase, this cannot use it."""
    try:
        with closing(connect(backup, reading)) as opened:
            version = read_version(opened, str(backup))
    except sqlite3.Error as error:
        raise UnusableDatabase(f"{backup} is no backup: {error}") from error
    if not version:
        raise UnusableDatabase(f"{backup} is no backup: it is empty")
    return version


def _take_owner(database: Path, copied: Path) -> None:
    """Give a copy the owner and the mode of the database whose place it takes."""
    with suppress(FileNotFoundError, PermissionError):
        old = database.stat()
        os.chmod(copied, old.st_mode & 0o777)
        os.chown(copied, old.st_uid, old.st_gid)


def _move_aside(database: Path, name: str) -> Sequence[Path]:
    """Move a database with its log to another name; return the paths that they have now.

    They are whole under the new name before the old one goes: nothing is lost wherever this ends.
    """
    pairs = [
        (old, database.with_name(name + suffix))
        for suffix in _SUFFIXES
        if os.path.lexists(old := database.with_name(database.name + suffix))
    ]
    for old, new in pairs:
        os.link(old, new)
    sync(database.parent)
    for old, _ in pairs:
        old.unlink()
    return [new for _, new in pairs]

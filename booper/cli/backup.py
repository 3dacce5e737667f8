"""`booper backup`: a copy of the database, whole and on disk before it has its name.

It needs neither the daemon nor the lock: it reads beside whoever writes.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from booper.config import Config
from booper.errors import BooperError, StartError
from booper.store.sqlite.backup import copy


def write(config: Config, target: Path, *, overwrite: bool) -> None:
    """Copy the database to `target`, readable by its owner alone, and say so in a line.

    Raises:
        StartError: there is no database, or something that must not be lost is in the way.
        BooperError: the copy could not be made; nothing is left of it.
    """
    database = Path(config.database.path)
    if not database.is_file():
        raise StartError(f"there is no database {database} here; run it where booper serves")
    _check_free(database, target, overwrite=overwrite)
    try:
        with _unnamed(target) as unnamed:
            copy(database, unnamed)
            _sync(unnamed)
            unnamed.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise BooperError(f"cannot write {target}: {error.strerror}") from error
    click.echo(f"{database} is copied to {target} ({target.stat().st_size:,} bytes)")


def _check_free(database: Path, target: Path, *, overwrite: bool) -> None:
    if target.exists() and target.samefile(database):
        raise StartError(f"{target} is the database itself; name another file")
    if os.path.lexists(target) and not overwrite:
        raise StartError(f"{target} is there already; name another file, or use --force")
    for suffix in ("-wal", "-journal"):
        # SQLite would take what stands in it for a part of the copy.
        rest = target.with_name(target.name + suffix)
        if rest.exists():
            raise StartError(f"{rest} belongs to an earlier {target}; remove it, or name another")


@contextmanager
def _unnamed(target: Path) -> Iterator[Path]:
    """Make an empty file of mode 0600 beside the target; what is not renamed is removed."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

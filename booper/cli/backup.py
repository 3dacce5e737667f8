"""`booper backup`: a copy of the database, whole and on disk before it has its name.

It needs neither the daemon nor the lock: it reads beside whoever writes.
"""

import fcntl
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from booper.config import Config
from booper.errors import BooperError, StartError
from booper.store.sqlite.backup import copy

_SUFFIX = ".part"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def write(config: Config, target: Path, *, overwrite: bool) -> None:
    """Copy the database to `target`, readable by its owner alone, and say so in a line.

    Raises:
        StartError: there is no database, or something that must not be lost is in the way.
        BooperError: the copy could not be made; nothing is left of it.
    """
    database = Path(config.database.path)
    if not database.is_file():
        raise StartError(
            f"there is no database {database}; run this in booper's folder, or use --database"
        )
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
        raise StartError(f"{target} exists already; name another file, or use --force")
    for suffix in ("-wal", "-journal"):
        # SQLite would take what stands in it for a part of the copy.
        rest = target.with_name(target.name + suffix)
        if rest.exists():
            raise StartError(f"{rest} belongs to an earlier {target}; remove it, or name another")


@contextmanager
def _unnamed(target: Path) -> Iterator[Path]:
    """Create an empty file of mode 0600 beside the target; what is not renamed is removed.

    It is locked meanwhile: one that is not was left by a backup that was killed, and is removed.
    """
    prefix = f".{target.name}."
    _remove_left(target.parent, prefix)
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=target.parent)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with _removed_by_signals(Path(name)):
            yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(descriptor)


def _remove_left(folder: Path, prefix: str) -> None:
    for path in folder.iterdir():
        if not (path.name.startswith(prefix) and path.name.endswith(_SUFFIX)):
            continue
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@contextmanager
def _removed_by_signals(path: Path) -> Iterator[None]:
    """Remove a file at once when a signal ends the process; SQLite's copying would not wait."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are another's to handle
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in _ENDING}
    signal.set_wakeup_fd(theirs.fileno())
    threading.Thread(target=_await_signal, args=(ours, path), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        theirs.close()


def _await_signal(told: socket.socket, path: Path) -> None:
    with told:
        numbers = told.recv(1)
    if numbers and numbers[0] in _ENDING:
        path.unlink(missing_ok=True)
        os._exit(128 + numbers[0])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

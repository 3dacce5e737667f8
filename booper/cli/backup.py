"""`booper backup`: a copy of the database, made beside whoever writes: it needs no lock."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from booper.config import Config
from booper.store.sqlite.backup import back_up

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def write(config: Config, target: Path, *, overwrite: bool) -> None:
    """Copy the database to `target`, and print a line about it.

    Raises:
        StartError, BooperError: as `back_up` does.
    """
    database = Path(config.database.path)
    size = back_up(database, target, overwrite=overwrite, guarded=_removed_by_signals)
    click.echo(f"{database} is copied to {target} ({size:,} bytes)")


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

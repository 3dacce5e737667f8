"""`booper backup`, which needs no lock: it reads beside whoever writes; and `booper restore`."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from booper.clock import SystemClock
from booper.config import Config
from booper.databases import sqlite_path
from booper.store.sqlite.backup import back_up
from booper.store.sqlite.backup_folder import BackupFolder
from booper.store.sqlite.restore import restore

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def write_file(config: Config, target: Path, *, overwrite: bool) -> None:
    """Copy the database to `target`, and print a line about it.

    Raises:
        StartError, BooperError: as `back_up` does.
    """
    database = sqlite_path(config, "booper backup")
    size = back_up(database, target, overwrite=overwrite, guarded=_removed_by_signals)
    _print_copied(database, target, size)


def write_to_folder(config: Config, folder: Path, keep: int | None) -> None:
    """Copy the database to a file in `folder`, keep the newest ones, and print a line.

    Raises:
        StartError, BooperError: as `back_up` does.
    """
    database = sqlite_path(config, "booper backup")
    backups = BackupFolder(database, folder, keep)
    target, size = backups.make(SystemClock().now(), guarded=_removed_by_signals)
    _print_copied(database, target, size)


def restore_file(config: Config, backup: Path, *, overwrite: bool) -> None:
    """Put a backup in the place of the database, and print what was done.

    Raises:
        StartError, BooperError: as `restore` does.
    """
    database = sqlite_path(config, "booper restore")
    done = restore(backup, database, SystemClock().now(), overwrite=overwrite)
    for path in done.moved:
        click.echo(f"moved aside: {path}")
    click.echo(
        f"{backup} is restored to {database} ({done.size:,} bytes, schema {done.schema}). "
        "Requests that were sent after this backup will be sent again."
    )


def _print_copied(database: Path, target: Path, size: int) -> None:
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

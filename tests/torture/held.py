"""`booper serve` that notes how long each piece of work holds the loop, a reader or the writer.

It appends lines such as `reader 0.0123` to `held.log` in its folder: seconds of its thread's CPU
time, for what other programs take of this machine is not its doing. With `HELD=work` in its
environment it is what the work consists of, which is the same on every machine: instructions of
SQLite's virtual machine on a connection, calls of functions on the loop.
"""

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import thread_time
from types import FrameType
from typing import Any, TypeVar

from booper.cli import main
from booper.store.sqlite import changes, writer
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.transaction import SQLiteTransaction
from tests.torture.work import STRIDE

T = TypeVar("T")

LOG = "held.log"
COUNTS_WORK = os.environ.get("HELD") == "work"
BEAT_SECONDS = 0.001

_log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_amounts = threading.local()


def note(who: str, amount: float) -> None:
    """Write down that somebody was held."""
    os.write(_log, f"{who} {amount:.6f}\n".encode())


@contextmanager
def noted(who: str, connection: sqlite3.Connection) -> Iterator[None]:
    """Write down what the work on a connection amounts to."""
    amount = _instructions(connection) if COUNTS_WORK else thread_time
    begun = amount()
    try:
        yield
    finally:
        note(who, amount() - begun)


def _instructions(connection: sqlite3.Connection) -> Callable[[], float]:
    """Return what counts the instructions that this thread has run."""

    def tick() -> None:
        _amounts.instructions = getattr(_amounts, "instructions", 0.0) + STRIDE

    connection.set_progress_handler(tick, STRIDE)
    return lambda: float(getattr(_amounts, "instructions", 0.0))


class Heart:
    """Beat on the loop, and note what came between two beats."""

    def __init__(self) -> None:
        self._calls = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last = 0.0

    def start(self) -> None:
        """Begin, on the loop that runs; again on another one."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            if COUNTS_WORK:
                sys.setprofile(self._count)
            self._last = self._now()
            loop.call_later(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        assert self._loop is not None
        now = self._now()
        note("loop", now - self._last)
        self._last = self._now()
        self._loop.call_later(BEAT_SECONDS, self._beat)

    def _now(self) -> float:
        return float(self._calls) if COUNTS_WORK else thread_time()

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        self._calls += event in ("call", "c_call")


def watch() -> None:
    """Put the notes where the work is done: around each run on a reader, and each transaction."""
    heart, threaded, together = Heart(), Connection.run, changes.commit_together

    async def run(self: Connection, work: Callable[[SQLiteTransaction], T]) -> T:
        heart.start()

        def held(connection: SQLiteTransaction) -> T:
            if not connection.execute("PRAGMA query_only").fetchone()[0]:
                return work(connection)  # the writer's, which makes many transactions of it
            with noted("reader", connection):
                return work(connection)

        return await threaded(self, held)

    def commit(group: Sequence[Any], connection: SQLiteTransaction) -> Any:
        with noted("writer", connection):
            return together(group, connection)

    Connection.run = run  # type: ignore[method-assign]  # the seam between loop and threads
    setattr(writer, "commit_together", commit)  # noqa: B010 - the writer has imported it


if __name__ == "__main__":
    watch()
    sys.exit(main())

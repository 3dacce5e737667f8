"""SQLite in the loop's own thread: threads would make the order of things another one each time."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from sqlite3 import Connection as RawConnection
from sqlite3 import Error
from typing import TypeVar

from booper.clock import monotonic
from booper.engine import pruner, space
from booper.errors import StoreFull
from booper.store.sqlite import connection, store
from booper.store.sqlite.connection import Connection, unavailable
from booper.store.sqlite.transaction import SQLiteTransaction

T = TypeVar("T")

# So few that checkpoints come between crashes, and that a crash leaves little to copy.
PAGES = 500


class Standing:
    """A machine's clock by which no time passes."""

    async def pause(self, duration: timedelta) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


@contextmanager
def inline(fails: Callable[[], bool], look: Callable[[RawConnection], None]) -> Iterator[None]:
    """Run SQLite in the loop's own thread, on a disk that fails when `fails` says so.

    `look` sees the connection after each commit.
    """
    threaded, posted, pages = Connection.run, Connection.post, connection.CHECKPOINT_PAGES
    rests = vars(pruner), vars(space)
    real_rest, real_clock = pruner.rest, vars(space)["SystemClock"]

    async def run(self: Connection, work: Callable[[SQLiteTransaction], T]) -> T:
        await spin(1)  # as many turns of the loop as a hop to a thread takes at least
        return made(self, work)

    def made(self: Connection, work: Callable[[SQLiteTransaction], T]) -> T:
        if fails():
            raise StoreFull("the disk is full")
        written = self._conn.total_changes
        assert isinstance(self._conn, SQLiteTransaction)
        try:
            result = work(self._conn)
        except Error as error:
            raise unavailable(error) from error
        if self._conn.total_changes != written:
            look(self._conn)
        return result

    async def rest(seconds: float) -> None:
        await spin(1)  # by the machine's time it would end at another moment each time

    for names in rests:
        names["rest"] = rest
    vars(space)["SystemClock"] = Standing
    # By the machine's time, a check of the store would write or not write at another moment.
    vars(store)["monotonic"] = lambda: 0.0
    Connection.run = run  # type: ignore[method-assign]  # the seam between loop and threads
    Connection.post = made  # type: ignore[assignment, method-assign]
    connection.CHECKPOINT_PAGES = PAGES
    try:
        yield
    finally:
        Connection.run = threaded  # type: ignore[method-assign]
        Connection.post = posted  # type: ignore[method-assign]
        connection.CHECKPOINT_PAGES = pages
        for names in rests:
            names["rest"] = real_rest
        vars(space)["SystemClock"] = real_clock
        vars(store)["monotonic"] = monotonic


async def spin(turns: int | None = None) -> None:
    """Run the loop so many times, or until nobody has anything left to do now."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # what will run next
    while ready if turns is None else turns:
        turns = None if turns is None else turns - 1
        await asyncio.sleep(0)  # noqa: TID251  no time passes

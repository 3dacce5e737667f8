"""This process's lease: its row among the nodes, renewed each second for four.

While it holds, nobody makes this node's claims due again. The database's clock decides when it ends
there; here one that only grows does, from the moment before the renewal was asked for and a second
earlier, so no step of a wall clock, no stopped process and no suspended machine stretches it.

A node that has lost its lease takes a new number: what it had claimed before belongs to others. It
has lost it too where its own clock alone says so, since it has then cut off what was on its way,
and nobody else makes that due again while the old number lives. It sends again only after the last
claim of the old number has been cut off.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, TypeVar

import psycopg
from psycopg.errors import IdleInTransactionSessionTimeout

from booper.clock import Clock, SystemClock, monotonic, since_boot
from booper.database_clock import DatabaseClock, counted
from booper.errors import StoreUnavailable
from booper.fence import HAS_ENDED, Fence
from booper.store.postgres.clock_offset import ClockOffset
from booper.store.postgres.connections import Connector, Kept, told_as_ours, unavailable
from booper.store.postgres.node_locks import changing_nodes
from booper.store.postgres.node_rows import (
    BEGIN,
    BEGINNING,
    EXPIRE_OWNER,
    FORGET,
    GIVE_KEY,
    LIMIT_WAIT,
    OF_ANOTHER_TIME,
    READ_CLOCK,
    RENEW,
    SECONDS,
)
from booper.store.stored import loaded, stored_span

log = logging.getLogger("booper.store")

ZERO: Final = timedelta(0)
RENEW_EVERY: Final = timedelta(seconds=1)
WATCH_EVERY: Final = timedelta(milliseconds=100)
"""How long a request may go on after the lease under which it was sent."""

MAX_OFFSET: Final = timedelta(seconds=1)
"""How far this machine's clock may be from the database's before that is warned of."""

MARGIN_SECONDS: Final = 1.0
"""How much earlier a node stops to send than others may take its claims."""

NOBODY: Final = 0
"""A number that no node has: under it nothing can be claimed."""

T = TypeVar("T")


async def nothing() -> None:
    """Wait for nothing."""


class Lease:
    """The lease of one process, from its start to its end. Its number changes if it is lost.

    It moves `fence` to where this process may send. `time` is the clock by which it serves:
    a `DatabaseClock` is kept right, and a node with another one is the only node. `clock` is the
    machine's, unless given.
    """

    def __init__(
        self,
        connector: Connector,
        fence: Fence,
        name: str | None = None,
        clock: Clock | None = None,
        time: Clock | None = None,
    ) -> None:
        self._kept = Kept(connector, connector.patience.response)
        self._fence = fence
        self._name = name or socket.gethostname()
        self._thread = ThreadPoolExecutor(1, "store lease")
        self._clock = clock or SystemClock()
        self._offset = ClockOffset()
        self._time = time or DatabaseClock()
        self._count_offset = ClockOffset()
        self._is_warned = False
        self._key_digest: bytes | None = None
        self._is_given_up = False
        self.number = NOBODY
        self.settled: Callable[[], Awaitable[object]] = nothing
        """Returns once each claim that was begun before is known to the loop."""

    async def begin(self) -> None:
        """Take a lease under a number of its own. Raises: StoreUnavailable."""
        self.number, until = await self._on_thread(self._insert)
        self._fence.move(until)

    @property
    def clock_offset(self) -> timedelta | None:
        """Return how far this machine's clock is ahead of the database's, None if unknown."""
        return self._offset.value

    async def give_key(self, digest: bytes) -> None:
        """Note the key that the operator gave to this process. Raises: StoreUnavailable.

        Nobody revokes it in place of another one meanwhile.
        """
        self._key_digest = digest
        await self._on_thread(self._give_key)

    async def renew(self) -> None:
        """Renew the lease; where it was lost, take another. Raises: StoreUnavailable."""
        if not await self._on_thread(self._renew):
            await self._replace()

    async def renew_forever(self) -> None:
        """Renew the lease each second; where it was lost, take another."""
        while True:
            await SystemClock().pause(RENEW_EVERY)
            try:
                await self.renew()
            except StoreUnavailable as error:
                log.warning("the lease of this node is not renewed: %s", error)
            except Exception:  # whatever it is: without a lease this node would send no more
                log.exception("the lease of this node is not renewed")
                await self._on_thread(self._kept.drop)

    async def watch_forever(self) -> None:
        """Cut off what is on its way once others may send it as well."""
        while True:
            await SystemClock().pause(WATCH_EVERY)
            if not self._fence.is_open() and (count := self._fence.cut()):
                log.error("%d attempts were cut off: %s", count, HAS_ENDED)

    async def end(self) -> None:
        """Give the lease back. What is still claimed is due again for others at once."""
        with suppress(StoreUnavailable):
            await self._on_thread(self._end)
        self.close()

    def close(self) -> None:
        """Close the connection of a lease that has ended, or not begun."""
        self._kept.drop()
        self._thread.shutdown()

    def give_up(self) -> None:
        """Send nothing more under this number; the next renewal takes another one.

        Others then make due again what was claimed, also what this process does not know of.
        """
        self._is_given_up = True  # also if a renewal opens the fence once more
        self._fence.move(0.0)

    async def _replace(self) -> None:
        """Take another number, under which nothing is sent before the old claims are cut off."""
        self._fence.move(0.0)
        self.number, self._is_given_up = NOBODY, False
        number, until = await self._on_thread(self._insert)
        await self.settled()
        count = self._fence.cut()
        self.number = number
        self._fence.move(until)
        log.warning(
            "this node lost its lease and goes on as node %d; %d attempts were cut off",
            number,
            count,
        )

    async def _on_thread(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._told, work)

    def _told(self, work: Callable[[], T]) -> T:
        with told_as_ours():
            try:
                return work()
            except psycopg.OperationalError:
                self._kept.drop_broken()
                raise
            except IdleInTransactionSessionTimeout as error:  # this process was stopped
                self._kept.drop_broken()
                raise unavailable(error) from error

    def _insert(self) -> tuple[int, float]:
        """Return a new number, and until when it may send."""
        self._measure()
        began = since_boot()
        values = {
            "name": self._name,
            "key_digest": self._key_digest,
            "clock_offset": stored_span(self.clock_offset),
            "has_own_time": not isinstance(self._time, DatabaseClock),
        }
        connection = self._kept.get()
        with changing_nodes(connection):
            connection.execute(BEGINNING)
            if (other := connection.execute(OF_ANOTHER_TIME, values).fetchone()) is not None:
                raise _another_time(*other)
            row = connection.execute(BEGIN, values).fetchone()
        assert row is not None
        return row[0], began + SECONDS - MARGIN_SECONDS

    def _renew(self) -> bool:
        """Return whether the lease goes on. It must not have ended on the way."""
        began = since_boot()
        if self._is_given_up or not self._fence.is_open():
            return False
        values = {"number": self.number, "clock_offset": stored_span(self.clock_offset)}
        is_ours = self._kept.get().execute(RENEW, values).rowcount
        if not is_ours or not self._fence.extend(began + SECONDS - MARGIN_SECONDS):
            return False
        self._measure()
        return True

    def _measure(self) -> None:
        """Measure how far the clock of this machine, and its count, are from the database's."""
        began_at, counted_at, began = self._clock.now(), counted(), monotonic()
        row = self._kept.get().execute(READ_CLOCK).fetchone()
        took = timedelta(seconds=monotonic() - began)
        assert row is not None
        database_at = loaded(row[0])
        self._offset.note(began_at, took, database_at)
        self._count_offset.note(counted_at, took, database_at)
        if isinstance(self._time, DatabaseClock):
            self._time.ahead = self._count_offset.value
        offset = self.clock_offset
        assert offset is not None
        self._warn(offset)

    def _warn(self, offset: timedelta) -> None:
        """Warn of a clock that is wrong, once, and once more when it is right again."""
        is_wrong = abs(offset) > MAX_OFFSET
        if is_wrong and not self._is_warned:
            seconds, side = abs(offset.total_seconds()), "ahead of" if offset > ZERO else "behind"
            log.warning(
                "the clock of this machine is %.3f s %s the database's; set both by NTP",
                seconds,
                side,
            )
        elif self._is_warned and not is_wrong:
            log.warning("the clock of this machine agrees with the database's again")
        self._is_warned = is_wrong

    def _give_key(self) -> None:
        values = {"number": self.number, "key_digest": self._key_digest}
        self._kept.get().execute(GIVE_KEY, values)

    def _end(self) -> None:
        self._fence.move(0.0)
        connection = self._kept.get()
        with changing_nodes(connection):
            connection.execute(LIMIT_WAIT)
            if not connection.execute(EXPIRE_OWNER, {"number": self.number}).rowcount:
                connection.execute(FORGET, {"numbers": [self.number]})


def _another_time(number: int, name: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"node {number} on {name} serves it, and one of the two has a clock of its own, as tests "
        "and simulations have; such a node must be the only one: stop the other"
    )


@asynccontextmanager
async def leasing(lease: Lease) -> AsyncIterator[Lease]:
    """Keep a lease until the end of the block. Raises: StoreUnavailable."""
    try:
        await lease.begin()
    except StoreUnavailable:
        lease.close()
        raise
    tasks = [
        asyncio.create_task(lease.renew_forever(), name="store lease"),
        asyncio.create_task(lease.watch_forever(), name="fence watch"),
    ]
    try:
        yield lease
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.shield(lease.end())

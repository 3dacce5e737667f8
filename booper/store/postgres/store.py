"""The PostgreSQL store put together, and its lifetime: schema, lease, connections, one writer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from random import Random
from typing import Final, NamedTuple

import psycopg

from booper.clock import Clock, monotonic
from booper.database_clock import DatabaseClock
from booper.errors import StoreUnavailable
from booper.fence import Fence
from booper.store.announcing import Announcements
from booper.store.limits import NO_LIMITS, Limits
from booper.store.postgres.alerting import PostgresAlerting
from booper.store.postgres.connections import Connector, Readers, reading
from booper.store.postgres.counters import PostgresCounters
from booper.store.postgres.following import read_changed
from booper.store.postgres.history import PostgresHistory
from booper.store.postgres.jobs import PostgresJobs
from booper.store.postgres.keys import PostgresKeys
from booper.store.postgres.lease import Lease, leasing
from booper.store.postgres.logs import PostgresLogs
from booper.store.postgres.messages import PostgresMessages
from booper.store.postgres.nodes import PostgresNodes
from booper.store.postgres.notifier import Notifier, ToldAnnouncements, notifying
from booper.store.postgres.pauses import PostgresPauses
from booper.store.postgres.periods import Periods
from booper.store.postgres.pruning import PostgresPruning
from booper.store.postgres.queue import PostgresQueue
from booper.store.postgres.rate_limits import RateLimits, counting
from booper.store.postgres.schedules import PostgresSchedules
from booper.store.postgres.schema import UnusableDatabase, open_migrated, shown
from booper.store.postgres.sessions import PostgresSessions
from booper.store.postgres.sharing import PostgresSharing
from booper.store.postgres.vitals import PostgresVitals
from booper.store.postgres.writer import Writer, writing
from booper.store.stored import stored

BEAT: Final = """
INSERT INTO pulse (id, beat_at) VALUES (1, %(now)s)
ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at
"""

# Anyone may ask whether booper is ready; that must not keep the disk busy.
FRESH_SECONDS: Final = 1.0

READERS: Final = 3
"""How many reads of a node run at a time; others wait for their turn."""

POOLED_READERS: Final = 2
"""The same behind a pooler: of five connections one is left for changes, the lease and rate limits.

The loop's reads have one of the others, and so have periods that are made or dropped.
"""


class Connected(NamedTuple):
    """What has connections of its own."""

    lease: Lease
    notifier: Notifier | None
    writer: Writer
    reader: Readers
    loop_reader: Readers
    periods: Periods
    rate_limits: RateLimits


class PostgresStore:
    """The whole database (`booper.store.base.Store`)."""

    def __init__(
        self, connected: Connected, announcements: Announcements, random: Random, limits: Limits
    ) -> None:
        lease, notifier, writer, reader, loop_reader, periods, rate_limits = connected
        self.jobs = PostgresJobs(writer, reader, random, limits.max_waiting)
        self.schedules = PostgresSchedules(writer, reader, random, limits.max_waiting)
        self.queue = PostgresQueue(writer, loop_reader, random)
        self.pauses = PostgresPauses(writer, reader)
        self.logs = PostgresLogs(reader)
        self.counters = PostgresCounters(writer, reader)
        self.vitals = PostgresVitals(writer.commits, [reader, loop_reader])
        self.pruning = PostgresPruning(writer, reader, periods)
        self.alerting = PostgresAlerting(writer, reader)
        self.history = PostgresHistory(writer, reader)
        self.keys = PostgresKeys(writer, reader, random, lease.give_key)
        self.nodes = PostgresNodes(reader, lambda: lease.number)
        self.sessions = PostgresSessions(writer, reader)
        messages = PostgresMessages(writer, reader, notifier)
        changed = partial(read_changed, reader)
        self.sharing = PostgresSharing(writer, changed, messages, rate_limits, notifier)
        self.subscribe = announcements.subscribe
        self.watch = announcements.watch
        self.limits = limits.of
        self._writer = writer
        self._fresh_until = 0.0

    async def check_writable(self, now: datetime) -> None:
        """Write something durable, or have done so a moment ago. Raises: StoreUnavailable."""
        if monotonic() < self._fresh_until:
            return
        values = {"now": stored(now)}
        await self._writer.run(lambda transaction: transaction.execute(BEAT, values).rowcount)
        self._fresh_until = monotonic() + FRESH_SECONDS


@asynccontextmanager
async def open_store(
    url: str,
    random: Random,
    limits: Limits = NO_LIMITS,
    fence: Fence | None = None,
    clock: Clock | None = None,
    *,
    prepares: bool = True,
    listen_url: str | None = None,
) -> AsyncIterator[PostgresStore]:
    """Open a database by its URL, its schema made and migrated where needed, as one of its nodes.

    `fence` is kept open for as long as nobody may take over what this node has claimed. A
    `DatabaseClock` as `clock` is kept right; a node with another one is the only one. Unless it
    `prepares`, no statement is kept by a connection: a pooler may give each transaction another.
    By `listen_url`, which leads to no pooler, nodes hear each other; None for one that does not.

    Raises:
        StartError: the server cannot be reached, or the database cannot serve.
    """
    async with AsyncExitStack() as stack:
        time, connector = clock or DatabaseClock(), Connector(url, prepares=prepares)
        lease = await stack.enter_async_context(_leased(connector, url, fence or Fence(), time))
        # Before the writer, so that it tells of what is committed last.
        notifier = await stack.enter_async_context(notifying(listen_url, time))
        announcements = Announcements() if notifier is None else ToldAnnouncements(notifier)
        writer = _writer(connector, lease, limits, announcements)
        reader = await stack.enter_async_context(reading(connector, _readers(prepares)))
        # Of its own, so that somebody's long list does not hold up what is due.
        loop_reader = await stack.enter_async_context(reading(connector, 1))
        await stack.enter_async_context(writing(writer))
        periods = Periods(connector)
        stack.push_async_callback(asyncio.to_thread, periods.close)
        rates = await stack.enter_async_context(counting(connector))
        connected = Connected(lease, notifier, writer, reader, loop_reader, periods, rates)
        store = PostgresStore(connected, announcements, random, limits)
        stack.push_async_callback(store.keys.close)
        yield store


@asynccontextmanager
async def _leased(
    connector: Connector, url: str, fence: Fence, clock: Clock
) -> AsyncIterator[Lease]:
    """Prepare the database, and keep a lease until the end of the block. Raises: StartError."""
    async with AsyncExitStack() as stack:
        try:
            await asyncio.to_thread(_prepare, connector, url)
            lease = await stack.enter_async_context(leasing(Lease(connector, fence, time=clock)))
        except (psycopg.Error, StoreUnavailable) as error:
            text = " ".join(str(error).split())
            raise UnusableDatabase(f"cannot open the database {shown(url)}: {text}") from error
        yield lease


def _writer(
    connector: Connector, lease: Lease, limits: Limits, announcements: Announcements
) -> Writer:
    """Return what writes under a lease, which learns when all that was begun is written."""
    writer = Writer(
        connector, lambda: lease.number, limits.of, announcements.committed, lease.give_up
    )
    lease.settled = lambda: writer.run_last(lambda transaction: None)
    return writer


def _readers(prepares: bool) -> int:
    return READERS if prepares else POOLED_READERS


def _prepare(connector: Connector, url: str) -> None:
    connection = connector.open()
    try:
        open_migrated(connection, url)
    finally:
        connection.close()

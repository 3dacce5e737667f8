"""The periods of finished jobs, looked after: made ahead, and dropped when they are old.

Each step is a transaction of its own on a connection beside the writer's, which would have all
changes wait for its locks. Of several nodes one makes a step; the others go on without it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Final, TypeVar

import psycopg
from msgspec.structs import replace

from booper.errors import PrunedElsewhere
from booper.model.job import State
from booper.model.retention import PRUNED_STATES, Retention, Span
from booper.store.postgres.connections import Connector, Kept, unavailable
from booper.store.postgres.partitions import (
    DAY,
    Period,
    drop_partitions,
    known_periods,
    make_partitions,
    missing_periods,
    old_periods,
)
from booper.store.postgres.transaction import PostgresTransaction

T = TypeVar("T")

WHOLE_SHARE: Final = 2
"""A period goes whole if jobs are kept for at least so many times as long as it is."""

# To count millions of jobs that go takes a while, in which they can still be read.
BEGIN: Final = "BEGIN; SET LOCAL statement_timeout = 600000"
STATEMENT_SECONDS: Final = 602.0


class Periods:
    """What makes and drops partitions on a connection of its own, open while it does."""

    def __init__(self, connector: Connector) -> None:
        self._kept = Kept(connector, STATEMENT_SECONDS)
        self._thread = ThreadPoolExecutor(1, "store periods")

    async def make(self, retention: Retention, now: datetime) -> None:
        """Make the partitions that are missing for today and the next days.

        What somebody is in the way of is made another time. Raises: StoreUnavailable.
        """
        await self._run(partial(self._make, retention, now))

    async def drop_old(self, retention: Retention, now: datetime) -> int:
        """Drop the periods in which all jobs are old; return how many jobs went.

        Raises: StoreUnavailable.
        """
        return await self._run(partial(self._drop_old, retention, now))

    async def drop_oldest(self, state: State, now: datetime) -> int | None:
        """Drop the oldest period of a state that has ended; return how many jobs went.

        None is returned where there is none, or somebody is in the way of it. Raises:
        StoreUnavailable, and PrunedElsewhere where another node is at it.
        """
        return await self._run(partial(self._drop_oldest, state, now))

    def close(self) -> None:
        """End, after what has begun."""
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._worked, work)

    def _worked(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except psycopg.Error as error:  # also one of a user who may not make tables
            raise unavailable(error) from error
        finally:
            self._kept.drop()

    def _make(self, retention: Retention, now: datetime) -> None:
        for state in PRUNED_STATES:
            kept = retention.of(state)
            for period in self._step(partial(missing_periods, state=state, now=now, kept=kept)):
                is_made = self._step(partial(make_partitions, period=period))
                if not is_made and period.begins_at <= now:
                    later = _from_tomorrow(period, now)
                    self._step(partial(make_partitions, period=later))

    def _drop_old(self, retention: Retention, now: datetime) -> int:
        count = 0
        for state in PRUNED_STATES:
            if (kept := retention.of(state)) is None:
                continue
            for period in self._step(partial(old_periods, state=state, before=now - kept)):
                with suppress(PrunedElsewhere):
                    count += self._step(partial(drop_partitions, period=period, now=now)) or 0
        return count

    def _drop_oldest(self, state: State, now: datetime) -> int | None:
        old = self._step(partial(old_periods, state=state, before=now))
        return self._step(partial(drop_partitions, period=old[0], now=now)) if old else None

    def _step(self, work: Callable[[PostgresTransaction], T]) -> T:
        """Do `work` in a transaction of its own."""
        connection = self._kept.get()
        try:
            with connection.within(self._kept.patience.response):
                connection.execute(BEGIN)
            result = work(PostgresTransaction(connection, 0, is_writing=True))
            connection.execute("COMMIT")
        except BaseException:
            if not connection.closed:
                connection.rollback()
            raise
        return result


def partitions_by_rows(opened: PostgresTransaction, state: State, kept: Span) -> list[str]:
    """Return the partitions whose jobs of a state are deleted row by row.

    They are those for all other days and for jobs that go by a rule of their own, and those of
    periods that are too long to wait for their end.
    """
    known = known_periods(opened, state)
    by_rows = [period.jobs for period in known if not _goes_whole(period, kept)]
    return ["kept_jobs", f"{state}_jobs_other", *by_rows]


def _goes_whole(period: Period, kept: Span) -> bool:
    return kept is None or WHOLE_SHARE * (period.ends_at - period.begins_at) <= kept


def _from_tomorrow(period: Period, now: datetime) -> Period:
    """Return a period as long as this one: what ended today may have its place elsewhere."""
    begin = datetime.combine(now.date(), time(), UTC) + DAY
    length: timedelta = period.ends_at - period.begins_at
    return replace(period, begins_at=begin, ends_at=begin + length)

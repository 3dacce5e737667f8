"""Partitions of finished jobs: made ahead without a gap, dropped with all that hangs on them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from booper.model.job import Job, Kind, State
from booper.model.retention import Retention
from booper.store.base import Store
from booper.store.postgres.connections import Connection, Connector
from booper.store.postgres.partitions import (
    DAYS_AHEAD,
    LOCK,
    MAX_PARTITIONS,
    Period,
    drop_partitions,
    known_periods,
    make_partitions,
    missing_periods,
    old_periods,
)
from booper.store.postgres.transaction import PostgresTransaction
from tests.conftest import START
from tests.support import stores
from tests.support.postgres import postgres, url_in
from tests.support.stores import (
    begun,
    brought,
    completed,
    created,
    discarded,
    entry,
    in_state,
    page,
    settle,
)

pytestmark = pytest.mark.anyio

alice = stores.alice

T = TypeVar("T")
JobChange = Callable[[Store, Connection, Job], Awaitable[object]]
DAY = timedelta(days=1)
MIDNIGHT = START.replace(hour=0)
MAX_CUSTOM_PLANS = 5 + 5 + 1
"""After so many a statement is prepared, and has a plan for all values."""
KEPT = Retention(
    completed=None,
    cancelled=None,
    discarded=None,
    audit=None,
    buckets=None,
    schedule_runs=2,
    max_bytes=0,
)
TODAY = Period(MIDNIGHT, MIDNIGHT + DAY, State.COMPLETED)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store."""
    async with postgres(tmp_path) as opened:
        yield opened


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """Return a connection to the database of the store."""
    with closing(connect(tmp_path)) as opened:
        yield opened


def connect(folder: Path) -> Connection:
    """Open a connection to the database of a folder."""
    return Connector(url_in(folder)).open()


def run(connection: Connection, work: Callable[[PostgresTransaction], T]) -> T:
    """Run `work` in a transaction of its own."""
    with connection.transaction():
        return work(PostgresTransaction(connection, 0, is_writing=True))


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    """Return what a query finds, in order."""
    return sorted(connection.execute(query).fetchall())


def make(connection: Connection, period: Period = TODAY) -> bool:
    """Make the partitions of a period."""
    return run(connection, lambda opened: make_partitions(opened, period))


def drop(connection: Connection, period: Period = TODAY, now: datetime = START) -> int | None:
    """Drop the partitions of a period."""
    return run(connection, lambda opened: drop_partitions(opened, period, now))


# --- which ones there are to be -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "days"),
    [(timedelta(0), 1), (DAY, 1), (8 * DAY, 1), (9 * DAY, 2), (30 * DAY, 4), (None, 180)],
)
def test_partitions_are_the_wider_the_longer_jobs_are_kept(
    connection: Connection, kept: timedelta | None, days: int
) -> None:
    """An eighth of that time, in whole days."""
    assert MAX_PARTITIONS == 8
    [first, *_] = run(
        connection, lambda opened: missing_periods(opened, State.COMPLETED, START, kept)
    )
    assert first == Period(MIDNIGHT, MIDNIGHT + days * DAY, State.COMPLETED)


def test_partitions_leave_no_day_out_whatever_is_changed(connection: Connection) -> None:
    """A year, with another retention every 50 days: each moment is in one of them, and ahead."""
    spans = [None, DAY, 30 * DAY, 90 * DAY, timedelta(0), 8 * DAY, 20 * DAY, 365 * DAY]
    for day in range(0, 365, 2):
        now, kept = START + day * DAY, spans[day // 50]
        work = partial(missing_periods, state=State.CANCELLED, now=now, kept=kept)
        for period in run(connection, work):
            assert make(connection, period)
    known = run(connection, lambda opened: known_periods(opened, State.CANCELLED))
    assert known[0].begins_at == MIDNIGHT
    assert all(a.ends_at == b.begins_at for a, b in pairwise(known))
    assert known[-1].ends_at > MIDNIGHT + (364 + DAYS_AHEAD) * DAY


def test_old_are_those_that_have_ended(connection: Connection) -> None:
    """The oldest first, of that state alone; the end is not in a period."""
    periods = [Period(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY, TODAY.state) for n in (1, 0, 2)]
    for period in periods:
        assert make(connection, period)
    before = MIDNIGHT + 2 * DAY
    found = run(connection, lambda opened: old_periods(opened, State.COMPLETED, before))
    assert found == [periods[1], periods[0]]
    assert run(connection, lambda opened: old_periods(opened, State.DISCARDED, before)) == []


# --- making ---------------------------------------------------------------------------------------


async def test_what_ends_is_in_the_partition_of_its_time(
    store: Store, alice: UUID, connection: Connection
) -> None:
    """With its log; what ends at another time, or otherwise, is not."""
    assert make(connection)
    assert make(connection), "to make what is there changes nothing"
    job = await ended(store, alice, START)
    await ended(store, alice, START + DAY)
    await in_state(store, alice, State.DISCARDED)
    assert rows(connection, f"SELECT id FROM {TODAY.jobs}") == [(job.id,)]
    assert rows(connection, f"SELECT job_id FROM {TODAY.logs}") == [(job.id,)]
    assert await store.jobs.get(alice, job.id) == job


async def ended(store: Store, user: UUID, at: datetime, **fields: Any) -> Job:
    """Store a job with an entry in its log that completes at a time."""
    job = await begun(store, user, **fields)
    return await settle(store, job, completed(job, at), [entry(job)])


async def test_a_day_that_has_jobs_already_is_left_as_it_is(
    store: Store, alice: UUID, connection: Connection
) -> None:
    """Its jobs stay where they are; another day gets its partitions."""
    job = await ended(store, alice, START)
    assert not make(connection)
    assert rows(connection, "SELECT id FROM completed_jobs_other") == [(job.id,)]
    assert run(connection, lambda opened: known_periods(opened, State.COMPLETED)) == []
    assert make(connection, Period(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY, State.COMPLETED))


def test_who_is_in_the_way_is_not_waited_for_long(connection: Connection, tmp_path: Path) -> None:
    """Neither a long read nor another node that changes partitions; afterwards it can be done."""
    with closing(connect(tmp_path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM ended_jobs")
        assert not make(connection)
        other.execute("COMMIT")
        other.execute("BEGIN")
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('booper partitions', 0))")
        assert not make(connection)
        other.execute("COMMIT")
    assert make(connection)


def test_a_change_that_cannot_be_made_leaves_the_transaction_whole(
    connection: Connection, tmp_path: Path
) -> None:
    """What was written before it stays, and the time that locks are waited for is as it was."""
    with closing(connect(tmp_path)) as other, connection.transaction():
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM ended_jobs")
        connection.execute("SET LOCAL lock_timeout = 2000")
        connection.execute("INSERT INTO pauses VALUES ('a.test', 1)")
        assert not make(connection)
        assert rows(connection, "SHOW lock_timeout") == [("2s",)]
        other.execute("COMMIT")
        assert make(connection)
        assert rows(connection, "SHOW lock_timeout") == [("2s",)]
    assert rows(connection, "SELECT target FROM pauses") == [("a.test",)]


# --- dropping -------------------------------------------------------------------------------------


async def test_a_dropped_period_takes_all_with_it_that_its_jobs_had(
    store: Store, alice: UUID, connection: Connection
) -> None:
    """Logs, reasons, what changed them, and their numbers; other jobs keep theirs."""
    make(connection)
    gone = [await ended(store, alice, START, tags=("a",)) for _ in range(3)]
    kept = await ended(store, alice, START + DAY, tags=("a",))
    waiting = await created(store, alice)
    numbers = [job.id for job in (*gone, kept, waiting)]
    for number in numbers:
        connection.execute("INSERT INTO waits VALUES (%s, 1, 'slot', 't', 1, 2)", [number])
        connection.execute("INSERT INTO audit_jobs VALUES (%s, 1)", [number])
    assert drop(connection) == 3
    left = [(kept.id,), (waiting.id,)]
    assert rows(connection, "SELECT id FROM jobs") == left
    assert rows(connection, "SELECT job_id FROM waits") == left
    assert rows(connection, "SELECT job_id FROM audit_jobs") == left
    assert [one.job_id for one in await store.logs.list(alice, page(), None, None)] == [kept.id]
    assert await store.counters.jobs() == {
        (Kind.REQUEST, State.COMPLETED): 1,
        (Kind.REQUEST, State.SCHEDULED): 1,
    }
    assert run(connection, lambda opened: known_periods(opened, State.COMPLETED)) == []
    assert drop(connection) == 0, "another node has done it"


async def test_what_is_needed_of_a_dropped_period_stays(
    store: Store, alice: UUID, connection: Connection
) -> None:
    """A job whose report is not sent stays with its log, until the rules let it go."""
    make(connection)
    gone, told = [await ended(store, alice, START) for _ in range(2)]
    report = await begun(store, alice, kind=Kind.CALLBACK, parent_id=told.id)
    assert drop(connection) == 1
    assert await store.jobs.get(alice, told.id) == told
    assert [one.job_id for one in await store.logs.list(alice, page(), None, None)] == [told.id]
    assert rows(connection, "SELECT id, class FROM ended_jobs") == [(told.id, "kept")]
    assert await store.counters.jobs() == {
        (Kind.REQUEST, State.COMPLETED): 1,
        (Kind.CALLBACK, State.EXECUTING): 1,
    }
    await brought(store, report, State.COMPLETED)
    assert gone.id != told.id


async def test_a_period_is_not_dropped_under_who_reads_or_retries(
    store: Store, alice: UUID, connection: Connection, tmp_path: Path
) -> None:
    """It stays whole, and goes afterwards."""
    make(connection)
    job = await ended(store, alice, START)
    in_the_way = ["SELECT count(*) FROM ended_jobs", f"DELETE FROM ended_jobs WHERE id = {job.id}"]
    with closing(connect(tmp_path)) as other:
        for query in in_the_way:
            other.execute("BEGIN")
            other.execute(query)
            assert drop(connection) is None
            other.execute("ROLLBACK")
    assert await store.jobs.get(alice, job.id) == job
    assert drop(connection) == 1


def trim(store: Store, connection: Connection, job: Job) -> Awaitable[object]:
    """Trim the log of a job, as who settles one that was sent very often."""

    async def changed() -> None:
        run(connection, lambda opened: opened.log.trim(job.id, 1, 1))

    return changed()


def retry(store: Store, connection: Connection, job: Job) -> Awaitable[object]:
    """Send a job again, with its log."""
    return store.jobs.retry(job.user_id, job.id, START)


def delete(store: Store, connection: Connection, job: Job) -> Awaitable[object]:
    """Delete a job with its log."""
    return store.pruning.prune([job.id], KEPT, START, 9, is_over_size=True)


@pytest.mark.parametrize("change", [trim, retry, delete])
async def test_changes_of_other_periods_do_not_wait_for_who_drops_one(
    store: Store, alice: UUID, connection: Connection, tmp_path: Path, change: JobChange
) -> None:
    """Often enough that a prepared statement would have come to a plan for all partitions."""
    today, tomorrow = (
        Period(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY, State.DISCARDED) for n in (0, 1)
    )
    make(connection, today)
    make(connection, tomorrow)
    begun_jobs = [await begun(store, alice) for _ in range(MAX_CUSTOM_PLANS)]
    jobs = [
        await settle(store, job, discarded(job, START + DAY), [entry(job)]) for job in begun_jobs
    ]
    connection.execute("SET lock_timeout = 1000")
    with closing(connect(tmp_path)) as other, other.transaction():
        other.execute(LOCK.format(jobs=today.jobs, logs=today.logs))
        for job in jobs:
            await change(store, connection, job)

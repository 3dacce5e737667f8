"""The order of locks: keys, schedules, then jobs; so no two nodes wait for each other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from booper.model.job import Job
from booper.model.schedule import Conflict
from booper.store.base import Store
from booper.store.postgres.connections import Connection, Connector
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.transaction import PartUndone
from booper.store.values import Created, Creation
from tests.conftest import START
from tests.support import stores
from tests.support.postgres import postgres, url_in
from tests.support.stores import claim, completed, created, due, scheduled, wanted

pytestmark = pytest.mark.anyio

alice = stores.alice

Change = Callable[[PostgresTransaction], object]

LOCK_SCHEDULE = "SELECT FROM schedules WHERE id = %s FOR UPDATE"
LOCK_JOB = "SELECT FROM live_jobs WHERE id = %s FOR UPDATE"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store."""
    async with postgres(tmp_path) as opened:
        yield opened


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Connection]:
    """Return a connection in a transaction, as another node's; its deadlocks show at once."""
    with closing(Connector(url_in(tmp_path)).open()) as opened:
        opened.execute("BEGIN; SET LOCAL deadlock_timeout = 20; SET LOCAL lock_timeout = 5000")
        yield opened


def meet(folder: Path, other: Connection, change: Change, query: str, value: Any) -> Any:
    """Make a change that comes to wait for `other`, which locks a row more, and then ends.

    Return what the change returns. Raises: what it raised; `other` raises DeadlockDetected where
    each of the two would wait for the other.
    """
    results: list[Any] = []

    def run() -> None:
        with closing(Connector(url_in(folder)).open()) as connection:
            try:
                connection.execute("BEGIN; SET LOCAL lock_timeout = 10000")
                results.append(change(PostgresTransaction(connection, 0, is_writing=True)))
                connection.execute("COMMIT")
            except Exception as error:
                results.append(error)

    thread = Thread(target=run)
    thread.start()
    with closing(Connector(url_in(folder)).open()) as watching:
        while thread.is_alive() and not is_waited_for(watching, other):
            pass
    assert thread.is_alive(), f"nothing was waited for: {results}"
    try:
        other.execute(query, [value])
    finally:
        other.rollback()
        thread.join()
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def wait_until_waited_for(folder: Path, other: Connection) -> None:
    """Return once somebody waits for what a connection has locked."""
    with closing(Connector(url_in(folder)).open()) as watching:
        while not is_waited_for(watching, other):
            pass


def is_waited_for(watching: Connection, other: Connection) -> bool:
    """Return whether somebody waits for what a connection has locked."""
    query = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)))
    """
    row = watching.execute(query, [other.info.backend_pid]).fetchone()
    return row is not None and row[0] is True


async def test_whoever_changes_a_run_locks_its_schedule_first(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """Another node, which has the schedule, gets to the run without waiting."""
    run = await scheduled(store, alice)
    other.execute(LOCK_SCHEDULE, [run.schedule_id])
    found = meet(tmp_path, other, lambda opened: opened.jobs.find(run.id), LOCK_JOB, run.id)
    assert found == run


async def test_a_finished_run_is_locked_after_its_schedule_as_well(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """What deletes old jobs has the schedule before them."""
    run = await scheduled(store, alice)
    cancelled = (await store.jobs.cancel(alice, run.id, START, stores.nothing)).jobs[0]
    other.execute(LOCK_SCHEDULE, [run.schedule_id])
    query = "SELECT FROM ended_jobs WHERE id = %s FOR UPDATE"
    found = meet(tmp_path, other, lambda opened: opened.jobs.find(run.id), query, run.id)
    assert found == cancelled


async def runs(store: Store, user: UUID) -> tuple[Job, Job]:
    """Return executing runs of two schedules, the one first whose schedule is locked first."""
    made = [await scheduled(store, user) for _ in range(2)]
    one, other = await claim(store, [due(run) for run in made])
    assert one.schedule_id is not None
    assert other.schedule_id is not None
    return (one, other) if one.schedule_id < other.schedule_id else (other, one)


async def test_settled_runs_are_locked_in_the_order_of_their_schedules(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """Also where they come in another one: who waits for the first has not locked the second."""
    first, second = await runs(store, alice)
    pairs = [(run, completed(run)) for run in (second, first)]
    other.execute(LOCK_SCHEDULE, [first.schedule_id])
    value = second.schedule_id
    meet(tmp_path, other, lambda opened: opened.jobs.move_all(pairs), LOCK_SCHEDULE, value)
    assert [(await store.jobs.get(alice, run.id)).state for run in (first, second)] == [
        "completed",
        "completed",
    ]


async def test_what_a_node_has_left_is_locked_after_its_schedules(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """A rescue meets a user who cancels what is being rescued."""
    run, _ = await runs(store, alice)
    other.execute("UPDATE nodes SET expires_at = '-infinity'")
    other.execute("COMMIT; BEGIN; SET LOCAL deadlock_timeout = 20; SET LOCAL lock_timeout = 5000")
    other.execute(LOCK_SCHEDULE, [run.schedule_id])
    found = meet(tmp_path, other, lambda opened: opened.jobs.find_left(), LOCK_JOB, run.id)
    assert run in found


def in_order(user: UUID, connection: Connection) -> tuple[str, str]:
    """Return two keys of a user, first the one that is locked first."""
    query = "SELECT hashtextextended('key ' || %s::text || ' ' || %s, 0)"
    numbers = {name: connection.execute(query, [user, name]).fetchone() for name in ("a", "b")}
    first, second = sorted(numbers, key=lambda name: numbers[name] or ())
    return first, second


def lock_key(connection: Connection, user: UUID, key: str) -> None:
    """Lock a key of a user, as whoever creates under it."""
    PostgresTransaction(connection, 0, is_writing=True).lock_keys([(user, key)])


def asked(user: UUID, key: str) -> Creation:
    """Return a create under a key that returns what holds it."""
    return Creation(wanted(user, idempotency=key), Conflict.IGNORE)


async def test_keys_are_locked_in_one_order(alice: UUID, tmp_path: Path, other: Connection) -> None:
    """Also where they come in another one: who waits for the first has not locked the second."""
    first, second = in_order(alice, other)
    keys = [(alice, second), (alice, first)]
    lock_key(other, alice, first)
    query = f"SELECT pg_advisory_xact_lock(hashtextextended('key {alice} ' || %s, 0))"
    meet(tmp_path, other, lambda opened: opened.lock_keys(keys), query, second)


async def test_the_keys_of_changes_that_are_committed_together_are_locked_in_one_order(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """Also where the first change names the one that is locked last."""
    first, second = in_order(alice, other)
    lock_key(other, alice, first)
    creates = [
        asyncio.create_task(store.jobs.create_many([asked(alice, key)], START, atomic=True))
        for key in (second, first)
    ]
    await asyncio.to_thread(wait_until_waited_for, tmp_path, other)
    lock_key(other, alice, second)
    other.rollback()
    made = [(await create)[0] for create in creates]
    assert all(isinstance(each, Created) and not each.is_duplicate for each in made)


async def test_who_learns_that_a_key_is_taken_waits_for_nothing(
    store: Store, alice: UUID, other: Connection
) -> None:
    """Neither for what settles the job that holds it, nor for what plans a schedule's run."""
    job = await created(store, alice, idempotency="job")
    run = await scheduled(store, alice, idempotency_key="schedule")
    for query, value in (
        (LOCK_JOB, job.id),
        (LOCK_SCHEDULE, run.schedule_id),
        (LOCK_JOB, run.id),
    ):
        other.execute(query, [value])
    for key, holder in (("job", job), ("schedule", run)):
        found = await store.jobs.create(asked(alice, key), START)
        assert (found.job, found.is_duplicate) == (holder, True)


async def test_a_schedule_is_locked_after_its_key(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """Who creates under the key has the key before the schedule that holds it."""
    run = await scheduled(store, alice, idempotency_key="k")
    schedule_id = run.schedule_id
    assert schedule_id is not None
    lock_key(other, alice, "k")
    found = meet(
        tmp_path,
        other,
        lambda opened: opened.schedules.get(alice, schedule_id),
        LOCK_SCHEDULE,
        schedule_id,
    )
    assert found.idempotency_key == "k"


async def test_locks_that_were_undone_are_taken_again(alice: UUID, other: Connection) -> None:
    """A part that was undone has lost what it had locked, and the transaction knows that."""
    opened = PostgresTransaction(other, 0, is_writing=True)
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"

    def lock_in_vain() -> None:
        opened.lock_keys([(alice, "k")])
        assert other.execute(held).fetchone() == (1,)
        raise ValueError

    with pytest.raises(PartUndone):
        opened.part(lock_in_vain)
    assert other.execute(held).fetchone() == (0,)
    opened.lock_keys([(alice, "k")])
    assert other.execute(held).fetchone() == (1,)

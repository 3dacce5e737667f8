"""Rows that are committed late, with numbers lower than others: nobody who follows misses them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.model.audit import ADMINISTRATOR, Action, Kind, NewChange
from booper.model.event import ERROR
from booper.model.job import Job
from booper.store.base import Store
from booper.store.postgres.connections import Connection, Connector
from booper.store.postgres.numbers import AUDIT, JOBS, LOG, Numbers, settled_until
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.transaction import PartUndone
from booper.store.values import JobFilter
from tests.conftest import START
from tests.support import stores
from tests.support.postgres import postgres, url_in
from tests.support.stores import begun, completed, created, entry, page, settle, wanted

pytestmark = pytest.mark.anyio

alice = stores.alice


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store."""
    async with postgres(tmp_path) as opened:
        yield opened


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Connection]:
    """Return a connection in a transaction that does not end, as another node's."""
    with closing(Connector(url_in(tmp_path)).open()) as opened:
        opened.execute("BEGIN")
        yield opened


def log(transaction: PostgresTransaction, job: Job) -> None:
    """Write an entry about a job."""
    transaction.log.append([entry(job, payload='{"late":1}')], Random(1))


def writing(connection: Connection) -> PostgresTransaction:
    """Return the transaction of a connection."""
    return PostgresTransaction(connection, 0, is_writing=True)


def settled(folder: Path, numbers: Numbers) -> int:
    """Return up to which number all is there."""
    with closing(Connector(url_in(folder)).open()) as connection:
        return settled_until(PostgresTransaction(connection, 0, is_writing=False), numbers)


async def payloads(store: Store, user: UUID, job_id: int | None = None) -> list[str]:
    """Return the payloads of a user's entries, newest first."""
    return [each.payload for each in await store.logs.list(user, page(), job_id, None)]


# --- the numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [LOG, JOBS, AUDIT])
async def test_of_rows_that_nobody_writes_all_are_there(
    store: Store, tmp_path: Path, numbers: Numbers
) -> None:
    """Also before the first number was drawn."""
    assert settled(tmp_path, numbers) == 0


async def test_what_is_in_flight_begins_behind_what_is_there(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """The first that was drawn and is not committed sets the end, until its transaction ends."""
    jobs = [await begun(store, alice) for _ in range(3)]
    await settle(store, jobs[0], completed(jobs[0]), [entry(jobs[0])])
    assert settled(tmp_path, LOG) == 1
    log(writing(other), jobs[1])
    await settle(store, jobs[2], completed(jobs[2]), [entry(jobs[2])])
    assert settled(tmp_path, LOG) == 1
    other.execute("COMMIT")
    assert settled(tmp_path, LOG) == 3


async def test_numbers_of_a_transaction_that_failed_hold_nobody_up(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """They are never used."""
    job = await begun(store, alice)
    log(writing(other), job)
    other.execute("ROLLBACK")
    await settle(store, job, completed(job), [entry(job)])
    assert settled(tmp_path, LOG) == 2


async def test_the_numbers_may_be_large(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """A lock has room for a part of them; what is drawn across the end of a part is found."""
    large = 5 * 2**31 - 2
    with closing(Connector(url_in(tmp_path)).open()) as connection:
        connection.execute("SELECT setval('log_numbers', %s)", [large])
    jobs = [await begun(store, alice) for _ in range(4)]
    log(writing(other), jobs[0])
    for job in jobs[1:]:
        await settle(store, job, completed(job), [entry(job)])
    assert settled(tmp_path, LOG) == large
    other.execute("COMMIT")
    assert settled(tmp_path, LOG) == large + 4


async def test_many_rows_of_one_transaction_take_one_lock(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """The server has room for some thousands in all. One that was undone is taken again."""
    job = await begun(store, alice)
    node = writing(other)
    for _ in range(2):
        node.jobs.insert([node.jobs.draft(wanted(alice), START, Random()) for _ in range(50)])
        node.log.append([entry(job, ERROR) for _ in range(50)], Random())
    query = "SELECT classid::int FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
    assert sorted(other.execute(query).fetchall()) == [(LOG.space,), (JOBS.space,)]
    before = settled(tmp_path, LOG)
    other.execute("ROLLBACK; BEGIN")
    node = writing(other)

    def log_in_vain() -> None:
        log(node, job)
        raise ValueError

    with pytest.raises(PartUndone):
        node.part(log_in_vain)
    log(node, job)
    await settle(store, job, completed(job), [entry(job)])
    assert before < settled(tmp_path, LOG) < before + 103
    assert await payloads(store, alice) == []


# --- the log --------------------------------------------------------------------------------------


async def test_an_entry_that_is_committed_late_is_listed_where_it_belongs(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """Those behind it wait for it: whoever has read the newest has read all before."""
    late, fast = await begun(store, alice), await begun(store, alice)
    log(writing(other), late)
    await settle(store, fast, completed(fast), [entry(fast, payload='{"fast":1}')])
    assert await payloads(store, alice) == []
    assert await payloads(store, alice, fast.id) == ['{"fast":1}'], "a job's own are all there"
    other.execute("COMMIT")
    assert await payloads(store, alice) == ['{"fast":1}', '{"late":1}']


async def test_pages_of_a_rising_list_leave_no_entry_out(
    store: Store, alice: UUID, tmp_path: Path, other: Connection
) -> None:
    """A page ends before what may still come; the next one goes on from there."""
    jobs = [await begun(store, alice) for _ in range(4)]
    await settle(store, jobs[0], completed(jobs[0]), [entry(jobs[0])])
    await settle(store, jobs[1], completed(jobs[1]), [entry(jobs[1])])
    log(writing(other), jobs[2])
    await settle(store, jobs[3], completed(jobs[3]), [entry(jobs[3])])
    first = await store.logs.list(alice, page(1, descending=False), None, None)
    assert [each.job_id for each in first] == [jobs[0].id]
    assert first.rest is not None
    other.execute("COMMIT")
    behind = page(descending=False)
    rest = await store.logs.list(alice, replace(behind, place=first.rest), None, None)
    assert [each.job_id for each in rest] == [job.id for job in jobs[1:]]


# --- jobs and the audit ---------------------------------------------------------------------------


async def test_pages_of_rising_jobs_leave_none_out(
    store: Store, alice: UUID, other: Connection
) -> None:
    """A page that others follow ends before what may still come; the last one has all."""
    first = await created(store, alice)
    node = writing(other)
    [late] = node.jobs.insert([node.jobs.draft(wanted(alice), START, Random(1))])
    newer = [await created(store, alice) for _ in range(2)]
    rising = page(2, order_by="id", descending=False)
    part = await store.jobs.list(alice, rising, JobFilter(), START)
    assert [job.id for job in part] == [first.id]
    assert part.rest is not None
    behind = replace(rising, place=part.rest)
    empty = await store.jobs.list(alice, replace(behind, limit=1), JobFilter(), START)
    assert (list(empty), empty.rest) == ([], part.rest)
    rest = await store.jobs.list(alice, replace(behind, limit=9), JobFilter(), START)
    assert [job.id for job in rest] == [job.id for job in newer]
    other.execute("COMMIT")
    rest = await store.jobs.list(alice, replace(behind, limit=9), JobFilter(), START)
    assert [job.id for job in rest] == [late.id, *(job.id for job in newer)]


async def test_pages_of_the_rising_audit_leave_no_change_out(
    store: Store, other: Connection
) -> None:
    """As those of jobs."""
    change = NewChange(ADMINISTRATOR, Action.PAUSE, Kind.TARGET, "a.test", START)
    await store.history.note(change)
    writing(other).audit.append(change)
    for _ in range(2):
        await store.history.note(change)
    rising = page(2, descending=False)
    part = await store.history.changes(rising)
    assert [each.id for each in part] == [1]
    assert part.rest is not None
    other.execute("COMMIT")
    rest = await store.history.changes(replace(rising, limit=9, place=part.rest))
    assert [each.id for each in rest] == [2, 3, 4]

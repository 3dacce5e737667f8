"""Where the log of a job is written: beside the job, wherever that has gone meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from booper.model.event import RESPONSE
from booper.model.job import State
from booper.store.base import Store
from booper.store.postgres.connections import Connector
from booper.store.postgres.job_moves import LIVE
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.stored import stored
from booper.store.transaction import PartUndone
from booper.store.values import Due, Settlement
from tests.conftest import START
from tests.support import stores
from tests.support.postgres import postgres, rows_of_postgres, url_in
from tests.support.stores import (
    begun,
    cancel,
    claim,
    completed,
    entry,
    page,
    retryable,
    settle,
)

pytestmark = pytest.mark.anyio

alice = stores.alice


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store."""
    async with postgres(tmp_path) as opened:
        yield opened


def classes(folder: Path) -> list[tuple[int, str]]:
    """Return the job and the class of each row of the log."""
    found = rows_of_postgres(folder)("SELECT job_id, class FROM logs ORDER BY seq")
    return [(row["job_id"], row["class"]) for row in found]


async def test_entries_of_a_job_that_ends_are_written_once(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """Straight to where the log of the finished job is: the other place has never had a row."""
    job = await begun(store, alice)
    await settle(store, job, completed(job), [entry(job), entry(job, RESPONSE)])
    assert classes(tmp_path) == [(job.id, "completed")]
    (size,) = rows_of_postgres(tmp_path)("SELECT pg_relation_size('live_logs') AS bytes")
    assert size["bytes"] == 0


async def test_entries_of_earlier_attempts_go_with_the_job(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """They stand before those of the last one; sent again, it takes all of them back."""
    first = await begun(store, alice)
    await settle(store, first, retryable(first, START), [entry(first, payload='{"n":1}')])
    assert classes(tmp_path) == [(first.id, "live")]
    (second,) = await claim(store, [Due(START, first.id, first.origin, first.path)])
    await settle(store, second, completed(second), [entry(second, payload='{"n":2}')])
    assert classes(tmp_path) == [(first.id, "completed")] * 2
    logged = await store.logs.list(alice, page(descending=False), first.id, None)
    assert [item.payload for item in logged] == ['{"n":1}', '{"n":2}']


async def test_a_job_that_is_sent_again_takes_its_log_back(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """What is written after that is beside it."""
    job = await begun(store, alice)
    await cancel(store, alice, job.id)
    await settle(store, job, completed(job), [entry(job)])
    assert classes(tmp_path) == [(job.id, "cancelled")]
    again = await store.jobs.retry(alice, job.id, START)
    assert classes(tmp_path) == [(job.id, "live")]
    (claimed,) = await claim(store, [Due.of(again)])
    await settle(store, claimed, completed(claimed), [entry(claimed)])
    assert classes(tmp_path) == [(job.id, "completed")] * 2


async def test_an_attempt_that_has_lost_its_job_is_logged_where_that_is(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """Three settle together; one has lost its job, so that all are undone and made one by one."""
    jobs = [await begun(store, alice) for _ in range(3)]
    stale = jobs[1]
    await store.queue.release([stale])
    (newer,) = await claim(store, [Due.of(stale)])
    made = [Settlement(job, completed(job), START, [entry(job)]) for job in jobs]
    first, lost, last = await asyncio.gather(*map(store.queue.settle, made))
    assert (first.job.state, lost.job, last.job.state) == (State.COMPLETED, newer, State.COMPLETED)
    assert sorted(classes(tmp_path)) == [
        (jobs[0].id, "completed"),
        (stale.id, "live"),
        (jobs[2].id, "completed"),
    ]


async def test_a_move_that_was_undone_is_not_remembered(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """What the transaction writes afterwards goes to where the job still is."""
    job = await begun(store, alice)

    def end_in_vain() -> None:
        opened.jobs.move(job, completed(job))
        assert opened.jobs.places([job.id]) == {job.id: ("completed", stored(START))}
        raise ValueError

    with closing(Connector(url_in(tmp_path)).open()) as connection, connection.transaction():
        opened = PostgresTransaction(connection, 0, is_writing=True)
        with pytest.raises(PartUndone):
            opened.part(end_in_vain)
        assert opened.jobs.places([job.id]) == {job.id: LIVE}

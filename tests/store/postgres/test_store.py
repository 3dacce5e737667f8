"""The PostgreSQL store as a whole: what it ends, and what its transactions lock."""

import asyncio
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from booper.model.job import State
from booper.store.postgres.connections import Connector
from booper.store.postgres.job_rows import JobRows
from booper.store.postgres.store import open_store
from booper.store.postgres.transaction import PostgresTransaction, Values
from booper.store.rules import creating
from booper.store.values import Created, Creation
from tests.conftest import START
from tests.support.postgres import postgres, url_in
from tests.support.stores import in_state, key, wanted

pytestmark = pytest.mark.anyio


async def test_a_store_ends_what_reads_its_keys(tmp_path: Path) -> None:
    """Also where whoever asked for a key has gone meanwhile."""
    before = asyncio.all_tasks()
    async with open_store(url_in(tmp_path), Random(1)) as store:
        asking = asyncio.create_task(store.keys.find(b"x" * 32))
        while not any(task.get_name() == "keys" for task in asyncio.all_tasks()):
            await asyncio.wait([asking], timeout=0)
        asking.cancel()
    await asyncio.wait([asking])
    assert asyncio.all_tasks() == before


async def test_finished_jobs_are_locked_by_who_writes(tmp_path: Path) -> None:
    """What decides whether they go stays as it is; a reader locks nothing."""
    free = "SELECT id FROM ended_jobs FOR UPDATE SKIP LOCKED"
    async with postgres(tmp_path) as store:
        user = (await store.keys.create(key("a", user="a"), START)).user_id
        jobs = [await in_state(store, user, State.COMPLETED) for _ in range(3)]
    numbers = [job.id for job in jobs]
    connector = Connector(url_in(tmp_path))
    with closing(connector.open()) as one, closing(connector.open()) as other:
        with one.transaction():
            reading = PostgresTransaction(one, 0, is_writing=False)
            assert [job.id for job in reading.jobs.find_ended(numbers[::-1])] == numbers
            assert len(other.execute(free).fetchall()) == 3
        with one.transaction():
            writing = PostgresTransaction(one, 0, is_writing=True)
            assert [job.id for job in writing.jobs.find_ended(numbers[1::-1])] == numbers[:2]
            assert other.execute(free).fetchall() == [(numbers[2],)]


class Counted(PostgresTransaction):
    """A transaction that counts its statements."""

    count = 0

    def execute(self, query: str, values: Values | None = None) -> Any:
        """Count a statement, and run it."""
        self.count += 1
        return super().execute(query, values)


async def test_creates_with_keys_are_written_by_three_statements(tmp_path: Path) -> None:
    """However many: their keys are locked and looked up at once, and the jobs are one insert."""
    async with postgres(tmp_path) as store:
        user = (await store.keys.create(key("a", user="a"), START)).user_id
    asked = [Creation(wanted(user, idempotency=f"{n}", tags=("a",))) for n in range(50)]
    random = Random(1)
    prepared = [creating.prepare(each, START, random, JobRows.draft) for each in asked]
    with closing(Connector(url_in(tmp_path)).open()) as connection, connection.transaction():
        transaction = Counted(connection, 1, is_writing=True)
        made = creating.create_all(transaction, prepared)
        assert transaction.count == 3
        again = creating.create_all(transaction, prepared)
    jobs = [each.job for each in made if isinstance(each, Created) and not each.is_duplicate]
    assert [job.idempotency_key for job in jobs] == [f"{n}" for n in range(50)]
    assert again == [Created(job, is_duplicate=True) for job in jobs]

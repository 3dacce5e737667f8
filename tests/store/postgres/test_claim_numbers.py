"""From which claim on is counted what executes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from uuid import UUID

import psycopg
import pytest

from booper.model.job import Job
from booper.store.base import Store
from booper.store.limits import Limits
from booper.store.postgres import open_store
from booper.store.postgres.claim_numbers import OldestClaim
from booper.store.postgres.store import PostgresStore
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.values import DueJob
from tests.conftest import START
from tests.support import postgres
from tests.support.stores import completed, created, due, key, settle, turns

pytestmark = pytest.mark.anyio

postgres_url = postgres.postgres_url

SLOTS = 3
LIFE = ("life", "one", 0, 9)


@pytest.fixture
async def nodes(postgres_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Return two nodes that have three slots."""
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(
                open_store(postgres_url, Random(number), Limits(SLOTS, SLOTS))
            )
            for number in range(2)
        ]
        yield one, other


@pytest.fixture
async def alice(nodes: tuple[Store, Store]) -> UUID:
    """Return a user."""
    return (await nodes[0].keys.create(key("alice's", user="alice"), START)).user_id


async def begun(store: Store, *jobs: Job) -> list[Job]:
    """Claim jobs; return those that began."""
    return [attempt.job for attempt in (await turns(store, *jobs)).begun]


async def test_a_count_begins_with_the_oldest_that_is_on_its_way(
    nodes: tuple[Store, Store], alice: UUID
) -> None:
    """A long attempt keeps its slot while others come and go, at either node, in any order."""
    one, other = nodes
    jobs = [await created(one, alice) for _ in range(12)]
    assert await begun(one, jobs.pop())
    for node in (one, other, one, one, other):
        two = await begun(node, jobs.pop(), jobs.pop())
        assert len(two) == SLOTS - 1
        assert await begun(other, jobs[0]) == []
        for job in two:
            await settle(node, job, completed(job))


async def test_an_attempt_that_is_made_again_is_the_newest(
    nodes: tuple[Store, Store], alice: UUID
) -> None:
    """One that is released and claimed again draws another number, behind those of its first."""
    one, other = nodes
    jobs = [await created(one, alice) for _ in range(4)]
    first = await begun(one, jobs[0])
    await begun(other, jobs[1])
    await one.queue.release(first)
    assert len(await begun(other, jobs[2])) == 1
    assert len(await begun(one, jobs[0])) == 1
    assert await begun(other, jobs[3]) == []


async def test_all_is_counted_anew_by_another_server(
    nodes: tuple[Store, Store], alice: UUID, postgres_url: str
) -> None:
    """One that took over may give numbers again: claims behind them are seen all the same."""
    one, other = nodes
    jobs = [await created(one, alice) for _ in range(6)]
    for job in jobs[:2]:
        for claimed in await begun(one, job):
            await settle(one, claimed, completed(claimed))
    with psycopg.connect(postgres_url) as server:
        server.execute("SELECT setval('claim_numbers', 1, false)")
        server.execute("UPDATE server_life SET life = gen_random_uuid()")
    assert len(await begun(other, *jobs[2:4])) == 2
    assert len(await begun(one, *jobs[4:])) == SLOTS - 2


async def test_a_claim_that_a_booper_of_the_schema_before_has_made_takes_a_slot(
    nodes: tuple[Store, Store], alice: UUID, postgres_url: str
) -> None:
    """It has no number."""
    one, other = nodes
    jobs = [await created(one, alice) for _ in range(6)]
    for claimed in await begun(one, jobs[0]):
        await settle(one, claimed, completed(claimed))
    assert len(await begun(other, *jobs[1:3])) == 2
    with psycopg.connect(postgres_url) as database:
        database.execute("UPDATE live_jobs SET claim = 0 WHERE state = 'executing'")
    assert len(await begun(one, *jobs[3:])) == SLOTS - 2


async def test_what_was_seen_and_not_committed_counts_for_nothing(
    nodes: tuple[Store, Store], alice: UUID
) -> None:
    """Claims that a transaction has seen end go on where it is undone."""
    one = nodes[0]
    jobs = [await created(one, alice) for _ in range(5)]
    assert len(await begun(one, *jobs[:2])) == 2

    def undone(transaction: PostgresTransaction) -> None:
        transaction.execute("DELETE FROM live_jobs WHERE state = 'executing'")
        assert transaction.slots(START, [DueJob(due(jobs[2]), START)]).take(due(jobs[2]))
        raise RuntimeError("undone")

    assert isinstance(one, PostgresStore)
    with pytest.raises(RuntimeError, match="undone"):
        await one._writer.run(undone)
    assert len(await begun(one, *jobs[2:])) == SLOTS - 2


def test_without_claims_a_count_begins_with_the_last_number() -> None:
    """All before it have ended; what is drawn from now on is behind it."""
    oldest = OldestClaim()
    assert oldest.note([LIFE])
    assert oldest.number == 9


def test_a_count_begins_with_the_first_claim_of_all_origins() -> None:
    """Each origin has its first one."""
    oldest = OldestClaim()
    assert oldest.note([("executing", "b", 2, 5), ("executing", "a", 1, 4), LIFE])
    assert oldest.number == 4


def test_a_server_of_no_life_or_another_is_asked_again() -> None:
    """From the first claim on."""
    oldest = OldestClaim()
    for known in [], [("life", "two", 0, 3)]:
        assert oldest.note([LIFE])
        assert not oldest.note(known)
        assert oldest.number == 0
        assert oldest.note(known)
    assert oldest.number == 3

"""What nodes share: slots, failing origins, pauses. Each test has two nodes over one database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace

from booper.model.breaker import Breaker
from booper.model.job import Job, State
from booper.store.base import Store
from booper.store.limits import Limits
from booper.store.postgres import open_store
from booper.store.postgres.connections import Connector
from booper.store.postgres.sharing import KNOWN, UNWANTED_FOR, of_claim
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.sharing import Shared
from booper.store.values import ALL_TARGETS, Claims, Creation, Pause
from tests.conftest import START
from tests.support import postgres
from tests.support.stores import (
    HOUR,
    SECOND,
    cancel,
    completed,
    created,
    key,
    retryable,
    settle,
    turns,
    wanted,
)

pytestmark = pytest.mark.anyio

postgres_url = postgres.postgres_url

LIMITS = Limits(in_all=6, per_origin=4, slots={"https://single.test": 1})
ORIGIN = "https://target.test"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
MICROSECOND = timedelta(microseconds=1)

Nodes = tuple[Store, Store]


@pytest.fixture
async def nodes(postgres_url: str) -> AsyncIterator[Nodes]:
    """Return two nodes."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(postgres_url, Random(1), LIMITS))
        other = await stack.enter_async_context(open_store(postgres_url, Random(2), LIMITS))
        yield one, other


@pytest.fixture
async def alice(nodes: Nodes) -> UUID:
    """Return a user."""
    return (await nodes[0].keys.create(key("alice's", user="alice"), START)).user_id


async def jobs_of(store: Store, user: UUID, count: int, host: str = "target.test") -> list[Job]:
    """Store jobs that are due."""
    return [await created(store, user, host=host) for _ in range(count)]


async def told(
    node: Store, opened: Sequence[Breaker], closed: Sequence[str] = (), now: datetime = START
) -> Shared:
    """Return what holds after a node has told the others."""
    assert node.sharing is not None
    return await node.sharing.exchange(opened, closed, now)


def numbers(claims: Claims) -> tuple[list[int], list[int]]:
    """Return the jobs that a claim has begun, and those that it refused."""
    begun = [attempt.job.id for attempt in claims.begun]
    return begun, [seen.due.id for seen in claims.refused]


async def test_an_origins_slots_are_those_of_all_nodes(nodes: Nodes, alice: UUID) -> None:
    """Of 4 slots one node takes 3: the other gets 1 of its 3 jobs, in order, and then none."""
    one, other = nodes
    jobs = await jobs_of(one, alice, 7)
    first = await turns(one, *jobs[:3])
    assert numbers(first) == ([job.id for job in jobs[:3]], [])
    second = await turns(other, *jobs[3:6])
    assert numbers(second) == ([jobs[3].id], [jobs[4].id, jobs[5].id])
    assert numbers(await turns(one, jobs[6])) == ([], [jobs[6].id])
    done = first.begun[0].job
    await settle(one, done, completed(done))
    assert numbers(await turns(other, *jobs[4:6])) == ([jobs[4].id], [jobs[5].id])


async def end_by_result(node: Store, claimed: Job) -> None:
    """End an attempt whose job was cancelled meanwhile: it has a response all the same."""
    await settle(node, claimed, completed(claimed))


async def end_by_release(node: Store, claimed: Job) -> None:
    """End an attempt that a stop cuts off."""
    await node.queue.release([claimed])


ENDS = [end_by_result, end_by_release]


@pytest.mark.parametrize("end", ENDS)
async def test_a_cancelled_job_holds_its_slot_until_its_request_has_ended(
    nodes: Nodes, alice: UUID, end: Callable[[Store, Job], Awaitable[None]]
) -> None:
    """The request goes on (contract §4), so no node sends another one to an origin of one slot."""
    one, other = nodes
    first, second = await jobs_of(one, alice, 2, host="single.test")
    (attempt,) = (await turns(one, first)).begun
    await cancel(other, alice, first.id)
    assert numbers(await turns(other, second)) == ([], [second.id])
    await end(one, attempt.job)
    assert (await one.jobs.get(alice, first.id)).state is State.CANCELLED
    assert numbers(await turns(other, second)) == ([second.id], [])


async def test_a_cancelled_job_of_a_node_that_is_gone_holds_no_slot(
    nodes: Nodes, alice: UUID, postgres_url: str
) -> None:
    """Nobody else can tell that its request has ended. Nothing of it is left behind."""
    one, other = nodes
    first, second = await jobs_of(one, alice, 2, host="single.test")
    (attempt,) = (await turns(one, first)).begun
    await cancel(other, alice, first.id)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        gone = [attempt.job.owner]
        connection.execute("UPDATE nodes SET expires_at = now() WHERE number = %s", gone)
        assert await other.queue.rescue(START, lambda *_: ()) == 0
        assert connection.execute("SELECT * FROM cancelled_claims").fetchall() == []
    assert numbers(await turns(other, second)) == ([second.id], [])


async def test_an_origin_has_the_limit_of_its_own(nodes: Nodes, alice: UUID) -> None:
    """One of `[origins]` with a slot has one in all."""
    jobs = await jobs_of(nodes[0], alice, 2, host="single.test")
    assert numbers(await turns(nodes[0], jobs[0])) == ([jobs[0].id], [])
    assert numbers(await turns(nodes[1], jobs[1])) == ([], [jobs[1].id])


async def test_the_slots_of_all_are_those_of_all_nodes(nodes: Nodes, alice: UUID) -> None:
    """Of 6 in all 4 are taken for one origin: another has 2, though 4 of its own are free."""
    one, other = nodes
    await turns(one, *await jobs_of(one, alice, 4))
    jobs = await jobs_of(one, alice, 3, host="other.test")
    assert numbers(await turns(other, *jobs)) == ([jobs[0].id, jobs[1].id], [jobs[2].id])


async def test_claims_at_once_never_take_more_than_there_are(nodes: Nodes, alice: UUID) -> None:
    """Ten claims of two nodes at the same time begin 4 of 20 jobs."""
    jobs = await jobs_of(nodes[0], alice, 20)
    claims = await asyncio.gather(
        *(turns(nodes[place % 2], *jobs[2 * place : 2 * place + 2]) for place in range(10))
    )
    begun = [number for each in claims for number in numbers(each)[0]]
    refused = [number for each in claims for number in numbers(each)[1]]
    assert len(begun) == 4
    assert sorted(begun + refused) == [job.id for job in jobs]


async def test_nodes_that_claim_the_same_jobs_begin_each_once(nodes: Nodes, alice: UUID) -> None:
    """Both ask for the same four: each job begins at one of them."""
    jobs = await jobs_of(nodes[0], alice, 4)
    claims = await asyncio.gather(turns(nodes[0], *jobs), turns(nodes[1], *jobs))
    begun = [number for each in claims for number in numbers(each)[0]]
    assert len(begun) == len(set(begun))
    again = await turns(nodes[0], *jobs)  # what the other had locked was left out
    assert sorted(begun + numbers(again)[0]) == [job.id for job in jobs]


async def test_an_origin_that_fails_is_probed_by_one_node(nodes: Nodes, alice: UUID) -> None:
    """One node tells that it is open: each node together get one job of it."""
    one, other = nodes
    jobs = await jobs_of(one, alice, 3)
    breaker = Breaker(ORIGIN, 20, START, START, START, paths=(7,))
    assert await told(one, [breaker]) == Shared([breaker], [])
    assert numbers(await turns(other, jobs[0])) == ([jobs[0].id], [])
    assert numbers(await turns(one, jobs[1])) == ([], [jobs[1].id])
    assert await told(other, []) == Shared([breaker], [])
    assert await told(other, [], [ORIGIN]) == Shared([], [])
    assert numbers(await turns(one, *jobs[1:])) == ([jobs[1].id, jobs[2].id], [])


async def failed(node: Store, claims: Claims) -> None:
    """Settle the one attempt of a claim as a failure, to be sent again in an hour."""
    job = claims.begun[0].job
    await settle(node, job, retryable(job, START + HOUR))


async def test_a_probe_is_claimed_once_for_all_nodes(nodes: Nodes, alice: UUID) -> None:
    """Not before its time, and not again while nobody knows what came of it."""
    one, other = nodes
    jobs = await jobs_of(one, alice, 4)
    opened = Breaker(ORIGIN, 20, START, START + SECOND, START + SECOND, paths=(0,))
    await told(one, [opened])
    assert numbers(await turns(one, jobs[0], now=START)) == ([], [jobs[0].id])
    probe = await turns(other, jobs[0], now=START + SECOND)
    assert numbers(probe) == ([jobs[0].id], [])
    await failed(other, probe)
    for node in nodes:  # each has a pause that is over, as far as it knows
        assert numbers(await turns(node, jobs[1], now=START + SECOND)) == ([], [jobs[1].id])
    rested = replace(opened, failures=21, probe_at=START + 3 * SECOND, rest=2 * SECOND)
    await told(other, [replace(rested, new_path_at=START + 3 * SECOND)])
    almost = START + 3 * SECOND - MICROSECOND
    assert numbers(await turns(one, jobs[1], now=almost)) == ([], [jobs[1].id])
    assert numbers(await turns(one, jobs[1], now=START + 3 * SECOND)) == ([jobs[1].id], [])


async def test_two_nodes_that_probe_at_once_send_one(nodes: Nodes, alice: UUID) -> None:
    """Each of ten has a job of its own, and the time has come."""
    jobs = await jobs_of(nodes[0], alice, 10)
    await told(nodes[0], [Breaker(ORIGIN, 20, START, START, START, paths=(0,))])
    claims = await asyncio.gather(*(turns(nodes[n % 2], job) for n, job in enumerate(jobs)))
    assert sum(len(each.begun) for each in claims) == 1


async def test_a_probe_whose_node_is_gone_holds_up_others_for_one_pause(
    nodes: Nodes, alice: UUID
) -> None:
    """After a pause of 4 s the next one is one of 8 s, as if the probe had failed at once."""
    one, other = nodes
    jobs = await jobs_of(one, alice, 2)
    await told(one, [Breaker(ORIGIN, 22, START, START, START, rest=4 * SECOND, paths=(0,))])
    await failed(one, await turns(one, jobs[0]))  # and tells nobody
    almost = START + 8 * SECOND - MICROSECOND
    assert numbers(await turns(other, jobs[1], now=almost)) == ([], [jobs[1].id])
    assert numbers(await turns(other, jobs[1], now=START + 8 * SECOND)) == ([jobs[1].id], [])


def failing(count: int) -> list[Breaker]:
    """Return breakers of so many origins, which are to be probed at once."""
    return [Breaker(f"https://{n}.test", 20, START, START, START, paths=(0,)) for n in range(count)]


async def test_a_claim_reads_of_many_failing_origins_its_own(
    nodes: Nodes, alice: UUID, postgres_url: str
) -> None:
    """All nodes wait while it has the lock; of pauses as well it reads those of its targets."""
    (job,) = await jobs_of(nodes[0], alice, 1)
    breakers = [*failing(10_000), Breaker(ORIGIN, 20, START, START, START, paths=(0,))]
    await told(nodes[0], breakers)
    with closing(Connector(postgres_url).open()) as opened, opened.transaction():
        opened.execute(
            "INSERT INTO pauses SELECT number::text, 1 FROM generate_series(1, 99) number"
        )
        transaction = PostgresTransaction(opened, 1, is_writing=True)
        known = transaction.execute(KNOWN, of_claim([ORIGIN]) | {"since": 0}).fetchall()
    assert {kind for kind, *_ in known} == {"breaker", "life"}
    assert [key for kind, key, *_ in known if kind == "breaker"] == [ORIGIN]
    assert numbers(await turns(nodes[1], job)) == ([job.id], [])


async def test_an_origin_that_nobody_wants_is_forgotten_after_days(
    nodes: Nodes, alice: UUID
) -> None:
    """One for which something has fallen due stays: that may be paused for as long."""
    await jobs_of(nodes[0], alice, 1)
    wanted_one = Breaker(ORIGIN, 20, START, START, START, paths=(0,))
    breakers = sorted([*failing(3), wanted_one], key=lambda each: each.origin)
    at = START + UNWANTED_FOR
    assert await told(nodes[0], breakers, now=at) == Shared(breakers, [])
    assert await told(nodes[1], [], now=at + MICROSECOND) == Shared([wanted_one], [])
    assert await told(nodes[0], [], now=START) == Shared([wanted_one], [])


async def test_another_path_is_probed_when_it_is_its_time(nodes: Nodes, alice: UUID) -> None:
    """Where the failing one rests for longer; each of the two times lets one request through."""
    one, other = nodes
    old, new, newer = [await created(one, alice, path=path) for path in (1, 2, 3)]
    later = START + 30 * SECOND
    await told(one, [Breaker(ORIGIN, 25, START, later, START, rest=30 * SECOND, paths=(1,))])
    assert numbers(await turns(other, old)) == ([], [old.id])
    probe = await turns(other, new)
    assert numbers(probe) == ([new.id], [])
    await failed(other, probe)
    assert numbers(await turns(one, newer)) == ([], [newer.id])
    assert numbers(await turns(one, old, now=later)) == ([old.id], [])


@pytest.mark.parametrize("target", [ORIGIN, "target.test", ALL_TARGETS])
async def test_a_pause_of_one_node_holds_for_the_other(
    nodes: Nodes, alice: UUID, target: str
) -> None:
    """From its commit on, whether the other has learned of it or not."""
    one, other = nodes
    jobs = await jobs_of(one, alice, 1)
    await one.pauses.add(target, START)
    assert numbers(await turns(other, *jobs)) == ([], [jobs[0].id])
    await one.pauses.remove(target, START)
    assert numbers(await turns(other, *jobs)) == ([jobs[0].id], [])


async def test_a_pause_is_committed_after_a_claim_that_has_not_seen_it(
    nodes: Nodes, postgres_url: str
) -> None:
    """Nothing is claimed for the target once its pause is there."""
    connect = Connector(postgres_url).open
    with closing(connect()) as claiming, closing(connect()) as watching, claiming.transaction():
        claiming.execute("SELECT FROM limits FOR UPDATE")
        paused = asyncio.create_task(nodes[0].pauses.add(ORIGIN, START))
        while not paused.done() and watching.execute(WAITING).fetchone() == (0,):
            await asyncio.wait([paused], timeout=0)
        assert not paused.done()
        assert await nodes[1].pauses.list() == []
    await paused
    assert await nodes[1].pauses.list() == [Pause(ORIGIN, START)]


async def test_equal_keys_of_two_nodes_make_one_job(nodes: Nodes, alice: UUID) -> None:
    """Each of 20 keys is created at both nodes at once."""

    async def create(store: Store, place: int) -> tuple[int, bool]:
        creation = Creation(wanted(alice, idempotency=f"key {place}"))
        made = await store.jobs.create(creation, START)
        return made.job.id, made.is_duplicate

    made = await asyncio.gather(*(create(node, place) for place in range(20) for node in nodes))
    for first, second in zip(made[::2], made[1::2], strict=True):
        assert first[0] == second[0]
        assert {first[1], second[1]} == {True, False}

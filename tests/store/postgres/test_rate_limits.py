"""Requests of keys, counted over all nodes. Each test has two nodes over one database.

At 0.001 a second a request more takes 1,000 s, so the time that a test takes does not matter; where
time is to pass, the rows are made older.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from uuid import UUID

import psycopg
import pytest

from booper.errors import StoreUnavailable
from booper.store.base import Store
from booper.store.postgres import open_store
from booper.store.sharing import Granted, Rate
from tests.support import postgres

pytestmark = pytest.mark.anyio

postgres_url = postgres.postgres_url

ANN, BOB = UUID(int=1), UUID(int=2)
SLOW = 0.001

Nodes = tuple[Store, Store]


@pytest.fixture
async def nodes(postgres_url: str) -> AsyncIterator[Nodes]:
    """Return two nodes."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(postgres_url, Random(1)))
        other = await stack.enter_async_context(open_store(postgres_url, Random(2)))
        yield one, other


async def count(node: Store, wanted: int, rate: Rate, key: UUID = ANN) -> Granted:
    """Count requests of a key."""
    assert node.sharing is not None
    return (await node.sharing.count_requests({key: wanted}, rate))[key]


def pass_seconds(url: str, seconds: int) -> None:
    """Pretend that so many seconds have passed since the last count."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE rate_limits SET at = at - make_interval(secs => %s)", [float(seconds)]
        )


async def test_what_nodes_grant_at_once_is_one_burst(nodes: Nodes) -> None:
    """Of 40 counts of one request, half at each node, 10 are granted."""
    found = await asyncio.gather(*(count(nodes[n % 2], 1, Rate(SLOW, 10)) for n in range(40)))
    assert sum(each.count for each in found) == 10
    assert {each.count for each in found} == {0, 1}
    waits = [each.wait_seconds for each in found if not each.count]
    assert all(900 < wait <= 1_000 for wait in waits)


async def test_what_is_counted_together_is_granted_in_part(nodes: Nodes) -> None:
    """A node asks for 3 of 5 requests, and the other for 4: it gets the 2 that are left."""
    rate = Rate(SLOW, 5)
    assert (await count(nodes[0], 3, rate)).count == 3
    assert (await count(nodes[1], 4, rate)).count == 2
    assert (await count(nodes[0], 1, rate)).count == 0


async def test_no_count_grants_more_than_a_burst(nodes: Nodes) -> None:
    """Also the first one of a key, which has a full bucket."""
    assert (await count(nodes[0], 7, Rate(SLOW, 5))).count == 5
    assert (await count(nodes[1], 1, Rate(SLOW, 5))).count == 0


async def test_requests_come_back_with_time(nodes: Nodes, postgres_url: str) -> None:
    """In 2,500 s there are 2 at one in 1,000 s, and the next one 500 s later."""
    rate = Rate(SLOW, 5)
    await count(nodes[0], 5, rate)
    pass_seconds(postgres_url, 2_500)
    found = await count(nodes[1], 5, rate)
    assert found.count == 2
    assert 400 < found.wait_seconds <= 500


async def test_rest_does_not_save_up_more_than_a_burst(nodes: Nodes, postgres_url: str) -> None:
    """A year later there are 5 again."""
    await count(nodes[0], 5, Rate(SLOW, 5))
    pass_seconds(postgres_url, 365 * 86_400)
    assert (await count(nodes[1], 9, Rate(SLOW, 5))).count == 5


async def test_a_refusal_costs_nothing(nodes: Nodes, postgres_url: str) -> None:
    """After 100 refusals the next request may be made when it could have been without them."""
    rate = Rate(SLOW, 1)
    await count(nodes[0], 1, rate)
    for _ in range(50):
        assert (await count(nodes[0], 1, rate)).count == 0
        assert (await count(nodes[1], 1, rate)).count == 0
    pass_seconds(postgres_url, 1_000)
    assert (await count(nodes[1], 1, rate)).count == 1


async def test_each_key_has_its_own(nodes: Nodes) -> None:
    """Two that are counted by one statement; one of them has used up its rate at the other node."""
    assert nodes[1].sharing is not None
    await count(nodes[0], 2, Rate(SLOW, 2))
    found = await nodes[1].sharing.count_requests({BOB: 1, ANN: 1}, Rate(SLOW, 2))
    assert {key: each.count for key, each in found.items()} == {ANN: 0, BOB: 1}


async def test_counting_goes_on_after_its_connection_was_cut(
    nodes: Nodes, postgres_url: str
) -> None:
    """As after a restart of the server; what was counted before is still counted."""
    await count(nodes[0], 2, Rate(SLOW, 3))
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert (await count(nodes[0], 2, Rate(SLOW, 3))).count == 1


async def test_a_store_that_is_closed_counts_nothing(postgres_url: str) -> None:
    """Who still asks gets 503."""
    async with open_store(postgres_url, Random(1)) as store:
        await count(store, 1, Rate(SLOW, 1))
    with pytest.raises(StoreUnavailable, match="booper is stopping"):
        await count(store, 1, Rate(SLOW, 1))

"""What nodes learn of each other's failing origins and pauses, over one database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from random import Random

import pytest

from booper.engine.breakers import MAX_FAILURES, Breakers
from booper.engine.ready import Ready
from booper.engine.shared_origins import SharedOrigins
from booper.engine.waits import Waits
from booper.errors import StoreUnavailable
from booper.model.job import Failed, Responded, Response
from booper.store.base import Store
from booper.store.limits import Limits
from booper.store.postgres import open_store
from booper.store.values import Due, DueJob
from tests.conftest import START
from tests.support.postgres import postgres_url as postgres_url
from tests.support.stores import SECOND

pytestmark = pytest.mark.anyio

ORIGIN = "https://target.test"
OTHER = "https://other.test"
ZERO = 0 * SECOND
PATH = 1


class Node:
    """What one node knows of origins."""

    def __init__(self, store: Store) -> None:
        assert store.sharing is not None
        self.store = store
        self.breakers = Breakers(are_shared=True)
        self.ready = Ready(Limits(9, 9).of, self.breakers)
        waits = Waits(self.ready.pauses, self.breakers)
        self._origins = SharedOrigins(store.sharing, self.breakers, self.ready, waits)

    async def share(self) -> None:
        """Exchange with the other one."""
        await self._origins.share(START)

    async def share_during(self, happens: Callable[[], None]) -> None:
        """Exchange, and call something before what was read can be known here."""
        sharing = asyncio.create_task(self.share())
        # Behind the exchange's begin; its result comes to a later turn of the loop.
        asyncio.get_running_loop().call_soon(happens)
        await sharing

    def fail(self) -> None:
        """Fail requests to the origin until its breaker opens."""
        for _ in range(MAX_FAILURES):
            self.breakers.record(ORIGIN, PATH, Failed("connect", "refused", ZERO), START)

    def may_send(self) -> bool:
        """Return whether a due job of the origin has its turn."""
        self.ready.forget()
        self.ready.put(DueJob(Due(START, 1, ORIGIN, PATH), START))
        taken = self.ready.take()
        for seen in taken:
            self.ready.free(seen.due.origin)
        return bool(taken)


@pytest.fixture
async def nodes(postgres_url: str) -> AsyncIterator[tuple[Node, Node]]:
    """Return two nodes."""
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(open_store(postgres_url, Random(seed)))
            for seed in (1, 2)
        ]
        yield Node(stores[0]), Node(stores[1])


async def test_an_origin_that_fails_at_one_node_is_probed_by_the_other(
    nodes: tuple[Node, Node],
) -> None:
    """Until it responds to one of them, and both know of that."""
    one, other = nodes
    one.fail()
    assert one.breakers.have_changed
    await one.share()
    assert not one.breakers.have_changed
    assert other.may_send()
    await other.share()
    assert other.breakers.open() == one.breakers.open()
    assert not other.may_send()
    other.breakers.record(ORIGIN, PATH, Responded(Response(200, {}, b"", False), ZERO), START)
    await other.share()
    await one.share()
    assert one.breakers.open() == []
    assert one.may_send()


async def test_a_pause_of_one_node_is_one_of_the_other(nodes: tuple[Node, Node]) -> None:
    """And so is its end."""
    one, other = nodes
    await one.store.pauses.add(ORIGIN, START)
    await other.share()
    assert other.ready.pauses.include(ORIGIN)
    await one.store.pauses.remove(ORIGIN, START)
    await other.share()
    assert not other.ready.pauses.include(ORIGIN)


async def test_an_exchange_does_not_undo_what_is_said_here_meanwhile(
    nodes: tuple[Node, Node],
) -> None:
    """It has read pauses before one began or ended here, and is heard after that."""
    node, _ = nodes
    await node.store.pauses.add(ORIGIN, START)
    await node.share_during(lambda: node.ready.resume(ORIGIN))
    assert not node.ready.pauses.include(ORIGIN)
    await node.share()
    assert node.ready.pauses.include(ORIGIN)
    await node.store.pauses.remove(ORIGIN, START)
    await node.share_during(lambda: node.ready.pause(OTHER, START))
    assert list(node.ready.pauses) == [ORIGIN, OTHER]
    await node.share()
    assert not node.ready.pauses


async def test_what_nobody_was_told_is_told_later(postgres_url: str) -> None:
    """It stays noted where the database cannot be reached."""
    async with open_store(postgres_url, Random(1)) as store:
        node = Node(store)
        node.fail()
    with pytest.raises(StoreUnavailable):
        await node.share()
    assert node.breakers.have_changed
    assert [each.origin for each in node.breakers.take_changed()[0]] == [ORIGIN]

"""Channels of several nodes: each feed gets each message once, whichever node took it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from uuid import UUID

import pytest

from booper.clock import VirtualClock
from booper.engine.channels import Feed
from booper.engine.feeds import Feeds
from booper.engine.shared_channels import FORGET_EVERY, LOOK_EVERY, SharedChannels
from booper.errors import StoreUnavailable
from booper.model.message import Message
from booper.store.sharing import Published

pytestmark = pytest.mark.anyio

ANN, BOB = UUID(int=1), UUID(int=2)
PATIENCE_SECONDS = 10.0


class Table:
    """The messages of a database, two at a time. It may fail, and counts who looks."""

    def __init__(self) -> None:
        self.messages: list[tuple[UUID, Message]] = []
        self.looks = self.forgotten = 0
        self.is_failing = False

    async def publish(self, user_id: UUID, message: Message) -> None:
        """Keep a message."""
        self._check()
        self.messages.append((user_id, message))

    async def published(self, mark: int | None) -> Published:
        """Return two messages behind a mark at most."""
        self._check()
        self.looks += 1
        end = len(self.messages)
        await asyncio.wait([asyncio.create_task(_nothing())])  # others have their turn
        if mark is None:
            return Published(end)
        found = self.messages[mark : min(mark + 2, end)]
        return Published(mark + len(found), found, are_more=mark + len(found) < end)

    async def forget(self) -> None:
        """Count that old messages were deleted."""
        self._check()
        self.forgotten += 1

    def _check(self) -> None:
        if self.is_failing:
            raise StoreUnavailable("the database is away")


async def _nothing() -> None:
    """Do nothing."""


@pytest.fixture
def table() -> Table:
    """Return the messages of all nodes."""
    return Table()


@pytest.fixture
async def nodes(table: Table, clock: VirtualClock) -> AsyncIterator[Sequence[SharedChannels]]:
    """Run two nodes, which are told of nothing but by their own publishers."""
    made = [SharedChannels(table, clock, Random(seed), Feeds()) for seed in (1, 2)]
    async with AsyncExitStack() as stack:
        for each in made:
            await stack.enter_async_context(_running(each))
        await stack.enter_async_context(asyncio.timeout(PATIENCE_SECONDS))
        yield made


@asynccontextmanager
async def _running(channels: SharedChannels) -> AsyncIterator[None]:
    task = asyncio.create_task(channels.follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def read(feed: Feed, count: int) -> list[str]:
    """Return what so many messages of a feed say."""
    items = [await anext(feed) for _ in range(count)]
    return [item.content for item in items if isinstance(item, Message)]


async def send(node: SharedChannels, content: str, user: UUID = ANN) -> None:
    """Publish a message at a node."""
    await node.send(user, node.message("demo", content))


async def test_every_nodes_feed_gets_a_message(nodes: Sequence[SharedChannels]) -> None:
    """Its own at once; another's once that is told of it."""
    one, other = nodes
    await one.catch_up()
    await other.catch_up()
    with one.subscribe(ANN, "demo") as here, other.subscribe(ANN, "demo") as there:
        await send(one, "hello")
        assert await read(here, 1) == ["hello"]
        other.look()
        assert await read(there, 1) == ["hello"]


async def test_a_node_that_is_told_nothing_looks_by_itself(
    nodes: Sequence[SharedChannels], clock: VirtualClock
) -> None:
    """Twice a second."""
    one, other = nodes
    await other.catch_up()
    with other.subscribe(ANN, "demo") as feed:
        await send(one, "hello")
        reading = asyncio.create_task(read(feed, 1))
        await asyncio.wait([reading], timeout=0)
        clock.advance(LOOK_EVERY)
        assert await reading == ["hello"]


async def test_all_feeds_have_one_order(nodes: Sequence[SharedChannels]) -> None:
    """A publisher whose messages go to one node after the other finds them so everywhere."""
    one, other = nodes
    for node in nodes:
        await node.catch_up()
    names = [str(number) for number in range(10)]
    with one.subscribe(ANN, "demo") as first, other.subscribe(ANN, "demo") as second:
        for number, name in enumerate(names):
            await send(nodes[number % 2], name)
        for node, feed in ((one, first), (other, second)):
            node.look()
            assert await read(feed, 10) == names


async def test_a_message_comes_once_however_often_is_looked(
    nodes: Sequence[SharedChannels],
) -> None:
    """Also by several at a time."""
    one, _ = nodes
    await one.catch_up()
    with one.subscribe(ANN, "demo") as feed:
        for name in ("a", "b", "c"):
            await send(one, name)
            await asyncio.gather(one.catch_up(), one.catch_up())
        await send(one, "end")
        assert await read(feed, 4) == ["a", "b", "c", "end"]


async def test_a_feed_has_what_is_sent_after_its_begin(nodes: Sequence[SharedChannels]) -> None:
    """Not what was before, which others may still wait for."""
    one, other = nodes
    await one.catch_up()
    with one.subscribe(ANN, "demo") as first:
        await send(other, "before")
        await one.catch_up()
        with one.subscribe(ANN, "demo") as second:
            await send(one, "after")
            assert await read(first, 2) == ["before", "after"]
            assert await read(second, 1) == ["after"]


async def test_a_message_is_its_users(nodes: Sequence[SharedChannels]) -> None:
    """Another user's channel of the same name is another."""
    one, other = nodes
    await other.catch_up()
    with other.subscribe(ANN, "demo") as feed:
        await send(one, "not for Ann", BOB)
        await send(one, "for Ann")
        other.look()
        assert await read(feed, 1) == ["for Ann"]


async def test_while_nobody_listens_nothing_is_read(
    nodes: Sequence[SharedChannels], table: Table, clock: VirtualClock
) -> None:
    """Old messages are deleted all the same, once a minute."""
    for _ in range(3):
        await send(nodes[0], "unheard")
        clock.advance(FORGET_EVERY)
        while table.forgotten % 2:
            await asyncio.wait([asyncio.create_task(_nothing())])
    assert table.looks == 0
    assert table.forgotten >= 2


async def test_a_fault_of_the_database_loses_nothing(
    nodes: Sequence[SharedChannels], table: Table, clock: VirtualClock
) -> None:
    """A publisher is told; what is there already comes when it is back."""
    one, other = nodes
    await other.catch_up()
    with other.subscribe(ANN, "demo") as feed:
        await send(one, "hello")
        table.is_failing = True
        with pytest.raises(StoreUnavailable):
            await send(one, "refused")
        with pytest.raises(StoreUnavailable):
            await other.catch_up()
        table.is_failing = False
        other.look()
        assert await read(feed, 1) == ["hello"]

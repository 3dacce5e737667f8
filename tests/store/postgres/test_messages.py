"""Messages of channels between nodes: each is read once, in one order, by all; then they go."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from random import Random
from uuid import UUID

import msgspec
import psycopg
import pytest

from booper.model.identity import uuid7
from booper.model.message import Message
from booper.store.postgres import open_store
from booper.store.postgres.connections import Connection, Connector
from booper.store.postgres.messages import INSERT, MAX_MESSAGES
from booper.store.sharing import Messages, Published
from tests.conftest import START
from tests.support import postgres

pytestmark = pytest.mark.anyio

postgres_url = postgres.postgres_url

ANN, BOB = UUID(int=1), UUID(int=2)
RANDOM = Random(1)


@pytest.fixture
async def nodes(postgres_url: str) -> AsyncIterator[tuple[Messages, Messages]]:
    """Return the messages of two nodes."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(postgres_url, Random(1)))
        other = await stack.enter_async_context(open_store(postgres_url, Random(2)))
        yield one.sharing.messages, other.sharing.messages


@pytest.fixture
def late(postgres_url: str) -> Iterator[Connection]:
    """Return a connection in a transaction that does not end, as that of a slow node."""
    with closing(Connector(postgres_url).open()) as opened:
        opened.execute("BEGIN")
        yield opened


def message(content: str) -> Message:
    """Return a message."""
    identity = uuid7(START, RANDOM)
    return Message(id=identity, channel="demo", content=content, author=None, at=START)


def contents(published: Published) -> list[str]:
    """Return what messages say."""
    return [each.content for _, each in published.messages]


async def test_all_nodes_read_what_one_publishes(nodes: tuple[Messages, Messages]) -> None:
    """As it was, with its user; also a character that PostgreSQL's text does not hold."""
    marks = [(await node.published(None)).mark for node in nodes]
    sent = [(ANN, message("one\0\uffff")), (BOB, message("two"))]
    for user, each in sent:
        await nodes[0].publish(user, each)
    for node, mark in zip(nodes, marks, strict=True):
        assert (await node.published(mark)).messages == sent


async def test_a_message_is_read_once(nodes: tuple[Messages, Messages]) -> None:
    """Behind a mark is what came after it."""
    first = (await nodes[1].published(None)).mark
    await nodes[0].publish(ANN, message("one"))
    second = await nodes[1].published(first)
    await nodes[1].publish(ANN, message("two"))
    third = await nodes[1].published(second.mark)
    fourth = await nodes[1].published(third.mark)
    assert [contents(each) for each in (second, third, fourth)] == [["one"], ["two"], []]


async def test_what_was_before_is_nobodys(nodes: tuple[Messages, Messages]) -> None:
    """A mark of now is behind it."""
    await nodes[0].publish(ANN, message("before"))
    now = await nodes[1].published(None)
    assert contents(now) == []
    assert contents(await nodes[1].published(now.mark)) == []


async def test_many_are_read_in_parts(nodes: tuple[Messages, Messages], postgres_url: str) -> None:
    """In order, and none is missed at the seam."""
    mark = (await nodes[0].published(None)).mark
    names = [str(number) for number in range(MAX_MESSAGES + 1)]
    for name in names:
        await nodes[0].publish(ANN, message(name))
    first = await nodes[1].published(mark)
    second = await nodes[1].published(first.mark)
    assert (first.are_more, second.are_more) == (True, False)
    assert contents(first) + contents(second) == names


async def test_a_message_that_is_committed_late_is_not_missed(
    nodes: tuple[Messages, Messages], late: Connection
) -> None:
    """Those with higher numbers wait for it: the order is the same for all."""
    mark = (await nodes[0].published(None)).mark
    text = msgspec.json.encode(message("late")).decode()
    late.execute(INSERT, {"user_id": ANN, "message": text})
    await nodes[0].publish(ANN, message("early"))
    before = await nodes[1].published(mark)
    assert contents(before) == []
    late.execute("COMMIT")
    assert contents(await nodes[1].published(before.mark)) == ["late", "early"]


async def test_old_messages_go(nodes: tuple[Messages, Messages], postgres_url: str) -> None:
    """After ten minutes; whoever was away for as long as that misses them."""
    mark = (await nodes[0].published(None)).mark
    for name, minutes in (("old", 11), ("young", 9)):
        await nodes[0].publish(ANN, message(name))
        with psycopg.connect(postgres_url) as connection:
            connection.execute(
                "UPDATE messages SET inserted_at = clock_timestamp() - %s"
                " WHERE message::json ->> 'content' = %s",
                (timedelta(minutes=minutes), name),
            )
    await nodes[1].forget()
    assert contents(await nodes[0].published(mark)) == ["young"]

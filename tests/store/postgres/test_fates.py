"""Commits whose connection breaks: what is told of them is what became of them."""

from collections.abc import AsyncIterator
from contextlib import closing
from random import Random
from typing import Final
from uuid import UUID

import psycopg
import pytest

from booper.errors import StoreUnavailable
from booper.fence import Fence
from booper.store.base import Store
from booper.store.postgres import open_store
from booper.store.postgres.connections import Connector
from booper.store.postgres.fates import NUMBER, Fate, Fates
from booper.store.postgres.silence import PATIENCE
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer, writing
from tests.conftest import START
from tests.support.cutting import Cut, Cutting, cutting
from tests.support.postgres import postgres_url as postgres_url
from tests.support.stores import completed, created, key, settle, turns

pytestmark = pytest.mark.anyio

NOT_KNOWN: Final = "whether that was made is not known"


@pytest.fixture
async def way(postgres_url: str) -> AsyncIterator[Cutting]:
    """Return a way to the database."""
    async with cutting(postgres_url) as made:
        yield made


@pytest.fixture
def fence() -> Fence:
    """Return the fence of the node."""
    return Fence()


@pytest.fixture
async def store(way: Cutting, fence: Fence) -> AsyncIterator[Store]:
    """Return the store of a node that takes this way. Its statements are seen there as text."""
    async with open_store(way.url, Random(1), fence=fence, prepares=False) as opened:
        yield opened


@pytest.fixture
async def alice(store: Store) -> UUID:
    """Return a user."""
    return (await store.keys.create(key("alice's", user="alice"), START)).user_id


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query, beside the way."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def crash(url: str) -> None:
    """Empty what a crash of the server does."""
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM server_life")


def write(transaction: PostgresTransaction) -> int:
    """Make a change."""
    return transaction.execute("INSERT INTO pauses VALUES ('a.test', 1)").rowcount


async def test_a_create_that_was_committed_is_told_so(
    store: Store, alice: UUID, way: Cutting, postgres_url: str
) -> None:
    """Its response was lost: it is there, once, and the caller gets it."""
    way.next_cut = Cut.RESPONSE
    job = await created(store, alice)
    assert way.cuts == 1
    assert rows(postgres_url, "SELECT id FROM live_jobs") == [(job.id,)]


@pytest.mark.parametrize("cut", [Cut.REQUEST, Cut.SILENT])
async def test_a_create_that_was_not_committed_is_told_so(
    store: Store, alice: UUID, way: Cutting, postgres_url: str, cut: Cut
) -> None:
    """The server never got the COMMIT, whether it noticed that or not: nothing is there."""
    way.next_cut = cut
    with pytest.raises(StoreUnavailable) as refused:
        await created(store, alice)
    assert NOT_KNOWN not in str(refused.value)
    assert rows(postgres_url, "SELECT id FROM live_jobs") == []
    assert (await created(store, alice)).id
    assert way.cuts == 1


async def test_a_claim_that_was_committed_begins_and_is_settled_once(
    store: Store, alice: UUID, way: Cutting, postgres_url: str
) -> None:
    """Both responses are lost: the attempt is made once, and its result is written once."""
    job = await created(store, alice)
    way.next_cut = Cut.RESPONSE
    [attempt] = (await turns(store, job)).begun
    assert attempt.job.attempt == 1
    way.next_cut = Cut.RESPONSE
    await settle(store, attempt.job, completed(attempt.job))
    assert way.cuts == 2
    found = rows(postgres_url, "SELECT state, attempt FROM jobs")
    assert found == [("completed", 1)]
    assert (await turns(store, job)).begun == []


async def test_a_commit_before_a_crash_of_the_server_is_not_known(
    store: Store, alice: UUID, way: Cutting, fence: Fence, postgres_url: str
) -> None:
    """Its number may be another one's by now; the error says that, and the node goes on."""
    way.next_cut, way.at_cut = Cut.REQUEST, lambda: crash(postgres_url)
    with pytest.raises(StoreUnavailable, match=NOT_KNOWN) as refused:
        await created(store, alice)
    assert "\n" not in str(refused.value)
    assert fence.is_open()
    way.next_cut, way.at_cut = Cut.RESPONSE, lambda: None
    assert (await created(store, alice)).id


async def test_a_node_gives_up_what_it_may_have_claimed(
    store: Store, alice: UUID, way: Cutting, fence: Fence, postgres_url: str
) -> None:
    """Where that is not known, it sends nothing more under its number, so that others may."""
    job = await created(store, alice)
    assert fence.is_open()
    way.next_cut, way.at_cut = Cut.REQUEST, lambda: crash(postgres_url)
    with pytest.raises(StoreUnavailable, match=NOT_KNOWN):
        await turns(store, job)
    assert not fence.is_open()


async def test_the_changes_of_a_group_share_its_fate(way: Cutting, postgres_url: str) -> None:
    """A writer tells each of them."""
    async with writing(Writer(Connector(way.url, prepares=False), lambda: 1)) as writer:
        await writer.run(lambda transaction: transaction.execute("SELECT 1").rowcount)
        way.next_cut = Cut.RESPONSE
        assert await writer.run(write) == 1
    assert rows(postgres_url, "SELECT target FROM pauses") == [("a.test",)]


def test_a_server_that_is_gone_is_asked_for_a_while(postgres_url: str) -> None:
    """And then nobody knows: whoever waits for the writer gets an error in time."""
    with closing(Connector(postgres_url).open()) as connection:
        fates = Fates(Connector(postgres_url))
        begun = fates.begin(connection, f"BEGIN; {NUMBER}")
        connection.execute("COMMIT")
        undone = fates.begin(connection, f"BEGIN; {NUMBER}")
        connection.execute("ROLLBACK")
    assert (fates.of(begun), fates.of(undone)) == (Fate.COMMITTED, Fate.ABORTED)
    seconds = PATIENCE.response
    passing = iter([0.0, 0.0, seconds / 2, seconds])
    nobody = Connector("postgresql://booper@127.0.0.1:1/nothing")
    assert Fates(nobody, lambda: next(passing)).of(begun) is Fate.UNKNOWN
    assert list(passing) == []

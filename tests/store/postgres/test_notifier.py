"""Nodes tell each other what cannot wait; they lose the connection for that, and find it again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
import pytest

from booper.database_clock import DatabaseClock
from booper.model.message import Message
from booper.store.base import Store
from booper.store.postgres import notifier, open_store
from booper.store.postgres.notices import LOOK_EVERY
from booper.store.postgres.notifier import EVERYTHING
from booper.store.sharing import Notice
from tests.conftest import START
from tests.support import postgres
from tests.support.stores import created, due, key
from tests.torture.nodes.proxy import Way, Ways, ways

pytestmark = pytest.mark.anyio

postgres_url = postgres.postgres_url

PATIENCE_SECONDS = 20.0


class Node:
    """A node that hears, and what it has heard."""

    def __init__(self, store: Store, clock: DatabaseClock) -> None:
        self.store = store
        self.clock = clock
        self._heard = asyncio.Queue[Notice]()
        assert store.sharing is not None
        self.sharing = store.sharing
        self.sharing.listen(self._heard.put_nowait)

    async def hear(self) -> Notice:
        """Return the next notice that it hears."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._heard.get()

    async def publish(self, content: str = "hello") -> None:
        """Publish a message."""
        identity = UUID(int=1)
        message = Message(id=identity, channel="demo", content=content, author=None, at=START)
        await self.sharing.messages.publish(identity, message)


@asynccontextmanager
async def node(url: str, listen_url: str | None = None) -> AsyncIterator[Node]:
    """Run a node; it has connected when it has heard the first time."""
    clock = DatabaseClock()
    opened = open_store(url, Random(1), clock=clock, listen_url=listen_url or url)
    async with opened as store:
        yield Node(store, clock)


@pytest.fixture
def found() -> Iterator[Ways]:
    """Return ways to the database."""
    with ways() as made:
        yield made


@pytest.fixture
def way(found: Ways) -> Callable[[str], tuple[Way, str]]:
    """Return what makes a way to a database, and the URL by which it leads there."""

    def make(url: str) -> tuple[Way, str]:
        reached = found.reach(0, url)
        return found.of[0], reached

    return make


async def test_others_hear_of_a_job_that_is_due_and_not_begun(postgres_url: str) -> None:
    """With all that they need to arm it. The node itself does not hear that."""
    async with node(postgres_url) as one, node(postgres_url) as other:
        assert [await each.hear() for each in (one, other)] == [EVERYTHING] * 2
        user = (await one.store.keys.create(key("a", user="a"), START)).user_id
        job = await created(one.store, user, at=one.clock.now())
        assert await other.hear() == Notice((due(job),))
        await other.publish()
        assert await one.hear() == Notice(are_messages=True)


async def test_a_node_that_ends_tells_what_it_leaves(postgres_url: str) -> None:
    """Also of a job that would be told of later: it knows of nothing later."""
    async with node(postgres_url) as other:
        await other.hear()
        async with node(postgres_url) as one:
            await one.hear()
            user = (await one.store.keys.create(key("a", user="a"), START)).user_id
            job = await created(one.store, user, at=one.clock.now() + LOOK_EVERY)
        assert await other.hear() == Notice((due(job),))


async def test_a_connection_that_is_cut_comes_back(
    postgres_url: str, way: Callable[[str], tuple[Way, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """What was told meanwhile is looked for once; both are logged, once."""
    leading, reached = way(postgres_url)
    async with node(postgres_url) as one, node(postgres_url, reached) as other:
        await one.hear()
        await other.hear()
        leading.cut()
        await one.publish("unheard")
        leading.heal()
        assert await other.hear() == EVERYTHING
        await one.publish()
        assert await other.hear() == Notice(are_messages=True)
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(logged) == 2
    assert logged[0].startswith("other nodes are heard once a second only, not at once: ")
    assert logged[1] == "other nodes are heard at once again"


async def test_a_connection_that_is_silent_is_noticed(
    postgres_url: str,
    way: Callable[[str], tuple[Way, str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing of it says that it is lost: the node's own notices are missing."""
    assert (notifier.CHECK_SECONDS, notifier.SILENT_SECONDS) == (10.0, 5.0)
    monkeypatch.setattr(notifier, "CHECK_SECONDS", 0.1)
    leading, reached = way(postgres_url)
    async with node(postgres_url, reached) as here:
        await here.hear()
        monkeypatch.setattr(notifier, "SILENT_SECONDS", 0.1)
        leading.silence()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "not at once" not in caplog.text:
                await asyncio.wait([asyncio.create_task(here.publish())])
        monkeypatch.setattr(notifier, "SILENT_SECONDS", 5.0)
        leading.heal()
        assert await here.hear() == EVERYTHING


async def test_a_quiet_connection_is_kept(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node hears that it says nothing; others do as well, and it means nothing."""
    monkeypatch.setattr(notifier, "CHECK_SECONDS", 0.01)
    async with node(postgres_url) as one, node(postgres_url) as other:
        heard = [await other.hear() for _ in range(10)]
        assert heard.count(EVERYTHING) == 1
        assert heard.count(Notice()) == 9
        assert await one.hear() == EVERYTHING


async def test_a_database_that_cannot_be_listened_to_is_served_all_the_same(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each node looks for itself; the log says it once."""
    nowhere = "postgresql://booper@127.0.0.1:1/booper"
    async with node(postgres_url, nowhere) as here:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "not at once" not in caplog.text:
                await here.publish()
    assert caplog.text.count("not at once") == 1


async def test_what_is_not_boopers_is_ignored(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever can reach the database can notify."""
    async with node(postgres_url) as one, node(postgres_url) as other:
        await one.hear()
        await other.hear()
        with psycopg.connect(postgres_url) as connection:
            connection.execute("NOTIFY booper, 'hello'")
        await one.publish()
        assert await other.hear() == Notice(are_messages=True)
    assert "none of booper's: b'hello'" in caplog.text


async def test_a_node_without_a_listener_neither_tells_nor_hears(tmp_path: Path) -> None:
    """It has one connection less."""
    before = asyncio.all_tasks()
    async with postgres.postgres(tmp_path) as store:
        assert store.sharing is not None
        store.sharing.listen(lambda notice: None)
        names = {task.get_name() for task in asyncio.all_tasks() - before}
    assert names == {"store lease", "fence watch"}

"""Two nodes over one database: what one takes reaches the feeds of both, and is sent by either."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock, breathe
from booper.config import Config, Database
from booper.engine.backlog import Backlog
from booper.engine.executor import STORE_PAUSE
from booper.engine.looks import LATELY, REST, SHARED_EVERY, SOONEST
from booper.errors import StoreUnavailable
from booper.store.base import Store
from booper.store.postgres import open_store
from booper.store.postgres.queue import PostgresQueue
from booper.store.sharing import Notice
from booper.store.stored import stored
from booper.store.values import AnnounceRescue, Claims, Due
from tests.conftest import KEY, START
from tests.support import stores
from tests.support.api import Api
from tests.support.postgres import postgres_url as postgres_url
from tests.support.stores import HOUR, SECOND, created, due, key
from tests.support.streams import connected, data_of
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

opening, process, store, alice = stores.opening, stores.process, stores.store, stores.alice

Nodes = tuple[Booper, Booper]
PATIENCE_SECONDS = 20.0


Way = Callable[[Database, str], Database]
"""Return settings by which nodes reach the database of a URL."""


def at_once(database: Database, url: str) -> Database:
    """Hear each other by the one URL that there is."""
    return replace(database, url=url)


def now_and_then(database: Database, url: str) -> Database:
    """Hear nothing through a pooler, and look."""
    return replace(database, url=url, pooled=True)


def past_a_pooler(database: Database, url: str) -> Database:
    """Hear each other by a URL of its own."""
    return replace(database, url=url, pooled=True, listen_url=url)


WAYS = [at_once, now_and_then, past_a_pooler]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest) -> Way:
    """Return how nodes reach their database."""
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def nodes(
    way: Way, config: Config, target: FakeTarget, postgres_url: str
) -> AsyncIterator[Nodes]:
    """Run two nodes, which hear each other or only look now and then."""
    config = replace(config, database=way(config.database, postgres_url))
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(Booper(config, api_key=KEY, transport=target))
            for _ in range(2)
        ]
        await stack.enter_async_context(asyncio.timeout(PATIENCE_SECONDS))
        yield one, other


async def test_a_message_reaches_the_feeds_of_all_nodes(nodes: Nodes) -> None:
    """Once each, in the publisher's order, whichever node it used."""
    path = "/api/channels/demo"
    async with AsyncExitStack() as stack:
        apis = [await stack.enter_async_context(Api(node.asgi, KEY)) for node in nodes]
        await apis[0].post(path, json={"content": "nobody listens yet"})
        feeds = [
            await stack.enter_async_context(connected(node.asgi, f"{path}/events"))
            for node in nodes
        ]
        for feed in feeds:
            await feed.start()
            assert await feed.block() == ": connected\n\n"
        names = [str(number) for number in range(6)]
        for number, name in enumerate(names):
            posted = await apis[number % 2].post(path, json={"content": name})
            assert posted.status_code == 200
        for feed in feeds:
            blocks = [await feed.block() for _ in names]
            assert [data_of(block)["content"] for block in blocks] == names


async def test_a_job_that_a_node_cannot_begin_is_sent_by_another(
    nodes: Nodes, target: FakeTarget
) -> None:
    """One that stops takes jobs until its end; it begins none of them."""
    one, _ = nodes
    await one.drain()
    async with Api(one.asgi, KEY) as api:
        assert (await api.post("/api/jobs", json={"url": "https://target.test/"})).is_success
    await target.arrived.wait()
    assert len(target.received) == 1


async def test_a_node_hears_unless_a_pooler_is_in_the_way(nodes: Nodes, way: Way) -> None:
    """It listens by a connection of its own."""
    listening = [task for task in asyncio.all_tasks() if task.get_name() == "store notifier"]
    assert len(listening) == (0 if way is now_and_then else 2)


async def test_a_node_with_a_clock_of_its_own_is_alone_and_listens_to_nobody(
    config: Config, clock: VirtualClock, target: FakeTarget, postgres_url: str
) -> None:
    """There is nobody to hear."""
    config = replace(config, database=at_once(config.database, postgres_url))
    async with Booper(config, api_key=KEY, clock=clock, transport=target):
        assert "store notifier" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_node_whose_database_goes_away_as_it_begins_goes_on_later(
    config: Config,
    clock: VirtualClock,
    target: FakeTarget,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes nothing meanwhile that it could not send."""
    failures, rescue = [StoreUnavailable("it restarts")], PostgresQueue.rescue

    async def failing(queue: PostgresQueue, now: datetime, announce: AnnounceRescue) -> int:
        if failures:
            raise failures.pop()
        return await rescue(queue, now, announce)

    monkeypatch.setattr(PostgresQueue, "rescue", failing)
    config = replace(config, database=at_once(config.database, postgres_url))
    job = {"url": "https://target.test/"}
    async with (
        Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
        Api(booper.asgi, KEY) as api,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        while failures:
            await breathe()
        assert (await api.post("/api/jobs", json=job)).status_code == 503
        clock.advance(STORE_PAUSE)
        await booper.wait_idle()
        assert (await api.post("/api/jobs", json=job)).status_code == 201
        await booper.wait_idle()
    assert len(target.received) == 1


async def test_what_a_node_gives_back_as_it_stops_falls_due_then(
    config: Config, clock: VirtualClock, target: FakeTarget, postgres_url: str
) -> None:
    """Others may look at what fell due lately alone, and it had begun long before."""
    delivery = replace(config.delivery, grace_seconds=0)
    config = replace(config, database=at_once(config.database, postgres_url), delivery=delivery)
    target.hold()
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        number = await api.create_id()
        await target.arrived.wait()
        clock.advance(2 * LATELY)
    with psycopg.connect(postgres_url) as connection:
        due = connection.execute("SELECT job_id, at FROM due").fetchall()
    assert due == [(number, stored(START + 2 * LATELY))]


# --- what is heard ---


async def test_a_job_that_is_heard_of_is_sent_without_a_look_at_the_table(store: Store) -> None:
    """It is armed as it was told; one that was known is not new."""
    backlog = Backlog(store, START)
    await backlog.read(START)
    told = Due(START, 7, "https://target.test")
    assert backlog.hear(Notice((told,)), START)
    assert not backlog.hear(Notice((told,)), START)
    assert backlog.wake_at(START) == START
    assert not backlog.wants_read
    backlog.queue_due(START)
    assert [seen.due for seen in backlog.ready.take()] == [told]


async def test_where_more_are_due_than_is_told_the_table_is_read(store: Store, alice: UUID) -> None:
    """At most four times a second, however often is told."""
    backlog = Backlog(store, START)
    await backlog.read(START)
    soon = START + SOONEST
    for _ in range(3):
        assert backlog.hear(Notice(are_more=True), START)
        assert backlog.wake_at(START) == soon
    job = await created(store, alice)
    await backlog.read(soon)
    backlog.queue_due(soon)
    assert [seen.due for seen in backlog.ready.take()] == [due(job)]
    assert backlog.wake_at(soon) > soon + SOONEST
    assert backlog.hear(Notice(are_more=True), soon + SECOND / 2)
    assert backlog.wake_at(soon) == soon + SECOND / 2


async def test_a_node_that_has_enough_to_do_does_not_look_for_more(
    store: Store, alice: UUID
) -> None:
    """It looks again soon anyway."""
    backlog = Backlog(store, START)
    await created(store, alice)
    await backlog.read(START)
    backlog.queue_due(START)
    assert not backlog.hear(Notice(are_more=True), START)
    assert backlog.wake_at(START) > START + SOONEST


async def test_where_a_look_takes_long_most_are_at_what_is_due_lately(postgres_url: str) -> None:
    """A job that was due before comes with the next look at everything."""
    async with open_store(postgres_url, Random(1)) as store:
        alice = (await store.keys.create(key("alice's", user="alice"), START)).user_id
        backlog = Backlog(store, START)

        async def look(now: datetime, takes: timedelta = timedelta(0)) -> list[Due]:
            await backlog.read(now)
            backlog.queue_due(now + takes)
            return [seen.due for seen in backlog.ready.take()]

        assert await look(START) == []
        first, rare = START + SHARED_EVERY, 30 * SHARED_EVERY
        old = due(await created(store, alice, at=START - LATELY))
        assert await look(first, rare / REST) == [old]
        second = first + SHARED_EVERY
        older = due(await created(store, alice, at=second - LATELY - SECOND))
        late = due(await created(store, alice, at=second - LATELY))
        assert await look(second) == [late]
        assert await look(first + rare - SHARED_EVERY) == []
        assert older in await look(first + rare)


async def test_what_is_held_is_claimed_again_at_each_look(postgres_url: str) -> None:
    """Its predecessor may have ended at another node, whose notice did not come."""
    async with open_store(postgres_url, Random(1)) as store:
        alice = (await store.keys.create(key("alice's", user="alice"), START)).user_id
        backlog = Backlog(store, START)
        await backlog.read(START)
        await backlog.read(START + SHARED_EVERY)
        job = await created(store, alice, at=START - HOUR)
        backlog.claim_begins([], START, alone=False)
        backlog.note([], Claims([], [], [job]), START)
        now = START + 2 * SHARED_EVERY
        await backlog.read(now)
        backlog.queue_due(now)
        assert [seen.due for seen in backlog.ready.take()] == [due(job)]


async def test_a_notice_without_jobs_changes_nothing(store: Store) -> None:
    """Such as one of a message, or of a node that only wants to hear itself."""
    backlog = Backlog(store, START)
    await backlog.read(START)
    before = backlog.wake_at(START)
    assert not backlog.hear(Notice(are_messages=True), START)
    assert (backlog.wants_read, backlog.wake_at(START)) == (False, before)

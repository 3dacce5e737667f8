"""Feeds of changes over several nodes: each tells what all have committed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from booper.clock import VirtualClock
from booper.engine.changes import Change, ChangeFeed, Changes, Wanted
from booper.engine.feeds import Feeds
from booper.store.base import Store
from booper.store.postgres import following as module
from booper.store.values import JobFilter
from tests.conftest import START
from tests.support import stores
from tests.support.postgres import postgres
from tests.support.stores import (
    HOUR,
    begun,
    cancel,
    completed,
    created,
    entry,
    scheduled,
    settle,
)

pytestmark = pytest.mark.anyio

alice, bob = stores.alice, stores.bob

PATIENCE_SECONDS = 5.0  # a bound, never waited for


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return the store of a node."""
    async with postgres(tmp_path) as opened:
        yield opened


@pytest.fixture
async def own(tmp_path: Path, store: Store) -> AsyncIterator[Store]:
    """Return the store of the node at which somebody listens."""
    async with postgres(tmp_path) as opened:
        yield opened


class Listening:
    """A node at which a user listens, and which has told the first item."""

    def __init__(self, store: Store, changes: Changes, feed: ChangeFeed) -> None:
        self._store = store
        self._changes = changes
        self.feed = feed

    async def look(self) -> None:
        """Look for what other nodes have changed."""
        assert self._store.sharing is not None
        await self._changes.look(self._store.sharing)

    async def next(self) -> Change:
        """Return the next item, which must come."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anext(self.feed)

    async def next_jobs(self) -> list[int]:
        """Return the jobs of the item that comes after a look, which are all that have changed."""
        await self.look()
        change = await self.next()
        assert not change.are_more
        return list(change.jobs)


@pytest.fixture
def changes(own: Store, clock: VirtualClock) -> Changes:
    """Return changes whose items need not wait for each other."""
    return Changes(own, Feeds(), clock, 0.0)


@pytest.fixture
def feed(changes: Changes, alice: UUID) -> Iterator[ChangeFeed]:
    """Return a feed of all that changes of a user's."""
    with changes.subscribe(alice, Wanted()) as opened:
        yield opened


@pytest.fixture
async def listening(own: Store, changes: Changes, feed: ChangeFeed) -> Listening:
    """Return a node that has begun to look."""
    made = Listening(own, changes, feed)
    await made.look()
    await made.next()
    return made


async def test_what_another_node_does_with_a_job_is_told(
    listening: Listening, store: Store, alice: UUID, bob: UUID
) -> None:
    """That it was created, that an attempt has ended, that somebody cancelled it."""
    waiting = await created(store, alice, at=START + HOUR)
    await created(store, bob)
    assert await listening.next_jobs() == [waiting.id]
    await cancel(store, alice, waiting.id)
    assert await listening.next_jobs() == [waiting.id]
    job = await begun(store, alice)
    assert await listening.next_jobs() == [job.id]
    await settle(store, job, completed(job), [entry(job)])
    assert await listening.next_jobs() == [job.id]


async def test_what_this_node_does_is_told_once(
    listening: Listening, own: Store, store: Store, alice: UUID
) -> None:
    """At once; a look finds it among what others have changed, and knows it."""
    job = await created(own, alice)
    assert list((await listening.next()).jobs) == [job.id]
    other = await created(store, alice)
    assert await listening.next_jobs() == [other.id]
    changed = await cancel(own, alice, job.id)
    assert list((await listening.next()).jobs) == [changed.id]
    another = await created(store, alice)
    assert await listening.next_jobs() == [another.id]


async def test_a_schedule_that_another_node_changes_is_told(
    listening: Listening, store: Store, alice: UUID
) -> None:
    """With all of its runs, which may have changed with it; also if it is gone."""
    run = await scheduled(store, alice, at=START + HOUR)
    assert run.schedule_id is not None
    assert await listening.next_jobs() == [run.id]
    await store.schedules.disable(alice, run.schedule_id, START, stores.nothing)
    await listening.look()
    change = await listening.next()
    assert (list(change.schedules), change.are_more) == ([run.schedule_id], True)
    await store.schedules.delete(alice, run.schedule_id, START, stores.nothing)
    await listening.look()
    assert (await listening.next()).are_more


async def test_of_many_changes_everything_is_to_be_read_anew(
    listening: Listening, store: Store, alice: UUID
) -> None:
    """Of those that were made together, and of more than are told one by one."""
    await created(store, alice)
    await listening.next_jobs()
    everything = JobFilter()
    await store.jobs.cancel_many(alice, everything, START, stores.nothing, dry_run=False)
    await listening.look()
    assert (await listening.next()).are_more
    for _ in range(module.MAX_CHANGED):
        await created(store, alice)
    await listening.look()
    assert (await listening.next()).are_more


async def test_nothing_is_told_where_nothing_has_changed(
    listening: Listening, store: Store, alice: UUID
) -> None:
    """Looks that find nothing wake nobody."""
    await listening.look()
    await listening.look()
    job = await created(store, alice)
    assert await listening.next_jobs() == [job.id]

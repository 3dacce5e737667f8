"""Feeds of changes: what an item has, how often one comes, and what it costs while none is read."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import anyio
import pytest

from booper.clock import VirtualClock
from booper.engine.changes import (
    FOLLOW_PAUSE,
    MAX_IDS,
    Change,
    ChangeFeed,
    Changes,
    Wanted,
)
from booper.engine.feeds import Feeds, FeedUnavailable
from booper.errors import StoreUnavailable, Unauthenticated
from booper.model.job import Job, Kind, State
from booper.store.base import Store
from booper.store.sharing import Changed, Mark
from booper.store.values import JobFilter
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    HOUR,
    begun,
    claim,
    completed,
    created,
    due,
    page,
    scheduled,
    settle,
    wanted,
)

pytestmark = pytest.mark.anyio

opening, process = stores.opening, stores.process
store, alice, bob = stores.store, stores.alice, stores.bob

ANY = Wanted()
LONG = 3_600.0
"""Seconds that do not pass in a test."""

PATIENCE_SECONDS = 5.0  # a bound, never waited for


@pytest.fixture
def feeds() -> Feeds:
    """Return room for feeds."""
    return Feeds()


@pytest.fixture
def changes(store: Store, feeds: Feeds, clock: VirtualClock) -> Changes:
    """Return changes whose items need not wait for each other."""
    return Changes(store, feeds, clock, 0.0)


async def next_of(feed: ChangeFeed) -> Change:
    """Return the next item, which must come."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await anext(feed)


def is_silent(feed: ChangeFeed) -> bool:
    """Return whether nothing is there to be read."""
    return not feed._changed.is_set()


async def is_cut_off(feed: ChangeFeed) -> bool:
    """Return whether no item comes within one turn of the loop, after which none is awaited."""
    try:
        async with asyncio.timeout(0):
            await anext(feed)
    except TimeoutError:
        return True
    return False


async def test_the_first_item_comes_at_once(
    store: Store, changes: Changes, alice: UUID, bob: UUID
) -> None:
    """With the user's own numbers, and that what changed before is not known."""
    await created(store, alice)
    await created(store, alice, kind=Kind.CALLBACK)
    await created(store, bob)
    with changes.subscribe(alice, ANY) as feed:
        first = await next_of(feed)
    assert first == Change(
        jobs=[],
        schedules=[],
        are_more=True,
        counts={
            State.SCHEDULED: 1,
            State.EXECUTING: 0,
            State.RETRYABLE: 0,
            State.COMPLETED: 0,
            State.DISCARDED: 0,
            State.CANCELLED: 0,
        },
    )


async def test_an_item_has_the_ids_of_the_user_that_have_changed(
    store: Store, changes: Changes, alice: UUID, bob: UUID
) -> None:
    """Each once, however often it has; a schedule with its runs."""
    with changes.subscribe(alice, ANY) as feed:
        await next_of(feed)
        job = await begun(store, alice)
        await settle(store, job, completed(job))
        run = await scheduled(store, alice)
        await created(store, bob)
        change = await next_of(feed)
        assert (change.jobs, change.schedules) == ([job.id, run.id], [run.schedule_id])
        assert not change.are_more
        assert change.counts[State.COMPLETED] == 1
        assert is_silent(feed)


Made = dict[str, Job]

FILTERS: dict[str, tuple[Callable[[Made], Wanted], set[str]]] = {
    "a job with its reports": (lambda it: Wanted(job_id=it["job"].id), {"job", "report"}),
    "a schedule with its runs": (lambda it: Wanted(schedule_id=it["run"].schedule_id), {"run"}),
    "one state": (lambda it: Wanted(states=frozenset({State.COMPLETED})), {"job"}),
    "as stored": (lambda it: Wanted(states=frozenset({State.SCHEDULED})), {"report", "later"}),
    "as seen": (lambda it: Wanted(states=frozenset({State.AVAILABLE})), {"report"}),
    "both": (
        lambda it: Wanted(job_id=it["job"].id, states=frozenset({State.COMPLETED})),
        {"job"},
    ),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_leaves_out_what_is_not_wanted(
    store: Store, changes: Changes, alice: UUID, name: str
) -> None:
    """Every part that is given must hold."""
    job, run = await begun(store, alice), await scheduled(store, alice)
    made: Made = {"job": job, "run": run}
    make, expected = FILTERS[name]
    with changes.subscribe(alice, make(made)) as feed:
        await next_of(feed)
        report = wanted(alice, kind=Kind.CALLBACK, parent_id=job.id)
        await settle(store, job, completed(job), reports=[report])
        found = await store.jobs.list(alice, page(), JobFilter(kinds=[Kind.CALLBACK]), START)
        (made["report"],) = found
        made["later"] = await created(store, alice, at=START + HOUR)
        await claim(store, [due(run)], START)
        change = await next_of(feed)
    ids = {made[each].id for each in expected}
    assert ids == set(change.jobs) & {each.id for each in made.values()}


async def test_a_change_of_a_schedule_may_have_cancelled_a_run(
    store: Store, changes: Changes, alice: UUID
) -> None:
    """So whoever looks at that run is told to read anew."""
    run = await scheduled(store, alice)
    assert run.schedule_id is not None
    with changes.subscribe(alice, Wanted(job_id=run.id)) as feed:
        await next_of(feed)
        await store.schedules.disable(alice, run.schedule_id, START, stores.nothing)
        change = await next_of(feed)
    assert change.are_more
    assert change.schedules == [run.schedule_id]


async def test_a_reader_who_is_slow_has_one_item_of_bounded_size(
    store: Store, changes: Changes, alice: UUID
) -> None:
    """Beyond that it is told that there are more, and the next item begins anew."""
    with changes.subscribe(alice, ANY) as feed:
        await next_of(feed)
        await asyncio.gather(*(created(store, alice) for _ in range(3 * MAX_IDS)))
        change = await next_of(feed)
        assert change.are_more
        assert len(change.jobs) == MAX_IDS
        assert is_silent(feed)
        job = await created(store, alice)
        change = await next_of(feed)
        assert (change.jobs, change.are_more) == ([job.id], False)


async def test_items_have_time_between_them(
    store: Store, feeds: Feeds, clock: VirtualClock, alice: UUID
) -> None:
    """What changes meanwhile is in the next one; the end waits for nothing."""
    with Changes(store, feeds, clock, LONG).subscribe(alice, ANY) as feed:
        await next_of(feed)
        await created(store, alice)
        assert await is_cut_off(feed)
        waiting = asyncio.ensure_future(anext(feed, None))
        await created(store, alice)
        assert not waiting.done()
        feeds.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await waiting is None


async def test_a_cancelled_wait_loses_nothing(store: Store, changes: Changes, alice: UUID) -> None:
    """Even if the numbers were being read: then everything is to be read anew."""
    with changes.subscribe(alice, ANY) as feed:
        await next_of(feed)
        await created(store, alice)
        assert await is_cut_off(feed)  # before the numbers were there
        change = await next_of(feed)
        assert change.jobs or change.are_more


async def test_nothing_is_watched_while_nobody_listens(
    store: Store, changes: Changes, alice: UUID
) -> None:
    """With the first subscriber it begins, with the last it ends."""
    watched = list[bool]()
    watch: Callable[[Any], None] = store.watch

    def noted(watcher: Any) -> None:
        watched.append(watcher is not None)
        watch(watcher)

    store.watch = noted  # type: ignore[method-assign]
    with changes.subscribe(alice, ANY):
        with changes.subscribe(alice, ANY):
            pass
        assert watched[-1]
    assert not watched[-1]


async def test_a_feed_ends_with_its_key_and_its_session(
    changes: Changes, feeds: Feeds, alice: UUID
) -> None:
    """And with nobody else's."""
    key, other, session = UUID(int=1), UUID(int=2), b"digest"
    with (
        changes.subscribe(alice, ANY, key) as of_key,
        changes.subscribe(alice, ANY, other, session) as of_session,
        changes.subscribe(alice, ANY, other) as of_other,
    ):
        feeds.end_of(key)
        assert [item async for item in of_key] == []
        await next_of(of_session)
        feeds.end_of(session)
        assert [item async for item in of_session] == []
        await next_of(of_other)


@pytest.mark.parametrize(("key_id", "session"), [("key", None), ("other", "session")])
async def test_no_feed_begins_with_what_has_just_ended(
    changes: Changes, feeds: Feeds, alice: UUID, key_id: str, session: str | None
) -> None:
    """A request that was let in before its key was revoked, or its session closed, comes too late.

    It would never end.
    """
    feeds.end_of(session or key_id)
    with (
        pytest.raises(Unauthenticated, match="revoked"),
        changes.subscribe(alice, ANY, key_id, session),
    ):
        pass


async def test_feeds_of_changes_count_as_others_do(
    changes: Changes, store: Store, clock: VirtualClock, alice: UUID
) -> None:
    """One too many is refused."""
    few = Changes(store, Feeds(max_feeds=1), clock)
    with few.subscribe(alice, ANY), pytest.raises(FeedUnavailable), few.subscribe(alice, ANY):
        pass


async def test_a_store_that_cannot_be_read_ends_a_feed() -> None:
    """Whoever connects again is told why."""

    async def counts() -> Any:
        raise StoreUnavailable("the disk is gone")

    assert [item async for item in ChangeFeed(ANY, counts, 0.0)] == []


class Gone:
    """A database that others share and that is gone."""

    async def changed(self, mark: Mark | None) -> Changed:
        """Raise StoreUnavailable."""
        raise StoreUnavailable("the server is gone")


async def test_a_database_that_is_gone_ends_no_look_for_changes(
    changes: Changes, clock: VirtualClock, alice: UUID
) -> None:
    """Nothing is told, and it is looked for again."""
    with changes.subscribe(alice, ANY) as feed:
        await next_of(feed)
        following = asyncio.create_task(changes.follow(Gone()))
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()
            clock.advance(FOLLOW_PAUSE)
        await anyio.wait_all_tasks_blocked()
        assert not following.done()
        following.cancel()
        await asyncio.wait({following})

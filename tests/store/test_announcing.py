"""What a store announces of its commits: every job that waits, in order, before the change returns.

Each change is made as the loop or a command makes it; the loop hears of its jobs by the one
subscription, and by nothing else.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from booper.engine.held import Held
from booper.errors import NotFound
from booper.model.job import WAITING, Attempt, Job, Kind, NewJob, State
from booper.model.schedule import Schedule
from booper.store.base import Store
from booper.store.values import Creation, DueJob, JobFilter
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    HOUR,
    MINUTE,
    begun,
    completed,
    created,
    due,
    in_state,
    nothing,
    page,
    repeating,
    retryable,
    scheduled,
    settle,
    turns,
    wanted,
)

pytestmark = pytest.mark.anyio

opening, process, restart = stores.opening, stores.process, stores.restart
store, alice = stores.store, stores.alice

Change = Callable[[Store, UUID], Awaitable[Any]]


async def a_create(store: Store, user: UUID) -> None:
    await created(store, user)


async def a_create_of_a_schedule(store: Store, user: UUID) -> None:
    await scheduled(store, user)


async def a_batch(store: Store, user: UUID) -> None:
    asked = [Creation(wanted(user)), Creation(repeating(user)), Creation(wanted(user))]
    await store.jobs.create_many(asked, START, atomic=False)


async def a_claim_of_a_run(store: Store, user: UUID) -> None:
    await turns(store, await scheduled(store, user))


async def a_settled_failure(store: Store, user: UUID) -> None:
    job = await begun(store, user)
    await settle(store, job, retryable(job, START + MINUTE))


async def a_settled_success(store: Store, user: UUID) -> None:
    job = await begun(store, user)
    await settle(store, job, completed(job))


async def a_success_with_a_report(store: Store, user: UUID) -> None:
    job = await begun(store, user)
    report = wanted(user, kind=Kind.CALLBACK, parent_id=job.id)
    await settle(store, job, completed(job), reports=[report])


async def a_release(store: Store, user: UUID) -> None:
    await store.queue.release([await begun(store, user)], START + MINUTE)


async def a_retry(store: Store, user: UUID) -> None:
    job = await in_state(store, user, State.DISCARDED)
    await store.jobs.retry(user, job.id, START)


async def a_run_now(store: Store, user: UUID) -> None:
    job = await created(store, user, at=START + HOUR)
    await store.jobs.run(user, job.id, START)


async def a_cancelled_run(store: Store, user: UUID) -> None:
    job = await scheduled(store, user)
    await store.jobs.cancel(user, job.id, START, nothing)


async def a_cancelled_job(store: Store, user: UUID) -> None:
    job = await created(store, user)
    await store.jobs.cancel(user, job.id, START, nothing)


async def a_retry_of_many(store: Store, user: UUID) -> None:
    for _ in range(3):
        await in_state(store, user, State.CANCELLED)
    await store.jobs.retry_many(user, JobFilter(), START, dry_run=False)


async def a_switch_off_and_on(store: Store, user: UUID) -> None:
    job = await scheduled(store, user)
    assert job.schedule_id is not None
    await store.schedules.disable(user, job.schedule_id, START, nothing)
    await store.schedules.enable(user, job.schedule_id, START, 15)


async def a_run_beside_the_plan(store: Store, user: UUID) -> None:
    job = await scheduled(store, user, at=START + HOUR)
    assert job.schedule_id is not None
    new = wanted(user, schedule_id=job.schedule_id)
    await store.schedules.run(user, job.schedule_id, new, START)


CHANGES: dict[Change, int] = {
    a_create: 1,
    a_create_of_a_schedule: 1,
    a_batch: 3,
    a_claim_of_a_run: 2,  # the first run when it was created, the second when that was claimed
    a_settled_failure: 2,  # once new, once to be sent again
    a_settled_success: 1,
    a_success_with_a_report: 2,
    a_release: 2,
    a_retry: 2,
    a_run_now: 2,
    a_cancelled_run: 2,  # the run that is planned in its place as well
    a_cancelled_job: 1,
    a_retry_of_many: 6,
    a_switch_off_and_on: 2,
    a_run_beside_the_plan: 2,
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_every_job_that_waits_is_announced(store: Store, alice: UUID, change: Change) -> None:
    """Each time that a job comes to wait it is announced once, as it is stored then."""
    announced = list[Job]()
    store.subscribe(announced.extend)
    await change(store, alice)
    assert len(announced) == CHANGES[change]
    assert {job.state for job in announced} <= WAITING
    last = {job.id: job for job in announced}
    for job in last.values():
        stored = await store.jobs.get(alice, job.id)
        assert stored == job or stored.state not in WAITING


async def test_what_waited_for_an_end_is_announced_with_it(store: Store, alice: UUID) -> None:
    """A run that its predecessor held back may go when that has ended."""
    first = await scheduled(store, alice, overlap="queue")
    (attempt,) = (await turns(store, first)).begun
    (second,) = [
        job
        for job in await store.jobs.list(alice, page(), JobFilter(), START)
        if job.state is State.SCHEDULED
    ]
    late = START + 5 * MINUTE
    assert [job.id for job in (await turns(store, second, now=late)).held] == [second.id]
    announced = list[Job]()
    store.subscribe(announced.extend)
    await settle(store, attempt.job, completed(attempt.job, late))
    assert [job.id for job in announced] == [second.id]


async def test_an_announcement_comes_before_its_change_returns(store: Store, alice: UUID) -> None:
    """Whoever made a change can rely on the loop to know of it."""
    events = list[str]()
    store.subscribe(lambda jobs: events.append("announced"))

    async def create() -> None:
        await created(store, alice)
        events.append("returned")

    await asyncio.gather(*(create() for _ in range(20)))
    assert events.count("returned") == 20
    assert events[0] == "announced"


async def test_announcements_are_in_the_order_of_the_commits(store: Store, alice: UUID) -> None:
    """Numbers rise with the commits, and so they are announced, each once."""
    announced = list[int]()
    store.subscribe(lambda jobs: announced.extend(job.id for job in jobs))
    jobs = await asyncio.gather(*(created(store, alice) for _ in range(300)))
    assert announced == sorted(job.id for job in jobs)


async def test_a_job_whose_caller_went_away_is_announced(store: Store, alice: UUID) -> None:
    """It is written, so it must be sent, whoever still waits for the response.

    The create goes away while a claim before it is made, in the same commit.
    """
    job, loop = await created(store, alice), asyncio.get_running_loop()
    announced, gone = list[Job](), threading.Event()
    store.subscribe(announced.extend)

    def go_away() -> None:
        creating.cancel()
        gone.set()

    def hook(attempt: Attempt, now: datetime) -> Sequence[NewJob]:
        loop.call_soon_threadsafe(go_away)  # this is the writing thread
        gone.wait(5)
        return ()

    claiming = asyncio.create_task(store.queue.claim([DueJob(due(job), START)], START, hook))
    creating = asyncio.create_task(created(store, alice))
    await asyncio.wait([claiming, creating])
    assert creating.cancelled()
    (new,) = announced
    assert new == await store.jobs.get(alice, new.id)


async def test_what_is_not_committed_is_not_announced(store: Store, alice: UUID) -> None:
    """A change that is refused has written nothing, and a job that has ended does not wait."""
    announced = list[Job]()
    done = await in_state(store, alice, State.COMPLETED)
    store.subscribe(announced.extend)
    with pytest.raises(NotFound):
        await store.jobs.retry(alice, 10**6, START)
    await store.jobs.cancel(alice, done.id, START, nothing)
    await store.jobs.retry_many(alice, JobFilter(), START, dry_run=False)
    assert announced == []


async def test_a_job_that_is_released_during_a_claim_is_not_held_by_it(
    store: Store, alice: UUID
) -> None:
    """The end of its predecessor can be committed right behind the claim that found it waiting."""
    one, other = await created(store, alice), await created(store, alice)
    held = Held()
    held.claim_begins()
    held.release(due(one))
    held.note([one, other])
    assert held.ids(one.origin) == [other.id]


async def test_a_job_that_was_released_before_a_claim_can_be_held_by_it(
    store: Store, alice: UUID
) -> None:
    """Only what happened since the claim began is newer than what it found."""
    one = await created(store, alice)
    held = Held()
    held.release(due(one))
    held.claim_begins()
    held.note([one])
    assert held.ids(one.origin) == [one.id]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_a_watcher_is_shown_what_has_changed(
    store: Store, alice: UUID, change: Change
) -> None:
    """Each job as it is stored at the end, or its schedule after it; schedules when users do it."""
    shown = dict[int | UUID, Job | Schedule]()
    store.watch(lambda written: shown.update((each.id, each) for each in written))
    await change(store, alice)
    found = JobFilter(kinds=tuple(Kind))
    for job in await store.jobs.list(alice, page(), found, START):
        assert shown.get(job.id) == job or job.schedule_id in shown


async def test_a_watcher_can_be_removed(store: Store, alice: UUID) -> None:
    """Then a commit is shown to nobody."""
    shown = list[Job | Schedule]()
    store.watch(shown.extend)
    await created(store, alice)
    store.watch(None)
    await created(store, alice)
    assert len(shown) == 1


async def test_a_watcher_is_shown_schedules(store: Store, alice: UUID) -> None:
    """As a user has changed them; the deleted one as it was."""
    job = await scheduled(store, alice)
    assert job.schedule_id is not None
    shown = list[Job | Schedule]()
    store.watch(shown.extend)
    await store.schedules.set_state(alice, job.schedule_id, "{}", START)
    await store.schedules.delete(alice, job.schedule_id, START, nothing)
    assert [each.id for each in shown if isinstance(each, Schedule)] == [job.schedule_id] * 2

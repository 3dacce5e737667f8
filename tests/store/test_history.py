"""What a store keeps of the past: why attempts began late, who changed what, and until when."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from booper.model.audit import Action, Actor, Kind
from booper.model.event import REQUEST, RESPONSE
from booper.model.history import Fact
from booper.model.waiting import KeptWait, Reason, Wait
from booper.store.base import Store
from booper.store.values import Claims, DueJob
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    HOUR,
    MINUTE,
    SECOND,
    Restart,
    cancel,
    completed,
    created,
    due,
    entry,
    key,
    nothing,
    page,
    scheduled,
    settle,
)

pytestmark = pytest.mark.anyio

opening, process, store, restart = stores.opening, stores.process, stores.store, stores.restart


@pytest.fixture
async def user(store: Store) -> UUID:
    """Return a user."""
    return (await store.keys.create(key("a", user="a"), START)).user_id


async def claimed(store: Store, job: Any, now: Any, wait: Wait | None) -> Claims:
    """Claim a job that has waited for something."""
    waits = {} if wait is None else {job.id: wait}
    return await store.queue.claim([DueJob(due(job), now)], now, nothing, waits=waits)


async def test_a_wait_is_kept_with_its_attempt(store: Store, user: UUID, restart: Restart) -> None:
    """Also over a restart; a claim without one keeps none."""
    late, prompt = await created(store, user), await created(store, user)
    wait, now = Wait(Reason.PAUSE, START, "target.test"), START + MINUTE
    (attempt,) = (await claimed(store, late, now, wait)).begun
    await claimed(store, prompt, START, None)
    await settle(store, attempt.job, completed(attempt.job, now))
    store = await restart()
    assert (await store.history.job(user, late.id)).waits == [KeptWait(late.id, 1, wait, now)]
    assert (await store.history.job(user, prompt.id)).waits == []


@pytest.mark.parametrize("target", ["a\0b", "\uffff", "a\uffff0b"])
async def test_a_wait_may_name_any_target(store: Store, user: UUID, target: str) -> None:
    """Also one with characters that no database's text holds."""
    job, wait = await created(store, user), Wait(Reason.PAUSE, START, target)
    await claimed(store, job, START + MINUTE, wait)
    [kept] = (await store.history.job(user, job.id)).waits
    assert kept.wait == wait


async def test_a_released_attempt_that_begins_again_keeps_its_last_reason(
    store: Store, user: UUID
) -> None:
    """It has the same number: the wait before is replaced."""
    job = await created(store, user)
    (attempt,) = (await claimed(store, job, START + 2 * SECOND, Wait(Reason.SLOT, START))).begun
    await store.queue.release([attempt.job])
    again = await store.jobs.get(user, job.id)
    now, wait = START + MINUTE, Wait(Reason.STOPPED, START)
    await claimed(store, again, now, wait)
    assert (await store.history.job(user, job.id)).waits == [KeptWait(job.id, 1, wait, now)]


async def test_a_run_that_was_held_waited_for_its_predecessor(store: Store, user: UUID) -> None:
    """Whatever the loop took for the reason."""
    first = await scheduled(store, user, overlap="queue")
    (attempt,) = (await claimed(store, first, START, None)).begun
    _, second = (await store.history.schedule(user, _id(first), None)).runs
    now = START + MINUTE
    (held,) = (await claimed(store, second.job, now, None)).held
    await settle(store, attempt.job, completed(attempt.job, now + 9 * SECOND))
    await claimed(store, held, now + 10 * SECOND, Wait(Reason.SLOT, now))
    waits = (await store.history.job(user, held.id)).waits
    expected = Wait(Reason.PREDECESSOR, now)
    assert waits == [KeptWait(held.id, 1, expected, now + 10 * SECOND)]


async def test_facts_are_the_log_without_what_was_sent(store: Store, user: UUID) -> None:
    """A request and what came of it are one fact; entries of other jobs are not among them."""
    job, other = await created(store, user), await created(store, user)
    for each in (job, other):
        (attempt,) = (await claimed(store, each, START, None)).begun
        at = START + SECOND
        entries = [
            entry(each, REQUEST),
            entry(each, RESPONSE, at=at, payload='{"status": 204, "body": "x"}'),
        ]
        await settle(store, attempt.job, completed(attempt.job, at), entries)
    (fact,) = (await store.history.job(user, job.id)).facts
    assert fact == Fact(event=RESPONSE, at=START + SECOND, requested_at=START, status=204)


async def test_a_change_tells_who_made_it(store: Store, user: UUID, restart: Restart) -> None:
    """By the key's name, also after it was revoked; the jobs that it changed have it too."""
    made = await store.keys.create(key("deploy", user="a"), START)
    run = await scheduled(store, user, at=START + HOUR)
    by = Actor(made.id)
    await store.schedules.disable(user, _id(run), START + MINUTE, nothing, by)
    await store.keys.revoke(made.id, START + HOUR, by)
    store = await restart()
    (change,) = (await store.history.job(user, run.id)).changes
    assert (change.key_id, change.key_name, change.at) == (made.id, "deploy", START + MINUTE)
    assert (change.action, change.kind) == (Action.SCHEDULE_DISABLE, Kind.SCHEDULE)
    assert (await store.history.schedule(user, _id(run), None)).changes == [change]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(None, range(1, 7)), (1.5, [1, 2, 3]), (3, [1, 2, 3, 4, 5]), (0, [1, 2])],
)
async def test_the_runs_around_a_planned_time_are_read(
    store: Store, user: UUID, hours: float | None, expected: Any
) -> None:
    """Three up to it and two behind it, in the order of their times."""
    run = await scheduled(store, user, at=START + HOUR, repeat_every=(1, "hour"))
    for number in range(1, 6):
        now = START + number * HOUR
        (attempt,) = (await claimed(store, run, now, None)).begun
        await settle(store, attempt.job, completed(attempt.job, now))
        history = await store.history.schedule(user, _id(run), None)
        run = history.runs[-1].job
    at = None if hours is None else START + timedelta(hours=hours)
    found = (await store.history.schedule(user, _id(run), at)).runs
    assert [(each.job.planned_at - START) // HOUR for each in found] == list(expected)


async def test_cancelled_jobs_keep_their_change_in_the_audit(store: Store, user: UUID) -> None:
    """Its object is the job's number, its owner the job's."""
    job = await created(store, user)
    await cancel(store, user, job.id, START + SECOND)
    newest = (await store.history.changes(page(1, order_by="id"))).items[0]
    assert (newest.object, newest.user_id, newest.jobs) == (str(job.id), user, 1)


def _id(run: Any) -> UUID:
    assert run.schedule_id is not None
    return UUID(str(run.schedule_id))

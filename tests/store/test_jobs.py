"""What every store must do, told through the protocols of `booper.store.base`.

A second store joins by one entry in `tests.support.stores.STORES`.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.errors import Conflict, NotFound
from booper.model import lifecycle
from booper.model.args import Args, decode_args, encode_args
from booper.model.event import ERROR, EVENTS, REQUEST, RESPONSE, SKIPPED, LogEntry, NewEntry
from booper.model.job import FINISHED, WAITING, Attempt, Job, Kind, NewJob, State
from booper.model.key import DEFAULT_USER, Scope
from booper.model.schedule import Conflict as OnConflict
from booper.store.base import Store
from booper.store.values import (
    ALL_TARGETS,
    Admit,
    Created,
    Creation,
    Due,
    DueJob,
    JobFilter,
    Page,
    Place,
    Settlement,
)
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    HOUR,
    MINUTE,
    NOWHERE,
    SECOND,
    STORED,
    Opening,
    Restart,
    begun,
    cancel,
    claim,
    completed,
    created,
    discarded,
    due,
    dues,
    entry,
    ids,
    in_state,
    key,
    nothing,
    page,
    paused,
    retryable,
    scheduled,
    settle,
    sqlite,
    waiting,
    wanted,
)

pytestmark = pytest.mark.anyio

opening, process, restart = stores.opening, stores.process, stores.restart
store, alice, bob = stores.store, stores.alice, stores.bob


# --- creating and reading -------------------------------------------------------------------------


async def test_a_new_job_is_what_was_asked_for(store: Store, alice: UUID) -> None:
    """A created job waits for its time and carries its fields, its owner and no attempt."""
    at = START + timedelta(hours=1, microseconds=7)
    args = Args(
        method="post",
        url="https://target.test/hook",
        headers={"X-Number": 5},
        idempotency_key="once",
        name="Nightly",
        description="Every night",
        schedule_in=(1, "hour"),
    )
    new = NewJob(
        user_id=alice,
        args=encode_args(args),
        origin="https://target.test",
        scheduled_at=at,
        planned_at=at,
        max_attempts=3,
        idempotency_key="once",
        name="Nightly",
        description="Every night",
    )
    response = await store.jobs.create(Creation(new), START)
    job = response.job
    assert not response.is_duplicate
    assert (job.user_id, job.origin, job.max_attempts) == (alice, "https://target.test", 3)
    assert (job.idempotency_key, job.name, job.description) == ("once", "Nightly", "Every night")
    assert (job.state, job.attempt, job.interruptions) == (State.SCHEDULED, 0, 0)
    assert (job.inserted_at, job.scheduled_at, job.planned_at) == (START, at, at)
    assert (job.kind, job.parent_id, job.retry_until) == (Kind.REQUEST, None, None)
    assert (job.schedule_id, job.attempted_at, job.last_error) == (None, None, None)
    assert (job.completed_at, job.discarded_at, job.cancelled_at) == (None, None, None)
    assert decode_args(job.args) == args


async def test_a_job_is_found_by_its_number_and_by_its_uuid(store: Store, alice: UUID) -> None:
    """Both names of a job give what its create gave; the UUID is of version 7 (RFC 9562)."""
    job = await created(store, alice)
    assert await store.jobs.get(alice, job.id) == job
    assert await store.jobs.get(alice, job.uuid) == job
    assert job.uuid.version == 7


async def test_jobs_are_numbered_in_the_order_of_their_creates(store: Store, alice: UUID) -> None:
    """Numbers grow and are never used twice, and no two jobs share a UUID."""
    jobs = [await created(store, alice) for _ in range(5)]
    numbers = [job.id for job in jobs]
    assert numbers == sorted(set(numbers))
    assert len({job.uuid for job in jobs}) == 5


async def test_what_was_stored_is_there_after_a_restart(opening: Opening, tmp_path: Path) -> None:
    """Jobs, log entries and keys, revoked ones too, survive the end of the process."""
    async with opening(tmp_path) as store:
        made = await store.keys.create(key("kept", user="alice"), START)
        other = await store.keys.create(key("gone", user="alice"), START + SECOND)
        gone = await store.keys.revoke(other.id, START + 2 * SECOND)
        job = await begun(store, made.user_id)
        job = await settle(store, job, completed(job), [entry(job)])
        entries = await store.logs.list(made.user_id, page(), None, None)
    async with opening(tmp_path) as store:
        assert await store.jobs.get(made.user_id, job.id) == job
        assert await store.logs.list(made.user_id, page(), None, None) == entries
        assert await store.keys.list() == [made, gone]
        assert await store.keys.find(made.digest) == made
        assert await store.keys.find(gone.digest) == gone


@pytest.mark.parametrize("ref", [1, 0, -1, 2**63 - 1, NOWHERE])
async def test_a_job_that_is_not_there_is_not_found(
    store: Store, alice: UUID, ref: int | UUID
) -> None:
    """Neither reading nor cancelling finds it, however strange its name."""
    with pytest.raises(NotFound):
        await store.jobs.get(alice, ref)
    with pytest.raises(NotFound):
        await cancel(store, alice, ref)


async def test_users_do_not_see_each_others_jobs(store: Store, alice: UUID, bob: UUID) -> None:
    """Another user's job is not there: not by number, not by UUID, not in any list."""
    job = await created(store, alice)
    for ref in (job.id, job.uuid):
        with pytest.raises(NotFound):
            await store.jobs.get(bob, ref)
        with pytest.raises(NotFound):
            await cancel(store, bob, ref)
    assert await ids(store, bob, page()) == []
    for state in State:
        assert await ids(store, bob, page(), state) == []
    assert await store.jobs.get(alice, job.id) == job


async def test_one_users_not_found_reads_as_anyones(store: Store, alice: UUID, bob: UUID) -> None:
    """The response does not tell another user's job from one that never was."""
    job = await created(store, alice)
    with pytest.raises(NotFound) as foreign:
        await store.jobs.get(bob, job.id)
    with pytest.raises(NotFound) as absent:
        await store.jobs.get(bob, job.id + 1)
    assert str(foreign.value).replace(str(job.id), "N") == str(absent.value).replace(
        str(job.id + 1), "N"
    )


# --- lists ----------------------------------------------------------------------------------------


async def test_lists_are_ordered_by_each_field_both_ways(store: Store, alice: UUID) -> None:
    """`id` and `inserted_at` follow the creates, `scheduled_at` the times, ties by number."""
    hours = (3, 1, 2, 1)
    first, second, third, fourth = [
        (await created(store, alice, at=START + timedelta(hours=hour))).id for hour in hours
    ]
    by_creation = [first, second, third, fourth]
    by_time = [second, fourth, third, first]
    expected = {"id": by_creation, "inserted_at": by_creation, "scheduled_at": by_time}
    for field, order in expected.items():
        assert await ids(store, alice, page(order_by=field, descending=False)) == order
        assert await ids(store, alice, page(order_by=field, descending=True)) == order[::-1]


@pytest.mark.parametrize("field", ["id", "inserted_at", "scheduled_at"])
async def test_pages_make_up_the_whole_list(store: Store, alice: UUID, field: str) -> None:
    """Seven jobs in pages of three: 3, 3, 1 and none, each job once, equal times or not."""
    for number in range(7):
        await created(store, alice, at=START + timedelta(hours=number // 3))
    whole = await ids(store, alice, page(order_by=field))
    parts = [await ids(store, alice, page(3, offset, field)) for offset in (0, 3, 6, 9)]
    assert [len(part) for part in parts] == [3, 3, 1, 0]
    assert [number for part in parts for number in part] == whole


async def test_a_list_can_be_of_one_state(store: Store, alice: UUID) -> None:
    """With a job in each stored state, every filter finds just its own."""
    jobs = {state: (await in_state(store, alice, state)).id for state in STORED}
    for state, number in jobs.items():
        assert await ids(store, alice, page(), state) == [number]
    assert sorted(await ids(store, alice, page())) == sorted(jobs.values())


async def test_a_scheduled_job_is_available_from_its_time_on(store: Store, alice: UUID) -> None:
    """The filters divide at the very microsecond of `scheduled_at` (contract §4)."""
    at = START + timedelta(hours=1)
    number = (await created(store, alice, at=at)).id
    before = at - timedelta(microseconds=1)
    assert await ids(store, alice, page(), State.SCHEDULED, now=before) == [number]
    assert await ids(store, alice, page(), State.AVAILABLE, now=before) == []
    assert await ids(store, alice, page(), State.SCHEDULED, now=at) == []
    assert await ids(store, alice, page(), State.AVAILABLE, now=at) == [number]


async def test_a_retryable_job_whose_time_has_come_stays_retryable(
    store: Store, alice: UUID
) -> None:
    """Only a job that was never tried is ever `available`."""
    job = await in_state(store, alice, State.RETRYABLE)
    assert await ids(store, alice, page(), State.RETRYABLE, now=job.scheduled_at) == [job.id]
    assert await ids(store, alice, page(), State.AVAILABLE, now=job.scheduled_at) == []


# --- idempotency keys -----------------------------------------------------------------------------


async def test_fifty_simultaneous_creates_with_one_key_make_one_job(
    store: Store, alice: UUID
) -> None:
    """One create makes the job and 49 get it as a duplicate (contract §5)."""
    responses = await asyncio.gather(
        *(
            store.jobs.create(Creation(wanted(alice, idempotency="welcome")), START)
            for _ in range(50)
        )
    )
    assert len({response.job.uuid for response in responses}) == 1
    assert [response.is_duplicate for response in responses].count(False) == 1
    assert await ids(store, alice, page()) == [responses[0].job.id]


@pytest.mark.parametrize("state", STORED)
async def test_a_key_is_held_until_its_job_has_finished(
    store: Store, alice: UUID, state: State
) -> None:
    """A waiting or executing job holds its key; completed, discarded or cancelled it is free."""
    first = (await store.jobs.create(Creation(wanted(alice, idempotency="key")), START)).job
    if state is not State.SCHEDULED:
        (first,) = await claim(store, [due(first)], START)
    match state:
        case State.RETRYABLE:
            first = await settle(store, first, retryable(first, START + SECOND), [])
        case State.COMPLETED:
            first = await settle(store, first, completed(first), [])
        case State.DISCARDED:
            first = await settle(store, first, discarded(first), [])
        case State.CANCELLED:
            first = await cancel(store, alice, first.id)
    assert first.state is state
    again = await store.jobs.create(Creation(wanted(alice, idempotency="key")), START)
    assert again.is_duplicate is (state not in FINISHED)
    assert (again.job == first) is again.is_duplicate


async def test_creates_together_are_each_as_their_key_is(
    store: Store, alice: UUID, bob: UUID
) -> None:
    """Free, held by a job or a schedule, twice among them, another user's; with tags or without."""
    held = await created(store, alice, idempotency="held")
    run = await scheduled(store, alice, idempotency_key="schedule's")
    asked = [
        Creation(wanted(alice, idempotency="free", tags=("a",))),
        Creation(wanted(alice, idempotency="held", tags=("a",)), OnConflict.REJECT),
        Creation(wanted(alice, idempotency="twice")),
        Creation(wanted(alice, tags=("a", "b"))),
        Creation(wanted(bob, idempotency="held")),
        Creation(wanted(alice, idempotency="twice")),
        Creation(wanted(alice, idempotency="schedule's")),
        Creation(stores.repeating(alice, idempotency_key="new")),
        Creation(wanted(alice, idempotency="new")),
    ]
    made = await store.jobs.create_many(asked, START, atomic=False)
    assert isinstance(made[1], Conflict)
    written = [each for each in made if isinstance(each, Created)]
    jobs = [each.job for each in written]
    duplicates = [each.is_duplicate for each in written]
    assert duplicates == [False, False, False, False, True, True, False, True]
    assert (jobs[4], jobs[5], jobs[7]) == (jobs[1], run, jobs[6])
    numbers = [job.id for job, is_known in zip(jobs, duplicates, strict=True) if not is_known]
    assert numbers == sorted(numbers)
    assert min(numbers) > max(held.id, run.id)
    assert await ids(store, alice, page(), tag="a") == [jobs[2].id, jobs[0].id]


async def test_the_keys_of_two_users_do_not_meet(store: Store, alice: UUID, bob: UUID) -> None:
    """The same key of another user is another key."""
    hers = await store.jobs.create(Creation(wanted(alice, idempotency="key")), START)
    his = await store.jobs.create(Creation(wanted(bob, idempotency="key")), START)
    assert (hers.is_duplicate, his.is_duplicate) == (False, False)
    assert hers.job.id != his.job.id


async def test_jobs_without_a_key_are_never_duplicates(store: Store, alice: UUID) -> None:
    """Two equal creates without a key are two jobs."""
    first = await created(store, alice)
    assert (await created(store, alice)).id != first.id


async def test_a_key_can_be_kept_beyond_the_end_of_its_job(store: Store, alice: UUID) -> None:
    """`idempotency_ttl` keeps it for that long from the create, to the microsecond."""
    until = START + HOUR
    held = Creation(wanted(alice, idempotency="key", key_until=until))
    first = (await store.jobs.create(held, START)).job
    (first,) = await claim(store, [due(first)])
    first = await settle(store, first, completed(first))
    last = until - timedelta(microseconds=1)
    assert await store.jobs.holder(alice, "key", last) == first
    again = await store.jobs.create(held, last)
    assert (again.job, again.is_duplicate) == (first, True)
    assert await store.jobs.holder(alice, "key", until) is None
    assert not (await store.jobs.create(held, until)).is_duplicate


@pytest.mark.parametrize("state", [State.DISCARDED, State.EXECUTING, State.RETRYABLE])
async def test_an_unfinished_job_holds_its_key_whatever_was_asked(
    store: Store, alice: UUID, state: State
) -> None:
    """A time to live only adds to that; a discarded job keeps its key for it as well."""
    until = START + (HOUR if state is State.DISCARDED else -HOUR)
    job = await in_state(store, alice, state, idempotency="key", key_until=until)
    assert await store.jobs.holder(alice, "key", START) == job


async def test_cancelling_frees_a_key_that_was_to_be_kept(store: Store, alice: UUID) -> None:
    """Whoever cancels wants to be able to ask again (contract §5)."""
    held = Creation(wanted(alice, idempotency="key", key_until=START + HOUR))
    job = (await store.jobs.create(held, START)).job
    await cancel(store, alice, job.id)
    assert await store.jobs.holder(alice, "key", START) is None
    assert not (await store.jobs.create(held, START)).is_duplicate


async def test_nobody_holds_a_key_that_was_never_used(store: Store, alice: UUID, bob: UUID) -> None:
    """Nor one that another user holds."""
    await created(store, bob, idempotency="key")
    assert await store.jobs.holder(alice, "key", START) is None


async def test_a_taken_key_can_be_a_conflict(store: Store, alice: UUID) -> None:
    """With `reject` the holder is named and nothing is stored; a free key is no conflict."""
    asked = Creation(wanted(alice, idempotency="key"), OnConflict.REJECT)
    job = (await store.jobs.create(asked, START)).job
    with pytest.raises(Conflict, match=f"job {job.id}"):
        await store.jobs.create(asked, START)
    assert await ids(store, alice, page()) == [job.id]


@pytest.mark.parametrize("state", sorted(WAITING))
async def test_a_waiting_job_can_be_replaced_in_place(
    store: Store, alice: UUID, state: State
) -> None:
    """It keeps its id, its UUID and its attempts; what is sent, where and when is new."""
    job = await in_state(store, alice, state, idempotency="key")
    at = START + 2 * HOUR
    new = wanted(alice, at=at, host="b.test", idempotency="key", name="New", max_attempts=3)
    response = await store.jobs.create(Creation(new, OnConflict.REPLACE), START)
    assert response.is_duplicate
    assert response.job == replace(
        job,
        args=new.args,
        origin="https://b.test",
        name="New",
        max_attempts=3,
        scheduled_at=at,
        planned_at=at,
    )
    assert await store.jobs.get(alice, job.id) == response.job
    assert await dues(store, 10) == [Due(at, job.id, "https://b.test")]


async def test_a_replaced_job_has_at_least_one_attempt_left(store: Store, alice: UUID) -> None:
    """After one of many attempts, a replacement with one attempt in all is still sent."""
    job = await in_state(store, alice, State.RETRYABLE, idempotency="key")
    new = wanted(alice, idempotency="key", max_attempts=1)
    response = await store.jobs.create(Creation(new, OnConflict.REPLACE), START)
    assert (response.job.attempt, response.job.max_attempts) == (job.attempt, 2)


async def test_a_replaced_job_has_the_new_tags(store: Store, alice: UUID) -> None:
    """It is found by what it is now and no more by what it was."""
    job = await created(store, alice, at=START + HOUR, idempotency="key", tags=("old", "both"))
    new = wanted(alice, at=START + HOUR, idempotency="key", tags=("new", "both"))
    await store.jobs.create(Creation(new, OnConflict.REPLACE), START)
    found = {tag: await ids(store, alice, page(), tag=tag) for tag in ("old", "both", "new")}
    assert found == {"old": [], "both": [job.id], "new": [job.id]}


async def test_a_replaced_job_keeps_its_key_as_long_as_the_new_one_asks(
    store: Store, alice: UUID
) -> None:
    """The new `idempotency_ttl` counts, as everything else of the replacement does."""
    job = await created(store, alice, idempotency="key")
    new = wanted(alice, idempotency="key", key_until=START + HOUR)
    await store.jobs.create(Creation(new, OnConflict.REPLACE), START)
    (executing,) = await claim(store, [due(job)])
    await settle(store, executing, completed(executing))
    holder = await store.jobs.holder(alice, "key", START + MINUTE)
    assert holder is not None
    assert holder.id == job.id


async def test_an_executing_job_cannot_be_replaced(store: Store, alice: UUID) -> None:
    """Its request is on its way: a conflict (contract §1)."""
    job = await in_state(store, alice, State.EXECUTING, idempotency="key")
    asked = Creation(wanted(alice, idempotency="key"), OnConflict.REPLACE)
    with pytest.raises(Conflict, match=f"job {job.id} is executing"):
        await store.jobs.create(asked, START)
    assert await store.jobs.get(alice, job.id) == job


async def test_replacing_where_nothing_is_creates(store: Store, alice: UUID) -> None:
    """A free key makes a new job."""
    asked = Creation(wanted(alice, idempotency="key"), OnConflict.REPLACE)
    assert not (await store.jobs.create(asked, START)).is_duplicate


# --- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STORED)
async def test_cancelling_ends_what_has_not_ended(store: Store, alice: UUID, state: State) -> None:
    """A finished job is returned unchanged, any other is cancelled now and waits no more."""
    job = await in_state(store, alice, state)
    now = START + timedelta(minutes=5)
    cancelled = await cancel(store, alice, job.uuid, now)
    if state in FINISHED:
        assert cancelled == job
    else:
        assert cancelled == replace(job, state=State.CANCELLED, cancelled_at=now)
    assert await store.jobs.get(alice, job.id) == cancelled
    assert await waiting(store) == []


async def test_the_owner_of_a_job_is_known(store: Store, alice: UUID, bob: UUID) -> None:
    """Each job has one; a job that is not there has none."""
    hers, his = await created(store, alice), await created(store, bob)
    assert await store.jobs.owner(hers.id) == alice
    assert await store.jobs.owner(his.id) == bob
    with pytest.raises(NotFound):
        await store.jobs.owner(his.id + 1)


# --- running now, and running again ---------------------------------------------------------------


@pytest.mark.parametrize("state", STORED)
async def test_a_waiting_job_can_run_now(store: Store, alice: UUID, state: State) -> None:
    """It is due now, planned for when it was; any other state is a conflict that names it."""
    job = await in_state(store, alice, state)
    now = START + MINUTE
    if state in WAITING:
        early = await store.jobs.run(alice, job.uuid, now)
        assert early == replace(job, scheduled_at=now)
        assert await dues(store, 10) == [Due(now, job.id, job.origin, job.path)]
    else:
        with pytest.raises(Conflict, match=f"job {job.id} is {state}"):
            await store.jobs.run(alice, job.id, now)
        assert await store.jobs.get(alice, job.id) == job


async def test_what_is_due_already_stays_where_it_is_in_the_queue(
    store: Store, alice: UUID
) -> None:
    """To run now is never to run later."""
    job = await created(store, alice)
    assert await store.jobs.run(alice, job.id, START + HOUR) == job


@pytest.mark.parametrize("state", STORED)
async def test_a_discarded_or_cancelled_job_can_run_again(
    store: Store, alice: UUID, state: State
) -> None:
    """It is due now, its end forgotten; any other state is a conflict that names it."""
    job = await in_state(store, alice, state)
    now = START + MINUTE
    if state in (State.DISCARDED, State.CANCELLED):
        again = await store.jobs.retry(alice, job.uuid, now)
        assert again == lifecycle.retry(job, now) == await store.jobs.get(alice, job.id)
        assert await dues(store, 10) == [Due(now, job.id, job.origin, job.path)]
    else:
        with pytest.raises(Conflict, match=f"job {job.id} is {state}"):
            await store.jobs.retry(alice, job.id, now)
        assert await store.jobs.get(alice, job.id) == job


async def test_a_job_that_was_never_tried_is_scheduled_again(store: Store, alice: UUID) -> None:
    """A cancelled one without an attempt goes back to where it came from."""
    job = await cancel(store, alice, (await created(store, alice)).id)
    again = await store.jobs.retry(alice, job.id, START)
    assert (again.state, again.attempt) == (State.SCHEDULED, 0)


async def test_a_job_whose_key_is_taken_does_not_run_again(store: Store, alice: UUID) -> None:
    """Two unfinished jobs of one key must not be; the one that has it now stays."""
    asked = Creation(wanted(alice, idempotency="key"))
    first = await cancel(store, alice, (await store.jobs.create(asked, START)).job.id)
    second = (await store.jobs.create(asked, START)).job
    with pytest.raises(Conflict, match=f"job {first.id}"):
        await store.jobs.retry(alice, first.id, START)
    assert await store.jobs.get(alice, first.id) == first
    assert await waiting(store) == [second.id]


@pytest.mark.parametrize("ref", [1, NOWHERE])
async def test_only_ones_own_jobs_can_run_now_or_again(
    store: Store, alice: UUID, bob: UUID, ref: int | UUID
) -> None:
    """Another user's job, and one that is not there, are not found."""
    job = await in_state(store, alice, State.DISCARDED)
    assert job.id == 1
    for asked in (store.jobs.run(bob, ref, START), store.jobs.retry(bob, ref, START)):
        with pytest.raises(NotFound):
            await asked
    assert await store.jobs.get(alice, job.id) == job


# --- the timers' side -----------------------------------------------------------------------------


async def test_due_gives_waiting_jobs_of_all_users_in_order_of_time(
    store: Store, alice: UUID, bob: UUID
) -> None:
    """An entry is the time, the number and the host; the order is by time, then by number."""
    late = (
        await store.jobs.create(Creation(wanted(alice, at=START + SECOND, host="a.test")), START)
    ).job
    early = (await store.jobs.create(Creation(wanted(bob, at=START, host="b.test")), START)).job
    tie = (await store.jobs.create(Creation(wanted(alice, at=START, host="c.test")), START)).job
    assert await dues(store, 10) == [
        Due(START, early.id, "https://b.test"),
        Due(START, tie.id, "https://c.test"),
        Due(START + SECOND, late.id, "https://a.test"),
    ]


async def test_due_gives_only_what_waits(store: Store, alice: UUID) -> None:
    """Of a job in each state, the scheduled and the retryable one wait for a time."""
    jobs = {state: (await in_state(store, alice, state)).id for state in STORED}
    assert await waiting(store) == sorted([jobs[State.SCHEDULED], jobs[State.RETRYABLE]])


@pytest.mark.parametrize("window", [1, 2, 3, 7, 10, 11])
async def test_windows_of_any_size_give_every_waiting_job_once(
    store: Store, alice: UUID, window: int
) -> None:
    """Ten jobs at three times, most of them equal: no window loses or repeats one at its edge."""
    offsets = [2, 1, 1, 1, 0, 1, 2, 1, 1, 0]
    jobs = [await created(store, alice, at=START + offset * SECOND) for offset in offsets]
    expected = [job.id for _, job in sorted(zip(offsets, jobs, strict=True), key=lambda p: p[0])]
    assert await waiting(store, window) == expected


async def test_due_begins_behind_what_is_given(store: Store, alice: UUID) -> None:
    """`after` need not exist any more: what lies behind its time and number is given."""
    jobs = [await created(store, alice) for _ in range(3)]
    await cancel(store, alice, jobs[1].id)
    assert await dues(store, 10, due(jobs[1])) == [due(jobs[2])]
    assert await dues(store, 10, Due(START - SECOND, 2**40, "x")) == [
        due(jobs[0]),
        due(jobs[2]),
    ]
    assert await dues(store, 10, due(jobs[2])) == []


async def test_a_time_before_1970_waits_like_any_other(store: Store, alice: UUID) -> None:
    """Times are signed: a job planned for 1960 is first."""
    recent = await created(store, alice)
    old = await created(store, alice, at=datetime(1960, 1, 1, tzinfo=START.tzinfo))
    assert await dues(store, 10) == [due(old), due(recent)]


async def test_due_of_gives_one_hosts_due_jobs(store: Store, alice: UUID, bob: UUID) -> None:
    """All users', nearest first, up to this very microsecond and no more than asked for."""
    late = await created(store, alice, at=START + SECOND, host="a.test")
    early = await created(store, bob, host="a.test")
    await created(store, alice, host="b.test")
    await begun(store, alice, host="a.test")
    before = START + SECOND - timedelta(microseconds=1)
    assert await store.queue.due_of("https://a.test", START + SECOND, 10) == [due(early), due(late)]
    assert await store.queue.due_of("https://a.test", before, 10) == [due(early)]
    assert await store.queue.due_of("https://a.test", START + SECOND, 1) == [due(early)]
    assert await store.queue.due_of("https://c.test", START + SECOND, 10) == []


# --- claiming -------------------------------------------------------------------------------------


async def test_a_claim_begins_an_attempt(store: Store, alice: UUID) -> None:
    """A claimed job executes, its attempt counted and dated, and does not wait any more."""
    job = await created(store, alice)
    now = START + SECOND
    (claimed,) = await claim(store, [due(job)], now)
    assert claimed == lifecycle.claim(job, now, claimed.owner)
    assert (claimed.state, claimed.attempt, claimed.epoch) == (State.EXECUTING, 1, 1)
    assert await store.jobs.get(alice, job.id) == claimed
    assert await waiting(store) == []


async def test_a_claim_takes_many_at_once(store: Store, alice: UUID, bob: UUID) -> None:
    """Jobs of all users are claimed together, in the order in which they were given."""
    jobs = [await created(store, user) for user in (alice, bob, alice)]
    claimed = await claim(store, [due(job) for job in reversed(jobs)], START)
    assert [job.id for job in claimed] == [job.id for job in reversed(jobs)]


@pytest.mark.parametrize("size", [500, 16_384, 16_385, 300_000])
async def test_a_claim_leaves_every_character_as_it_is(
    store: Store, alice: UUID, size: int
) -> None:
    """Quotes, control characters, NUL and emoji stay, in args of any size: `size` is in bytes."""
    odd = '"quoted" \\back\\ \t\r\n\x00\x01\x1f\x7f\u2028 \u00e4 \U0001f600 {}[],:'
    args = encode_args(Args(url=f"https://target.test/{odd}", name=odd))
    args += " " * (size - len(args.encode()))  # as JSON may end
    assert len(args.encode()) == size
    failing = await begun(store, alice)
    jobs = [
        await created(store, alice, args=args, name=odd, description=odd),
        await settle(store, failing, replace(retryable(failing, START), last_error=odd)),
        await scheduled(store, alice),
    ]
    claimed = await claim(store, [due(job) for job in jobs])
    for job, begins in zip(jobs, claimed, strict=True):
        assert begins.args == job.args
        assert begins == await store.jobs.get(alice, job.id)


async def test_a_claim_holds_only_for_the_time_it_was_armed_for(store: Store, alice: UUID) -> None:
    """An entry of another time, a microsecond off either way, is out of date and claims nothing."""
    job = await created(store, alice)
    for offset in (timedelta(microseconds=1), timedelta(microseconds=-1)):
        assert await claim(store, [Due(START + offset, job.id, job.origin, job.path)], START) == []
    assert await store.jobs.get(alice, job.id) == job


@pytest.mark.parametrize(
    "state", [state for state in STORED if state not in (State.SCHEDULED, State.RETRYABLE)]
)
async def test_what_does_not_wait_is_not_claimed(store: Store, alice: UUID, state: State) -> None:
    """An executing or finished job stays as it is, though its time is the one given."""
    job = await in_state(store, alice, state)
    assert await claim(store, [due(job)], START + SECOND) == []
    assert await store.jobs.get(alice, job.id) == job


async def test_one_lost_claim_does_not_spoil_the_others(store: Store, alice: UUID) -> None:
    """Between a cancelled job and one that never was, the waiting one is claimed."""
    gone, job = await created(store, alice), await created(store, alice)
    await cancel(store, alice, gone.id)
    claimed = await claim(store, [due(gone), due(job), Due(START, 99, "x")], START)
    assert [item.id for item in claimed] == [job.id]


async def test_a_job_that_is_in_a_claim_twice_is_claimed_once(store: Store, alice: UUID) -> None:
    """The timers may hold a job twice; two attempts of it must not begin together."""
    job = await created(store, alice)
    claimed = await claim(store, [due(job), due(job)], START)
    assert [(item.id, item.attempt) for item in claimed] == [(job.id, 1)]


async def test_of_simultaneous_claims_one_wins(store: Store, alice: UUID) -> None:
    """However many ask for a job at once, its attempt begins once."""
    job = await created(store, alice)
    responses = await asyncio.gather(*(claim(store, [due(job)], START) for _ in range(10)))
    assert sum(len(response) for response in responses) == 1


async def test_a_claim_asks_not_whether_the_time_has_come(store: Store, alice: UUID) -> None:
    """A clock stepped back between the timers and the claim loses nothing."""
    job = await created(store, alice)
    (claimed,) = await claim(store, [due(job)], START - timedelta(days=1))
    assert claimed.attempted_at == START - timedelta(days=1)


async def test_a_retry_is_claimed_at_its_own_time(store: Store, alice: UUID) -> None:
    """The second attempt counts on, and the planned time stays that of the first."""
    job = await in_state(store, alice, State.RETRYABLE)
    assert await claim(store, [Due(START, job.id, job.origin, job.path)], START) == []
    (claimed,) = await claim(store, [due(job)], job.scheduled_at)
    assert (claimed.attempt, claimed.planned_at) == (2, START)


async def test_an_empty_claim_claims_nothing(store: Store) -> None:
    """Nothing asked for is nothing begun."""
    assert await claim(store, [], START) == []


async def test_a_job_whose_request_cannot_be_read_does_not_stop_the_others(
    store: Store, alice: UUID
) -> None:
    """What was edited by hand is discarded with its reason, and the next job begins."""
    spoiled, job = await created(store, alice, args="{"), await created(store, alice)
    assert [item.id for item in await claim(store, [due(spoiled), due(job)])] == [job.id]
    after = await store.jobs.get(alice, spoiled.id)
    assert (after.state, after.discarded_at) == (State.DISCARDED, START)
    assert after.last_error is not None
    assert after.last_error.startswith("internal: ")


async def test_a_job_of_no_schedule_refers_to_nothing(store: Store, alice: UUID) -> None:
    """Only runs have `$previous` and `$state`."""
    job = await created(store, alice)
    (attempt,) = (await stores.turns(store, job)).begun
    assert (attempt.previous, attempt.state) == (None, None)


async def test_what_a_claim_reports_is_written_with_it(store: Store, alice: UUID) -> None:
    """The reports of each attempt are jobs that are to be armed; a lost claim reports nothing."""
    jobs = [await created(store, alice) for _ in range(2)]

    def announce(attempt: Attempt, _: datetime) -> Sequence[NewJob]:
        assert attempt.job.state is State.EXECUTING
        return [event_of(attempt.job)]

    seen = [DueJob(due(job), START) for job in jobs]
    claims = await store.queue.claim(seen, START, announce)
    assert [job.parent_id for job in claims.armed] == [job.id for job in jobs]
    assert await waiting(store) == [job.id for job in claims.armed]
    again = await store.queue.claim(seen, START, announce)
    assert list(again.armed) == []


# --- the log of attempts --------------------------------------------------------------------------

# What five attempts and a schedule write: a request with its response, or with its error, an error
# without a request, a request without what came of it, and something else.
WRITTEN = (
    (REQUEST, RESPONSE),
    (REQUEST, ERROR),
    (ERROR,),
    (REQUEST,),
    (REQUEST, RESPONSE, SKIPPED),
)


async def attempts_logged(store: Store, user: UUID) -> list[LogEntry]:
    """Settle attempts of one job with the entries of `WRITTEN`; return them oldest first."""
    job = await created(store, user)
    for number, events in enumerate(WRITTEN):
        at = START + number * SECOND
        (executing,) = await claim(store, await dues(store, 1), at)
        entries = [
            entry(executing, event, at=at + place * timedelta(milliseconds=1), payload=f"{place}")
            for place, event in enumerate(events)
        ]
        await settle(store, executing, retryable(executing, at), entries)
    return list(await store.logs.list(user, page(descending=False), job.id, None))


async def test_a_list_of_the_log_has_every_entry_as_it_was_written(
    store: Store, alice: UUID
) -> None:
    """Each has its event, time, payload and an id of its own, by which it is found."""
    entries = await attempts_logged(store, alice)
    expected = [
        (event, START + number * SECOND + place * timedelta(milliseconds=1), f"{place}")
        for number, events in enumerate(WRITTEN)
        for place, event in enumerate(events)
    ]
    assert [(item.event, item.inserted_at, item.payload) for item in entries] == expected
    assert len({item.id for item in entries}) == len(entries)
    for item in entries:
        assert await store.logs.get(alice, item.id) == item


@pytest.mark.parametrize("event", [None, *EVENTS])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("is_of_job", [False, True])
async def test_pages_of_the_log_follow_each_other_whatever_their_size(
    store: Store, alice: UUID, event: str | None, descending: bool, is_of_job: bool
) -> None:
    """By cursor as by offset, no entry is left out or shown twice, a pair's halves neither."""
    entries = await attempts_logged(store, alice)
    job_id = entries[0].job_id if is_of_job else None
    wanted = [item for item in entries if event in (None, item.event)]
    if descending:
        wanted.reverse()
    for size in range(1, len(wanted) + 2):
        found, place = list[LogEntry](), Place()
        while True:
            part = Page(size, "inserted_at", descending, place)
            got = await store.logs.list(alice, part, job_id, event)
            found += got
            if got.rest is None:
                break
            place = got.rest
        assert found == wanted
    for skip in range(len(wanted) + 2):
        part = page(2, skip, descending=descending)
        assert list(await store.logs.list(alice, part, job_id, event)) == wanted[skip : skip + 2]
    for number, item in enumerate(wanted):
        place = Place(is_behind=True, id=item.id.int, skip=1)
        part = Page(100, "inserted_at", descending, place)
        assert list(await store.logs.list(alice, part, job_id, event)) == wanted[number + 2 :]


# --- webhooks -------------------------------------------------------------------------------------


def event_of(job: Job) -> NewJob:
    """Return a webhook event about a job, due at `START`."""
    return wanted(job.user_id, host="hooks.test", kind=Kind.WEBHOOK, parent_id=job.id)


async def events(store: Store, job: Job, count: int) -> list[Job]:
    """Store events about a job."""
    asked = [Creation(event_of(job)) for _ in range(count)]
    responses = await store.jobs.create_many(asked, START, atomic=True)
    return [response.job for response in responses if isinstance(response, Created)]


async def test_an_event_waits_until_those_before_it_were_tried(store: Store, alice: UUID) -> None:
    """First sends go in order (contract §7): while the first executes, the second is held."""
    first, second, third = await events(store, await created(store, alice), 3)
    claims = await stores.turns(store, first, second, third)
    (attempt,) = claims.begun
    assert attempt.job.id == first.id
    assert [job.id for job in claims.held] == [second.id, third.id]
    done = attempt.job
    settlement = Settlement(done, completed(done), START, [])
    assert [job.id for job in (await store.queue.settle(settlement)).armed] == [second.id]
    claims = await stores.turns(store, third, second)
    assert [attempt.job.id for attempt in claims.begun] == [second.id]


async def test_an_event_that_is_retried_holds_back_no_other(store: Store, alice: UUID) -> None:
    """After its first try the next may go, and so may its retry, whatever is on its way."""
    first, second = await events(store, await created(store, alice), 2)
    (executing,) = await claim(store, [due(first)])
    later = START + MINUTE
    settlement = Settlement(executing, retryable(executing, later), START, [])
    settled = await store.queue.settle(settlement)
    assert [job.id for job in settled.armed] == [second.id]
    assert len(await claim(store, [due(second)])) == 1
    assert [job.attempt for job in await claim(store, [due(settled.job)], later)] == [2]


async def test_a_second_try_on_its_way_holds_back_no_event(store: Store, alice: UUID) -> None:
    """Only what was never tried comes first."""
    first, second = await events(store, await created(store, alice), 2)
    (executing,) = await claim(store, [due(first)])
    failed = await settle(store, executing, retryable(executing, START))
    assert len(await claim(store, [due(failed)])) == 1
    assert len(await claim(store, [due(second)])) == 1


async def test_the_events_of_two_jobs_do_not_wait_for_each_other(store: Store, alice: UUID) -> None:
    """The order is that of one job; a callback has no order at all."""
    one, other = await created(store, alice), await created(store, alice)
    (first,), (second,) = await events(store, one, 1), await events(store, other, 1)
    callback = await created(store, alice, kind=Kind.CALLBACK, parent_id=one.id)
    assert len(await claim(store, [due(first), due(second), due(callback)])) == 3


async def test_events_of_a_cancelled_one_before_them_may_go(store: Store, alice: UUID) -> None:
    """What will never be sent holds nothing back, and its end says that the next may go."""
    first, second = await events(store, await created(store, alice), 2)
    changed = await store.jobs.cancel(alice, first.id, START, nothing)
    assert [job.id for job in changed.jobs] == [first.id, second.id]
    assert [job.id for job in await claim(store, [due(second)])] == [second.id]


# --- settling, releasing, rescuing ----------------------------------------------------------------


@pytest.mark.parametrize("state", [State.COMPLETED, State.DISCARDED, State.RETRYABLE])
async def test_settling_writes_the_job_and_its_entries(
    store: Store, alice: UUID, state: State
) -> None:
    """What an attempt made of its job is stored together with what it logged."""
    job = await begun(store, alice)
    settled = {
        State.COMPLETED: completed(job, START + SECOND),
        State.DISCARDED: discarded(job, START + SECOND),
        State.RETRYABLE: retryable(job, START + 17 * SECOND),
    }[state]
    entries = [entry(job, REQUEST, payload='{"url":"x"}'), entry(job, RESPONSE, at=START + SECOND)]
    assert await settle(store, job, settled, entries) == settled
    assert await store.jobs.get(alice, job.id) == settled
    logged = await store.logs.list(alice, page(descending=False), job.id, None)
    assert [(item.event, item.inserted_at, item.payload) for item in logged] == [
        (REQUEST, START, '{"url":"x"}'),
        (RESPONSE, START + SECOND, "{}"),
    ]


async def test_a_job_cancelled_meanwhile_stays_cancelled_and_is_still_logged(
    store: Store, alice: UUID
) -> None:
    """The lost race writes the entries alone and returns the job as it stands (contract §4)."""
    job = await begun(store, alice)
    cancelled = await cancel(store, alice, job.id, START + SECOND)
    assert await settle(store, job, completed(job), [entry(job)]) == cancelled
    assert await store.jobs.get(alice, job.id) == cancelled
    assert len(await store.logs.list(alice, page(), job.id, None)) == 1


async def test_an_attempt_that_is_no_longer_the_jobs_own_changes_nothing(
    store: Store, alice: UUID
) -> None:
    """A result of attempt 1 that comes during attempt 2 is logged and does not end attempt 2."""
    first = await begun(store, alice)
    await settle(store, first, retryable(first, START), [])
    (second,) = await claim(store, [Due(START, first.id, first.origin, first.path)], START)
    assert await settle(store, first, completed(first), [entry(first)]) == second
    assert await store.jobs.get(alice, first.id) == second


async def test_settle_and_cancel_at_once_leave_one_end(store: Store, alice: UUID) -> None:
    """Whoever comes first wins, and both are told the same end."""
    for _ in range(10):
        job = await begun(store, alice)
        settled, cancelled = await asyncio.gather(
            settle(store, job, completed(job), []), cancel(store, alice, job.id)
        )
        assert settled == cancelled == await store.jobs.get(alice, job.id)


async def test_a_released_attempt_is_as_if_it_had_never_begun(store: Store, alice: UUID) -> None:
    """A first attempt goes back to scheduled, a second to retryable; neither is counted."""
    first = await begun(store, alice)
    retried = await in_state(store, alice, State.RETRYABLE)
    (second,) = await claim(store, [due(retried)], START)
    await store.queue.release([first, second])
    unsent, tried = [await store.jobs.get(alice, job.id) for job in (first, second)]
    assert (unsent.state, unsent.attempt, unsent.scheduled_at) == (State.SCHEDULED, 0, START)
    assert (tried.state, tried.attempt) == (State.RETRYABLE, 1)
    assert tried.scheduled_at == retried.scheduled_at
    assert await waiting(store) == [first.id, second.id]


async def test_only_what_still_executes_is_released(store: Store, alice: UUID) -> None:
    """Of four claimed jobs, the cancelled, the settled and the gone one stay as they are."""
    left, cancelled, settled, gone = [await begun(store, alice) for _ in range(4)]
    cancelled_now = await cancel(store, alice, cancelled.id)
    settled_now = await settle(store, settled, completed(settled))
    await store.queue.release([cancelled, settled, replace(gone, id=99), left])
    assert await store.jobs.get(alice, cancelled.id) == cancelled_now
    assert await store.jobs.get(alice, settled.id) == settled_now
    assert await store.jobs.get(alice, gone.id) == gone
    assert (await store.jobs.get(alice, left.id)).state is State.SCHEDULED


async def test_an_older_claim_settles_and_releases_nothing(store: Store, alice: UUID) -> None:
    """A job that was given back and claimed again is at the same attempt, by another claim."""
    older = await begun(store, alice)
    await store.queue.release([older])
    (newer,) = await claim(store, [due(older)])
    assert (newer.attempt, newer.epoch) == (older.attempt, older.epoch + 1)
    await store.queue.release([older])
    assert await settle(store, older, completed(older), [entry(older)]) == newer
    assert await store.jobs.get(alice, older.id) == newer
    assert len(await store.logs.list(alice, page(), older.id, None)) == 1
    assert await settle(store, newer, completed(newer)) == completed(newer)


async def test_another_process_settles_nothing_that_it_has_not_claimed(
    store: Store, restart: Restart, alice: UUID
) -> None:
    """What this process claimed is not its successor's: owners are told apart."""
    job = await begun(store, alice)
    store = await restart()
    assert job.owner != 0
    forged = replace(job, owner=job.owner + 1)
    assert await settle(store, forged, completed(forged)) == job


async def test_a_rescue_leaves_this_process_its_own_claims(
    store: Store, restart: Restart, alice: UUID
) -> None:
    """It takes what an owner that is gone has left, whenever it is called."""
    left = await begun(store, alice)
    assert await store.queue.rescue(START, nothing) == 0
    store = await restart()
    own = await begun(store, alice)
    assert await store.queue.rescue(START, nothing) == 1
    assert (await store.jobs.get(alice, left.id)).state is State.RETRYABLE
    assert await store.jobs.get(alice, own.id) == own


async def test_a_rescue_makes_what_was_executing_due_again_and_counts_it(
    store: Store, restart: Restart, alice: UUID, bob: UUID
) -> None:
    """Jobs cut off by a crash wait for now, attempt kept, with the reason logged (contract §8)."""
    jobs = [await begun(store, user) for user in (alice, bob)]
    now = START + timedelta(hours=1)
    store = await restart()
    assert await store.queue.rescue(now, nothing) == 2
    for job in jobs:
        rescued = await store.jobs.get(job.user_id, job.id)
        assert (rescued.state, rescued.attempt) == (State.RETRYABLE, 1)
        assert (rescued.scheduled_at, rescued.interruptions) == (now, 1)
        (logged,) = await store.logs.list(job.user_id, page(), job.id, None)
        assert (logged.event, logged.inserted_at) == (ERROR, now)
    assert await dues(store, 10) == [Due(now, job.id, job.origin, job.path) for job in jobs]


async def test_what_a_settlement_reports_is_written_with_it(store: Store, alice: UUID) -> None:
    """Its reports are jobs to arm; if the race was lost there are none."""
    job, lost = await begun(store, alice), await begun(store, alice)
    settlement = Settlement(job, completed(job), START, [entry(job)], [event_of(job)])
    (report,) = (await store.queue.settle(settlement)).armed
    assert (report.kind, report.parent_id, report.inserted_at) == (Kind.WEBHOOK, job.id, START)
    await cancel(store, alice, lost.id)
    settlement = Settlement(lost, completed(lost), START, [entry(lost)], [event_of(lost)])
    assert list((await store.queue.settle(settlement)).armed) == []
    assert await waiting(store) == [report.id]


async def test_a_rescue_reports_what_was_cut_off(
    store: Store, restart: Restart, alice: UUID
) -> None:
    """Each attempt that died is announced, as it was when it died."""
    job = await begun(store, alice)
    await created(store, alice, at=START + HOUR)
    announced = list[tuple[Job, Job]]()

    def announce(attempt: Attempt, rescued: Job, _: datetime) -> Sequence[NewJob]:
        announced.append((attempt.job, rescued))
        return [event_of(attempt.job)]

    store = await restart()
    await store.queue.rescue(START, announce)
    assert announced == [(job, lifecycle.rescue(job, START))]
    assert len(await ids(store, alice, page(), kinds=(Kind.WEBHOOK,))) == 1


async def test_a_rescue_takes_along_what_cannot_be_read(
    store: Store, restart: Restart, alice: UUID
) -> None:
    """A request that was edited by hand while it executed stops no start."""
    job, executing = await begun(store, alice), await begun(store, alice)
    spoiled = await settle(store, executing, replace(executing, args="{"))
    assert spoiled.state is State.EXECUTING

    def announce(attempt: Attempt, *_: Job | datetime) -> Sequence[NewJob]:
        return [event_of(attempt.job)]

    now = START + SECOND
    store = await restart()
    assert await store.queue.rescue(now, announce) == 2
    assert [await store.jobs.get(alice, item.id) for item in (job, spoiled)] == [
        lifecycle.rescue(item, now) for item in (job, spoiled)
    ]
    (report,) = await store.jobs.list(alice, page(), JobFilter(kinds=(Kind.WEBHOOK,)), now)
    assert report.parent_id == job.id


async def test_a_suspect_begins_alone_and_is_discarded_at_the_next_crash(
    store: Store, restart: Restart, alice: UUID
) -> None:
    """Three crashes make a job a suspect: a claim beside others leaves it, one alone does not."""
    job = await begun(store, alice)
    store = await restart()
    await store.queue.rescue(START, nothing)
    for _ in range(2):
        await claim(store, await dues(store, 1))
        store = await restart()
        await store.queue.rescue(START, nothing)
    other = await created(store, alice)
    seen = [DueJob(item, START) for item in await dues(store, 2)]
    claims = await store.queue.claim(seen, START, nothing)
    assert [attempt.job.id for attempt in claims.begun] == [other.id]
    assert [(item.seen.due.id, item.crashes) for item in claims.suspects] == [(job.id, 3)]
    seen = [item.seen for item in claims.suspects]
    claims = await store.queue.claim(seen, START, nothing, Admit.ALONE)
    assert [attempt.job.attempt for attempt in claims.begun] == [4]
    store = await restart()
    assert await store.queue.rescue(START, nothing) == 2
    assert (await store.jobs.get(alice, job.id)).state is State.DISCARDED
    assert (await store.jobs.get(alice, other.id)).state is State.RETRYABLE


@pytest.mark.parametrize("admit", [Admit.ALONE, Admit.IN_COMPANY])
async def test_a_suspect_in_company_is_not_blamed(
    store: Store, restart: Restart, alice: UUID, admit: Admit
) -> None:
    """One that was never alone, or is so no longer, is a suspect again with one crash more."""
    job = await begun(store, alice)
    store = await restart()
    await store.queue.rescue(START, nothing)
    for _ in range(2):
        await claim(store, await dues(store, 1))
        store = await restart()
        await store.queue.rescue(START, nothing)
    seen = [DueJob(item, START) for item in await dues(store, 1)]
    claims = await store.queue.claim(seen, START, nothing, admit)
    assert [attempt.job.id for attempt in claims.begun] == [job.id]
    await store.queue.accompany()
    store = await restart()
    await store.queue.rescue(START, nothing)
    again = await store.jobs.get(alice, job.id)
    assert (again.state, again.interruptions) == (State.RETRYABLE, 4)


async def test_a_claim_by_another_time_or_origin_begins_nothing(store: Store, alice: UUID) -> None:
    """The job that waits elsewhere by now is returned to be armed there."""
    job = await created(store, alice)
    entry = due(job)
    for stale in (entry._replace(at=START - SECOND), entry._replace(origin="https://old.test")):
        claims = await store.queue.claim([DueJob(stale, START)], START, nothing)
        assert (claims.begun, [armed.id for armed in claims.armed]) == ([], [job.id])
    both = [DueJob(entry._replace(origin="https://old.test"), START), DueJob(entry, START)]
    assert len((await store.queue.claim(both, START, nothing)).begun) == 1


async def test_a_scan_leaves_out_what_is_due_of_some_origins(store: Store, alice: UUID) -> None:
    """What is due later is there all the same, and the scan says how far it looked."""
    first = await created(store, alice, host="a.test")
    second = await created(store, alice, host="b.test")
    later = await created(store, alice, host="a.test", at=START + SECOND)
    scan = await store.queue.due(None, 10, START, ["https://a.test"])
    assert (scan.found, scan.until) == ([due(second), due(later)], None)
    scan = await store.queue.due(None, 1, START, ["https://a.test"])
    assert (scan.found, scan.until) == ([], due(first))


async def test_known_jobs_of_an_origin_are_not_returned_again(store: Store, alice: UUID) -> None:
    """They neither hide the others nor count."""
    first, second, third = [await created(store, alice) for _ in range(3)]
    found = await store.queue.due_of(first.origin, START, 1, [first.id, third.id])
    assert found == [due(second)]


async def test_a_probe_is_the_oldest_job_of_a_path_not_probed_lately(
    store: Store, alice: UUID
) -> None:
    """Where all paths were, it is the oldest of the one that was probed longest ago."""
    at = [START + number * SECOND for number in range(4)]
    bad, _, worse, good = [
        await created(store, alice, at=at[number], path=path)
        for number, path in enumerate((1, 1, 2, 3))
    ]

    async def probe(*paths: int, known: Sequence[int] = ()) -> Due | None:
        return await store.queue.probe_of(bad.origin, at[3], known, paths)

    assert await probe() == due(bad)
    assert await probe(1, 2) == due(good)
    assert await probe(2, 1, 3) == due(worse)
    assert await probe(1, 2, 3) == due(bad)
    assert await probe(1, 2, known=[good.id]) == due(bad)
    assert await store.queue.probe_of("https://other.test", at[3], (), ()) is None


async def test_a_rescue_leaves_everything_else_alone(
    store: Store, restart: Restart, alice: UUID
) -> None:
    """Only executing jobs are touched; a second rescue finds none."""
    jobs = {state: await in_state(store, alice, state) for state in STORED}
    store = await restart()
    assert await store.queue.rescue(START, nothing) == 1
    assert await store.queue.rescue(START, nothing) == 0
    for state in set(STORED) - {State.EXECUTING}:
        assert await store.jobs.get(alice, jobs[state].id) == jobs[state]


async def test_the_last_attempt_is_rescued_too(store: Store, restart: Restart, alice: UUID) -> None:
    """A crash in the last attempt does not eat the job: it is made once more (contract §8)."""
    job = await created(store, alice, max_attempts=1)
    await claim(store, [due(job)], START)
    store = await restart()
    await store.queue.rescue(START + SECOND, nothing)
    entry = Due(START + SECOND, job.id, job.origin, job.path)
    (again,) = await claim(store, [entry], START + SECOND)
    assert (again.attempt, again.max_attempts) == (2, 1)


async def test_what_lifecycle_makes_of_a_job_comes_back_as_it_was_written(
    store: Store, restart: Restart, alice: UUID
) -> None:
    """The store keeps every field that `lifecycle` writes, through claim, rescue and claim."""
    job = await begun(store, alice)
    store = await restart()
    await store.queue.rescue(START + SECOND, nothing)
    (claimed,) = await claim(store, await dues(store, 1), START + 2 * SECOND)
    rescued = lifecycle.rescue(job, START + SECOND)
    expected = lifecycle.claim(rescued, START + 2 * SECOND, claimed.owner)
    assert claimed.owner != job.owner
    assert claimed == expected == await store.jobs.get(alice, job.id)


# --- logs -----------------------------------------------------------------------------------------


async def logged(store: Store, user: UUID, *events: str) -> Job:
    """Store a job with log entries of these events, a second apart, and return it."""
    job = await begun(store, user)
    entries = [entry(job, event, at=START + n * SECOND) for n, event in enumerate(events)]
    return await settle(store, job, completed(job), entries)


async def test_log_entries_are_listed_newest_first_or_oldest_first(
    store: Store, alice: UUID
) -> None:
    """Entries keep the order in which they were written, those of one moment too."""
    job = await begun(store, alice)
    events = [REQUEST, RESPONSE, ERROR]
    await settle(store, job, completed(job), [entry(job, event) for event in events])
    rising = await store.logs.list(alice, page(descending=False), None, None)
    falling = await store.logs.list(alice, page(descending=True), None, None)
    assert [item.event for item in rising] == events
    assert [item.event for item in falling] == events[::-1]


async def test_log_entries_can_be_of_one_job_or_one_event(store: Store, alice: UUID) -> None:
    """Both filters narrow the list, together as well."""
    first = await logged(store, alice, REQUEST, RESPONSE)
    second = await logged(store, alice, REQUEST, ERROR)

    async def found(job_id: int | None, event: str | None) -> list[tuple[int, str]]:
        entries = await store.logs.list(alice, page(descending=False), job_id, event)
        return [(item.job_id, item.event) for item in entries]

    assert await found(first.id, None) == [(first.id, REQUEST), (first.id, RESPONSE)]
    assert await found(None, REQUEST) == [(first.id, REQUEST), (second.id, REQUEST)]
    assert await found(second.id, ERROR) == [(second.id, ERROR)]
    assert await found(first.id, ERROR) == []
    assert await found(99, None) == []


async def test_pages_make_up_the_whole_log(store: Store, alice: UUID) -> None:
    """Five entries in pages of two: 2, 2, 1 and none."""
    await logged(store, alice, *[REQUEST] * 5)
    whole = await store.logs.list(alice, page(), None, None)
    parts = [await store.logs.list(alice, page(2, offset), None, None) for offset in (0, 2, 4, 6)]
    assert [len(part) for part in parts] == [2, 2, 1, 0]
    assert [item for part in parts for item in part] == list(whole)


async def test_a_log_entry_is_found_by_its_id(store: Store, alice: UUID) -> None:
    """An entry read alone is the entry of the list; an unknown one is not found."""
    await logged(store, alice, REQUEST)
    (listed,) = await store.logs.list(alice, page(), None, None)
    assert await store.logs.get(alice, listed.id) == listed
    with pytest.raises(NotFound):
        await store.logs.get(alice, NOWHERE)


async def test_users_do_not_see_each_others_log(store: Store, alice: UUID, bob: UUID) -> None:
    """Another user's entry is not there: not by id, not in a list, not by its job."""
    job = await logged(store, alice, REQUEST)
    (hers,) = await store.logs.list(alice, page(), None, None)
    with pytest.raises(NotFound):
        await store.logs.get(bob, hers.id)
    assert len(await store.logs.list(bob, page(), None, None)) == 0
    assert len(await store.logs.list(bob, page(), job.id, None)) == 0
    assert len(await store.logs.list(bob, page(), None, REQUEST)) == 0


async def test_the_log_of_reports_is_shown_with_their_job_alone(store: Store, alice: UUID) -> None:
    """Entries of callbacks and webhooks are found by their job's number (contract §7)."""
    job = await logged(store, alice, REQUEST)
    (event,) = await events(store, job, 1)
    (executing,) = await claim(store, [due(event)])
    await settle(store, executing, completed(executing), [entry(executing)])
    shown = await store.logs.list(alice, page(), None, None)
    assert [item.job_id for item in shown] == [job.id]
    assert len(await store.logs.list(alice, page(), event.id, None)) == 1


# --- pauses ---------------------------------------------------------------------------------------


async def test_paused_hosts_are_listed_once_each(store: Store) -> None:
    """Pausing twice is pausing; resuming what is not paused is nothing."""
    assert await paused(store) == []
    for host in ("b.test", "a.test", "b.test"):
        await store.pauses.add(host, START)
    assert await paused(store) == ["a.test", "b.test"]
    await store.pauses.remove("c.test", START)
    await store.pauses.remove("b.test", START)
    assert await paused(store) == ["a.test"]


async def test_resuming_all_hosts_ends_every_pause(store: Store) -> None:
    """That of all and those of single ones."""
    for host in ("a.test", ALL_TARGETS, "b.test"):
        await store.pauses.add(host, START)
    assert ALL_TARGETS in await paused(store)
    await store.pauses.remove("a.test", START)
    assert await paused(store) == sorted([ALL_TARGETS, "b.test"])
    await store.pauses.remove(ALL_TARGETS, START)
    assert await paused(store) == []


async def test_pauses_outlive_the_process(opening: Opening, tmp_path: Path) -> None:
    """A restart resumes nothing."""
    async with opening(tmp_path) as store:
        await store.pauses.add("a.test", START)
    async with opening(tmp_path) as store:
        assert await paused(store) == ["a.test"]


# --- keys -----------------------------------------------------------------------------------------


async def test_the_first_key_makes_the_first_user(store: Store) -> None:
    """A key of no named user makes one where there is none, and joins the first from then on."""
    first = await store.keys.create(key("first"), START)
    second = await store.keys.create(key("second"), START + SECOND)
    assert (first.user, first.name, first.inserted_at) == (DEFAULT_USER, "first", START)
    assert first.revoked_at is None
    assert second.user_id == first.user_id


async def test_a_key_of_no_named_user_is_the_oldest_users(store: Store) -> None:
    """With alice before bob, a key without a user is alice's."""
    alice = await store.keys.create(key("alice's", user="alice"), START)
    await store.keys.create(key("bob's", user="bob"), START + SECOND)
    third = await store.keys.create(key("third"), START + 2 * SECOND)
    assert (third.user, third.user_id) == ("alice", alice.user_id)


async def test_a_named_user_is_made_once(store: Store) -> None:
    """Keys of one name are one user's, also if they come at the same time."""
    made = await asyncio.gather(
        *(store.keys.create(key(str(number), user="alice"), START) for number in range(10))
    )
    assert len({item.user_id for item in made}) == 1
    assert len({item.id for item in made}) == 10
    other = await store.keys.create(key("bob's", user="bob"), START)
    assert other.user_id != made[0].user_id


async def test_a_user_may_have_no_key(store: Store) -> None:
    """One is made by its name alone, once, and is the one that keys of that name are made for."""
    users = await asyncio.gather(*(store.keys.user("carol", START) for _ in range(10)))
    assert len(set(users)) == 1
    made = await store.keys.create(key("carol's", user="carol"), START)
    assert await store.keys.user("carol", START) == made.user_id == users[0]
    dave = await store.keys.create(key("dave's", user="dave"), START)
    assert await store.keys.user("dave", START) == dave.user_id


async def test_keys_are_listed_in_order_of_creation(store: Store) -> None:
    """All keys of all users are in the list, revoked ones too."""
    keys = [
        await store.keys.create(
            key(f"key {number}", user=f"user {number % 2}"), START + number * SECOND
        )
        for number in range(4)
    ]
    revoked = await store.keys.revoke(keys[1].id, START)
    assert await store.keys.list() == [keys[0], revoked, keys[2], keys[3]]


async def test_a_key_is_found_by_its_digest(store: Store) -> None:
    """What was stored is found; an unknown digest is None."""
    made = await store.keys.create(key("mine"), START)
    assert await store.keys.find(made.digest) == made
    assert await store.keys.find(sha256(b"another").digest()) is None
    assert await store.keys.find(b"") is None


async def test_a_revoked_key_is_still_known_as_revoked(store: Store) -> None:
    """Revoking dates the key, once; a second time changes nothing, and others are untouched."""
    made = await store.keys.create(key("mine"), START)
    other = await store.keys.create(key("other"), START)
    revoked = await store.keys.revoke(made.id, START + SECOND)
    assert revoked.revoked_at == START + SECOND
    assert await store.keys.find(made.digest) == revoked
    assert await store.keys.revoke(made.id, START + 2 * SECOND) == revoked
    assert await store.keys.find(other.digest) == other


async def test_a_key_keeps_its_scope(opening: Opening, tmp_path: Path) -> None:
    """Each scope is stored as it was asked for, after a restart and a revoke too; write if none."""
    async with opening(tmp_path) as store:
        for scope in Scope:
            made = await store.keys.create(replace(key(scope), scope=scope), START)
            assert made.scope is scope
            assert (await store.keys.revoke(made.id, START)).scope is scope
        assert (await store.keys.create(key("plain"), START)).scope is Scope.WRITE
    async with opening(tmp_path) as store:
        found = {item.name: item.scope for item in await store.keys.list()}
    assert found == {**{scope.value: scope for scope in Scope}, "plain": Scope.WRITE}


async def test_an_unknown_key_cannot_be_revoked(store: Store) -> None:
    """Revoking what is not there says so."""
    with pytest.raises(NotFound):
        await store.keys.revoke(NOWHERE, START)


async def asked_and_left(asked: asyncio.Task[object], store: Store) -> None:
    """Cancel a caller that waits for its change, and let the store finish what it has begun."""
    begun = asyncio.Event()
    asyncio.get_running_loop().call_soon(begun.set)
    await begun.wait()
    asked.cancel()
    await asyncio.wait({asked})
    await store.pauses.add("written after it", START)


async def test_what_a_cancelled_caller_did_to_keys_is_known_at_once(
    opening: Opening, tmp_path: Path
) -> None:
    """Done or not done: a key works just as it will after a restart, whoever stopped waiting."""
    async with opening(tmp_path) as store:
        made = await store.keys.create(key("old"), START)
        revoking: asyncio.Task[object] = asyncio.create_task(store.keys.revoke(made.id, START))
        await asked_and_left(revoking, store)
        creating: asyncio.Task[object] = asyncio.create_task(store.keys.create(key("new"), START))
        await asked_and_left(creating, store)
        names = ("old", "new")
        now = [await store.keys.find(key(name).digest) for name in names]
    async with opening(tmp_path) as store:
        assert [await store.keys.find(key(name).digest) for name in names] == now


# --- the whole ------------------------------------------------------------------------------------


async def test_a_store_that_can_write_says_so(store: Store) -> None:
    """The check can be made as often as one likes."""
    await store.check_writable(START)
    await store.check_writable(START + SECOND)


async def test_readers_see_a_job_and_its_entries_change_together(store: Store, alice: UUID) -> None:
    """Whenever the entries of an attempt can be read, its job has already moved on."""
    jobs = [await begun(store, alice) for _ in range(20)]

    async def watch(job: Job) -> Sequence[object]:
        while not (found := await store.logs.list(alice, page(), job.id, None)):
            pass
        assert (await store.jobs.get(alice, job.id)).state is State.COMPLETED
        return found.items

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(watch(job))
            group.create_task(settle(store, job, completed(job), [entry(job)]))


async def test_entries_and_job_are_written_in_one_transaction(tmp_path: Path) -> None:
    """Where the job cannot be written its entries are not, and where they cannot, it is not."""
    async with sqlite(tmp_path) as store:
        alice = (await store.keys.create(key("alice's"), START)).user_id
        job = await begun(store, alice)
        ownerless = NewEntry(NOWHERE, job.id, job.kind, REQUEST, START, "{}")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            await settle(store, job, completed(job), [entry(job), ownerless])
        undated = replace(job, state=State.COMPLETED)
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            await settle(store, job, undated, [entry(job)])
        assert await store.jobs.get(alice, job.id) == job
        assert len(await store.logs.list(alice, page(), None, None)) == 0

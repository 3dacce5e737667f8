"""What every store must do with many jobs: filters, pages, and changes of all that match."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.errors import BatchRefused, Conflict
from booper.model.args import Args, encode_args
from booper.model.job import FINISHED, OWN_KINDS, REPORTS, Job, Kind, NewJob, State
from booper.model.schedule import Conflict as OnConflict
from booper.store.base import Store
from booper.store.values import BulkResult, Created, Creation, JobFilter
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    HOUR,
    MINUTE,
    NOWHERE,
    SECOND,
    STORED,
    claim,
    created,
    due,
    ids,
    in_state,
    nothing,
    page,
    repeating,
    scheduled,
    waiting,
    wanted,
)

pytestmark = pytest.mark.anyio

opening, process = stores.opening, stores.process
store, alice, bob = stores.store, stores.alice, stores.bob

ORDERS = [(field, falling) for field in ("id", "inserted_at", "scheduled_at") for falling in (0, 1)]
EVERY_KIND = tuple(Kind)
INSTANT = timedelta(microseconds=1)


def to(url: str) -> str:
    """Return the args of a job that is sent to a URL."""
    return encode_args(Args(url=url))


async def many(store: Store, user: UUID, count: int, **fields: object) -> list[int]:
    """Store equal jobs in one transaction and return their numbers."""
    asked = [Creation(wanted(user, **fields))] * count  # type: ignore[arg-type]
    responses = await store.jobs.create_many(asked, START, atomic=True)
    return [response.job.id for response in responses if isinstance(response, Created)]


# --- filters --------------------------------------------------------------------------------------


async def test_a_filter_of_several_states_finds_the_jobs_of_each(store: Store, alice: UUID) -> None:
    """Every pair of states finds its two jobs; no state at all means every state."""
    jobs = {state: (await in_state(store, alice, state)).id for state in STORED}
    for one in STORED:
        for other in STORED:
            found = await ids(store, alice, page(descending=False), one, other)
            assert found == sorted({jobs[one], jobs[other]})
    assert await ids(store, alice, page(descending=False)) == sorted(jobs.values())


async def test_scheduled_and_available_together_are_what_was_never_tried(
    store: Store, alice: UUID
) -> None:
    """Due or not: both halves of the stored state are found."""
    later, due_now = [await created(store, alice, at=at) for at in (START + HOUR, START)]
    both = (State.SCHEDULED, State.AVAILABLE)
    assert sorted(await ids(store, alice, page(), *both)) == [later.id, due_now.id]
    assert await ids(store, alice, page(), State.AVAILABLE) == [due_now.id]


async def test_a_tag_finds_the_jobs_that_carry_it(store: Store, alice: UUID, bob: UUID) -> None:
    """One of several tags is enough; another user's jobs of that tag are not there."""
    both = await created(store, alice, tags=("nightly", "mail"))
    nightly = await created(store, alice, tags=("nightly",))
    await created(store, alice)
    await created(store, bob, tags=("nightly",))
    assert await ids(store, alice, page(), tag="nightly") == [nightly.id, both.id]
    assert await ids(store, alice, page(), tag="mail") == [both.id]
    assert await ids(store, alice, page(), tag="night") == []
    assert await ids(store, alice, page(), tag="Mail") == []


async def test_a_tag_named_twice_is_one_tag(store: Store, alice: UUID) -> None:
    """The job is there, and once."""
    job = await created(store, alice, tags=("mail", "mail"))
    assert await ids(store, alice, page(), tag="mail") == [job.id]


async def test_the_tags_of_a_schedule_are_on_every_run(store: Store, alice: UUID) -> None:
    """The first run and the one that is planned after it."""
    run = await scheduled(store, alice, tags=["nightly"])
    await claim(store, [due(run)])
    assert len(await ids(store, alice, page(), tag="nightly")) == 2


async def test_a_schedule_finds_its_own_jobs(store: Store, alice: UUID) -> None:
    """Its planned runs and those beside the plan, no others'."""
    run, other = [await scheduled(store, alice) for _ in range(2)]
    assert run.schedule_id is not None
    extra = wanted(alice, schedule_id=run.schedule_id)
    beside = await store.schedules.run(alice, run.schedule_id, extra, START)
    assert await ids(store, alice, page(), schedule_id=run.schedule_id) == [beside.id, run.id]
    assert await ids(store, alice, page(), schedule_id=other.schedule_id) == [other.id]
    assert await ids(store, alice, page(), schedule_id=NOWHERE) == []


async def test_a_job_finds_its_own_reports(store: Store, alice: UUID, bob: UUID) -> None:
    """In each order, of the kinds that are asked for, and only the user's own."""
    first, second = [await created(store, alice) for _ in range(2)]
    kinds = (Kind.WEBHOOK, Kind.CALLBACK, Kind.WEBHOOK)
    found = [(await created(store, alice, kind=kind, parent_id=first.id)).id for kind in kinds]
    other = await created(store, alice, kind=Kind.CALLBACK, parent_id=second.id)
    await created(store, bob, kind=Kind.CALLBACK, parent_id=first.id)
    for field, falling in ORDERS:
        expected = found[::-1] if falling else found
        asked = page(order_by=field, descending=bool(falling))
        assert await ids(store, alice, asked, reports_of=first.id, kinds=REPORTS) == expected
    assert await ids(store, alice, page(), reports_of=first.id, kinds=(Kind.CALLBACK,)) == [
        found[1]
    ]
    assert await ids(store, alice, page(), reports_of=second.id, kinds=REPORTS) == [other.id]
    assert await ids(store, alice, page(), reports_of=other.id, kinds=REPORTS) == []


URLS = [
    "https://a.test/x",
    "https://a.test/x/y",
    "https://a.test/X",
    "https://a.test/%_*?[",
    "https://a.test/é",
    "https://b.test/x",
]
PREFIXES = [
    # prefix, which of `URLS` begin with it
    ("https://a.test/", [0, 1, 2, 3, 4]),
    ("https://a.test/x", [0, 1]),
    ("https://a.test/x/y", [1]),
    ("https://a.test/x/yz", []),
    ("https://a.test/X", [2]),
    # No character of a prefix stands for others.
    ("https://a.test/%", [3]),
    ("https://a.test/_", []),
    ("https://_.test/", []),
    ("https://a.test/*", []),
    ("https://a.test/%_*?[", [3]),
    ("https://a.test/é", [4]),
    ("a.test", []),
    ("h", [0, 1, 2, 3, 4, 5]),
]


async def test_a_url_prefix_is_taken_literally(store: Store, alice: UUID) -> None:
    """Letter by letter, with case; wildcards of any kind mean themselves."""
    jobs = [(await created(store, alice, args=to(url))).id for url in URLS]
    for prefix, numbers in PREFIXES:
        found = await ids(store, alice, page(descending=False), url_prefix=prefix)
        assert found == [jobs[number] for number in numbers], prefix


async def test_before_and_after_bound_the_due_time(store: Store, alice: UUID) -> None:
    """From `after` on, up to but without `before`, to the microsecond."""
    times = [START - INSTANT, START, START + INSTANT, START + HOUR]
    jobs = [(await created(store, alice, at=at)).id for at in times]

    async def found(**bounds: object) -> list[int]:
        matching = JobFilter(**bounds)  # type: ignore[arg-type]
        listed = await store.jobs.list(alice, page(descending=False), matching, START)
        return [jobs.index(job.id) for job in listed]

    assert await found(after=START) == [1, 2, 3]
    assert await found(before=START) == [0]
    assert await found(after=START, before=START + HOUR) == [1, 2]
    assert await found(after=START, before=START) == []


async def test_internal_jobs_are_found_only_when_asked_for(store: Store, alice: UUID) -> None:
    """A list shows what users asked for; callbacks and the like have kinds of their own."""
    request, run = await created(store, alice), await scheduled(store, alice)
    inner = {
        kind: (await created(store, alice, kind=kind, parent_id=request.id)).id
        for kind in Kind
        if kind not in OWN_KINDS
    }
    assert await ids(store, alice, page()) == [run.id, request.id]
    for kind, number in inner.items():
        assert await ids(store, alice, page(), kinds=(kind,)) == [number]
    assert len(await ids(store, alice, page(), kinds=EVERY_KIND)) == len(Kind)


async def test_every_part_of_a_filter_must_hold(store: Store, alice: UUID) -> None:
    """Of jobs that each miss one part, only the one that misses none is found."""
    at, url, tags = START + HOUR, to("https://a.test/x"), ("mail",)
    hit = await created(store, alice, at=at, args=url, tags=tags)
    await created(store, alice, at=START, args=url, tags=tags)
    await created(store, alice, at=at, args=to("https://b.test/"), tags=tags)
    await created(store, alice, at=at, args=url)
    await created(store, alice, at=at, args=url, tags=tags, kind=Kind.CALLBACK, parent_id=1)
    done = await in_state(store, alice, State.COMPLETED, args=url, tags=tags)
    assert done.id != hit.id
    found = await ids(
        store,
        alice,
        page(),
        State.SCHEDULED,
        tag="mail",
        url_prefix="https://a.test/",
        after=START + MINUTE,
        before=START + 2 * HOUR,
    )
    assert found == [hit.id]


# --- cursors --------------------------------------------------------------------------------------


def cursor_of(job: Job, order_by: str) -> tuple[int, int]:
    """Return where a page ended, in the words of `Page.after`."""
    since_1970 = (job.scheduled_at - START.replace(year=1970, hour=0)) // INSTANT
    return (since_1970 if order_by == "scheduled_at" else job.id), job.id


@pytest.mark.parametrize(("order_by", "falling"), ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3, 11])
async def test_cursors_give_every_job_once_in_every_order(
    store: Store, alice: UUID, bob: UUID, order_by: str, falling: int, size: int
) -> None:
    """Eleven jobs at three times, most of them equal: no page loses or repeats one at its edge."""
    for offset in (2, 1, 1, 1, 0, 1, 2, 1, 1, 0, 1):
        await created(store, alice, at=START + offset * SECOND)
    await created(store, bob)
    descending = bool(falling)
    whole = await ids(store, alice, page(order_by=order_by, descending=descending))
    assert len(whole) == 11
    found, after = list[int](), None
    for _ in range(12):
        part = page(size, 0, order_by, descending=descending, after=after)
        jobs = await store.jobs.list(alice, part, JobFilter(), START)
        if not jobs:
            break
        found += [job.id for job in jobs]
        after = cursor_of(jobs.items[-1], order_by)
    assert found == whole


async def test_a_cursor_stays_where_it_is_while_jobs_arrive(store: Store, alice: UUID) -> None:
    """Unlike an offset: what is new at the front moves nothing into the next page."""
    jobs = [await created(store, alice) for _ in range(4)]
    await created(store, alice)
    after = cursor_of(jobs[2], "inserted_at")
    assert await ids(store, alice, page(2, after=after)) == [jobs[1].id, jobs[0].id]


async def test_a_cursor_works_within_a_filter(store: Store, alice: UUID) -> None:
    """The filter holds on the later pages too."""
    jobs = [await created(store, alice, tags=("odd",) if n % 2 else ()) for n in range(6)]
    after = cursor_of(jobs[5], "id")
    found = await ids(store, alice, page(order_by="id", after=after), tag="odd")
    assert found == [jobs[3].id, jobs[1].id]


# --- creating many --------------------------------------------------------------------------------


async def test_many_are_created_in_one_go_each_with_its_response(store: Store, alice: UUID) -> None:
    """Jobs, a schedule, a duplicate and a conflict: the responses stand in the order asked."""
    held = wanted(alice, idempotency="held")
    asked = [
        Creation(wanted(alice)),
        Creation(held),
        Creation(held),
        Creation(held, OnConflict.REJECT),
        Creation(repeating(alice)),
    ]
    job, first, duplicate, refused, run = await store.jobs.create_many(asked, START, atomic=False)
    assert isinstance(job, Created)
    assert isinstance(first, Created)
    assert isinstance(duplicate, Created)
    assert (duplicate.job, duplicate.is_duplicate, first.is_duplicate) == (first.job, True, False)
    assert isinstance(refused, Conflict)
    assert isinstance(run, Created)
    assert run.job.kind is Kind.RUN
    stored = [job.job.id, first.job.id, run.job.id]
    assert sorted(await ids(store, alice, page())) == stored == sorted(stored)


async def test_all_or_nothing_is_nothing_if_one_is_refused(store: Store, alice: UUID) -> None:
    """The error carries every response, and nothing is stored, schedules included."""
    await store.jobs.create(Creation(wanted(alice, idempotency="held")), START)
    before = await ids(store, alice, page())
    refused = Creation(wanted(alice, idempotency="held"), OnConflict.REJECT)
    asked = [Creation(wanted(alice)), Creation(repeating(alice)), refused, Creation(wanted(alice))]
    with pytest.raises(BatchRefused) as refusal:
        await store.jobs.create_many(asked, START, atomic=True)
    kinds = [type(response) for response in refusal.value.results]
    assert kinds == [Created, Created, Conflict, Created]
    assert await ids(store, alice, page()) == before
    assert len(await store.schedules.list(alice, page())) == 0
    assert len(await waiting(store)) == 1


async def test_no_creations_create_nothing(store: Store, alice: UUID) -> None:
    """Nothing asked for is no response."""
    assert list(await store.jobs.create_many([], START, atomic=True)) == []
    assert await ids(store, alice, page()) == []


# --- changing many --------------------------------------------------------------------------------


async def test_cancelling_many_ends_what_matches_and_has_not_ended(
    store: Store, alice: UUID, bob: UUID
) -> None:
    """Of a job in each state the unfinished are cancelled; another user's stay."""
    jobs = {state: await in_state(store, alice, state) for state in STORED}
    his = await created(store, bob)
    now = START + SECOND
    armed = list[Job]()
    store.subscribe(armed.extend)
    changed = await store.jobs.cancel_many(alice, JobFilter(), now, nothing, dry_run=False)
    unfinished = [job for state, job in jobs.items() if state not in FINISHED]
    assert changed.matched == changed.changed == len(unfinished) == 3
    assert armed == []
    expected = [replace(job, state=State.CANCELLED, cancelled_at=now) for job in unfinished]
    for job in expected:
        assert await store.jobs.get(alice, job.id) == job
    for job in [job for state, job in jobs.items() if state in FINISHED]:
        assert await store.jobs.get(alice, job.id) == job
    assert await waiting(store) == [his.id]


async def test_retrying_many_makes_due_what_was_discarded_or_cancelled(
    store: Store, alice: UUID
) -> None:
    """Both are due now; nothing else is touched."""
    jobs: dict[State, Job] = {state: await in_state(store, alice, state) for state in STORED}
    now = START + SECOND
    armed = list[Job]()
    store.subscribe(armed.extend)
    changed = await store.jobs.retry_many(alice, JobFilter(), now, dry_run=False)
    assert (changed.matched, changed.changed, len(armed)) == (2, 2, 2)
    for job in armed:
        assert (job.state, job.scheduled_at) == (State.RETRYABLE, now)
        assert job == await store.jobs.get(alice, job.id)
    again = {State.DISCARDED, State.CANCELLED}
    assert {job.id for job in armed} == {jobs[state].id for state in again}
    for state in set(jobs) - again:
        assert await store.jobs.get(alice, jobs[state].id) == jobs[state]


async def test_a_dry_run_counts_and_changes_nothing(store: Store, alice: UUID) -> None:
    """It says how many the change would reach."""
    jobs = {state: await in_state(store, alice, state) for state in STORED}
    cancelling = await store.jobs.cancel_many(alice, JobFilter(), START, nothing, dry_run=True)
    retrying = await store.jobs.retry_many(alice, JobFilter(), START, dry_run=True)
    last = max(job.id for job in jobs.values())
    assert cancelling == BulkResult(3, 0, through=last)
    assert retrying == BulkResult(2, 0, through=last)
    for job in jobs.values():
        assert await store.jobs.get(alice, job.id) == job


async def test_a_change_of_many_reaches_what_its_filter_matches(store: Store, alice: UUID) -> None:
    """By tag and by state; finished jobs match no cancel, whatever the filter says."""
    kept, gone = [await created(store, alice, tags=(tag,)) for tag in ("kept", "gone")]
    matching = JobFilter(tag="gone")
    changed = await store.jobs.cancel_many(alice, matching, START, nothing, dry_run=False)
    assert (changed.matched, changed.changed) == (1, 1)
    assert (await store.jobs.get(alice, gone.id)).state is State.CANCELLED
    done = JobFilter(states=frozenset({State.COMPLETED}))
    none = await store.jobs.cancel_many(alice, done, START, nothing, dry_run=False)
    assert none == BulkResult(0, 0)
    assert await waiting(store) == [kept.id]


async def test_a_change_of_many_goes_beyond_one_transaction(store: Store, alice: UUID) -> None:
    """1,203 jobs are cancelled and retried, each once, however many fit into one change."""
    jobs = await many(store, alice, 1_203)
    cancelled = await store.jobs.cancel_many(alice, JobFilter(), START, nothing, dry_run=False)
    assert (cancelled.matched, cancelled.changed) == (1_203, 1_203)
    assert await waiting(store) == []
    armed = list[Job]()
    store.subscribe(armed.extend)
    retried = await store.jobs.retry_many(alice, JobFilter(), START, dry_run=False)
    assert (retried.matched, [job.id for job in armed]) == (1_203, jobs)
    assert await waiting(store, 500) == jobs


async def test_cancelling_every_run_of_a_schedule_ends(store: Store, alice: UUID) -> None:
    """The next run is planned in the place of the cancelled one and is not cancelled in turn."""
    run = await scheduled(store, alice)
    matching = JobFilter(schedule_id=run.schedule_id)
    armed = list[Job]()
    store.subscribe(armed.extend)
    async with asyncio.timeout(5):
        changed = await store.jobs.cancel_many(alice, matching, START, nothing, dry_run=False)
    assert (changed.matched, changed.changed) == (1, 1)
    following = armed[0]
    assert {job.id for job in armed} == {following.id}
    assert (await store.jobs.get(alice, run.id)).state is State.CANCELLED
    assert (following.planned_at, following.state) == (START + MINUTE, State.SCHEDULED)
    assert await waiting(store) == [following.id]


async def test_what_a_cancel_reports_is_written_with_it(store: Store, alice: UUID) -> None:
    """Each cancelled job is announced once, as it stands after; finished ones are not."""
    announced = list[Job]()

    def announce(job: Job, _: datetime) -> Sequence[NewJob]:
        announced.append(job)
        return [wanted(alice, kind=Kind.WEBHOOK, parent_id=job.id)]

    one, other = await created(store, alice), await created(store, alice)
    await store.jobs.cancel(alice, one.id, START, announce)
    await store.jobs.cancel(alice, one.id, START, announce)
    await store.jobs.cancel_many(alice, JobFilter(), START, announce, dry_run=True)
    await store.jobs.cancel_many(alice, JobFilter(), START, announce, dry_run=False)
    assert [(job.id, job.state) for job in announced] == [
        (one.id, State.CANCELLED),
        (other.id, State.CANCELLED),
    ]
    reports = await store.jobs.list(alice, page(), JobFilter(kinds=(Kind.WEBHOOK,)), START)
    assert [job.parent_id for job in reports] == [other.id, one.id]


async def test_one_key_that_is_taken_does_not_spoil_a_retry_of_many(
    store: Store, alice: UUID
) -> None:
    """Two cancelled jobs had one key: one of them is due again, the other stays, and no error."""
    for _ in range(2):
        held = Creation(wanted(alice, idempotency="key"))
        job = (await store.jobs.create(held, START)).job
        await store.jobs.cancel(alice, job.id, START, nothing)
    free = await in_state(store, alice, State.DISCARDED)
    armed = list[Job]()
    store.subscribe(armed.extend)
    changed = await store.jobs.retry_many(alice, JobFilter(), START, dry_run=False)
    assert (changed.matched, changed.changed, len(armed)) == (3, 2, 2)
    assert free.id in {job.id for job in armed}
    assert len(await waiting(store)) == 2


async def test_lists_of_many_stay_in_order(store: Store, alice: UUID) -> None:
    """The whole of a long list, in its largest pages, falls without a gap."""
    numbers = await many(store, alice, 250)
    parts = [await ids(store, alice, page(100, offset)) for offset in (0, 100, 200)]
    found = [number for part in parts for number in part]
    assert all(one > other for one, other in pairwise(found))
    assert found == numbers[::-1]

"""Kept numbers: always what somebody who counts finds, whatever was written."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.model.bucket import DAY, LIMITS, Bucket, Histogram, begin_of, part_of
from booper.model.job import Job, Kind, State
from booper.store.base import Store
from booper.store.values import Settlement
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    HOUR,
    MINUTE,
    SECOND,
    Restart,
    cancel,
    claim,
    completed,
    created,
    discarded,
    due,
    retryable,
    scheduled,
    turns,
)

pytestmark = pytest.mark.anyio

opening, process, store, restart = stores.opening, stores.process, stores.store, stores.restart
alice, bob = stores.alice, stores.bob

ALL = (START - HOUR, START + 100 * HOUR)
MS = timedelta(milliseconds=1)


# --- jobs by state --------------------------------------------------------------------------------


async def test_nothing_is_there_at_first(store: Store, alice: UUID) -> None:
    """A new file has no jobs, and no numbers of them."""
    assert await store.counters.jobs() == {}
    assert await store.counters.minutes(None, *ALL) == []


async def test_random_work_is_counted_as_somebody_would_count_it(
    store: Store, alice: UUID, bob: UUID, restart: Restart
) -> None:
    """300 random changes, rolled up now and then: the numbers are those of a count beside it."""
    random, jobs = Random(7), list[Job]()
    for step in range(300):
        await _change(store, random.choice([alice, bob]), random, jobs)
        if step % 30 == 0:
            await store.counters.roll_up(START if step % 60 else None)
        if step % 20 == 0:
            assert await store.counters.jobs() == counted(jobs)
            for user in (alice, bob):
                own = [job for job in jobs if job.user_id == user]
                assert await store.counters.jobs(user) == counted(own)
    states = {state for _, state in await store.counters.jobs()}
    assert len(states) == 6, "the test itself must reach each state"
    reopened = await restart()
    assert await reopened.counters.jobs() == counted(jobs)


async def _change(store: Store, user: UUID, random: Random, jobs: list[Job]) -> None:
    """Make one change, to the store and to the list."""
    place = random.randrange(len(jobs)) if jobs else 0
    job = jobs[place] if jobs else None
    if job is None or random.random() < 0.3:
        jobs.append(await created(store, user))
    elif job.state in (State.SCHEDULED, State.RETRYABLE) and random.random() < 0.8:
        [jobs[place]] = await claim(store, [due(job)])
    elif job.state is State.EXECUTING and random.random() < 0.9:
        end = random.choice([completed(job), discarded(job), retryable(job, START)])
        settlement = Settlement(job, end, START, [])
        jobs[place] = (await store.queue.settle(settlement)).job
    else:
        jobs[place] = await cancel(store, job.user_id, job.id)


def counted(jobs: Sequence[Job]) -> Counter[tuple[Kind, State]]:
    """Return how many there are, counted one by one."""
    return Counter((job.kind, job.state) for job in jobs)


async def test_a_change_that_fails_counts_nothing(store: Store, alice: UUID) -> None:
    """A settle that has lost its race leaves all numbers as they were."""
    [job] = await claim(store, [due(await created(store, alice))])
    await store.queue.settle(Settlement(job, completed(job), START, []))
    before = await store.counters.jobs(), await store.counters.minutes(alice, *ALL)
    await store.queue.settle(Settlement(job, discarded(job), START, []))
    assert (await store.counters.jobs(), await store.counters.minutes(alice, *ALL)) == before


# --- buckets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "width", "begin"),
    [
        (
            datetime(2030, 1, 1, 12, 4, 59, 999_999, UTC),
            5 * MINUTE,
            datetime(2030, 1, 1, 12, tzinfo=UTC),
        ),
        (
            datetime(2030, 1, 1, 12, 5, tzinfo=UTC),
            5 * MINUTE,
            datetime(2030, 1, 1, 12, 5, tzinfo=UTC),
        ),
        (datetime(2030, 3, 31, 1, 59, tzinfo=UTC), HOUR, datetime(2030, 3, 31, 1, tzinfo=UTC)),
        (datetime(1969, 12, 31, 23, 59, tzinfo=UTC), HOUR, datetime(1969, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_a_bucket_begins_at_a_round_time_of_utc(
    at: datetime, width: timedelta, begin: datetime
) -> None:
    """The first moment is its own, the last belongs to the one before it."""
    assert begin_of(at, width) == begin


@pytest.mark.parametrize(
    ("duration", "part"),
    [
        (timedelta(0), 0),
        (5 * MS, 0),
        (5 * MS + timedelta(microseconds=1), 1),
        (SECOND, 7),
        (300 * SECOND, 13),
        (301 * SECOND, 14),
    ],
)
def test_a_limit_belongs_to_its_part(duration: timedelta, part: int) -> None:
    """As in Prometheus, whose limits are included (its documentation, "histogram")."""
    assert part_of(duration) == part


def test_a_quantile_is_a_limit() -> None:
    """Of 100 attempts, 50 within 5 ms, 49 within 1 s and one beyond all limits."""
    counts = [0] * (len(LIMITS) + 1)
    counts[0], counts[7], counts[14] = 50, 49, 1
    histogram = Histogram(counts, SECOND)
    assert [histogram.quantile(share) for share in (0.5, 0.51, 0.99, 1.0)] == [
        5 * MS,
        SECOND,
        SECOND,
        None,
    ]
    assert Histogram().quantile(0.5) is None
    assert (histogram + histogram).count == 200


# what becomes of an attempt that began 20 ms late and took 2 s -> completed, failed, discarded
ENDS: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "completed": (lambda job: completed(job, START + SECOND), (1, 0, 0)),
    "to be retried": (lambda job: retryable(job, START + HOUR), (0, 1, 0)),
    "discarded": (lambda job: discarded(job, START + SECOND), (0, 1, 1)),
}


@pytest.mark.parametrize("name", ENDS)
async def test_the_end_of_an_attempt_is_in_two_buckets(
    store: Store, alice: UUID, bob: UUID, name: str
) -> None:
    """In its user's five minutes and its origin's hour, and in nobody else's."""
    end, numbers = ENDS[name]
    job = await created(store, alice)
    [begun] = await claim(store, [due(job)], START + 20 * MS)
    at = START + 7 * MINUTE
    await store.queue.settle(Settlement(begun, end(begun), at, [], duration=2 * SECOND))
    late, took = one_at(part_of(20 * MS), 20 * MS), one_at(part_of(2 * SECOND), 2 * SECOND)
    bucket = Bucket(begin_of(at, 5 * MINUTE), *numbers, 0, late, took)
    assert await store.counters.minutes(alice, *ALL) == [bucket]
    assert await store.counters.minutes(None, *ALL) == [bucket]
    assert await store.counters.minutes(bob, *ALL) == []
    hour = replace(bucket, begins_at=begin_of(at, HOUR))
    assert await store.counters.hours(alice, *ALL) == [("https://target.test", hour)]


def one_at(part: int, total: timedelta) -> Histogram:
    """Return a histogram of a single attempt."""
    return Histogram(tuple(int(place == part) for place in range(len(LIMITS) + 1)), total)


async def test_many_ends_add_up(store: Store, alice: UUID, bob: UUID) -> None:
    """Written in one group or one by one, of one origin or of several: the sums are the same."""
    random, ends = Random(3), list[tuple[UUID, str, datetime, bool]]()
    for number in range(60):
        user, host = random.choice([alice, bob]), random.choice(["a.test", "b.test"])
        [job] = await claim(store, [due(await created(store, user, host=host))])
        at, is_good = START + number * MINUTE, random.random() < 0.5
        after = completed(job, at) if is_good else discarded(job, at)
        await store.queue.settle(Settlement(job, after, at, []))
        ends.append((user, f"https://{host}", at, is_good))
    for user in (alice, bob):
        wanted_minutes = Counter(
            begin_of(at, 5 * MINUTE) for who, _, at, good in ends if who == user and good
        )
        found = {
            each.begins_at: each.completed for each in await store.counters.minutes(user, *ALL)
        }
        assert {at: count for at, count in found.items() if count} == wanted_minutes
    wanted_hours = Counter((origin, begin_of(at, HOUR)) for _, origin, at, good in ends if not good)
    hours = await store.counters.hours(None, *ALL)
    assert {(name, each.begins_at): each.discarded for name, each in hours} == wanted_hours
    first = await store.counters.minutes(None, START, START + 5 * MINUTE)
    assert sum(each.completed + each.discarded for each in first) == 5, "the end is not included"


@pytest.mark.parametrize("every", [HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY + HOUR])
async def test_a_span_has_what_its_buckets_have(
    store: Store, alice: UUID, bob: UUID, every: timedelta
) -> None:
    """Whole days, parts of days and an end within a day, also when it is asked for meanwhile."""
    random = Random(5)
    midnight = begin_of(START, DAY)
    for number in range(80):
        user = random.choice([alice, bob])
        at = START + random.randrange(5 * 24 * 60) * MINUTE
        await ended(store, user, at, is_good=random.random() < 0.5)
        if number % 8 == 0:
            for until in (midnight + 6 * DAY, START + 4 * DAY + 5 * MINUTE):
                found = await store.counters.spans(alice, midnight, until, every)
                assert found == await added_up(store, alice, (midnight, until), every)
    assert len(await store.counters.spans(alice, midnight, midnight + 6 * DAY, DAY)) > 4


async def ended(store: Store, user: UUID, at: datetime, *, is_good: bool) -> None:
    """Create a job of which an attempt ends at a time."""
    [job] = await claim(store, [due(await created(store, user))])
    after = completed(job, at) if is_good else discarded(job, at)
    await store.queue.settle(Settlement(job, after, at, [], duration=SECOND))


async def added_up(
    store: Store, user: UUID, span: tuple[datetime, datetime], every: timedelta
) -> list[Bucket]:
    """Return a bucket for each part of a span in which there is one of five minutes."""
    since, until = span
    parts = dict[datetime, Bucket]()
    for each in await store.counters.minutes(user, since, until):
        begin = since + (each.begins_at - since) // every * every
        known = parts.get(begin, Bucket(begin))
        parts[begin] = Bucket(
            begin,
            completed=known.completed + each.completed,
            failed=known.failed + each.failed,
            discarded=known.discarded + each.discarded,
            skipped=known.skipped + each.skipped,
            lateness=known.lateness + each.lateness,
            duration=known.duration + each.duration,
        )
    return list(parts.values())


async def test_a_report_is_in_no_bucket(store: Store, alice: UUID) -> None:
    """Callbacks and webhooks say how a job went; they are none."""
    [job] = await claim(store, [due(await created(store, alice, kind=Kind.CALLBACK))])
    await store.queue.settle(Settlement(job, completed(job), START, []))
    assert await store.counters.minutes(None, *ALL) == []
    assert await store.counters.jobs() == {(Kind.CALLBACK, State.COMPLETED): 1}


async def test_times_that_were_not_run_are_counted(store: Store, alice: UUID) -> None:
    """A run found ten minutes late, of a schedule of every minute: ten times had passed.

    START, START + 1 min, … START + 9 min are skipped, the last one is run (misfire "one").
    """
    run = await scheduled(store, alice)
    await turns(store, run, now=START + 9 * MINUTE + SECOND)
    [bucket] = [each for each in await store.counters.minutes(alice, *ALL) if each.skipped]
    assert bucket.begins_at == begin_of(START + 9 * MINUTE, 5 * MINUTE)
    assert bucket.skipped == 9


async def test_a_run_that_was_held_is_not_late(store: Store, alice: UUID) -> None:
    """It waited for the one before it, as its schedule wants; that is in no histogram."""
    run = await scheduled(store, alice, overlap="queue")
    first = await turns(store, run)
    [second] = first.armed
    held = await turns(store, second, now=START + MINUTE)
    assert [job.id for job in held.held] == [second.id]
    job = first.begun[0].job
    await store.queue.settle(
        Settlement(job, completed(job, START + HOUR), START + HOUR, [], duration=HOUR)
    )
    again = await store.jobs.get(alice, second.id)
    [attempt] = (await turns(store, again, now=START + HOUR)).begun
    assert attempt.was_held

"""What every store must do with schedules: planning, turns, gaps, changes, and what runs leave."""

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.errors import Conflict, NotFound
from booper.model import lifecycle
from booper.model.args import decode_args
from booper.model.event import RESPONSE, SKIPPED, STATE_REJECTED
from booper.model.job import Job, Kind, NewJob, State
from booper.model.overlap import MISFIRE_GRACE
from booper.model.schedule import Conflict as OnConflict
from booper.model.schedule import Misfire, NewSchedule, Overlap, Schedule
from booper.store.base import Store
from booper.store.values import Claims, Creation, Due, JobFilter, ScheduleChange, Settlement
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    HOUR,
    MINUTE,
    NOWHERE,
    SECOND,
    Opening,
    Restart,
    cancel,
    claim,
    completed,
    discarded,
    dues,
    entry,
    ids,
    nothing,
    page,
    repeating,
    retryable,
    scheduled,
    settle,
    turns,
    waiting,
    wanted,
)

pytestmark = pytest.mark.anyio

opening, process, restart = stores.opening, stores.process, stores.restart
store, alice, bob = stores.store, stores.alice, stores.bob


def schedule_id_of(run: Job) -> UUID:
    """Return the id of a run's schedule."""
    assert run.schedule_id is not None
    return run.schedule_id


async def schedule_of(store: Store, run: Job) -> Schedule:
    """Return the schedule of a run as it stands."""
    return await store.schedules.get(run.user_id, schedule_id_of(run))


async def next_run(store: Store, run: Job) -> Job:
    """Return the one run that waits for its schedule's next time."""
    wanted = JobFilter(states=frozenset({State.SCHEDULED}), schedule_id=run.schedule_id)
    (job,) = await store.jobs.list(run.user_id, page(), wanted, START - HOUR)
    return job


async def began(store: Store, run: Job, **when: Any) -> Job:
    """Begin a waiting run, and return it executing."""
    (attempt,) = (await turns(store, run, **when)).begun
    return attempt.job


async def disable(store: Store, run: Job, now: datetime = START) -> ScheduleChange:
    """Disable the schedule of a run."""
    return await store.schedules.disable(run.user_id, schedule_id_of(run), now, nothing)


async def enable(store: Store, run: Job, now: datetime = START) -> ScheduleChange:
    """Enable the schedule of a run; the next one has as many attempts as this."""
    schedule_id = schedule_id_of(run)
    return await store.schedules.enable(run.user_id, schedule_id, now, run.max_attempts)


async def change(store: Store, run: Job, new: NewSchedule, now: datetime = START) -> ScheduleChange:
    """Change the schedule of a run as it stands."""
    seen = await schedule_of(store, run)
    return await store.schedules.change(run.user_id, seen, new, now, nothing)


async def gaps(store: Store, user: UUID) -> list[tuple[str, str, str, int]]:
    """Return what was not run, oldest first: reason, first and last time of day, count."""
    entries = await store.logs.list(user, page(descending=False), None, SKIPPED)
    shown = [json.loads(item.payload) for item in entries]
    return [(gap["reason"], gap["first"][11:19], gap["last"][11:19], gap["count"]) for gap in shown]


# --- creating -------------------------------------------------------------------------------------


async def test_a_new_schedule_comes_with_its_first_run(store: Store, alice: UUID) -> None:
    """The run carries what was asked for; the schedule has run nothing and remembers nothing."""
    at = START + HOUR
    run = await scheduled(
        store, alice, at=at, max_attempts=3, name="N", description="D", idempotency_key="key"
    )
    assert (run.kind, run.state, run.attempt, run.max_attempts) == (Kind.RUN, State.SCHEDULED, 0, 3)
    assert (run.planned_at, run.scheduled_at, run.retry_until) == (at, at, None)
    assert (run.name, run.description, run.idempotency_key) == ("N", "D", "key")
    schedule = await schedule_of(store, run)
    assert schedule == Schedule(
        id=schedule_id_of(run),
        user_id=alice,
        idempotency_key="key",
        name="N",
        description="D",
        origin="https://target.test",
        args=run.args,
        anchor=at,
        next_at=at,
        runs=0,
        state="{}",
        previous="{}",
        inserted_at=START,
    )
    assert await waiting(store) == [run.id]


async def test_a_schedule_is_there_after_a_restart(opening: Opening, tmp_path: Path) -> None:
    """Its rules, its memory and its waiting run survive the end of the process."""
    async with opening(tmp_path) as store:
        alice = (await store.keys.create(stores.key("k"), START)).user_id
        run = await began(store, await scheduled(store, alice))
        await settle(store, run, completed(run), previous='{"n":1}', changes={"a": 1})
        before = await schedule_of(store, run)
        following = await next_run(store, run)
    async with opening(tmp_path) as store:
        assert await schedule_of(store, run) == before
        assert await next_run(store, run) == following
        assert (before.previous, before.state) == ('{"n":1}', '{"a":1}')


async def test_schedules_are_listed_in_order_of_creation(
    store: Store, alice: UUID, bob: UUID
) -> None:
    """Newest first or oldest first, in pages, each user's own."""
    made = []
    for number in range(5):
        asked = Creation(repeating(alice))
        made.append((await store.jobs.create(asked, START + number * SECOND)).job.schedule_id)
    await scheduled(store, bob)
    rising = [item.id for item in await store.schedules.list(alice, page(descending=False))]
    falling = [item.id for item in await store.schedules.list(alice, page())]
    assert (rising, falling) == (made, made[::-1])
    parts = [await store.schedules.list(alice, page(2, offset)) for offset in (0, 2, 4, 6)]
    assert [item.id for part in parts for item in part] == falling
    assert [len(part) for part in parts] == [2, 2, 1, 0]


async def test_a_schedule_that_is_not_there_is_not_found(
    store: Store, alice: UUID, bob: UUID
) -> None:
    """Nothing can be done with an unknown schedule, nor with another user's."""
    run = await scheduled(store, alice)
    before = await schedule_of(store, run)
    for user, schedule_id in ((alice, NOWHERE), (bob, schedule_id_of(run))):
        extra = wanted(user, schedule_id=schedule_id)
        for asked in (
            store.schedules.get(user, schedule_id),
            store.schedules.disable(user, schedule_id, START, nothing),
            store.schedules.enable(user, schedule_id, START, 15),
            store.schedules.delete(user, schedule_id, START, nothing),
            store.schedules.change(
                user, replace(before, id=schedule_id), repeating(user), START, nothing
            ),
            store.schedules.run(user, schedule_id, extra, START),
        ):
            with pytest.raises(NotFound):
                await asked
    assert await schedule_of(store, run) == before
    assert await waiting(store) == [run.id]


# --- turns ----------------------------------------------------------------------------------------


async def test_a_claim_plans_the_next_run(store: Store, alice: UUID) -> None:
    """When the run of 12:00 begins, that of 12:01 waits, and the first's retries end before it."""
    run = await scheduled(store, alice, max_attempts=3)
    claims = await turns(store, run)
    (attempt,), (following,) = claims.begun, claims.armed
    until = START + MINUTE
    claimed = lifecycle.claim(run, START, attempt.job.owner)
    assert attempt.job == replace(claimed, retry_until=until)
    assert (attempt.previous, attempt.state) == ("{}", "{}")
    assert (following.kind, following.planned_at, following.scheduled_at) == (
        Kind.RUN,
        until,
        until,
    )
    assert (following.schedule_id, following.max_attempts) == (run.schedule_id, 3)
    assert await waiting(store) == [following.id]
    assert await store.jobs.get(alice, run.id) == attempt.job
    schedule = await schedule_of(store, run)
    assert (schedule.runs, schedule.next_at) == (1, until)


async def test_of_simultaneous_claims_one_plans_the_next_run(store: Store, alice: UUID) -> None:
    """However often a run is named, in one claim or in many, one attempt begins, one run waits."""
    run = await scheduled(store, alice)
    responses = await asyncio.gather(*(turns(store, run, run) for _ in range(10)))
    assert sum(len(response.begun) for response in responses) == 1
    assert sum(len(response.armed) for response in responses) == 1
    assert (await schedule_of(store, run)).runs == 1


async def test_a_retry_of_a_run_plans_nothing(store: Store, alice: UUID) -> None:
    """Only the first attempt is the run's turn; the second changes neither plan nor count."""
    run = await began(store, await scheduled(store, alice))
    failed = await settle(store, run, retryable(run, START + 20 * SECOND))
    claims = await turns(store, failed, now=START + 20 * SECOND)
    assert [attempt.job.attempt for attempt in claims.begun] == [2]
    assert claims.armed == []
    assert (await schedule_of(store, run)).runs == 1


async def test_a_schedule_ends_with_its_last_run(store: Store, alice: UUID) -> None:
    """Of two runs the second leaves no next time; nothing waits, nothing bounds its retries."""
    first = await began(store, await scheduled(store, alice, max_runs=2))
    await settle(store, first, completed(first))
    second = await next_run(store, first)
    at = second.scheduled_at
    last = await began(store, second, now=at)
    assert (last.planned_at, last.retry_until) == (START + MINUTE, None)
    schedule = await schedule_of(store, first)
    assert (schedule.runs, schedule.next_at, schedule.ended_at) == (2, None, at)
    assert await waiting(store) == []


async def test_a_schedule_ends_at_its_last_time(store: Store, alice: UUID) -> None:
    """With `ends_at` 12:01:30 there are runs at 12:00 and 12:01, and none after."""
    ends_at = (START + timedelta(seconds=90)).isoformat()
    first = await began(store, await scheduled(store, alice, ends_at=ends_at))
    await settle(store, first, completed(first))
    second = await next_run(store, first)
    claims = await turns(store, second, now=START + MINUTE)
    assert (len(claims.begun), claims.armed) == (1, [])
    assert (await schedule_of(store, first)).ended_at == START + MINUTE


async def test_jitter_moves_a_run_and_not_its_planned_time(store: Store, alice: UUID) -> None:
    """Each run is due within the jitter after its time; the grid does not drift."""
    run, moved = await scheduled(store, alice, max_runs=20), 0
    changed = repeating(alice, jitter=30)
    altered = await change(store, run, changed, START)
    (run,) = altered.armed
    for number in range(1, 11):
        executing = await began(store, run, now=run.scheduled_at)
        await settle(store, executing, completed(executing))
        run = await next_run(store, run)
        assert run.planned_at == START + number * MINUTE
        assert timedelta(0) <= run.scheduled_at - run.planned_at <= timedelta(seconds=30)
        moved += run.scheduled_at != run.planned_at
    assert moved > 0


async def test_a_run_that_is_made_due_early_takes_its_turn_early(store: Store, alice: UUID) -> None:
    """It stays the run of its planned time, and the one after that is planned."""
    run = await scheduled(store, alice, at=START + HOUR)
    early = await store.jobs.run(alice, run.id, START)
    assert (early.scheduled_at, early.planned_at) == (START, START + HOUR)
    claims = await turns(store, early)
    assert [attempt.job.planned_at for attempt in claims.begun] == [START + HOUR]
    assert [job.planned_at for job in claims.armed] == [START + HOUR + MINUTE]


# --- overlap --------------------------------------------------------------------------------------


async def test_a_run_that_meets_its_predecessor_is_skipped(store: Store, alice: UUID) -> None:
    """The waiting job moves on to the next time; what was skipped is one entry, which grows."""
    first = await began(store, await scheduled(store, alice))
    run = await next_run(store, first)
    for number in (1, 2, 3):
        now = START + number * MINUTE
        claims = await turns(store, run, now=now)
        assert (claims.begun, claims.held) == ([], [])
        (run,) = claims.armed
        assert (run.planned_at, run.scheduled_at) == (now + MINUTE, now + MINUTE)
        last = f"12:0{number}:00"
        assert await gaps(store, alice) == [("overlap", "12:01:00", last, number)]
    schedule = await schedule_of(store, first)
    assert (schedule.runs, schedule.next_at) == (1, START + 4 * MINUTE)


@pytest.mark.parametrize("is_retryable", [True, False])
async def test_a_predecessor_blocks_until_it_has_finished(
    store: Store, alice: UUID, is_retryable: bool
) -> None:
    """A run that waits for its retry is not finished either (contract §6)."""
    first = await began(store, await scheduled(store, alice))
    if is_retryable:
        await settle(store, first, retryable(first, START + HOUR))
    claims = await turns(store, await next_run(store, first), now=START + MINUTE)
    assert (claims.begun, len(claims.armed)) == ([], 1)


async def test_a_gap_ends_where_a_run_takes_place(store: Store, alice: UUID) -> None:
    """12:01 and 12:03 are skipped and 12:02 is run: two gaps of one, not one of two."""
    first = await began(store, await scheduled(store, alice))
    await turns(store, await next_run(store, first), now=START + MINUTE)
    await settle(store, first, completed(first))
    await began(store, await next_run(store, first), now=START + 2 * MINUTE)
    await turns(store, await next_run(store, first), now=START + 3 * MINUTE)
    assert await gaps(store, alice) == [
        ("overlap", "12:01:00", "12:01:00", 1),
        ("overlap", "12:03:00", "12:03:00", 1),
    ]


async def test_a_queued_run_goes_when_its_predecessor_has_finished(
    store: Store, alice: UUID
) -> None:
    """It is held with the time it was seen; the end of the predecessor says that it may go."""
    first = await began(store, await scheduled(store, alice, overlap="queue"))
    second = await next_run(store, first)
    at = START + MINUTE
    claims = await turns(store, second, now=at)
    assert (claims.begun, claims.armed) == ([], [])
    assert [(job.id, job.held_since) for job in claims.held] == [(second.id, at)]
    settlement = Settlement(first, completed(first, at), at, [])
    assert [job.id for job in (await store.queue.settle(settlement)).armed] == [second.id]
    late = at + 5 * MINUTE
    (attempt,) = (await turns(store, second, now=late, seen_at=at)).begun
    assert attempt.job.planned_at == at
    # 12:02 to 12:06 passed while it waited: it keeps at most one waiting and skips the rest.
    assert await gaps(store, alice) == [("overlap", "12:02:00", "12:06:00", 5)]
    assert (await next_run(store, first)).planned_at == START + 7 * MINUTE


async def test_a_restart_does_not_forget_since_when_a_run_is_held(
    store: Store, restart: Restart, alice: UUID
) -> None:
    """Held at 12:01 and found due anew at 12:06, it was not missed: the rest has overlapped."""
    first = await began(store, await scheduled(store, alice, overlap="queue", misfire="skip"))
    second = await next_run(store, first)
    at, late = START + MINUTE, START + 6 * MINUTE
    await turns(store, second, now=at)
    store = await restart()
    await settle(store, first, completed(first, late))
    (attempt,) = (await turns(store, second, now=late)).begun
    assert (attempt.job.planned_at, attempt.job.held_since) == (at, None)
    assert await gaps(store, alice) == [("overlap", "12:02:00", "12:06:00", 5)]


async def test_runs_may_be_allowed_to_overlap(store: Store, alice: UUID) -> None:
    """Three runs execute at once, none is skipped."""
    run = await scheduled(store, alice, overlap="allow")
    for number in range(3):
        await began(store, run, now=START + number * MINUTE)
        run = await next_run(store, run)
    assert len(await ids(store, alice, page(), State.EXECUTING)) == 3
    assert await gaps(store, alice) == []


@pytest.mark.parametrize(
    ("late", "counts_from"),
    [(15 * MINUTE, START), (15 * MINUTE + SECOND, START + 15 * MINUTE + SECOND)],
)
async def test_a_run_behind_one_that_waited_for_longer_than_any_request_is_missed(
    store: Store, alice: UUID, late: timedelta, counts_from: datetime
) -> None:
    """A slot is free after 15 minutes at the latest (contract §12); then it was no slot's fault.

    What counts as seen when it began is on time; what counts as seen now may be missed.
    """
    run = await scheduled(store, alice, overlap="allow", misfire="all")
    claims = await turns(store, run, now=START + late, seen_at=START)
    assert len(claims.begun) == 1
    assert [job.held_since for job in claims.armed] == [counts_from]


# --- misfires -------------------------------------------------------------------------------------

# A run of 12:00, every minute, that is first seen at 12:10:30.
LATE = START + timedelta(minutes=10, seconds=30)


@pytest.mark.parametrize("misfire", ["latest", "skip"])
async def test_of_missed_runs_the_last_is_made_up_for(
    store: Store, alice: UUID, misfire: str
) -> None:
    """12:10 is run by the job that waited for 12:00; with `skip` since it is under 60 s late."""
    run = await scheduled(store, alice, misfire=misfire)
    claims = await turns(store, run, now=LATE)
    assert [(attempt.job.id, attempt.job.planned_at) for attempt in claims.begun] == [
        (run.id, START + 10 * MINUTE)
    ]
    assert [job.planned_at for job in claims.armed] == [START + 11 * MINUTE]
    assert await gaps(store, alice) == [("misfire", "12:00:00", "12:09:00", 10)]


async def test_what_passed_behind_a_time_that_was_run_before_is_skipped_too(
    store: Store, alice: UUID
) -> None:
    """The clock was ahead, and is again: a held run gives way to an earlier time that is free.

    At 12:00 the run of 12:00 has begun. At 11:00 by a clock set back, the waiting one moves to
    11:01. At 12:00:10 that is held, for 11:59, since 12:00 was run. At 12:01:30 it can run, and
    12:01 has passed meanwhile: that is skipped for overlap, and 12:02 is next.
    """
    run = await scheduled(store, alice, at=START - 2 * HOUR, overlap="queue", misfire="latest")
    claims = await turns(store, run, now=START)
    [first], [waiting] = claims.begun, claims.armed
    assert first.job.planned_at == START
    ahead = await store.queue.ahead(START - HOUR)
    [waiting] = await store.queue.replan(ahead, START - HOUR)
    assert waiting.planned_at == START - 59 * MINUTE
    seen_at = START + 10 * SECOND
    [held] = (await turns(store, waiting, now=seen_at)).held
    assert held.planned_at == START - MINUTE
    now = START + 90 * SECOND
    await settle(store, first.job, completed(first.job, now))
    claims = await turns(store, held, now=now)
    assert [attempt.job.planned_at for attempt in claims.begun] == [START - MINUTE]
    assert [job.planned_at for job in claims.armed] == [START + 2 * MINUTE]
    reason, begin, end, count = (await gaps(store, alice))[-1]
    assert (reason, count) == ("overlap", 1)
    assert begin == end == "12:01:00"


async def test_a_skipped_misfire_moves_on(store: Store, alice: UUID) -> None:
    """Hourly from 12:00 and seen at 12:10:30: nothing is run, 13:00 is next."""
    run = await scheduled(store, alice, misfire="skip", repeat_every=(1, "hour"))
    claims = await turns(store, run, now=LATE)
    assert (claims.begun, claims.held) == ([], [])
    (moved,) = claims.armed
    assert (moved.id, moved.planned_at, moved.scheduled_at) == (run.id, START + HOUR, START + HOUR)
    assert await gaps(store, alice) == [("misfire", "12:00:00", "12:00:00", 1)]
    assert (await schedule_of(store, run)).runs == 0


async def test_all_missed_runs_can_be_made_up_for_one_after_another(
    store: Store, alice: UUID
) -> None:
    """Eleven runs, 12:00 to 12:10, each begins when the one before it has finished."""
    run, planned = await scheduled(store, alice, misfire="all"), []
    for _ in range(11):
        executing = await began(store, run, now=LATE)
        planned.append(executing.planned_at)
        run = await next_run(store, run)
        if LATE - run.planned_at > MISFIRE_GRACE:
            assert [job.id for job in (await turns(store, run, now=LATE)).held] == [run.id]
        await settle(store, executing, completed(executing))
    assert planned == [START + number * MINUTE for number in range(11)]
    assert await gaps(store, alice) == []


async def test_a_schedule_that_ended_while_booper_was_down_ends_without_a_run(
    store: Store, alice: UUID
) -> None:
    """Hourly until 12:05 and seen at 12:10:30: the waiting run is cancelled and says why."""
    ends_at = (START + 5 * MINUTE).isoformat()
    run = await scheduled(store, alice, misfire="skip", repeat_every=(1, "hour"), ends_at=ends_at)
    claims = await turns(store, run, now=LATE)
    assert claims == Claims([], [], [], [])
    ended = await store.jobs.get(alice, run.id)
    assert (ended.state, ended.cancelled_at) == (State.CANCELLED, LATE)
    assert ended.last_error == "its schedule has ended"
    schedule = await schedule_of(store, run)
    assert (schedule.next_at, schedule.ended_at) == (None, LATE)
    assert await gaps(store, alice) == [("misfire", "12:00:00", "12:00:00", 1)]


async def test_what_waited_for_a_slot_is_not_missed(store: Store, alice: UUID) -> None:
    """Seen in time and begun ten minutes later: it is the run of 12:00, the rest overlapped."""
    run = await scheduled(store, alice, misfire="skip")
    executing = await began(store, run, now=LATE, seen_at=START + MISFIRE_GRACE)
    assert executing.planned_at == START
    assert await gaps(store, alice) == [("overlap", "12:01:00", "12:10:00", 10)]


@pytest.mark.parametrize("overlap", Overlap)
@pytest.mark.parametrize("misfire", Misfire)
async def test_every_planned_time_is_accounted_for(
    store: Store, alice: UUID, overlap: Overlap, misfire: Misfire
) -> None:
    """Whatever is late or slow: runs and gaps together are all times from 12:00 to the next."""
    random = Random(f"{overlap} {misfire}")
    now, executing = START, list[Job]()
    run = await scheduled(store, alice, overlap=overlap.value, misfire=misfire.value)
    for _ in range(25):
        now += timedelta(seconds=random.randrange(200))
        while executing and random.random() < 0.6:
            job = executing.pop()
            await settle(store, job, completed(job, now))
        (nearest,) = await dues(store, 10)
        if nearest.at <= now:
            claims = await turns(store, await store.jobs.get(alice, nearest.id), now=now)
            executing += [attempt.job for attempt in claims.begun]
    schedule = await schedule_of(store, run)
    assert schedule.next_at is not None
    planned = (schedule.next_at - START) // MINUTE
    skipped = sum(count for *_, count in await gaps(store, alice))
    assert schedule.runs + skipped == planned
    assert schedule.runs > 0
    every = [job.planned_at for job in await store.jobs.list(alice, page(), JobFilter(), now)]
    assert len(every) == len(set(every)), "no planned time has two runs"


# --- what runs leave ------------------------------------------------------------------------------


async def ran(store: Store, run: Job, **left: Any) -> Job:
    """Complete a waiting run at its time, and return the next one."""
    executing = await began(store, run, now=run.scheduled_at)
    entries = [entry(executing, RESPONSE)]
    await settle(store, executing, completed(executing), entries, **left)
    return await next_run(store, run)


async def test_a_run_sees_what_the_last_one_left(store: Store, alice: UUID) -> None:
    """`$previous` is the last response, `$state` what all of them have set (contract §6)."""
    run = await scheduled(store, alice)
    run = await ran(store, run, previous='{"n":1}', changes={"a": {"x": 1}, "b": 1})
    (attempt,) = (await turns(store, run, now=run.scheduled_at)).begun
    assert (attempt.previous, json.loads(attempt.state or "")) == (
        '{"n":1}',
        {"a": {"x": 1}, "b": 1},
    )
    done = attempt.job
    await settle(store, done, completed(done), previous="{}", changes={"a": {"y": 2}})
    # The merge is shallow: the object of `a` is replaced.
    schedule = await schedule_of(store, run)
    assert (schedule.previous, json.loads(schedule.state)) == ("{}", {"a": {"y": 2}, "b": 1})


async def test_an_attempt_that_leaves_nothing_changes_no_memory(store: Store, alice: UUID) -> None:
    """A failed or discarded run leaves `$previous` and `$state` as they were."""
    run = await ran(store, await scheduled(store, alice), previous='{"n":1}', changes={"a": 1})
    before = await schedule_of(store, run)
    executing = await began(store, run, now=run.scheduled_at)
    await settle(store, executing, discarded(executing), [entry(executing)])
    after = await schedule_of(store, run)
    assert (
        (after.previous, after.state) == (before.previous, before.state) == ('{"n":1}', '{"a":1}')
    )


def nested(levels: int) -> object:
    """Return an empty object within as many others."""
    value: object = {}
    for _ in range(levels):
        value = {"in": value}
    return value


@pytest.mark.parametrize("changes", [{"big": "x" * 70_000}, {"deep": nested(300)}])
async def test_a_state_that_is_too_much_is_rejected_alone(
    store: Store, alice: UUID, changes: dict[str, Any]
) -> None:
    """The run stays completed and leaves its response, `$state` stays, an entry says so."""
    run = await ran(store, await scheduled(store, alice), previous="{}", changes={"a": 1})
    executing = await began(store, run, now=run.scheduled_at)
    entries = [entry(executing, RESPONSE, at=run.scheduled_at)]
    done = await settle(
        store, executing, completed(executing), entries, previous='{"n":2}', changes=changes
    )
    assert done.state is State.COMPLETED
    schedule = await schedule_of(store, run)
    assert (schedule.state, schedule.previous) == ('{"a":1}', '{"n":2}')
    (rejected,) = await store.logs.list(alice, page(), executing.id, STATE_REJECTED)
    assert rejected.inserted_at == run.scheduled_at
    assert json.loads(rejected.payload)["reason"].startswith("$state must")


async def test_a_run_that_was_cancelled_meanwhile_leaves_nothing(store: Store, alice: UUID) -> None:
    """What its request still brings is only logged (contract §4)."""
    executing = await began(store, await scheduled(store, alice))
    await cancel(store, alice, executing.id)
    left: dict[str, Any] = {"previous": '{"n":1}', "changes": {"a": 1}}
    await settle(store, executing, completed(executing), [entry(executing)], **left)
    schedule = await schedule_of(store, executing)
    assert (schedule.previous, schedule.state) == ("{}", "{}")


async def test_a_run_beside_the_plan_sees_and_leaves_memory_and_moves_no_plan(
    store: Store, alice: UUID
) -> None:
    """It is due now; the waiting run and the count of planned runs stay."""
    run = await ran(store, await scheduled(store, alice), previous='{"n":1}', changes={"a": 1})
    schedule = await schedule_of(store, run)
    new = wanted(alice, schedule_id=schedule.id)
    extra = await store.schedules.run(alice, schedule.id, new, START)
    assert (extra.schedule_id, extra.scheduled_at) == (schedule.id, START)
    claims = await turns(store, extra)
    assert [(attempt.previous, attempt.state) for attempt in claims.begun] == [
        ('{"n":1}', '{"a":1}')
    ]
    assert claims.armed == []
    executing = claims.begun[0].job
    await settle(store, executing, completed(executing), previous="2", changes={"b": 2})
    assert await next_run(store, run) == run
    after = await schedule_of(store, run)
    assert after == replace(schedule, previous="2", state='{"a":1,"b":2}')


# --- cancelling a run -----------------------------------------------------------------------------


async def test_cancelling_the_waiting_run_plans_the_next(store: Store, alice: UUID) -> None:
    """The schedule goes on; cancelling the same run again changes nothing."""
    run = await scheduled(store, alice)
    changed = await store.jobs.cancel(alice, run.id, START, nothing)
    gone, following = changed.jobs[:2]
    assert {job.id for job in changed.jobs} == {gone.id, following.id}
    assert (gone.id, gone.state) == (run.id, State.CANCELLED)
    assert (following.planned_at, following.state) == (START + MINUTE, State.SCHEDULED)
    again = await store.jobs.cancel(alice, run.id, START, nothing)
    assert list(again.jobs) == [gone]
    assert await waiting(store) == [following.id]


async def test_cancelling_an_executing_run_leaves_the_plan(store: Store, alice: UUID) -> None:
    """The next run was planned when it began."""
    executing = await began(store, await scheduled(store, alice))
    following = await next_run(store, executing)
    changed = await store.jobs.cancel(alice, executing.id, START, nothing)
    assert changed.jobs[0].id == executing.id
    assert {job.id for job in changed.jobs} <= {executing.id, following.id}
    assert await waiting(store) == [following.id]


async def test_cancelling_the_last_run_ends_the_schedule(store: Store, alice: UUID) -> None:
    """Where no time is left after it, nothing is planned."""
    run = await scheduled(store, alice, ends_at=START.isoformat())
    changed = await store.jobs.cancel(alice, run.id, START + SECOND, nothing)
    assert [job.id for job in changed.jobs] == [run.id]
    assert (await schedule_of(store, run)).ended_at == START + SECOND


async def test_a_cancelled_run_can_be_retried_beside_the_plan(store: Store, alice: UUID) -> None:
    """It is that run again, of its own planned time; the plan stays where it is."""
    run = await scheduled(store, alice)
    following = (await store.jobs.cancel(alice, run.id, START, nothing)).jobs[1]
    again = await store.jobs.retry(alice, run.id, START + SECOND)
    assert (again.state, again.planned_at) == (State.SCHEDULED, START)
    claims = await turns(store, again, now=START + SECOND)
    assert [attempt.job.id for attempt in claims.begun] == [run.id]
    assert claims.armed == []
    assert await waiting(store) == [following.id]


# --- disabling and enabling -----------------------------------------------------------------------


async def test_a_disabled_schedule_waits_for_nothing(store: Store, alice: UUID) -> None:
    """Its waiting run is cancelled; `$previous` is lost, `$state` is kept (contract §6)."""
    run = await ran(store, await scheduled(store, alice), previous='{"n":1}', changes={"a": 1})
    before = await schedule_of(store, run)
    now = START + 2 * SECOND
    altered = await disable(store, run, now)
    disabled = altered.schedule
    assert altered == ScheduleChange(replace(before, disabled_at=now, previous="{}"), [])
    assert disabled == await schedule_of(store, run)
    assert await waiting(store) == []
    gone = await store.jobs.get(alice, run.id)
    assert (gone.state, gone.cancelled_at) == (State.CANCELLED, now)
    again = await disable(store, run, now + SECOND)
    assert again.schedule == disabled


async def test_a_run_that_ends_after_the_disable_leaves_only_state(
    store: Store, alice: UUID
) -> None:
    """`$previous` stays lost; what the target has set is kept."""
    executing = await began(store, await scheduled(store, alice))
    await disable(store, executing, START)
    settlement = Settlement(executing, completed(executing), START, [], (), '{"n":1}', {"a": 1})
    assert list((await store.queue.settle(settlement)).armed) == []
    schedule = await schedule_of(store, executing)
    assert (schedule.previous, schedule.state) == ("{}", '{"a":1}')
    assert schedule.disabled_at == START


async def test_enabling_plans_the_next_run_after_now(store: Store, alice: UUID) -> None:
    """Disabled from 12:00 on and enabled at 12:02:30: three times were not run, 12:03 is next."""
    run = await scheduled(store, alice)
    await disable(store, run, START - SECOND)
    now = START + timedelta(seconds=150)
    altered = await enable(store, run, now)
    schedule, (following,) = altered.schedule, altered.armed
    assert schedule == await schedule_of(store, run)
    assert (schedule.disabled_at, schedule.next_at) == (None, START + 3 * MINUTE)
    assert following.planned_at == START + 3 * MINUTE
    assert await waiting(store) == [following.id]
    assert await gaps(store, alice) == [("disabled", "12:00:00", "12:02:00", 3)]


async def test_enabling_before_anything_was_missed_logs_nothing(store: Store, alice: UUID) -> None:
    """The same planned time waits again."""
    run = await scheduled(store, alice, at=START + HOUR)
    await disable(store, run)
    altered = await enable(store, run, START + MINUTE)
    (following,) = altered.armed
    assert (following.planned_at, following.max_attempts) == (START + HOUR, run.max_attempts)
    assert await gaps(store, alice) == []


async def test_enabling_what_is_not_disabled_changes_nothing(store: Store, alice: UUID) -> None:
    """No second run is planned."""
    run = await scheduled(store, alice)
    before = await schedule_of(store, run)
    assert await enable(store, run) == ScheduleChange(before)
    assert await waiting(store) == [run.id]


async def test_a_schedule_whose_end_passed_while_it_was_disabled_has_ended(
    store: Store, alice: UUID
) -> None:
    """12:00 to 12:02 were not run, and nothing is left to plan."""
    run = await scheduled(store, alice, ends_at=(START + 2 * MINUTE).isoformat())
    await disable(store, run, START - SECOND)
    altered = await enable(store, run, START + HOUR)
    assert (altered.schedule.next_at, altered.schedule.ended_at) == (None, START + HOUR)
    assert list(altered.armed) == []
    assert await gaps(store, alice) == [("disabled", "12:00:00", "12:02:00", 3)]


async def test_a_retried_run_of_a_disabled_schedule_plans_no_more(
    store: Store, alice: UUID
) -> None:
    """The user asked for this run; the schedule stays disabled (contract §6)."""
    run = await scheduled(store, alice)
    await disable(store, run)
    again = await store.jobs.retry(alice, run.id, START)
    claims = await turns(store, again)
    assert ([attempt.job.id for attempt in claims.begun], claims.armed) == ([run.id], [])
    assert await waiting(store) == []


async def test_cancelling_a_retried_run_of_a_disabled_schedule_plans_no_more(
    store: Store, alice: UUID
) -> None:
    """A disabled schedule has no waiting run, whatever happens to its past ones."""
    run = await scheduled(store, alice)
    await disable(store, run)
    await store.jobs.retry(alice, run.id, START)
    changed = await store.jobs.cancel(alice, run.id, START, nothing)
    assert [job.id for job in changed.jobs] == [run.id]
    assert await waiting(store) == []


async def test_enabling_while_a_retried_run_has_the_next_time_plans_no_second(
    store: Store, alice: UUID
) -> None:
    """One planned time has one run: the retried one, or the next is planned after it."""
    run = await scheduled(store, alice, at=START + HOUR)
    await disable(store, run)
    await store.jobs.retry(alice, run.id, START)
    await enable(store, run)
    matching = JobFilter(schedule_id=run.schedule_id)
    jobs = await store.jobs.list(alice, page(), matching, START)
    planned = [job.planned_at for job in jobs if job.state is not State.CANCELLED]
    assert planned.count(START + HOUR) == 1


# --- deleting -------------------------------------------------------------------------------------


async def test_a_deleted_schedule_is_gone_and_its_past_stays(store: Store, alice: UUID) -> None:
    """The waiting run is cancelled; what executes ends as any job does and leaves nothing."""
    executing = await began(store, await scheduled(store, alice))
    following = await next_run(store, executing)
    await store.schedules.delete(alice, schedule_id_of(executing), START, nothing)
    with pytest.raises(NotFound):
        await store.schedules.get(alice, schedule_id_of(executing))
    assert len(await store.schedules.list(alice, page())) == 0
    assert (await store.jobs.get(alice, following.id)).state is State.CANCELLED
    left: dict[str, Any] = {"previous": '{"n":1}', "changes": {"a": 1}}
    done = await settle(store, executing, completed(executing), [entry(executing)], **left)
    assert (done.state, done.schedule_id) == (State.COMPLETED, executing.schedule_id)
    past = await ids(store, alice, page(), schedule_id=executing.schedule_id)
    assert past == [following.id, executing.id]
    with pytest.raises(NotFound):
        await store.schedules.delete(alice, schedule_id_of(executing), START, nothing)


async def test_a_retry_of_a_deleted_schedules_run_is_sent(store: Store, alice: UUID) -> None:
    """A run that failed before the delete is tried again; what it refers to is empty."""
    executing = await began(store, await scheduled(store, alice))
    failed = await settle(store, executing, retryable(executing, START + SECOND))
    await store.schedules.delete(alice, schedule_id_of(executing), START, nothing)
    (attempt,) = (await turns(store, failed, now=START + SECOND)).begun
    assert (attempt.job.attempt, attempt.previous, attempt.state) == (2, "{}", "{}")


# --- changing -------------------------------------------------------------------------------------


async def test_a_change_of_what_is_sent_keeps_the_grid(store: Store, alice: UUID) -> None:
    """Same timing: ids, `$state`, `$previous`, count and next time stay; the args are new."""
    run = await ran(store, await scheduled(store, alice), previous='{"n":1}', changes={"a": 1})
    before = await schedule_of(store, run)
    now = START + 30 * SECOND
    new = repeating(alice, at=now, url="https://other.test/", max_attempts=2, name="New")
    new = replace(new, origin="https://other.test")
    altered = await change(store, run, new, now)
    changed, (following,) = altered.schedule, altered.armed
    assert changed == replace(before, args=new.args, origin="https://other.test", name="New")
    assert changed == await schedule_of(store, run)
    assert (following.id, following.planned_at) == (run.id, run.planned_at)
    assert following.args == new.args
    assert (following.origin, following.name) == ("https://other.test", "New")
    assert following.max_attempts == 2
    assert await waiting(store) == [following.id]


async def test_a_change_of_the_timing_begins_a_new_grid(store: Store, alice: UUID) -> None:
    """Every two minutes from 12:00:30: that is when the waiting run is due now."""
    run = await ran(store, await scheduled(store, alice))
    now = START + 30 * SECOND
    new = repeating(alice, at=now, repeat_every=(2, "minutes"))
    altered = await change(store, run, new, now)
    changed, (following,) = altered.schedule, altered.armed
    assert (changed.anchor, changed.next_at, changed.runs) == (now, now, 1)
    assert (following.planned_at, following.scheduled_at) == (now, now)
    claims = await turns(store, following, now=now)
    assert [job.planned_at for job in claims.armed] == [now + 2 * MINUTE]


async def test_a_change_of_a_disabled_schedule_plans_nothing(store: Store, alice: UUID) -> None:
    """It stays disabled; enabled again it runs with the new args."""
    run = await scheduled(store, alice, at=START + HOUR)
    await disable(store, run)
    new = repeating(alice, at=START + HOUR, url="https://target.test/new")
    altered = await change(store, run, new)
    assert (altered.schedule.disabled_at, list(altered.armed)) == (START, [])
    assert await waiting(store) == []
    (planned,) = (await enable(store, run)).armed
    assert decode_args(planned.args).url == "https://target.test/new"


async def test_a_change_to_fewer_runs_than_were_made_ends_the_schedule(
    store: Store, alice: UUID
) -> None:
    """One run was made; with `max_runs: 1` nothing waits, the response says that it ended."""
    run = await ran(store, await scheduled(store, alice))
    new = repeating(alice, max_runs=1)
    altered = await change(store, run, new)
    changed = altered.schedule
    assert list(altered.armed) == []
    assert (changed.next_at, changed.ended_at) == (None, START)
    assert changed == await schedule_of(store, run)
    assert await waiting(store) == []


async def test_an_ended_schedule_can_be_changed_into_one_that_runs(
    store: Store, alice: UUID
) -> None:
    """Of one run made, two are allowed now: the second waits."""
    executing = await began(store, await scheduled(store, alice, max_runs=1))
    now = START + HOUR
    new = repeating(alice, at=now, max_runs=2)
    altered = await change(store, executing, new, now)
    changed = altered.schedule
    assert (changed.ended_at, changed.next_at, changed.runs) == (None, now, 1)
    assert [job.planned_at for job in altered.armed] == [now]


async def test_a_change_never_plans_a_time_that_was_run(store: Store, alice: UUID) -> None:
    """12:00 was run; every two minutes from 12:00 on, the next one is 12:02."""
    run = await ran(store, await scheduled(store, alice))
    new = repeating(alice, repeat_every=(2, "minutes"))
    now = START + 30 * SECOND
    altered = await change(store, run, new, now)
    assert altered.schedule.next_at == START + 2 * MINUTE
    assert [job.planned_at for job in altered.armed] == [START + 2 * MINUTE]


async def test_what_the_end_of_a_waiting_run_reports_is_written_with_it(
    store: Store, alice: UUID
) -> None:
    """Disabling, deleting and ending announce the run they cancel and return the reports."""

    def announce(job: Job, _: datetime) -> list[NewJob]:
        assert job.state is State.CANCELLED
        return [wanted(alice, kind=Kind.WEBHOOK, parent_id=job.id)]

    def reported(altered: ScheduleChange) -> list[int | None]:
        return [job.parent_id for job in altered.armed if job.kind is Kind.WEBHOOK]

    first = await ran(store, await scheduled(store, alice))
    before, new = await schedule_of(store, first), repeating(alice, max_runs=1)
    altered = await store.schedules.change(alice, before, new, START, announce)
    assert reported(altered) == [first.id]
    run = await scheduled(store, alice, at=START + HOUR)
    schedule_id = schedule_id_of(run)
    before, new = await schedule_of(store, run), repeating(alice, at=START + HOUR, name="New")
    assert reported(await store.schedules.change(alice, before, new, START, announce)) == []
    assert reported(await store.schedules.disable(alice, schedule_id, START, announce)) == [run.id]
    assert reported(await store.schedules.disable(alice, schedule_id, START, announce)) == []
    (run,) = (await enable(store, run)).armed
    assert reported(await store.schedules.delete(alice, schedule_id, START, announce)) == [run.id]
    assert len(await ids(store, alice, page(), kinds=(Kind.WEBHOOK,))) == 3


async def test_a_change_of_what_has_changed_meanwhile_is_a_conflict(
    store: Store, alice: UUID
) -> None:
    """Of two changes that were laid over the same schedule, the second must read it again."""
    run = await scheduled(store, alice)
    seen = await schedule_of(store, run)
    first, second = [repeating(alice, url=f"https://{name}.test/") for name in ("a", "b")]
    altered = await store.schedules.change(alice, seen, first, START, nothing)
    with pytest.raises(Conflict):
        await store.schedules.change(alice, seen, second, START, nothing)
    assert await schedule_of(store, run) == altered.schedule


async def test_a_change_of_a_disabled_schedule_logs_what_was_not_run(
    store: Store, alice: UUID
) -> None:
    """What passed until the change is told by the old times: 12:00 to 12:02, three of them."""
    run = await scheduled(store, alice)
    await disable(store, run, START - SECOND)
    now = START + timedelta(seconds=150)
    await change(store, run, repeating(alice, at=now, repeat_every=(1, "hour")), now)
    assert await gaps(store, alice) == [("disabled", "12:00:00", "12:02:00", 3)]


# --- the keys of schedules ------------------------------------------------------------------------


async def test_a_schedule_holds_its_key_until_it_is_deleted(store: Store, alice: UUID) -> None:
    """A redeploy adds nothing; it gets the waiting run, while it waits and when it has run."""
    run = await scheduled(store, alice, idempotency_key="key")
    asked = Creation(repeating(alice, idempotency_key="key"))
    again = await store.jobs.create(asked, START)
    assert (again.job, again.is_duplicate) == (run, True)
    run = await ran(store, run)
    again = await store.jobs.create(asked, START)
    assert (again.job, again.is_duplicate) == (run, True)
    assert len(await store.schedules.list(alice, page())) == 1
    await store.schedules.delete(alice, schedule_id_of(run), START, nothing)
    assert not (await store.jobs.create(asked, START)).is_duplicate


async def test_a_disabled_schedule_still_holds_its_key(store: Store, alice: UUID) -> None:
    """Its latest run is the response."""
    run = await scheduled(store, alice, idempotency_key="key")
    await disable(store, run)
    again = await store.jobs.create(Creation(repeating(alice, idempotency_key="key")), START)
    assert (again.job.id, again.is_duplicate) == (run.id, True)
    assert await waiting(store) == []


async def test_an_ended_schedule_leaves_its_key(store: Store, alice: UUID) -> None:
    """Once its last run has finished, another schedule or job may take it."""
    last = await began(store, await scheduled(store, alice, idempotency_key="key", max_runs=1))
    asked = Creation(wanted(alice, idempotency="key"))
    again = await store.jobs.create(asked, START)
    assert (again.job, again.is_duplicate) == (last, True)
    await settle(store, last, completed(last))
    assert not (await store.jobs.create(asked, START)).is_duplicate


async def test_fifty_simultaneous_schedules_with_one_key_make_one(
    store: Store, alice: UUID
) -> None:
    """One makes the schedule, 49 get its run."""
    asked = Creation(repeating(alice, idempotency_key="key"))
    responses = await asyncio.gather(*(store.jobs.create(asked, START) for _ in range(50)))
    assert len({response.job.id for response in responses}) == 1
    assert [response.is_duplicate for response in responses].count(False) == 1
    assert len(await store.schedules.list(alice, page())) == 1


async def test_a_schedule_can_be_replaced_in_place(store: Store, alice: UUID) -> None:
    """It keeps its id and `$state` (contract §5); the response is its waiting run."""
    run = await ran(store, await scheduled(store, alice, idempotency_key="key"), changes={"a": 1})
    new = repeating(alice, idempotency_key="key", url="https://target.test/new")
    response = await store.jobs.create(Creation(new, OnConflict.REPLACE), START)
    assert response.is_duplicate
    assert (response.job.schedule_id, response.job.args) == (run.schedule_id, new.args)
    schedule = await schedule_of(store, run)
    assert (schedule.args, schedule.state, schedule.runs) == (new.args, '{"a":1}', 1)
    assert await waiting(store) == [response.job.id]


async def test_a_key_can_be_asked_for_alone(store: Store, alice: UUID) -> None:
    """With `reject` a taken key is a conflict, and nothing has changed."""
    run = await scheduled(store, alice, idempotency_key="key")
    before = await schedule_of(store, run)
    for new in (repeating(alice, idempotency_key="key"), wanted(alice, idempotency="key")):
        with pytest.raises(Conflict, match=f"schedule {run.schedule_id}"):
            await store.jobs.create(Creation(new, OnConflict.REJECT), START)
    assert await schedule_of(store, run) == before
    assert await waiting(store) == [run.id]


async def test_jobs_and_schedules_share_their_keys(store: Store, alice: UUID) -> None:
    """One that does not repeat finds the schedule's run, a schedule finds the job."""
    run = await scheduled(store, alice, idempotency_key="repeats")
    job = (await store.jobs.create(Creation(wanted(alice, idempotency="once")), START)).job
    once = await store.jobs.create(Creation(wanted(alice, idempotency="repeats")), START)
    repeats = await store.jobs.create(Creation(repeating(alice, idempotency_key="once")), START)
    assert (once.job, once.is_duplicate) == (run, True)
    assert (repeats.job, repeats.is_duplicate) == (job, True)
    assert await store.jobs.holder(alice, "repeats", START) == run
    assert await store.jobs.holder(alice, "once", START) == job


async def test_what_repeats_does_not_replace_what_does_not(store: Store, alice: UUID) -> None:
    """Neither in place of the other: both are conflicts that name the holder."""
    run = await scheduled(store, alice, idempotency_key="repeats")
    job = (await store.jobs.create(Creation(wanted(alice, idempotency="once")), START)).job
    once = Creation(wanted(alice, idempotency="repeats"), OnConflict.REPLACE)
    repeats = Creation(repeating(alice, idempotency_key="once"), OnConflict.REPLACE)
    with pytest.raises(Conflict, match=f"schedule {run.schedule_id}"):
        await store.jobs.create(once, START)
    with pytest.raises(Conflict, match=f"job {job.id}"):
        await store.jobs.create(repeats, START)
    assert await waiting(store) == [run.id, job.id]


async def test_an_ended_schedule_does_not_come_back_to_a_key_that_is_taken(
    store: Store, alice: UUID
) -> None:
    """Another schedule has its key by now: the change is a conflict, not a fault."""
    first = await began(store, await scheduled(store, alice, idempotency_key="key", max_runs=1))
    await settle(store, first, completed(first))
    second = await scheduled(store, alice, idempotency_key="key")
    new = repeating(alice, at=START + HOUR, idempotency_key="key", max_runs=5)
    with pytest.raises(Conflict):
        await change(store, first, new)
    assert (await schedule_of(store, first)).ended_at is not None
    assert await waiting(store) == [second.id]


async def test_a_held_run_is_still_the_one_the_timers_know(store: Store, alice: UUID) -> None:
    """A run that waits for its predecessor can be claimed by the entry it was held with."""
    first = await began(store, await scheduled(store, alice, overlap="queue"))
    second = await next_run(store, first)
    at = START + MINUTE
    await turns(store, second, now=at)
    await settle(store, first, completed(first, at))
    (executing,) = await claim(store, [Due.of(second)], at)
    assert executing.id == second.id

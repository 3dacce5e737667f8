"""What is deleted: what the rules allow and nothing else, whatever there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.clock import EPOCH
from booper.model.job import FINISHED, Job, Kind, State
from booper.model.retention import PRUNED_STATES, Retention
from booper.model.schedule import Conflict
from booper.store.base import Store
from booper.store.pruning import Prunable, Spot
from booper.store.values import Creation
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    HOUR,
    MINUTE,
    SECOND,
    Rows,
    begun,
    brought,
    cancel,
    claim,
    completed,
    created,
    due,
    entry,
    ids,
    in_state,
    nothing,
    page,
    repeating,
    scheduled,
    settle,
    turns,
    wanted,
)

pytestmark = pytest.mark.anyio

opening, process, store, restart = stores.opening, stores.process, stores.store, stores.restart
rows = stores.rows
alice, bob = stores.alice, stores.bob

DAY = timedelta(days=1)
ENDED_AT = "coalesce(completed_at, discarded_at, cancelled_at)"
KEPT = Retention(
    completed=30 * DAY,
    cancelled=20 * DAY,
    discarded=90 * DAY,
    audit=365 * DAY,
    buckets=400 * DAY,
    schedule_runs=2,
    max_bytes=0,
)
LATER = START + 1000 * DAY
ALL_KINDS = tuple(Kind)


async def found(
    store: Store, now: datetime, retention: Retention = KEPT, *, is_over_size: bool = False
) -> list[int]:
    """Return all that may be deleted, in the order in which it is found."""
    jobs = await _walked(store, None, now, retention) if not is_over_size else []
    for state in PRUNED_STATES:
        jobs += await _walked(store, state, now, retention, is_over_size=is_over_size)
    return [job.id for job in jobs]


async def _walked(
    store: Store,
    state: State | None,
    now: datetime,
    retention: Retention,
    *,
    is_over_size: bool = False,
) -> list[Prunable]:
    spot: Spot | None = Spot()
    jobs: list[Prunable] = []
    while spot is not None:
        if state is None:
            part = await store.pruning.find_by_own_time(retention, now, spot)
        else:
            part = await store.pruning.find(state, retention, now, spot, is_over_size=is_over_size)
        jobs += part.jobs
        spot = part.rest
    return jobs


async def prune(
    store: Store, now: datetime, retention: Retention = KEPT, *, is_over_size: bool = False
) -> set[int]:
    """Delete all that may be deleted; return what was found."""
    numbers = await found(store, now, retention, is_over_size=is_over_size)
    for at in range(0, len(numbers), 50):
        part = numbers[at : at + 50]
        pruned = await store.pruning.prune(part, retention, now, 200, is_over_size=is_over_size)
        assert pruned.jobs == len(part), "what is found may be deleted"
    return set(numbers)


async def left(store: Store, *users: UUID) -> list[int]:
    """Return the numbers of the jobs that are still there, of all kinds."""
    return sorted([n for user in users for n in await ids(store, user, page(), kinds=ALL_KINDS)])


# --- by age ---------------------------------------------------------------------------------------

AGES = [
    (State.COMPLETED, 30 * DAY),
    (State.CANCELLED, 20 * DAY),
    (State.DISCARDED, 90 * DAY),
]


@pytest.mark.parametrize(("state", "age"), AGES)
async def test_a_finished_job_goes_when_its_time_is_over(
    store: Store, alice: UUID, state: State, age: timedelta
) -> None:
    """It is kept for as long as its state says after its end, to the microsecond."""
    job = await in_state(store, alice, state)
    assert await prune(store, START + age - timedelta.resolution) == set()
    assert await prune(store, START + age) == {job.id}
    assert await left(store, alice) == []


@pytest.mark.parametrize("state", [State.SCHEDULED, State.RETRYABLE, State.EXECUTING])
async def test_an_unfinished_job_never_goes(store: Store, alice: UUID, state: State) -> None:
    """Neither its age nor the size of the database counts."""
    job = (
        await in_state(store, alice, state)
        if state is not State.EXECUTING
        else await begun(store, alice)
    )
    assert await prune(store, LATER) == set()
    assert await prune(store, LATER, is_over_size=True) == set()
    direct = await store.pruning.prune([job.id], KEPT, LATER, 200, is_over_size=True)
    assert (direct.jobs, direct.rows) == (0, 0)
    assert await left(store, alice) == [job.id]


async def test_for_ever_is_for_ever(store: Store, alice: UUID) -> None:
    """A state without a time keeps its jobs."""
    await in_state(store, alice, State.COMPLETED)
    gone = await in_state(store, alice, State.CANCELLED)
    assert await prune(store, LATER, replace(KEPT, completed=None)) == {gone.id}


OWN_TIMES = [
    (timedelta(0), 30 * DAY),
    (HOUR, 30 * DAY),
    (365 * DAY, 30 * DAY),
    (HOUR, None),
]


@pytest.mark.parametrize(("own", "of_all"), OWN_TIMES)
async def test_a_job_is_kept_for_as_long_as_it_asked(
    store: Store, alice: UUID, own: timedelta, of_all: timedelta | None
) -> None:
    """`keep_for` counts from its end, and overrides what holds for its state."""
    retention = replace(KEPT, completed=of_all)
    job = await in_state(store, alice, State.COMPLETED, keep_for=own)
    assert await prune(store, START + own - timedelta.resolution, retention) == set()
    assert await prune(store, START + own, retention) == {job.id}


async def test_a_job_that_was_long_in_waiting_counts_from_its_end(
    store: Store, alice: UUID
) -> None:
    """What was created a year before it ended is as old as its end."""
    job = await created(store, alice, at=START + 365 * DAY)
    young = await in_state(store, alice, State.COMPLETED)
    now = START + 365 * DAY
    [executing] = await claim(store, [due(job)], now)
    await settle(store, executing, completed(executing, now))
    assert await prune(store, now + 29 * DAY) == {young.id}
    assert await prune(store, now + 30 * DAY) == {job.id}


async def test_a_job_of_a_clock_that_was_ahead_hides_no_other(store: Store, alice: UUID) -> None:
    """Jobs are looked through in order of creation, but one of next year ends nothing."""
    ahead = START + 365 * DAY
    await store.jobs.create(Creation(wanted(alice, at=ahead)), ahead)
    job = await in_state(store, alice, State.COMPLETED)
    assert await prune(store, START + 30 * DAY) == {job.id}


async def test_what_a_job_had_goes_with_it(store: Store, alice: UUID) -> None:
    """Its log and its tags, and nothing of another job's."""
    gone = await begun(store, alice, tags=("a", "b"))
    kept = await begun(store, alice, tags=("a",))
    await settle(store, gone, completed(gone), [entry(gone), entry(gone, "x")])
    await settle(store, kept, completed(kept, START + HOUR), [entry(kept)])
    pruned = await store.pruning.prune([gone.id], KEPT, START + 30 * DAY, 200, is_over_size=False)
    assert (pruned.jobs, pruned.rows) == (1, 1 + 2 + 2)
    log = await store.logs.list(alice, page(), None, None)
    assert {item.job_id for item in log} == {kept.id}
    assert await ids(store, alice, page(), tag="a") == [kept.id]
    assert await store.counters.jobs() == {(Kind.REQUEST, State.COMPLETED): 1}


async def test_a_long_log_goes_in_parts_and_its_job_at_the_end(store: Store, alice: UUID) -> None:
    """No change deletes more rows of logs than it was told to: 5 entries at 2 a time are 3."""
    job = await begun(store, alice)
    await settle(store, job, completed(job), [entry(job, "x") for _ in range(5)])
    now, parts = START + 30 * DAY, []
    for _ in range(3):
        pruned = await store.pruning.prune([job.id], KEPT, now, 2, is_over_size=False)
        parts.append((pruned.jobs, pruned.rows))
    assert parts == [(0, 2), (0, 2), (1, 2)]
    assert await left(store, alice) == []


async def test_a_job_is_found_with_what_its_deletion_costs(store: Store, alice: UUID) -> None:
    """Rows of its own, its tags and its log, and their bytes: two of `é` are four."""
    job = await begun(store, alice, tags=("a", "b"), args='{"url": "é"}')
    await settle(store, job, completed(job), [entry(job, "x", payload='"éé"')] * 3)
    [prunable] = await _walked(store, State.COMPLETED, START + 30 * DAY, KEPT)
    assert prunable == Prunable(job.id, rows=1 + 2 + 3, size=13 + 3 * 6)


async def test_the_oldest_go_first_whosever_they_are(store: Store, alice: UUID, bob: UUID) -> None:
    """Over its size, a database loses what was completed, then cancelled, then discarded."""
    states = [State.DISCARDED, State.COMPLETED, State.CANCELLED, State.COMPLETED]
    jobs = [
        (state, (await in_state(store, user, state)).id)
        for state in states
        for user in (bob, alice, bob)
    ]
    expected = [number for state in PRUNED_STATES for made, number in jobs if made is state]
    assert await found(store, START, is_over_size=True) == expected


async def test_more_jobs_than_one_part_holds_are_all_found(store: Store, alice: UUID) -> None:
    """Each once: parts end where the next one begins."""
    made = await store.jobs.create_many(
        [Creation(wanted(alice)) for _ in range(450)], START, atomic=True
    )
    jobs = [each.job for each in made if not isinstance(each, Exception)]
    for job in await claim(store, [due(job) for job in jobs]):
        await settle(store, job, completed(job))
    numbers = await found(store, START + 30 * DAY)
    assert sorted(numbers) == [job.id for job in jobs]


# --- what is needed -------------------------------------------------------------------------------


async def test_a_job_that_keeps_a_key_taken_stays_until_that_is_over(
    store: Store, alice: UUID
) -> None:
    """Until then a create with its key finds it."""
    until = START + 50 * DAY
    job = await in_state(store, alice, State.COMPLETED, idempotency="k", key_until=until)
    assert await prune(store, until - SECOND, replace(KEPT, completed=DAY)) == set()
    again = await store.jobs.create(
        Creation(wanted(alice, idempotency="k", key_until=until)), until - SECOND
    )
    assert (again.is_duplicate, again.job.id) == (True, job.id)
    assert await prune(store, until, replace(KEPT, completed=DAY)) == {job.id}


async def test_a_cancelled_job_keeps_no_key(store: Store, alice: UUID) -> None:
    """Cancelling frees it (contract §5), so nothing needs the job."""
    until = START + 50 * DAY
    job = await in_state(store, alice, State.CANCELLED, idempotency="k", key_until=until)
    assert await prune(store, START + 20 * DAY) == {job.id}


@pytest.mark.parametrize("kind", [Kind.CALLBACK, Kind.WEBHOOK])
async def test_what_a_report_is_about_stays_until_it_is_sent(
    store: Store, alice: UUID, kind: Kind
) -> None:
    """A target that has been away for a month still gets the report of a job that is there."""
    job = await in_state(store, alice, State.COMPLETED)
    report = await begun(store, alice, kind=kind, parent_id=job.id)
    assert await prune(store, START + 30 * DAY) == set()
    await brought(store, report, State.COMPLETED)
    assert await prune(store, START + 30 * DAY) == {job.id, report.id}


async def runs(store: Store, run: Job, count: int) -> list[Job]:
    """Complete a schedule's runs one after the other; return them and the one that waits."""
    done = [run]
    for _ in range(count):
        at = done[-1].planned_at
        claims = await turns(store, done[-1], now=at)
        [attempt] = claims.begun
        done[-1] = await settle(store, attempt.job, completed(attempt.job, at))
        done += claims.armed
    return done


async def test_a_schedules_newest_runs_stay(store: Store, alice: UUID) -> None:
    """Two beside the one that waits, whatever their age."""
    jobs = await runs(store, await scheduled(store, alice), 5)
    assert await prune(store, LATER) == {job.id for job in jobs[:3]}
    assert await left(store, alice) == [job.id for job in jobs[3:]]
    assert await prune(store, LATER, is_over_size=True) == set()


async def test_the_runs_of_a_schedule_that_is_gone_go(store: Store, alice: UUID) -> None:
    """Nothing needs them any more; the waiting one was cancelled."""
    jobs = await runs(store, await scheduled(store, alice), 3)
    schedule_id = jobs[0].schedule_id
    assert schedule_id is not None
    await store.schedules.delete(alice, schedule_id, START + HOUR, nothing)
    assert await prune(store, LATER) == {job.id for job in jobs}


async def test_a_disabled_schedule_is_whole_after_its_runs_were_pruned(
    store: Store, alice: UUID
) -> None:
    """An equal create finds it, and what passed meanwhile is logged once it is enabled."""
    new = repeating(alice, idempotency_key="k", repeat_every=(1, "day"))
    first = (await store.jobs.create(Creation(new), START)).job
    jobs = await runs(store, first, 3)
    schedule_id = first.schedule_id
    assert schedule_id is not None
    await store.schedules.disable(alice, schedule_id, START + 2.5 * DAY, nothing)
    now = START + 1000.5 * DAY
    assert await prune(store, now, replace(KEPT, schedule_runs=1)) == {job.id for job in jobs[:2]}

    again = await store.jobs.create(Creation(new, Conflict.IGNORE), now)
    assert again.is_duplicate
    change = await store.schedules.enable(alice, schedule_id, now, 15)
    [run] = change.armed
    assert run.planned_at == START + 1001 * DAY
    [gap] = await store.logs.list(alice, page(), None, "schedule.skipped")
    # The days from the 3rd, whose run was cancelled, to the 1000th: 998.
    assert b'"count":998' in gap.payload.encode()


async def test_a_run_whose_time_could_be_planned_again_stays(store: Store, alice: UUID) -> None:
    """A run that was made while the clock was ahead owns its time (contract §6)."""
    jobs = await runs(store, await scheduled(store, alice), 8)
    # Of 8 minutes, 5 are still to come: those of START + 3 to START + 7 minutes, and the next.
    now = START + 2 * MINUTE + SECOND
    retention = replace(KEPT, completed=timedelta(0), schedule_runs=1)
    ahead = [job.id for job in jobs if job.planned_at > now]
    assert await prune(store, now, retention, is_over_size=True) == {
        job.id for job in jobs if job.id not in ahead
    }
    assert len(ahead) == 6


# --- exactness ------------------------------------------------------------------------------------


@dataclass
class Reader:
    """Somebody who knows the rules, and reads the database by other means than the store."""

    rows: Rows

    def allowed(self, retention: Retention, now: datetime) -> set[int]:
        """Return what may be deleted: each rule in turn, for each job."""
        jobs = list(self.rows(f"SELECT *, {ENDED_AT} AS ended FROM jobs ORDER BY id"))
        schedules = {row["id"]: row for row in self.rows("SELECT * FROM schedules")}
        return {
            job["id"]
            for job in jobs
            if job["state"] in set(FINISHED)
            and self._is_old(job, retention, now)
            and not self._is_key(job, now)
            and not any(
                other["parent_id"] == job["id"] and other["state"] not in set(FINISHED)
                for other in jobs
            )
            and (
                job["schedule_id"] not in schedules
                or not self._is_needed_run(job, jobs, schedules[job["schedule_id"]], retention, now)
            )
        }

    def _is_old(self, job: dict[str, Any], retention: Retention, now: datetime) -> bool:
        spans = {
            "completed": retention.completed,
            "cancelled": retention.cancelled,
            "discarded": retention.discarded,
        }
        kept = spans[job["state"]]
        if job["keep_for"] is not None:
            kept = timedelta(microseconds=job["keep_for"])
        ended = EPOCH + timedelta(microseconds=job["ended"])
        return kept is not None and now - ended >= kept

    def _is_key(self, job: dict[str, Any], now: datetime) -> bool:
        if job["idempotency_key"] is None or job["key_until"] is None or job["schedule_id"]:
            return False
        return (
            job["state"] != "cancelled" and EPOCH + timedelta(microseconds=job["key_until"]) > now
        )

    def _is_needed_run(
        self,
        job: dict[str, Any],
        jobs: Sequence[dict[str, Any]],
        schedule: dict[str, Any],
        retention: Retention,
        now: datetime,
    ) -> bool:
        newest = [other["id"] for other in jobs if other["schedule_id"] == schedule["id"]]
        if job["id"] in newest[-(retention.schedule_runs + 1) :]:
            return True
        to_come = min(now, EPOCH + timedelta(microseconds=schedule["next_at"]))
        return job["kind"] == "run" and EPOCH + timedelta(microseconds=job["planned_at"]) >= to_come


@pytest.mark.parametrize("seed", range(12))
async def test_exactly_what_the_rules_allow_is_deleted(
    store: Store, alice: UUID, bob: UUID, rows: Rows, seed: int
) -> None:
    """After random work, an independent reader finds gone what may go, and all else in place."""
    random, reader = Random(seed), Reader(rows)
    for _ in range(60):
        await _some_work(store, random.choice([alice, bob]), random)
    for step in range(1, 5):
        now = START + step * random.uniform(5, 40) * DAY
        retention = Retention(
            completed=random.choice([None, DAY, 10 * DAY, 60 * DAY]),
            cancelled=random.choice([timedelta(0), 20 * DAY]),
            discarded=random.choice([None, 30 * DAY]),
            audit=None,
            buckets=None,
            schedule_runs=random.choice([1, 3]),
            max_bytes=0,
        )
        before = set(await left(store, alice, bob))
        allowed = reader.allowed(retention, now)
        await prune(store, now, retention)
        after = {row["id"] for row in reader.rows("SELECT id FROM jobs")}
        assert before - after == allowed
        for table in ("logs", "waits", "audit_jobs"):
            orphans = f"SELECT * FROM {table} WHERE job_id NOT IN (SELECT id FROM jobs)"
            assert list(reader.rows(orphans)) == []
        counted = {
            (Kind(row["kind"]), State(row["state"])): row["n"]
            for row in reader.rows("SELECT kind, state, count(*) AS n FROM jobs GROUP BY 1, 2")
        }
        assert await store.counters.jobs() == counted


async def _some_work(store: Store, user: UUID, random: Random) -> None:
    """Do something that leaves jobs of one kind or another, ended within 30 days of START."""
    at = START + random.randrange(30 * 24) * HOUR
    keep_for = random.choice([None, None, None, timedelta(0), DAY, 200 * DAY])
    chance = random.random()
    if chance < 0.15:
        run = await scheduled(store, user, at=START, repeat_every=(1, "day"))
        jobs = await runs(store, run, random.randrange(1, 8))
        assert run.schedule_id is not None
        if random.random() < 0.3:
            await store.schedules.disable(user, run.schedule_id, jobs[-1].inserted_at, nothing)
        elif random.random() < 0.3:
            await store.schedules.delete(user, run.schedule_id, jobs[-1].inserted_at, nothing)
        return
    fields: dict[str, Any] = {"tags": ("a", "b")[: random.randrange(3)], "keep_for": keep_for}
    if chance < 0.4:
        until = random.choice([None, at + 15 * DAY, at + 100 * DAY])
        fields |= {"idempotency": f"k{random.random()}", "key_until": until}
    job = await created(store, user, **fields)
    if chance > 0.95:
        return
    [executing] = await claim(store, [due(job)])
    log = [entry(executing, "x") for _ in range(random.randrange(4))]
    if random.random() < 0.3:
        kind = random.choice([Kind.CALLBACK, Kind.WEBHOOK])
        report = await created(store, user, kind=kind, parent_id=job.id)
        if random.random() < 0.7:
            [sent] = await claim(store, [due(report)])
            await settle(store, sent, completed(sent, at))
    match random.randrange(4):
        case 0:
            await cancel(store, user, job.id, at)
        case 1:
            await settle(store, executing, stores.discarded(executing, at), log)
        case _:
            await settle(store, executing, completed(executing, at), log)

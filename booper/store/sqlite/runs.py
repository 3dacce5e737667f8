"""A schedule's row and its planned runs: reading, planning the next, and what was not run."""

import sqlite3
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.errors import NotFound
from booper.model import lifecycle
from booper.model.args import Args, decode_args
from booper.model.duration import parse_duration
from booper.model.job import Job, Kind, NewJob
from booper.model.origin import path_key
from booper.model.planning import DISABLED
from booper.model.schedule import NewSchedule, Plan, Schedule, has_same_timing
from booper.store.base import AnnounceEnd
from booper.store.sqlite import rows
from booper.store.sqlite.connection import Row
from booper.store.sqlite.gaps import close_gap as close_gap
from booper.store.sqlite.gaps import record_gaps as record_gaps
from booper.store.sqlite.gaps import shorten
from booper.store.sqlite.upcoming import IS_TAKEN as IS_TAKEN
from booper.store.sqlite.upcoming import is_taken, next_time, with_anchor_by
from booper.store.sqlite.values import loaded, loaded_or_none, stored, stored_or_none

COLUMNS = """
id, user_id, idempotency_key, name, description, origin, args, anchor, next_at, runs, state,
previous, inserted_at, disabled_at, ended_at
"""

FIND = f"SELECT {COLUMNS} FROM schedules WHERE id = :id"

INSERT = """
INSERT INTO schedules (id, user_id, idempotency_key, name, description, origin, args, anchor,
    next_at, runs, state, previous, inserted_at)
VALUES (:id, :user_id, :idempotency_key, :name, :description, :origin, :args, :anchor, :next_at,
    :runs, :state, :previous, :inserted_at)
"""

UPDATE = """
UPDATE schedules SET name = :name, description = :description, origin = :origin, args = :args,
    anchor = :anchor, next_at = :next_at, runs = :runs, state = :state, previous = :previous,
    disabled_at = :disabled_at, ended_at = :ended_at
WHERE id = :id
"""

ADVANCE = """
UPDATE schedules SET next_at = :next_at, runs = :runs, ended_at = :ended_at WHERE id = :id
"""

LEAVE = "UPDATE schedules SET previous = :previous, state = :state WHERE id = :id"

# Partial indexes serve only what says so in their own words; without these a claim would walk all
# runs that the schedule ever had.
WAITING_RUN = f"""
SELECT {rows.COLUMNS} FROM jobs
WHERE schedule_id = :id AND planned_at = :next_at AND kind = 'run' AND state <> 'cancelled'
    AND state = 'scheduled'
"""

IS_BLOCKED = """
SELECT EXISTS (
    SELECT 1 FROM jobs
    WHERE schedule_id = :id AND state IN ('scheduled', 'executing', 'retryable')
        AND state <> 'scheduled' AND kind = 'run'
)
"""

FIND_DUE = f"SELECT {COLUMNS}, gap IS NOT NULL, ({IS_BLOCKED}) FROM schedules WHERE id = :id"


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{name}" for name in columns.replace(",", " ").split())


FIND_WITH_WAITING_RUN = f"""
SELECT {_of("schedules", COLUMNS)}, {_of("jobs", rows.COLUMNS)}
FROM schedules LEFT JOIN jobs ON jobs.schedule_id = schedules.id
    AND jobs.planned_at = schedules.next_at AND jobs.kind = 'run' AND jobs.state <> 'cancelled'
    AND jobs.state = 'scheduled'
WHERE schedules.id = :id
"""

_WIDTH = len(COLUMNS.split(","))

LAST_RUN = f"""
SELECT {rows.COLUMNS} FROM jobs WHERE schedule_id = :id AND kind = 'run' ORDER BY id DESC LIMIT 1
"""


def find(connection: sqlite3.Connection, schedule_id: UUID | None) -> Schedule | None:
    """Return a schedule, None if there is none."""
    if schedule_id is None:
        return None
    row = connection.execute(FIND, {"id": schedule_id.bytes}).fetchone()
    return schedule_of(row) if row is not None else None


class DueSchedule(msgspec.Struct, frozen=True):
    """A schedule whose run is due.

    `has_gap` is whether a gap is open at its end, `is_blocked` whether a run is not finished.
    """

    schedule: Schedule
    has_gap: bool
    is_blocked: bool


def find_due(connection: sqlite3.Connection, schedule_id: UUID | None) -> DueSchedule | None:
    """Return a schedule with what decides the turn of its run, None if there is none."""
    if schedule_id is None:
        return None
    row = connection.execute(FIND_DUE, {"id": schedule_id.bytes}).fetchone()
    return None if row is None else DueSchedule(schedule_of(row), bool(row[-2]), bool(row[-1]))


def find_with_waiting_run(
    connection: sqlite3.Connection, schedule_id: UUID | None
) -> tuple[Schedule | None, Job | None]:
    """Return a schedule and the run that waits for its next time, None for what there is not."""
    if schedule_id is None:
        return None, None
    row = connection.execute(FIND_WITH_WAITING_RUN, {"id": schedule_id.bytes}).fetchone()
    if row is None:
        return None, None
    waiting = row[_WIDTH:]
    return schedule_of(row), rows.job_of(waiting) if waiting[0] is not None else None


def get(connection: sqlite3.Connection, user_id: UUID, schedule_id: UUID) -> Schedule:
    """Return a user's schedule. Raises: NotFound."""
    schedule = find(connection, schedule_id)
    if schedule is None or schedule.user_id != user_id:
        raise NotFound(f"there is no schedule {schedule_id}")
    return schedule


def insert(connection: sqlite3.Connection, schedule: Schedule) -> None:
    """Write a new schedule."""
    connection.execute(INSERT, _values(schedule))


def write(connection: sqlite3.Connection, schedule: Schedule) -> Schedule:
    """Write what may change of a schedule, and return it."""
    connection.execute(UPDATE, _values(schedule))
    return schedule


def advance(connection: sqlite3.Connection, schedule: Schedule) -> None:
    """Write how far a schedule has come."""
    values = {
        "id": schedule.id.bytes,
        "next_at": stored_or_none(schedule.next_at),
        "runs": schedule.runs,
        "ended_at": stored_or_none(schedule.ended_at),
    }
    connection.execute(ADVANCE, values)


def leave(connection: sqlite3.Connection, schedule: Schedule, previous: str, state: str) -> None:
    """Write `$previous` and `$state` of a schedule, unless they are the same as before."""
    if (previous, state) != (schedule.previous, schedule.state):
        values = {"id": schedule.id.bytes, "previous": previous, "state": state}
        connection.execute(LEAVE, values)


def waiting_run(connection: sqlite3.Connection, schedule: Schedule) -> Job | None:
    """Return the run that waits for the schedule's next time."""
    values = {"id": schedule.id.bytes, "next_at": stored_or_none(schedule.next_at)}
    row = connection.execute(WAITING_RUN, values).fetchone()
    return rows.job_of(row) if row is not None else None


def last_run(connection: sqlite3.Connection, schedule: Schedule) -> Job:
    """Return a schedule's newest run."""
    return rows.job_of(connection.execute(LAST_RUN, {"id": schedule.id.bytes}).fetchone())


def is_waiting(schedule: Schedule | None, job: Job) -> bool:
    """Say whether a job is the run for which its schedule waits; a disabled one waits for none."""
    return (
        schedule is not None
        and job.kind is Kind.RUN
        and schedule.disabled_at is None
        and schedule.next_at == job.planned_at
    )


def free_time(
    connection: sqlite3.Connection,
    plan: Plan,
    schedule: Schedule,
    at: datetime | None,
    *,
    but: int = 0,
) -> datetime | None:
    """Return the first planned time from `at` on that no run (`but` one) has taken already.

    A run that was sent before its time owns that time, also under rules that were changed since.
    """
    while at is not None:
        if not is_taken(connection, schedule, at, but=but):
            return at
        at = plan.next_after(at)
    return None


def plan_run(
    connection: sqlite3.Connection,
    schedule: Schedule,
    planned_at: datetime,
    max_attempts: int,
    now: datetime,
    random: Random,
) -> Job:
    """Write the run that waits for a planned time."""
    args = decode_args(schedule.args)
    new = NewJob(
        user_id=schedule.user_id,
        args=schedule.args,
        origin=schedule.origin,
        path=path_key(args.url),
        scheduled_at=with_jitter(args, planned_at, random),
        planned_at=planned_at,
        max_attempts=max_attempts,
        kind=Kind.RUN,
        schedule_id=schedule.id,
        idempotency_key=schedule.idempotency_key,
        name=schedule.name,
        description=schedule.description,
        tags=tuple(args.tags or ()),
    )
    return rows.insert(connection, new, now, random)


def with_jitter(args: Args, planned_at: datetime, random: Random) -> datetime:
    """Return when a planned run is due: its time, and a part of its schedule's jitter."""
    jitter = parse_duration(args.jitter) if args.jitter is not None else timedelta(0)
    return planned_at + jitter * random.random()


def move_on(
    connection: sqlite3.Connection,
    schedule: Schedule,
    skipped_run: Job,
    now: datetime,
    random: Random,
) -> tuple[Schedule, Job | None]:
    """Plan the next run after one that will not take place; end the schedule if there is none.

    One whose rules cannot be read any more is disabled.
    """
    try:
        plan = Plan.of_schedule(schedule)
    except ValueError:
        return write(connection, replace(schedule, disabled_at=now)), None
    next_at = free_time(connection, plan, schedule, plan.next_after(skipped_run.planned_at))
    schedule = write(connection, ending(replace(schedule, next_at=next_at), now))
    close_gap(connection, schedule)  # what is skipped after a cancelled run is another gap
    if next_at is None:
        return schedule, None
    job = plan_run(connection, schedule, next_at, skipped_run.max_attempts, now, random)
    return schedule, job


def cancel(
    connection: sqlite3.Connection,
    waiting: Job | None,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
) -> list[Job]:
    """Cancel a waiting run, if there is one; return the jobs that report it."""
    if waiting is None:
        return []
    cancelled = rows.write(connection, waiting, lifecycle.cancel(waiting, now))
    return [rows.insert(connection, new, now, random) for new in announce(cancelled)]


def change(
    connection: sqlite3.Connection,
    schedule: Schedule,
    new: NewSchedule,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
) -> tuple[Schedule, list[Job]]:
    """Put new args in a schedule's place; its waiting run takes them over, at its new time.

    With the same timing it keeps its grid, so that a redeploy does not make it run at once.
    """
    schedule = account_disabled(connection, schedule, now, random)
    args = decode_args(new.args)
    is_kept = has_same_timing(decode_args(schedule.args), args) and schedule.next_at is not None
    anchor = with_anchor_by(schedule, now).anchor if is_kept else new.anchor
    plan = Plan.of(args, anchor)
    next_at = next_time(connection, plan, schedule, now) if is_kept else new.first_at
    waiting = waiting_run(connection, schedule)
    but = waiting.id if waiting is not None else 0
    next_at = free_time(connection, plan, schedule, next_at, but=but)
    if plan.is_used_up(schedule.runs):
        next_at = None
    if is_kept:
        shorten(connection, plan, schedule, next_at)
    changed = replace(
        schedule,
        args=new.args,
        origin=new.origin,
        name=new.name,
        description=new.description,
        anchor=anchor,
        next_at=next_at,
        ended_at=None,
    )
    changed = write(connection, ending(changed, now))
    if changed.disabled_at is not None:
        return changed, []
    if next_at is None:
        return changed, cancel(connection, waiting, now, random, announce)
    if waiting is None:
        return changed, [plan_run(connection, changed, next_at, new.max_attempts, now, random)]
    return changed, [_retimed(connection, waiting, changed, next_at, new, random)]


def _retimed(
    connection: sqlite3.Connection,
    waiting: Job,
    schedule: Schedule,
    planned_at: datetime,
    new: NewSchedule,
    random: Random,
) -> Job:
    """Let a waiting run take over what its schedule has become; it keeps its id."""
    args = decode_args(schedule.args)
    run = replace(
        waiting,
        args=schedule.args,
        origin=schedule.origin,
        path=path_key(args.url),
        name=schedule.name,
        description=schedule.description,
        planned_at=planned_at,
        scheduled_at=with_jitter(args, planned_at, random),
        max_attempts=new.max_attempts,
    )
    rows.retag(connection, waiting, new.tags)
    return rows.write(connection, waiting, run)


def account_disabled(
    connection: sqlite3.Connection, schedule: Schedule, now: datetime, random: Random
) -> Schedule:
    """Log the times that passed while a schedule was disabled, before it goes on or changes.

    Return it with the first time that has not passed as its next one, so that none is logged twice.
    """
    row = connection.execute(LAST_RUN, {"id": schedule.id.bytes}).fetchone()
    missed = schedule.next_at
    if schedule.disabled_at is None or missed is None or missed > now or row is None:
        return schedule
    try:
        plan = Plan.of_schedule(schedule)
    except ValueError:  # its zone is gone, and with it the times that passed
        return schedule
    gap = plan.gap(DISABLED, missed, plan.last_until(now) or missed)
    record_gaps(connection, schedule, rows.job_of(row), (gap,), now, random)
    return replace(schedule, next_at=plan.next_after(gap.last))


def ending(schedule: Schedule, now: datetime) -> Schedule:
    """Return a schedule that has ended if it has no next time."""
    return replace(schedule, ended_at=now) if schedule.next_at is None else schedule


def schedule_of(row: Row) -> Schedule:
    """Build a schedule from a row of `COLUMNS`."""
    return Schedule(
        id=UUID(bytes=row[0]),
        user_id=UUID(bytes=row[1]),
        idempotency_key=row[2],
        name=row[3],
        description=row[4],
        origin=row[5],
        args=row[6],
        anchor=loaded(row[7]),
        next_at=loaded_or_none(row[8]),
        runs=row[9],
        state=row[10],
        previous=row[11],
        inserted_at=loaded(row[12]),
        disabled_at=loaded_or_none(row[13]),
        ended_at=loaded_or_none(row[14]),
    )


def _values(schedule: Schedule) -> dict[str, object]:
    return {
        "id": schedule.id.bytes,
        "user_id": schedule.user_id.bytes,
        "idempotency_key": schedule.idempotency_key,
        "name": schedule.name,
        "description": schedule.description,
        "origin": schedule.origin,
        "args": schedule.args,
        "anchor": stored(schedule.anchor),
        "next_at": stored_or_none(schedule.next_at),
        "runs": schedule.runs,
        "state": schedule.state,
        "previous": schedule.previous,
        "inserted_at": stored(schedule.inserted_at),
        "disabled_at": stored_or_none(schedule.disabled_at),
        "ended_at": stored_or_none(schedule.ended_at),
    }

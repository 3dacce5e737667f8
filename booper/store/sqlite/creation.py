"""Creating jobs and schedules, and whose idempotency key is whose (contract §5)."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from random import Random
from uuid import UUID

from msgspec.structs import replace

from booper.errors import Conflict as ConflictError
from booper.model.identity import uuid7
from booper.model.job import WAITING, Job, NewJob
from booper.model.schedule import Conflict, NewSchedule, Schedule
from booper.store.base import Created, Creation
from booper.store.sqlite import rows, runs
from booper.store.sqlite.values import stored

# An unfinished job holds its key, a finished one for as long as it asked; cancelling frees it.
JOB_HOLDING_KEY = f"""
SELECT {rows.COLUMNS} FROM jobs
WHERE user_id = :user_id AND idempotency_key = :key AND schedule_id IS NULL
    AND (state IN ('scheduled', 'executing', 'retryable')
        OR (key_until > :now AND state <> 'cancelled'))
ORDER BY id DESC LIMIT 1
"""

SCHEDULE_HOLDING_KEY = f"""
SELECT {runs.COLUMNS} FROM schedules
WHERE user_id = :user_id AND idempotency_key = :key AND ended_at IS NULL
"""

# A schedule has ended when its last run has begun; until that has finished it holds its key.
ENDING_SCHEDULE_HOLDING_KEY = f"""
SELECT {runs.COLUMNS} FROM schedules
WHERE user_id = :user_id AND idempotency_key = :key AND EXISTS (
    SELECT 1 FROM jobs WHERE schedule_id = schedules.id AND kind = 'run'
        AND state IN ('scheduled', 'executing', 'retryable')
)
LIMIT 1
"""

LATEST_RUN = f"""
SELECT {rows.COLUMNS} FROM jobs WHERE schedule_id = :id ORDER BY planned_at DESC, id DESC LIMIT 1
"""

Change = Callable[[sqlite3.Connection], Created]


def creation(asked: Creation, now: datetime, random: Random) -> Change:
    """Prepare a create; what it returns runs within a change.

    The change raises `Conflict` where the key is taken and that was not to be ignored.
    """
    new = asked.new
    insert = (
        _job_insertion(new, now, random)
        if isinstance(new, NewJob)
        else _schedule_insertion(new, now, random)
    )

    def change(connection: sqlite3.Connection) -> Created:
        if new.idempotency_key is None:
            return Created(insert(connection), is_duplicate=False)
        holder = holding(connection, new.user_id, new.idempotency_key, now)
        if holder is None:
            return Created(insert(connection), is_duplicate=False)
        match asked.on_conflict:
            case Conflict.IGNORE:
                return Created(_job_of(connection, holder), is_duplicate=True)
            case Conflict.REJECT:
                raise ConflictError(
                    f"the idempotency key {new.idempotency_key!r} is held by {_name(holder)}"
                )
            case Conflict.REPLACE:
                replaced = _replace(connection, holder, new, now, random)
                return Created(replaced, is_duplicate=True)

    return change


def holding(
    connection: sqlite3.Connection, user_id: UUID, key: str, now: datetime
) -> Job | Schedule | None:
    """Return what holds a user's idempotency key, None if it is free."""
    values = {"user_id": user_id.bytes, "key": key, "now": stored(now)}
    for query in (SCHEDULE_HOLDING_KEY, ENDING_SCHEDULE_HOLDING_KEY):
        row = connection.execute(query, values).fetchone()
        if row is not None:
            return runs.schedule_of(row)
    row = connection.execute(JOB_HOLDING_KEY, values).fetchone()
    return rows.job_of(row) if row is not None else None


def check_key(connection: sqlite3.Connection, schedule: Schedule, now: datetime) -> None:
    """Check that a schedule that may have ended can have its key again. Raises: Conflict."""
    key = schedule.idempotency_key
    holder = holding(connection, schedule.user_id, key, now) if key is not None else None
    if holder is not None and holder.id != schedule.id:
        raise ConflictError(f"its idempotency key {key!r} is held by {_name(holder)} by now")


def holding_job(
    connection: sqlite3.Connection, user_id: UUID, key: str, now: datetime
) -> Job | None:
    """Return the job that holds a key; of a schedule, its latest run."""
    holder = holding(connection, user_id, key, now)
    return None if holder is None else _job_of(connection, holder)


def _job_insertion(
    new: NewJob, now: datetime, random: Random
) -> Callable[[sqlite3.Connection], Job]:
    values = rows.insertion(new, now, random)
    return lambda connection: rows.insert(connection, values, new.tags)


def _schedule_insertion(
    new: NewSchedule, now: datetime, random: Random
) -> Callable[[sqlite3.Connection], Job]:
    schedule = Schedule(
        id=uuid7(now, random),
        user_id=new.user_id,
        idempotency_key=new.idempotency_key,
        name=new.name,
        description=new.description,
        host=new.host,
        args=new.args,
        anchor=new.anchor,
        next_at=new.first_at,
        runs=0,
        inserted_at=now,
    )

    def change(connection: sqlite3.Connection) -> Job:
        assert new.first_at is not None
        runs.insert(connection, schedule)
        return runs.plan_run(connection, schedule, new.first_at, new.max_attempts, now, random)

    return change


def _replace(
    connection: sqlite3.Connection,
    holder: Job | Schedule,
    new: NewJob | NewSchedule,
    now: datetime,
    random: Random,
) -> Job:
    """Put new args in the place of a waiting job or a schedule, which keeps its id."""
    if isinstance(holder, Schedule) and isinstance(new, NewSchedule):
        # The one who replaces it knows; its waiting run has no end of its own to report.
        _, armed = runs.change(connection, holder, new, now, random, lambda _: ())
        return armed[0] if armed else _job_of(connection, holder)
    if isinstance(holder, Job) and isinstance(new, NewJob) and holder.state in WAITING:
        rows.replace_marks(connection, holder, new)
        return rows.write(connection, holder, _replaced(holder, new))
    if isinstance(holder, Job) and isinstance(new, NewJob):
        raise ConflictError(f"{_name(holder)} is {holder.state} and cannot be replaced now")
    raise ConflictError(f"{_name(holder)} cannot be replaced: only one of the two repeats")


def _replaced(job: Job, new: NewJob) -> Job:
    return replace(
        job,
        args=new.args,
        host=new.host,
        name=new.name,
        description=new.description,
        scheduled_at=new.scheduled_at,
        planned_at=new.planned_at,
        max_attempts=max(new.max_attempts, job.attempt + 1),
    )


def _job_of(connection: sqlite3.Connection, holder: Job | Schedule) -> Job:
    if isinstance(holder, Job):
        return holder
    waiting = runs.waiting_run(connection, holder)
    if waiting is not None:
        return waiting
    row = connection.execute(LATEST_RUN, {"id": holder.id.bytes}).fetchone()
    return rows.job_of(row)


def _name(holder: Job | Schedule) -> str:
    return f"job {holder.id}" if isinstance(holder, Job) else f"schedule {holder.id}"

"""Creating jobs and schedules, and whose idempotency key is whose (contract §5)."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from random import Random
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.errors import BooperError
from booper.errors import Conflict as ConflictError
from booper.model import lifecycle
from booper.model.identity import uuid7
from booper.model.job import WAITING, Job, NewJob
from booper.model.schedule import Conflict, NewSchedule, Schedule
from booper.store.base import Created, Creation
from booper.store.sqlite import rows, runs
from booper.store.sqlite.damage import is_damaged
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


class NewScheduleRow(msgspec.Struct, frozen=True, gc=False):
    """A new schedule with what its first run needs beside it."""

    new: NewSchedule
    schedule: Schedule

    def insert(self, connection: sqlite3.Connection, now: datetime, random: Random) -> Job:
        """Write the schedule and its first run; return the run."""
        assert self.new.first_at is not None
        runs.insert(connection, self.schedule)
        attempts = self.new.max_attempts
        return runs.plan_run(connection, self.schedule, self.new.first_at, attempts, now, random)


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A create, prepared before the writing thread has it."""

    asked: Creation
    row: rows.NewRow | NewScheduleRow
    now: datetime
    random: Random

    @property
    def key(self) -> str | None:
        """Return the idempotency key, None where no other job can be in the way."""
        return self.asked.new.idempotency_key


def prepare(asked: Creation, now: datetime, random: Random) -> Prepared:
    """Prepare a create on the caller's thread."""
    new = asked.new
    row = (
        rows.prepare(new, now, random)
        if isinstance(new, NewJob)
        else NewScheduleRow(new, _schedule(new, now, random))
    )
    return Prepared(asked, row, now, random)


def create_all(
    connection: sqlite3.Connection, asked: Sequence[Prepared]
) -> list[Created | BooperError]:
    """Write what many creates ask for, each with its answer, in order."""
    answers: list[Created | BooperError] = []
    for together, items in groupby(asked, is_plain):
        if together:
            answers += create_plain(connection, list(items))
            continue
        made = [_create(connection, item) for item in items]
        if is_damaged(connection):
            _check_claimable(connection, made)
        answers += made
    return answers


def _check_claimable(
    connection: sqlite3.Connection, answers: Sequence[Created | BooperError]
) -> None:
    """Claim new jobs and give them back: what cannot be claimed would be kept and never sent.

    Raises: sqlite3.DatabaseError, if a damaged page is in the way.
    """
    for answer in answers:
        if isinstance(answer, Created) and not answer.is_duplicate:
            claimed = lifecycle.claim(answer.job, answer.job.inserted_at)
            rows.write(connection, answer.job, claimed)
            rows.write(connection, claimed, lifecycle.release(claimed))


def is_plain(item: Prepared) -> bool:
    """Say whether a create is one row that nothing can be in the way of, as most are."""
    return item.key is None and isinstance(item.row, rows.NewRow) and not item.row.new.tags


def create_plain(connection: sqlite3.Connection, asked: Sequence[Prepared]) -> list[Created]:
    """Write what plain creates ask for: up to `many.MOST_ROWS` by one statement."""
    new_rows = [item.row for item in asked if isinstance(item.row, rows.NewRow)]
    made = rows.insert_all(connection, new_rows)
    created = [Created(job, is_duplicate=False) for job in made]
    if is_damaged(connection):
        _check_claimable(connection, created)
    return created


def _create(connection: sqlite3.Connection, item: Prepared) -> Created | BooperError:
    """Write what one create asks for, unless its key is taken."""
    new, now = item.asked.new, item.now
    holder = item.key and holding(connection, new.user_id, item.key, now)
    if not holder:
        return Created(_insert(connection, item), is_duplicate=False)
    match item.asked.on_conflict:
        case Conflict.IGNORE:
            return Created(_job_of(connection, holder), is_duplicate=True)
        case Conflict.REJECT:
            return ConflictError(f"the idempotency key {item.key!r} is held by {_name(holder)}")
        case Conflict.REPLACE:
            answer = _replace(connection, holder, new, now, item.random)
            return (
                answer if isinstance(answer, ConflictError) else Created(answer, is_duplicate=True)
            )


def _insert(connection: sqlite3.Connection, item: Prepared) -> Job:
    if isinstance(item.row, NewScheduleRow):
        return item.row.insert(connection, item.now, item.random)
    return rows.insert_all(connection, [item.row])[0]


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


def _schedule(new: NewSchedule, now: datetime, random: Random) -> Schedule:
    return Schedule(
        id=uuid7(now, random),
        user_id=new.user_id,
        idempotency_key=new.idempotency_key,
        name=new.name,
        description=new.description,
        origin=new.origin,
        args=new.args,
        anchor=new.anchor,
        next_at=new.first_at,
        runs=0,
        inserted_at=now,
    )


def _replace(
    connection: sqlite3.Connection,
    holder: Job | Schedule,
    new: NewJob | NewSchedule,
    now: datetime,
    random: Random,
) -> Job | ConflictError:
    """Put new args in the place of a waiting job or a schedule, which keeps its id."""
    if isinstance(holder, Schedule) and isinstance(new, NewSchedule):
        # The one who replaces it knows; its waiting run has no end of its own to report.
        _, armed = runs.change(connection, holder, new, now, random, lambda _: ())
        return armed[0] if armed else _job_of(connection, holder)
    if isinstance(holder, Job) and isinstance(new, NewJob) and holder.state in WAITING:
        rows.replace_marks(connection, holder, new)
        return rows.write(connection, holder, _replaced(holder, new))
    if isinstance(holder, Job) and isinstance(new, NewJob):
        return ConflictError(f"{_name(holder)} is {holder.state} and cannot be replaced now")
    return ConflictError(f"{_name(holder)} cannot be replaced: only one of the two repeats")


def _replaced(job: Job, new: NewJob) -> Job:
    return replace(
        job,
        args=new.args,
        origin=new.origin,
        path=new.path,
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

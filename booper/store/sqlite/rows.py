"""A job's row: reading one, writing a new one, and moving one that has not moved meanwhile."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from random import Random
from uuid import UUID

from booper.errors import NotFound
from booper.model.identity import uuid7
from booper.model.job import Job, Kind, NewJob, State
from booper.store.base import JobRef
from booper.store.sqlite.connection import Row
from booper.store.sqlite.values import (
    loaded,
    loaded_or_none,
    stored,
    stored_or_none,
    uuid_or_none,
)

COLUMNS = """
id, uuid, user_id, kind, schedule_id, parent_id, idempotency_key, name, description, host, args,
state, attempt, max_attempts, interruptions, inserted_at, scheduled_at, planned_at, retry_until,
attempted_at, completed_at, discarded_at, cancelled_at, last_error
"""

INSERT = f"""
INSERT INTO jobs (uuid, user_id, kind, schedule_id, parent_id, idempotency_key, key_until, name,
    description, host, args, state, attempt, max_attempts, interruptions, inserted_at,
    scheduled_at, planned_at)
VALUES (:uuid, :user_id, :kind, :schedule_id, :parent_id, :idempotency_key, :key_until, :name,
    :description, :host, :args, 'scheduled', 0, :max_attempts, 0, :inserted_at, :scheduled_at,
    :planned_at)
RETURNING {COLUMNS}
"""

INSERT_TAG = "INSERT OR IGNORE INTO job_tags (tag, job_id) VALUES (:tag, :job_id)"

DELETE_TAGS = "DELETE FROM job_tags WHERE job_id = :job_id"
KEEP_KEY = "UPDATE jobs SET key_until = :key_until WHERE id = :job_id"

BY_ID = f"SELECT {COLUMNS} FROM jobs WHERE id = :ref"
BY_UUID = f"SELECT {COLUMNS} FROM jobs WHERE uuid = :ref"

# Compare-and-set: a job that has moved since it was read is not written.
UPDATE = """
UPDATE jobs SET state = :state, attempt = :attempt, max_attempts = :max_attempts,
    interruptions = :interruptions, args = :args, host = :host, scheduled_at = :scheduled_at,
    planned_at = :planned_at, retry_until = :retry_until, attempted_at = :attempted_at,
    completed_at = :completed_at, discarded_at = :discarded_at, cancelled_at = :cancelled_at,
    last_error = :last_error, name = :name, description = :description
WHERE id = :id AND state = :state_before AND attempt = :attempt_before
"""


class LostRace(Exception):
    """Say that a job had moved when a change of it came to be written."""


def insertion(new: NewJob, now: datetime, random: Random) -> dict[str, object]:
    """Prepare a new job's values, on the caller's thread: the writing one has enough to do."""
    return {
        "uuid": uuid7(now, random).bytes,
        "user_id": new.user_id.bytes,
        "kind": new.kind,
        "schedule_id": new.schedule_id.bytes if new.schedule_id else None,
        "parent_id": new.parent_id,
        "idempotency_key": new.idempotency_key,
        "key_until": stored_or_none(new.key_until),
        "name": new.name,
        "description": new.description,
        "host": new.host,
        "args": new.args,
        "max_attempts": new.max_attempts,
        "inserted_at": stored(now),
        "scheduled_at": stored(new.scheduled_at),
        "planned_at": stored(new.planned_at),
    }


def insert(
    connection: sqlite3.Connection, values: dict[str, object], tags: Sequence[str] = ()
) -> Job:
    """Write a new job and return it."""
    job = job_of(connection.execute(INSERT, values).fetchone())
    if tags:
        _tag(connection, job, tags)
    return job


def replace_marks(connection: sqlite3.Connection, job: Job, new: NewJob) -> None:
    """Give a job the tags and the hold on its key of the one that replaces it."""
    retag(connection, job, new.tags)
    until = stored_or_none(new.key_until)
    connection.execute(KEEP_KEY, {"job_id": job.id, "key_until": until})


def retag(connection: sqlite3.Connection, job: Job, tags: Sequence[str]) -> None:
    """Give a job other tags."""
    connection.execute(DELETE_TAGS, {"job_id": job.id})
    _tag(connection, job, tags)


def _tag(connection: sqlite3.Connection, job: Job, tags: Sequence[str]) -> None:
    connection.executemany(INSERT_TAG, [{"tag": tag, "job_id": job.id} for tag in tags])


def insert_new(connection: sqlite3.Connection, new: NewJob, now: datetime, random: Random) -> Job:
    """Prepare and write a new job within a change."""
    return insert(connection, insertion(new, now, random), new.tags)


def find(connection: sqlite3.Connection, job_id: int) -> Job | None:
    """Return a job by its number, None if there is none."""
    row = connection.execute(BY_ID, {"ref": job_id}).fetchone()
    return job_of(row) if row is not None else None


def get(connection: sqlite3.Connection, user_id: UUID, ref: JobRef) -> Job:
    """Return a user's job. Raises: NotFound."""
    query, value = (BY_UUID, ref.bytes) if isinstance(ref, UUID) else (BY_ID, ref)
    row = connection.execute(query, {"ref": value}).fetchone()
    job = job_of(row) if row is not None else None
    if job is None or job.user_id != user_id:
        raise NotFound(f"there is no job {ref}")
    return job


def write(connection: sqlite3.Connection, before: Job, after: Job) -> Job:
    """Replace a job. Raises: LostRace if it has moved."""
    if after is before:
        return before
    if connection.execute(UPDATE, _update(before, after)).rowcount != 1:
        raise LostRace(f"job {before.id} is no longer {before.state} in attempt {before.attempt}")
    return after


def write_all(connection: sqlite3.Connection, pairs: Sequence[tuple[Job, Job]]) -> None:
    """Replace jobs that were read in this very transaction; nothing can have come between."""
    connection.executemany(UPDATE, [_update(before, after) for before, after in pairs])


def job_of(row: Row) -> Job:
    """Build a job from a row of `COLUMNS`."""
    return Job(
        id=row[0],
        uuid=UUID(bytes=row[1]),
        user_id=UUID(bytes=row[2]),
        kind=Kind(row[3]),
        schedule_id=uuid_or_none(row[4]),
        parent_id=row[5],
        idempotency_key=row[6],
        name=row[7],
        description=row[8],
        host=row[9],
        args=row[10],
        state=State(row[11]),
        attempt=row[12],
        max_attempts=row[13],
        interruptions=row[14],
        inserted_at=loaded(row[15]),
        scheduled_at=loaded(row[16]),
        planned_at=loaded(row[17]),
        retry_until=loaded_or_none(row[18]),
        attempted_at=loaded_or_none(row[19]),
        completed_at=loaded_or_none(row[20]),
        discarded_at=loaded_or_none(row[21]),
        cancelled_at=loaded_or_none(row[22]),
        last_error=row[23],
    )


def _update(before: Job, after: Job) -> dict[str, object]:
    return {
        "id": before.id,
        "state_before": before.state,
        "attempt_before": before.attempt,
        "state": after.state,
        "attempt": after.attempt,
        "max_attempts": after.max_attempts,
        "interruptions": after.interruptions,
        "args": after.args,
        "host": after.host,
        "name": after.name,
        "description": after.description,
        "scheduled_at": stored(after.scheduled_at),
        "planned_at": stored(after.planned_at),
        "retry_until": stored_or_none(after.retry_until),
        "attempted_at": stored_or_none(after.attempted_at),
        "completed_at": stored_or_none(after.completed_at),
        "discarded_at": stored_or_none(after.discarded_at),
        "cancelled_at": stored_or_none(after.cancelled_at),
        "last_error": after.last_error,
    }

"""The SQL of jobs. What a job becomes is decided by `lifecycle`; here it is read and written."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from random import Random
from uuid import UUID

from booper.errors import NotFound
from booper.model import lifecycle
from booper.model.args import encode_args
from booper.model.event import NewEntry, interruption_of
from booper.model.identity import uuid7
from booper.model.job import WAITING, Job, NewJob, State
from booper.store.base import Created, Due, JobRef, Page
from booper.store.sqlite import logs
from booper.store.sqlite.connection import Connection, Row
from booper.store.sqlite.values import (
    loaded,
    loaded_or_none,
    stored,
    stored_or_none,
    uuid_or_none,
)
from booper.store.sqlite.writer import Writer

COLUMNS = """
id, uuid, user_id, schedule_id, idempotency_key, name, description, host, args, state, attempt,
max_attempts, interruptions, inserted_at, scheduled_at, planned_at, attempted_at, completed_at,
discarded_at, cancelled_at, last_error
"""

INSERT = f"""
INSERT INTO jobs (uuid, user_id, idempotency_key, name, description, host, args, state, attempt,
    max_attempts, interruptions, inserted_at, scheduled_at, planned_at)
VALUES (:uuid, :user_id, :idempotency_key, :name, :description, :host, :args, 'scheduled', 0,
    :max_attempts, 0, :now, :scheduled_at, :scheduled_at)
RETURNING {COLUMNS}
"""

BY_KEY = f"""
SELECT {COLUMNS} FROM jobs
WHERE user_id = :user_id AND idempotency_key = :idempotency_key
    AND state IN ('scheduled', 'executing', 'retryable')
"""

BY_ID = f"SELECT {COLUMNS} FROM jobs WHERE id = :ref"
BY_UUID = f"SELECT {COLUMNS} FROM jobs WHERE uuid = :ref"

LIST = f"""
SELECT {COLUMNS} FROM jobs WHERE user_id = :user_id {{filters}}
ORDER BY {{order}} LIMIT :limit OFFSET :offset
"""

# Jobs are numbered as they are inserted, so the order of ids is that of `inserted_at`.
ORDERS = {
    ("id", True): "id DESC",
    ("id", False): "id ASC",
    ("inserted_at", True): "id DESC",
    ("inserted_at", False): "id ASC",
    ("scheduled_at", True): "scheduled_at DESC, id DESC",
    ("scheduled_at", False): "scheduled_at ASC, id ASC",
}

FILTERS = {
    None: "",
    State.AVAILABLE: "AND state = 'scheduled' AND scheduled_at <= :now",
    State.SCHEDULED: "AND state = 'scheduled' AND scheduled_at > :now",
}
STATE_FILTER = "AND state = :state"

DUE = """
SELECT scheduled_at, id, host FROM jobs
WHERE state IN ('scheduled', 'retryable') AND (scheduled_at, id) > (:at, :id)
ORDER BY scheduled_at, id LIMIT :limit
"""

EXECUTING = f"SELECT {COLUMNS} FROM jobs WHERE state = 'executing'"

# Compare-and-set: a job that has moved since it was read is not written.
UPDATE = """
UPDATE jobs SET state = :state, attempt = :attempt, interruptions = :interruptions,
    scheduled_at = :scheduled_at, attempted_at = :attempted_at, completed_at = :completed_at,
    discarded_at = :discarded_at, cancelled_at = :cancelled_at, last_error = :last_error
WHERE id = :id AND state = :state_before AND attempt = :attempt_before
"""


class LostRace(Exception):
    """Say that a job had moved when a change of it came to be written."""


class SQLiteJobs:
    """The jobs table (`booper.store.base.Jobs`)."""

    def __init__(self, writer: Writer, reader: Connection, random: Random) -> None:
        self._writer = writer
        self._reader = reader
        self._random = random

    async def create(self, new: NewJob, now: datetime) -> Created:
        """Store a job, unless an unfinished one of this user holds its idempotency key."""
        return await self._writer.run(self._insertion(new, now))

    async def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""
        return await self._reader.run(partial(_get, user_id, ref))

    async def list(
        self, user_id: UUID, page: Page, state: State | None, now: datetime
    ) -> Sequence[Job]:
        """Return a user's jobs, those in `state` (as seen at `now`) or all."""
        query = LIST.format(
            filters=FILTERS.get(state, STATE_FILTER),
            order=ORDERS[page.order_by, page.descending],
        )
        values = {
            "user_id": user_id.bytes,
            "state": state,
            "now": stored(now),
            "limit": page.limit,
            "offset": page.offset,
        }
        rows = await self._reader.run(
            lambda connection: connection.execute(query, values).fetchall()
        )
        return [_job(row) for row in rows]

    async def cancel(self, user_id: UUID, ref: JobRef, now: datetime) -> Job:
        """Cancel a user's job and return it; a finished one unchanged. Raises: NotFound."""

        def change(connection: sqlite3.Connection) -> Job:
            job = _get(user_id, ref, connection)
            return _write(connection, job, lifecycle.cancel(job, now))

        return await self._writer.run(change)

    async def due(self, after: Due | None, limit: int) -> Sequence[Due]:
        """Return the next waiting jobs in order of time; only those behind `after`, if given."""
        values = {
            "at": stored(after.at) if after else -(2**63),
            "id": after.id if after else 0,
            "limit": limit,
        }
        rows = await self._reader.run(lambda connection: connection.execute(DUE, values).fetchall())
        return [Due(loaded(at), job_id, host) for at, job_id, host in rows]

    async def claim(self, due: Sequence[Due], now: datetime) -> Sequence[Job]:
        """Begin an attempt of each of these jobs that still waits for just that time."""

        def change(connection: sqlite3.Connection) -> Sequence[Job]:
            # The timers are a hint and may name a job twice; it begins once.
            found = [(_by_id(connection, item.id), item.at) for item in dict.fromkeys(due)]
            ready = [
                job for job, at in found if job and job.state in WAITING and job.scheduled_at == at
            ]
            return _write_all(connection, ready, partial(lifecycle.claim, now=now))

        return await self._writer.run(change)

    async def settle(self, claimed: Job, settled: Job, entries: Sequence[NewEntry]) -> Job:
        """Replace a claimed job by what its attempt made of it, together with its log entries."""

        def change(connection: sqlite3.Connection) -> Job:
            logs.append(connection, entries, self._random)
            try:
                return _write(connection, claimed, settled)
            except LostRace:
                return _get(claimed.user_id, claimed.id, connection)

        return await self._writer.run(change)

    async def release(self, claimed: Sequence[Job]) -> None:
        """Give back claimed jobs whose attempts a stop ended, not counting them."""

        def change(connection: sqlite3.Connection) -> None:
            for job in claimed:
                current = _by_id(connection, job.id)
                if current and (current.state, current.attempt) == (State.EXECUTING, job.attempt):
                    _write(connection, current, lifecycle.release(current))

        await self._writer.run(change)

    async def rescue(self, now: datetime) -> int:
        """Make every executing job due again, its attempt counted; return how many there were."""

        def change(connection: sqlite3.Connection) -> int:
            left = [_job(row) for row in connection.execute(EXECUTING).fetchall()]
            rescued = _write_all(connection, left, partial(lifecycle.rescue, now=now))
            entries = [interruption_of(job.user_id, job.id, now) for job in rescued]
            logs.append(connection, entries, self._random)
            return len(rescued)

        return await self._writer.run(change)

    def _insertion(self, new: NewJob, now: datetime) -> Callable[[sqlite3.Connection], Created]:
        """Prepare a create on the caller's thread, so that the writing one has little to do."""
        values = {
            "uuid": uuid7(now, self._random).bytes,
            "user_id": new.user_id.bytes,
            "idempotency_key": new.args.idempotency_key,
            "name": new.args.name,
            "description": new.args.description,
            "host": new.host,
            "args": encode_args(new.args),
            "max_attempts": new.max_attempts,
            "now": stored(now),
            "scheduled_at": stored(new.scheduled_at),
        }

        def change(connection: sqlite3.Connection) -> Created:
            if new.args.idempotency_key is not None:
                row = connection.execute(BY_KEY, values).fetchone()
                if row is not None:
                    return Created(_job(row), is_duplicate=True)
            return Created(_job(connection.execute(INSERT, values).fetchone()), is_duplicate=False)

        return change


def _get(user_id: UUID, ref: JobRef, connection: sqlite3.Connection) -> Job:
    query, value = (BY_UUID, ref.bytes) if isinstance(ref, UUID) else (BY_ID, ref)
    row = connection.execute(query, {"ref": value}).fetchone()
    job = _job(row) if row is not None else None
    if job is None or job.user_id != user_id:
        raise NotFound(f"there is no job {ref}")
    return job


def _by_id(connection: sqlite3.Connection, job_id: int) -> Job | None:
    row = connection.execute(BY_ID, {"ref": job_id}).fetchone()
    return _job(row) if row is not None else None


def _write(connection: sqlite3.Connection, before: Job, after: Job) -> Job:
    if after is before:
        return before
    if connection.execute(UPDATE, _update(before, after)).rowcount != 1:
        raise LostRace(f"job {before.id} is no longer {before.state} in attempt {before.attempt}")
    return after


def _write_all(
    connection: sqlite3.Connection, jobs: Sequence[Job], move: Callable[[Job], Job]
) -> Sequence[Job]:
    """Move jobs that were read in this very transaction; nothing can have come between."""
    moved = [move(job) for job in jobs]
    pairs = zip(jobs, moved, strict=True)
    connection.executemany(UPDATE, [_update(before, after) for before, after in pairs])
    return moved


def _update(before: Job, after: Job) -> dict[str, object]:
    return {
        "id": before.id,
        "state_before": before.state,
        "attempt_before": before.attempt,
        "state": after.state,
        "attempt": after.attempt,
        "interruptions": after.interruptions,
        "scheduled_at": stored(after.scheduled_at),
        "attempted_at": stored_or_none(after.attempted_at),
        "completed_at": stored_or_none(after.completed_at),
        "discarded_at": stored_or_none(after.discarded_at),
        "cancelled_at": stored_or_none(after.cancelled_at),
        "last_error": after.last_error,
    }


def _job(row: Row) -> Job:
    return Job(
        id=row[0],
        uuid=UUID(bytes=row[1]),
        user_id=UUID(bytes=row[2]),
        schedule_id=uuid_or_none(row[3]),
        idempotency_key=row[4],
        name=row[5],
        description=row[6],
        host=row[7],
        args=row[8],
        state=State(row[9]),
        attempt=row[10],
        max_attempts=row[11],
        interruptions=row[12],
        inserted_at=loaded(row[13]),
        scheduled_at=loaded(row[14]),
        planned_at=loaded(row[15]),
        attempted_at=loaded_or_none(row[16]),
        completed_at=loaded_or_none(row[17]),
        discarded_at=loaded_or_none(row[18]),
        cancelled_at=loaded_or_none(row[19]),
        last_error=row[20],
    )

"""The SQL of histories: what log, waits and audit have of a job, a schedule, or everything."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from booper.model.audit import ANY_CHANGE, Change, ChangeFilter, NewChange
from booper.model.event import REQUEST, SKIPPED
from booper.model.history import Fact, JobHistory, PastRun, ScheduleHistory
from booper.model.job import Job, State
from booper.model.waiting import KeptWait, Reason, Wait
from booper.store.sqlite import job_columns
from booper.store.sqlite.audit_search import COLUMNS, change_of, read_changes
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.job_columns import job_of
from booper.store.sqlite.log_rows import TOGETHER
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.values import Row
from booper.store.sqlite.writer import Writer
from booper.store.stored import loaded, loaded_or_none, stored
from booper.store.values import JobRef, Page, Part
from booper.wire.log import gap_in

MAX_FACTS: Final = 200
"""How many of a job's newest log entries are read."""

MAX_RUNS: Final = 20
RUNS_BEFORE: Final = 3
RUNS_AFTER: Final = 2
"""How many runs of a schedule are read: its newest, or those around a planned time."""

MAX_CHANGES: Final = 100

FACTS: Final = f"""
SELECT event, inserted_at, requested_at, payload ->> '$.status', payload ->> '$.error',
    payload ->> '$.message', iif(event = '{SKIPPED}', payload, NULL)
FROM logs INDEXED BY logs_by_job WHERE job_id = :job_id ORDER BY seq DESC LIMIT {MAX_FACTS}
"""

WAITS: Final = f"""
SELECT attempt, reason, target, since, until FROM waits
WHERE job_id = :job_id ORDER BY attempt DESC LIMIT {MAX_FACTS}
"""

CHANGES_OF_JOB: Final = f"""
SELECT {COLUMNS} FROM audit_jobs JOIN audit ON audit.id = audit_jobs.audit_id
LEFT JOIN keys ON keys.id = audit.key_id
WHERE audit_jobs.job_id = :job_id ORDER BY audit_jobs.audit_id DESC LIMIT {MAX_CHANGES}
"""

CHANGES_OF_SCHEDULE: Final = f"""
SELECT {COLUMNS} FROM audit LEFT JOIN keys ON keys.id = audit.key_id
WHERE audit.kind = 'schedule' AND audit.object = :object
ORDER BY audit.id DESC LIMIT {MAX_CHANGES}
"""

# Runs are numbered as they are planned, so their numbers are nearly in order of their times.
_RUNS: Final = f"""
SELECT {job_columns.COLUMNS} FROM jobs INDEXED BY jobs_by_schedule
WHERE schedule_id = :id AND kind IN ('run', 'request') {{condition}}
ORDER BY id {{direction}} LIMIT {{limit}}
"""
NEWEST_RUNS: Final = _RUNS.format(condition="", direction="DESC", limit=MAX_RUNS)
RUNS_UNTIL: Final = _RUNS.format(
    condition="AND planned_at <= :at", direction="DESC", limit=RUNS_BEFORE
)
RUNS_BEHIND: Final = _RUNS.format(
    condition="AND planned_at > :at", direction="ASC", limit=RUNS_AFTER
)

# What waits for its time has not begun; there are few of these, and they are the newest.
PAST_RUNS: Final = """
SELECT id, state, attempt, planned_at, scheduled_at, attempted_at,
    coalesce(completed_at, discarded_at, cancelled_at)
FROM jobs INDEXED BY jobs_by_schedule
WHERE schedule_id = :id AND kind IN ('run', 'request')
    AND (state <> 'scheduled' OR attempt > 0 OR scheduled_at <= :now)
ORDER BY id DESC LIMIT :limit
"""

# Of a row that has both, the request is told with what came of it.
_EVENT_OF: Final[dict[str, str]] = {row_event: event for event, row_event in TOGETHER.items()}


class SQLiteHistory:
    """The past of jobs and schedules (`booper.store.history.History`)."""

    def __init__(self, writer: Writer, reader: Connection) -> None:
        self._writer = writer
        self._reader = reader

    async def job(self, user_id: UUID, ref: JobRef) -> JobHistory:
        """Return the history of a user's job. Raises: NotFound."""
        return await self._reader.run(
            lambda opened: _history(opened, opened.jobs.get(user_id, ref))
        )

    async def schedule(
        self, user_id: UUID, schedule_id: UUID, at: datetime | None
    ) -> ScheduleHistory:
        """Return a user's schedule with its newest runs, or those around a planned time."""

        def read(opened: SQLiteTransaction) -> tuple[ScheduleHistory, Sequence[Job]]:
            schedule = opened.schedules.get(user_id, schedule_id)
            rows = opened.execute(CHANGES_OF_SCHEDULE, {"object": str(schedule_id)}).fetchall()
            changes = [change_of(row) for row in reversed(rows)]
            return ScheduleHistory(schedule, (), changes), _runs(opened, schedule_id, at)

        history, runs = await self._reader.run(read)
        # Each by a call of its own: long logs do not hold up other readers.
        found = [await self._reader.run(partial(_history, job=run)) for run in runs]
        return ScheduleHistory(history.schedule, found, history.changes)

    async def runs(
        self, user_id: UUID, schedule_id: UUID, now: datetime, limit: int
    ) -> Sequence[PastRun]:
        """Return the newest runs of a user's schedule but those that wait for their time."""
        values = {"id": schedule_id.bytes, "now": stored(now), "limit": limit}

        def read(opened: SQLiteTransaction) -> list[Row]:
            opened.schedules.get(user_id, schedule_id)
            return opened.execute(PAST_RUNS, values).fetchall()

        return [_past_run(row) for row in await self._reader.run(read)]

    async def changes(self, page: Page, wanted: ChangeFilter = ANY_CHANGE) -> Part[Change]:
        """Return who changed what, in the order in which it happened or newest first."""
        return await self._reader.run(lambda opened: read_changes(opened, page, wanted))

    async def note(self, change: NewChange) -> None:
        """Note a change of something that no database holds."""
        await self._writer.run(lambda transaction: transaction.audit.append(change))


def _history(connection: sqlite3.Connection, job: Job) -> JobHistory:
    values = {"job_id": job.id}
    facts = connection.execute(FACTS, values).fetchall()
    waits = connection.execute(WAITS, values).fetchall()
    changes = connection.execute(CHANGES_OF_JOB, values).fetchall()
    return JobHistory(
        job,
        [_fact(row) for row in reversed(facts)],
        [_wait(job.id, row) for row in reversed(waits)],
        [change_of(row) for row in reversed(changes)],
    )


def _runs(connection: sqlite3.Connection, schedule_id: UUID, at: datetime | None) -> list[Job]:
    """Return runs of a schedule, the one planned first first."""
    values = {"id": schedule_id.bytes, "at": None if at is None else stored(at)}
    queries = (NEWEST_RUNS,) if at is None else (RUNS_UNTIL, RUNS_BEHIND)
    rows = [row for query in queries for row in connection.execute(query, values)]
    return sorted((job_of(row) for row in rows), key=lambda job: (job.planned_at, job.id))


def _past_run(row: Row) -> PastRun:
    number, state, attempt, planned_at, scheduled_at, attempted_at, ended_at = row
    return PastRun(
        job_id=number,
        state=State(state),
        attempt=attempt,
        planned_at=loaded(planned_at),
        scheduled_at=loaded(scheduled_at),
        attempted_at=loaded_or_none(attempted_at),
        ended_at=loaded_or_none(ended_at),
    )


def _fact(row: Row) -> Fact:
    event, at, requested_at, status, error, message, gap = row
    is_request = event == REQUEST
    return Fact(
        event=_EVENT_OF.get(str(event), str(event)),
        at=loaded(at),
        requested_at=loaded(at) if is_request else loaded_or_none(requested_at),
        status=None if is_request else status,
        error=None if is_request else error,
        message=None if is_request else message,
        gap=None if gap is None else gap_in(gap),
    )


def _wait(job_id: int, row: Row) -> KeptWait:
    attempt, reason, target, since, until = row
    return KeptWait(job_id, attempt, Wait(Reason(reason), loaded(since), target), loaded(until))

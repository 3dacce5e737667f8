"""The SQL of histories: what log, waits and audit have of a job, a schedule, or everything."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec

from booper.model.audit import ANY_CHANGE, Change, ChangeFilter, NewChange
from booper.model.event import REQUEST, SKIPPED
from booper.model.history import Fact, JobHistory, PastRun, ScheduleHistory
from booper.model.job import Job, State
from booper.model.waiting import KeptWait, Reason, Wait
from booper.store.postgres import job_columns
from booper.store.postgres.audit_search import COLUMNS, change_of, read_changes
from booper.store.postgres.connections import Readers
from booper.store.postgres.job_columns import job_of
from booper.store.postgres.log_rows import TOGETHER
from booper.store.postgres.numbers import AUDIT, settled_part, settled_until
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import Row, text_out
from booper.store.postgres.writer import Writer
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

# The JSON of a payload is read here: of a \u0000 in it PostgreSQL makes no text
# (https://www.postgresql.org/docs/15/datatype-json.html). The order is one that no index of all
# entries has.
FACTS: Final = f"""
SELECT event, inserted_at, requested_at, CASE WHEN event <> '{REQUEST}' THEN payload END
FROM logs WHERE job_id >= %(job_id)s AND job_id <= %(job_id)s
ORDER BY job_id DESC, seq DESC LIMIT {MAX_FACTS}
"""

WAITS: Final = f"""
SELECT attempt, reason, target, since, until FROM waits
WHERE job_id = %(job_id)s ORDER BY attempt DESC LIMIT {MAX_FACTS}
"""

CHANGES_OF_JOB: Final = f"""
SELECT {COLUMNS} FROM audit_jobs JOIN audit ON audit.id = audit_jobs.audit_id
LEFT JOIN keys ON keys.id = audit.key_id
WHERE audit_jobs.job_id = %(job_id)s ORDER BY audit_jobs.audit_id DESC LIMIT {MAX_CHANGES}
"""

CHANGES_OF_SCHEDULE: Final = f"""
SELECT {COLUMNS} FROM audit LEFT JOIN keys ON keys.id = audit.key_id
WHERE audit.kind = 'schedule' AND audit.object = %(object)s
ORDER BY audit.id DESC LIMIT {MAX_CHANGES}
"""

# The jobs of schedules are in two tables, and numbered as they are planned, so that their numbers
# are nearly in order of their times.
_OF_SCHEDULE: Final = """
(SELECT {columns} FROM {table}
WHERE schedule_id >= %(id)s AND schedule_id <= %(id)s AND kind IN ('run', 'request') {condition}
ORDER BY schedule_id {direction}, id {direction} LIMIT {limit})
"""


def _runs_query(columns: str, condition: str, direction: str, limit: int | str) -> str:
    """Return the query for the first jobs of a schedule in an order by number."""
    streams = " UNION ALL ".join(
        _OF_SCHEDULE.format(
            columns=columns, table=table, condition=condition, direction=direction, limit=limit
        )
        for table in ("live_jobs", "kept_jobs")
    )
    return f"SELECT * FROM ({streams}) AS runs ORDER BY id {direction} LIMIT {limit}"


NEWEST_RUNS: Final = _runs_query(job_columns.COLUMNS, "", "DESC", MAX_RUNS)
RUNS_UNTIL: Final = _runs_query(
    job_columns.COLUMNS, "AND planned_at <= %(at)s", "DESC", RUNS_BEFORE
)
RUNS_BEHIND: Final = _runs_query(job_columns.COLUMNS, "AND planned_at > %(at)s", "ASC", RUNS_AFTER)

# What waits for its time has not begun; there are few of these, and they are the newest.
PAST_RUNS: Final = _runs_query(
    "id, state, attempt, planned_at, scheduled_at, attempted_at,"
    " coalesce(completed_at, discarded_at, cancelled_at)",
    "AND (state <> 'scheduled' OR attempt > 0 OR scheduled_at <= %(now)s)",
    "DESC",
    "%(limit)s",
)

# Of a row that has both, the request is told with what came of it.
_EVENT_OF: Final[dict[str, str]] = {row_event: event for event, row_event in TOGETHER.items()}


class _Payload(msgspec.Struct, frozen=True):
    """What a fact has of a payload: nothing that was sent or received."""

    status: Any = None
    error: Any = None
    message: Any = None


class PostgresHistory:
    """The past of jobs and schedules (`booper.store.history.History`)."""

    def __init__(self, writer: Writer, reader: Readers) -> None:
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

        def read(opened: PostgresTransaction) -> tuple[ScheduleHistory, Sequence[Job]]:
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
        values = {"id": schedule_id, "now": stored(now), "limit": limit}

        def read(opened: PostgresTransaction) -> list[Row]:
            opened.schedules.get(user_id, schedule_id)
            return opened.execute(PAST_RUNS, values).fetchall()

        return [_past_run(row) for row in await self._reader.run(read)]

    async def changes(self, page: Page, wanted: ChangeFilter = ANY_CHANGE) -> Part[Change]:
        """Return who changed what, in the order in which it happened or newest first."""
        until = await self._reader.run(partial(settled_until, numbers=AUDIT))
        part = await self._reader.run(lambda opened: read_changes(opened, page, wanted))
        if page.descending:
            return part
        return settled_part(part, page, until, lambda change: change.id)

    async def note(self, change: NewChange) -> None:
        """Note a change of something that no database holds."""
        await self._writer.run(lambda transaction: transaction.audit.append(change))


def _history(transaction: PostgresTransaction, job: Job) -> JobHistory:
    values = {"job_id": job.id}
    facts = transaction.execute(FACTS, values).fetchall()
    waits = transaction.execute(WAITS, values).fetchall()
    changes = transaction.execute(CHANGES_OF_JOB, values).fetchall()
    return JobHistory(
        job,
        [_fact(row) for row in reversed(facts)],
        [_wait(job.id, row) for row in reversed(waits)],
        [change_of(row) for row in reversed(changes)],
    )


def _runs(transaction: PostgresTransaction, schedule_id: UUID, at: datetime | None) -> list[Job]:
    """Return runs of a schedule, the one planned first first."""
    values = {"id": schedule_id, "at": None if at is None else stored(at)}
    queries = (NEWEST_RUNS,) if at is None else (RUNS_UNTIL, RUNS_BEHIND)
    rows = [row for query in queries for row in transaction.execute(query, values).fetchall()]
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
    event, at, requested_at, payload = row
    read = _Payload() if payload is None else msgspec.json.decode(payload, type=_Payload)
    return Fact(
        event=_EVENT_OF.get(str(event), str(event)),
        at=loaded(at),
        requested_at=loaded(at) if event == REQUEST else loaded_or_none(requested_at),
        status=read.status,
        error=read.error,
        message=read.message,
        gap=gap_in(payload) if event == SKIPPED else None,
    )


def _wait(job_id: int, row: Row) -> KeptWait:
    attempt, reason, target, since, until = row
    wait = Wait(Reason(reason), loaded(since), text_out(target) or "")
    return KeptWait(job_id, attempt, wait, loaded(until))

"""Jobs as users see them: create, read, list, cancel, run now and run again, one or many."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from random import Random
from uuid import UUID

from msgspec.structs import replace

from booper.errors import BatchRefused, BooperError, Conflict, NotFound
from booper.model import lifecycle
from booper.model.job import FINISHED, WAITING, Job, Kind, State
from booper.store.base import (
    AnnounceEnd,
    Changed,
    Created,
    Creation,
    JobFilter,
    JobRef,
    Page,
)
from booper.store.sqlite import creation, filters, queue, rows, runs
from booper.store.sqlite.connection import Connection, Row
from booper.store.sqlite.writer import Writer

LAST_ID = "SELECT coalesce(max(id), 0) FROM jobs"

Move = Callable[[sqlite3.Connection, Job], Sequence[Job]]

Moved = tuple[list[Job], list[Sequence[Job]]]

RETRYABLE_STATES = frozenset({State.DISCARDED, State.CANCELLED})
UNFINISHED_STATES = frozenset({State.SCHEDULED, State.AVAILABLE, State.EXECUTING, State.RETRYABLE})


class SQLiteJobs:
    """Jobs as users see them (`booper.store.base.Jobs`)."""

    def __init__(self, writer: Writer, reader: Connection, random: Random) -> None:
        self._writer = writer
        self._reader = reader
        self._random = random

    async def create(self, asked: Creation, now: datetime) -> Created:
        """Store a job or a schedule with its first run, unless its idempotency key is taken."""
        prepared = creation.prepare(asked, now, self._random)
        if creation.is_plain(prepared):
            return await self._writer.run_together(
                creation.create_plain, prepared, is_statement=True
            )
        answer = await self._writer.run_together(creation.create_all, prepared)
        if isinstance(answer, BooperError):
            raise answer
        return answer

    async def create_many(
        self, creations: Sequence[Creation], now: datetime, *, atomic: bool
    ) -> Sequence[Created | BooperError]:
        """Store many in one transaction, each with its answer; all or none if `atomic`."""
        prepared = [creation.prepare(asked, now, self._random) for asked in creations]

        def change(connection: sqlite3.Connection) -> Sequence[Created | BooperError]:
            answers = creation.create_all(connection, prepared)
            if atomic and any(isinstance(answer, BooperError) for answer in answers):
                raise BatchRefused(answers)
            return answers

        return await self._writer.run(change)

    async def holder(self, user_id: UUID, key: str, now: datetime) -> Job | None:
        """Return the job that holds an idempotency key (of a schedule, its latest run)."""
        return await self._reader.run(
            lambda opened: creation.holding_job(opened, user_id, key, now)
        )

    async def owner(self, job_id: int) -> UUID:
        """Return the user of a job. Raises: NotFound."""
        job = await self._reader.run(lambda opened: rows.find(opened, job_id))
        if job is None:
            raise NotFound(f"there is no job {job_id}")
        return job.user_id

    async def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""
        return await self._reader.run(lambda opened: rows.get(opened, user_id, ref))

    async def list(
        self, user_id: UUID, page: Page, wanted: JobFilter, now: datetime
    ) -> Sequence[Job]:
        """Return a user's jobs; states are those seen at `now`."""
        sources = filters.sources(user_id, page, wanted, now)

        def read(connection: sqlite3.Connection) -> list[Row]:
            few = _few(connection, sources)
            return connection.execute(
                *filters.page_query(user_id, page, wanted, now, few)
            ).fetchall()

        return [rows.job_of(row) for row in await self._reader.run(read)]

    async def cancel(
        self, user_id: UUID, ref: JobRef, now: datetime, announce: AnnounceEnd
    ) -> Changed:
        """Cancel a user's job; a finished one is unchanged. Raises: NotFound."""

        def change(connection: sqlite3.Connection) -> Changed:
            job = rows.get(connection, user_id, ref)
            return Changed(1, 1, self._cancel(connection, job, now, announce))

        return await self._writer.run(change)

    async def retry(self, user_id: UUID, ref: JobRef, now: datetime) -> Job:
        """Make a discarded or cancelled job due again. Raises: NotFound, Conflict."""

        def change(connection: sqlite3.Connection) -> Job:
            job = rows.get(connection, user_id, ref)
            if job.state not in RETRYABLE_STATES:
                raise Conflict(
                    f"job {job.id} is {job.state}; only a discarded or cancelled one can be sent "
                    "again"
                )
            return _retry(connection, job, now)

        return await self._writer.run(change)

    async def run(self, user_id: UUID, ref: JobRef, now: datetime) -> Job:
        """Make a waiting job due now. Raises: NotFound, Conflict."""

        def change(connection: sqlite3.Connection) -> Job:
            job = rows.get(connection, user_id, ref)
            if job.state not in WAITING:
                raise Conflict(f"job {job.id} is {job.state}; only a waiting one can run now")
            due = min(job.scheduled_at, now)
            return rows.write(connection, job, replace(job, scheduled_at=due))

        return await self._writer.run(change)

    async def cancel_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        now: datetime,
        announce: AnnounceEnd,
        *,
        dry_run: bool,
    ) -> Changed:
        """Cancel every unfinished job that matches; the runs planned in their place follow."""
        cancel = partial(self._cancel, now=now, announce=announce)
        return await self._change_many(user_id, wanted, UNFINISHED_STATES, now, cancel, dry_run)

    async def retry_many(
        self, user_id: UUID, wanted: JobFilter, now: datetime, *, dry_run: bool
    ) -> Changed:
        """Make every discarded or cancelled job that matches due again."""

        def retry(connection: sqlite3.Connection, job: Job) -> Sequence[Job]:
            try:
                return [_retry(connection, job, now)]
            except Conflict:  # its key or its time is another's by now
                return []

        return await self._change_many(user_id, wanted, RETRYABLE_STATES, now, retry, dry_run)

    async def _change_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        states: frozenset[State],
        now: datetime,
        move: Move,
        dry_run: bool,
    ) -> Changed:
        """Change matching jobs in the order of their ids, some at a time.

        Each transaction is short, so that creates and results are not held up by a million jobs.
        What a change itself plans, a cancelled run's successor, lies behind the end.
        """
        matched, changed, last, armed = 0, 0, 0, list[Job]()
        end = await self._reader.run(lambda opened: opened.execute(LAST_ID).fetchone()[0])

        def change(connection: sqlite3.Connection, after: int) -> Moved:
            query, values = filters.batch_query(user_id, wanted, states, (after, end), now)
            found = [rows.job_of(row) for row in connection.execute(query, values).fetchall()]
            return found, [] if dry_run else [move(connection, job) for job in found]

        while True:
            found, moved = await self._writer.run(partial(change, after=last))
            matched += len(found)
            changed += sum(bool(jobs) for jobs in moved)
            armed += [job for jobs in moved for job in jobs if job.state in WAITING]
            if not found:
                return Changed(matched, changed, armed)
            last = found[-1].id

    def _cancel(
        self, connection: sqlite3.Connection, job: Job, now: datetime, announce: AnnounceEnd
    ) -> Sequence[Job]:
        """Cancel a job; report it; plan the next run if it was the one that waits."""
        if job.state in FINISHED:
            return [job]
        cancelled = rows.write(connection, job, lifecycle.cancel(job, now))
        followers = [
            rows.insert(connection, report, now, self._random) for report in announce(cancelled)
        ]
        schedule = runs.find(connection, job.schedule_id) if job.kind is Kind.RUN else None
        if schedule is not None and runs.is_waiting(schedule, job):
            runs.move_on(connection, schedule, job, now, self._random)
        return [cancelled, *followers, *queue.following(connection, cancelled)]


def _few(connection: sqlite3.Connection, sources: Mapping[str, filters.Query]) -> str | None:
    """Return the first source that has few jobs, None if all have many."""
    for name, query in sources.items():
        if connection.execute(*query).fetchone()[0] < filters.FEW:
            return name
    return None


def _retry(connection: sqlite3.Connection, job: Job, now: datetime) -> Job:
    try:
        return rows.write(connection, job, lifecycle.retry(job, now))
    except sqlite3.IntegrityError as error:
        raise Conflict(
            f"job {job.id} cannot run again: another holds its idempotency key or planned time"
        ) from error

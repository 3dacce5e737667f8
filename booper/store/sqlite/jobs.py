"""Jobs as users see them: create, read, list, cancel, run now and run again, one or many."""

import dataclasses
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from random import Random
from uuid import UUID

from msgspec.structs import replace

from booper.errors import BatchRefused, BooperError, Conflict, NotFound
from booper.model import lifecycle
from booper.model.job import FINISHED, WAITING, Job, Kind, State
from booper.store.base import (
    PAGE_BYTES,
    SEARCH_ROWS,
    AnnounceEnd,
    Arm,
    Changed,
    Created,
    Creation,
    JobFilter,
    JobRef,
    Page,
    Part,
)
from booper.store.sqlite import creation, queue, rows, runs
from booper.store.sqlite.bulk import Many, Move
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.filters import Listing
from booper.store.sqlite.search import Search, fetch
from booper.store.sqlite.writer import Writer

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

    async def list(self, user_id: UUID, page: Page, wanted: JobFilter, now: datetime) -> Part[Job]:
        """Return a user's jobs; states are those seen at `now`."""
        listing = Listing(user_id, wanted, (page.order_by, page.descending), now)
        search, jobs, room = Search(listing, page.place), list[Job](), PAGE_BYTES

        def step(connection: sqlite3.Connection) -> tuple[list[Job], int]:
            found = search.step(connection, page.limit - len(jobs), room)
            return fetch(connection, found), sum(item.size for item in found)

        while not (search.is_over or search.is_full) and search.looked < SEARCH_ROWS:
            found, size = await self._reader.run(step)
            jobs += found
            room -= size
        return Part(
            jobs,
            None if search.is_over else search.place,
            is_partial=not (search.is_over or search.is_full),
        )

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
        arm: Arm,
        *,
        dry_run: bool,
    ) -> Changed:
        """Cancel every unfinished job that matches; the runs planned in their place are armed."""
        cancel = partial(self._cancel, now=now, announce=announce)
        return await self._change_many(
            user_id, wanted, UNFINISHED_STATES, now, None if dry_run else cancel, arm
        )

    async def retry_many(
        self, user_id: UUID, wanted: JobFilter, now: datetime, arm: Arm, *, dry_run: bool
    ) -> Changed:
        """Make every discarded or cancelled job that matches due again."""

        def retry(connection: sqlite3.Connection, job: Job) -> Sequence[Job]:
            try:
                return [_retry(connection, job, now)]
            except Conflict:  # its key or its time is another's by now
                return []

        return await self._change_many(
            user_id, wanted, RETRYABLE_STATES, now, None if dry_run else retry, arm
        )

    async def _change_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        states: frozenset[State],
        now: datetime,
        move: Move | None,
        arm: Arm,
    ) -> Changed:
        """Change the wanted jobs that are in these states; without a move only count them."""
        both = states & wanted.states if wanted.states else states
        if not both:
            return Changed(0, 0)
        wanted = dataclasses.replace(wanted, states=both)
        listing = Listing(user_id, wanted, ("id", False), now)
        many = Many(self._writer, self._reader, listing)
        return await (many.count() if move is None else many.change(move, arm))

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


def _retry(connection: sqlite3.Connection, job: Job, now: datetime) -> Job:
    try:
        return rows.write(connection, job, lifecycle.retry(job, now))
    except sqlite3.IntegrityError as error:
        raise Conflict(
            f"job {job.id} cannot run again: another holds its idempotency key or planned time"
        ) from error

"""Jobs as users see them: each method is one transaction of `store.rules`, or a read."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from booper.errors import BooperError, NotFound
from booper.model.audit import ADMINISTRATOR, Action, Actor
from booper.model.job import UNFINISHED, WAITING, Job, State
from booper.store.rules import audited, auditing, changing, creating
from booper.store.rules.changing import RETRYABLE_STATES
from booper.store.sqlite.brief import fetch_brief
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.job_rows import JobRows
from booper.store.sqlite.listing import Listing
from booper.store.sqlite.search import Search, fetch
from booper.store.sqlite.stepwise import Move, Note, StepwiseChange
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.writer import Writer
from booper.store.values import (
    PAGE_BYTES,
    UNBOUNDED,
    AnnounceEnd,
    Bounds,
    BulkResult,
    Created,
    Creation,
    JobFilter,
    JobRef,
    Page,
    Part,
)

ENDLESS: Final = 1 << 62
"""Room for jobs without what they send."""


class SQLiteJobs:
    """Jobs as users see them (`booper.store.base.Jobs`)."""

    def __init__(
        self, writer: Writer, reader: Connection, random: Random, max_waiting: int = 0
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._random = random
        # One and the same for all, so that they are written together.
        self._create_plain = partial(creating.create_plain, max_waiting=max_waiting)
        self._create_all = partial(creating.create_all, max_waiting=max_waiting)
        self._create_batch = partial(creating.create_batch, max_waiting=max_waiting)

    async def create(self, creation: Creation, now: datetime) -> Created:
        """Store a job or a schedule with its first run, unless its idempotency key is taken."""
        prepared = creating.prepare(creation, now, self._random, JobRows.draft)
        is_plain = creating.is_plain(prepared)
        work = self._create_plain if is_plain else self._create_all
        result = await self._writer.run_together(work, prepared, is_statement=is_plain)
        if isinstance(result, BooperError):
            raise result
        return result

    async def create_many(
        self, creations: Sequence[Creation], now: datetime, *, atomic: bool
    ) -> Sequence[Created | BooperError]:
        """Store many in one transaction, each with its result; all or none if `atomic`."""
        draft = JobRows.draft
        prepared = [creating.prepare(asked, now, self._random, draft) for asked in creations]

        def change(transaction: SQLiteTransaction) -> Sequence[Created | BooperError]:
            return self._create_batch(transaction, prepared, atomic=atomic)

        return await self._writer.run(change)

    async def holder(self, user_id: UUID, key: str, now: datetime) -> Job | None:
        """Return the job that holds an idempotency key (of a schedule, its latest run)."""
        return await self._reader.run(
            lambda opened: creating.holding_job(opened, user_id, key, now)
        )

    async def owner(self, job_id: int) -> UUID:
        """Return the user of a job. Raises: NotFound."""
        job = await self._reader.run(lambda opened: opened.jobs.find(job_id))
        if job is None:
            raise NotFound(f"there is no job {job_id}")
        return job.user_id

    async def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""
        return await self._reader.run(lambda opened: opened.jobs.get(user_id, ref))

    async def brief(self, user_id: UUID, numbers: Sequence[int]) -> Sequence[Job]:
        """Return those of a user's jobs that have these numbers, without what they send."""
        found = await self._reader.run(lambda opened: fetch_brief(opened, numbers))
        return [job for job in found if job.user_id == user_id]

    async def list(
        self,
        user_id: UUID,
        page: Page,
        wanted: JobFilter,
        now: datetime,
        *,
        is_brief: bool = False,
    ) -> Part[Job]:
        """Return a user's jobs; states are those seen at `now`."""
        listing = Listing(user_id, wanted, (page.order_by, page.descending), now)
        search, jobs = Search(listing, page.place, is_brief=is_brief), list[Job]()
        room = ENDLESS if is_brief else PAGE_BYTES

        def step(connection: sqlite3.Connection) -> tuple[list[Job], int]:
            found = search.step(connection, page.limit - len(jobs), room)
            if is_brief:
                return fetch_brief(connection, [item.id for item in found]), 0
            return fetch(connection, found), sum(item.size for item in found)

        while not search.is_done:
            found, size = await self._reader.run(step)
            jobs += found
            room -= size
        rest = None if search.is_over else search.place
        if search.is_over or search.is_full:
            return Part(jobs, rest)
        searched_to = await self._reader.run(search.time)
        return Part(jobs, rest, is_partial=True, searched_to=searched_to)

    async def cancel(
        self,
        user_id: UUID,
        ref: JobRef,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> BulkResult:
        """Cancel a user's job; a finished one is unchanged. Raises: NotFound."""

        def change(transaction: SQLiteTransaction) -> BulkResult:
            job = transaction.jobs.get(user_id, ref)
            jobs = audited.cancel(transaction, job, now, announce, self._random, by)
            return BulkResult(1, 1, jobs)

        return await self._writer.run(change)

    async def retry(
        self, user_id: UUID, ref: JobRef, now: datetime, by: Actor = ADMINISTRATOR
    ) -> Job:
        """Make a discarded or cancelled job due again. Raises: NotFound, Conflict."""

        def change(transaction: SQLiteTransaction) -> Job:
            return audited.retry(transaction, transaction.jobs.get(user_id, ref), now, by)

        return await self._writer.run(change)

    async def run(
        self, user_id: UUID, ref: JobRef, now: datetime, by: Actor = ADMINISTRATOR
    ) -> Job:
        """Make a waiting job due now. Raises: NotFound, Conflict."""

        def change(transaction: SQLiteTransaction) -> Job:
            return audited.run_now(transaction, transaction.jobs.get(user_id, ref), now, by)

        return await self._writer.run(change)

    async def cancel_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
        *,
        dry_run: bool,
        bounds: Bounds = UNBOUNDED,
    ) -> BulkResult:
        """Cancel every unfinished job that matches, and plan the next runs in their place."""
        cancel = partial(changing.cancel, now=now, announce=announce, random=self._random)
        move = None if dry_run else cancel
        note = _noting(Action.JOBS_CANCEL, user_id, wanted, now, by)
        return await _applied(self._many(user_id, wanted, UNFINISHED, now, bounds), move, note)

    async def retry_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        now: datetime,
        by: Actor = ADMINISTRATOR,
        *,
        dry_run: bool,
        bounds: Bounds = UNBOUNDED,
    ) -> BulkResult:
        """Make every discarded or cancelled job that matches due again."""
        move = None if dry_run else partial(changing.retry_if_free, now=now)
        note = _noting(Action.JOBS_RETRY, user_id, wanted, now, by)
        return await _applied(
            self._many(user_id, wanted, RETRYABLE_STATES, now, bounds), move, note
        )

    async def run_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        now: datetime,
        by: Actor = ADMINISTRATOR,
        *,
        dry_run: bool,
        bounds: Bounds = UNBOUNDED,
    ) -> BulkResult:
        """Make every waiting job that matches and is not due yet due now."""
        move = None if dry_run else partial(_run_if_early, now=now)
        note = _noting(Action.JOBS_RUN, user_id, wanted, now, by)
        return await _applied(self._many(user_id, wanted, WAITING, now, bounds), move, note)

    def _many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        states: frozenset[State],
        now: datetime,
        bounds: Bounds,
    ) -> StepwiseChange | None:
        """Return the wanted jobs that are in these states, None if there can be none."""
        narrowed = changing.narrowed(wanted, states)
        if narrowed is None:
            return None
        listing = Listing(user_id, narrowed, ("id", False), now)
        return StepwiseChange(self._writer, self._reader, listing, bounds)


def _noting(action: Action, user_id: UUID, wanted: JobFilter, now: datetime, by: Actor) -> Note:
    note = partial(auditing.note_many, by=by, action=action, wanted=wanted)
    return partial(note, user_id=user_id, now=now)


async def _applied(many: StepwiseChange | None, move: Move | None, note: Note) -> BulkResult:
    """Change jobs; without a move only count them."""
    if many is None:
        return BulkResult(0, 0)
    return await (many.count() if move is None else many.change(move, note))


def _run_if_early(transaction: SQLiteTransaction, job: Job, now: datetime) -> Sequence[Job]:
    """Make a waiting job due now and return it; return nothing if it is due already."""
    return [] if job.scheduled_at <= now else [changing.run_now(transaction, job, now)]

"""Jobs as users see them: each method is one transaction of `store.rules`, or a read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from random import Random
from typing import Protocol
from uuid import UUID

from booper.errors import BooperError, NotFound
from booper.model.audit import ADMINISTRATOR, Action, Actor
from booper.model.job import UNFINISHED, WAITING, Job, State
from booper.store.nouns.access import Reader, Writer
from booper.store.rules import audited, auditing, changing, creating
from booper.store.rules.changing import RETRYABLE_STATES
from booper.store.transaction import Drafting, Transaction
from booper.store.values import (
    UNBOUNDED,
    AnnounceEnd,
    Bounds,
    BulkResult,
    Created,
    Creation,
    JobFilter,
    JobRef,
)

Move = Callable[[Transaction, Job], Sequence[Job]]
"""Change a job; return it and what follows from it, nothing if it could not be changed."""

Note = Callable[[Transaction, int | None, Sequence[int]], int | None]
"""Note which jobs a part has changed; return the number of the entry, which the first part made."""


class Stepwise(Protocol):
    """The jobs of a list, to be counted or changed in short steps."""

    async def count(self) -> BulkResult:
        """Return how many jobs match."""

    async def change(self, move: Move, note: Note) -> BulkResult:
        """Change each job that matches."""


class RuledJobs(ABC):
    """All of `booper.store.base.Jobs` but the lists, which are a database's own."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        random: Random,
        draft: Drafting,
        max_waiting: int = 0,
    ) -> None:
        self._written = writer
        self._read = reader
        self._random = random
        self._draft = draft
        # One and the same for all, so that they are written together.
        self._create_plain = partial(creating.create_plain, max_waiting=max_waiting)
        self._create_all = partial(creating.create_all, max_waiting=max_waiting)
        self._create_batch = partial(creating.create_batch, max_waiting=max_waiting)

    async def create(self, creation: Creation, now: datetime) -> Created:
        """Store a job or a schedule with its first run, unless its idempotency key is taken."""
        prepared = creating.prepare(creation, now, self._random, self._draft)
        is_plain = creating.is_plain(prepared)
        work = self._create_plain if is_plain else self._create_all
        keys = creating.keys_of([prepared])
        result = await self._written.run_together(work, prepared, is_statement=is_plain, keys=keys)
        if isinstance(result, BooperError):
            raise result
        return result

    async def create_many(
        self, creations: Sequence[Creation], now: datetime, *, atomic: bool
    ) -> Sequence[Created | BooperError]:
        """Store many in one transaction, each with its result; all or none if `atomic`."""
        prepared = [creating.prepare(asked, now, self._random, self._draft) for asked in creations]

        def change(transaction: Transaction) -> Sequence[Created | BooperError]:
            return self._create_batch(transaction, prepared, atomic=atomic)

        return await self._written.run(change, keys=creating.keys_of(prepared))

    async def holder(self, user_id: UUID, key: str, now: datetime) -> Job | None:
        """Return the job that holds an idempotency key (of a schedule, its latest run)."""
        return await self._read.run(lambda opened: creating.holding_job(opened, user_id, key, now))

    async def owner(self, job_id: int) -> UUID:
        """Return the user of a job. Raises: NotFound."""
        job = await self._read.run(lambda opened: opened.jobs.find(job_id))
        if job is None:
            raise NotFound(f"there is no job {job_id}")
        return job.user_id

    async def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""
        return await self._read.run(lambda opened: opened.jobs.get(user_id, ref))

    async def cancel(
        self,
        user_id: UUID,
        ref: JobRef,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> BulkResult:
        """Cancel a user's job; a finished one is unchanged. Raises: NotFound."""

        def change(transaction: Transaction) -> BulkResult:
            job = transaction.jobs.get(user_id, ref)
            jobs = audited.cancel(transaction, job, now, announce, self._random, by)
            return BulkResult(1, 1, jobs)

        return await self._written.run(change)

    async def retry(
        self, user_id: UUID, ref: JobRef, now: datetime, by: Actor = ADMINISTRATOR
    ) -> Job:
        """Make a discarded or cancelled job due again. Raises: NotFound, Conflict."""

        def change(transaction: Transaction) -> Job:
            return audited.retry(transaction, transaction.jobs.get(user_id, ref), now, by)

        return await self._written.run(change)

    async def run(
        self, user_id: UUID, ref: JobRef, now: datetime, by: Actor = ADMINISTRATOR
    ) -> Job:
        """Make a waiting job due now. Raises: NotFound, Conflict."""

        def change(transaction: Transaction) -> Job:
            return audited.run_now(transaction, transaction.jobs.get(user_id, ref), now, by)

        return await self._written.run(change)

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
        return await _applied(self._narrowed(user_id, wanted, UNFINISHED, now, bounds), move, note)

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
            self._narrowed(user_id, wanted, RETRYABLE_STATES, now, bounds), move, note
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
        return await _applied(self._narrowed(user_id, wanted, WAITING, now, bounds), move, note)

    def _narrowed(
        self,
        user_id: UUID,
        wanted: JobFilter,
        states: frozenset[State],
        now: datetime,
        bounds: Bounds,
    ) -> Stepwise | None:
        """Return the wanted jobs that are in these states, None if there can be none."""
        narrowed = changing.narrowed(wanted, states)
        return None if narrowed is None else self._stepwise(user_id, narrowed, now, bounds)

    @abstractmethod
    def _stepwise(
        self, user_id: UUID, wanted: JobFilter, now: datetime, bounds: Bounds
    ) -> Stepwise:
        """Return the wanted jobs in order of their numbers."""


def _noting(action: Action, user_id: UUID, wanted: JobFilter, now: datetime, by: Actor) -> Note:
    note = partial(auditing.note_many, by=by, action=action, wanted=wanted)
    return partial(note, user_id=user_id, now=now)


async def _applied(many: Stepwise | None, move: Move | None, note: Note) -> BulkResult:
    """Change jobs; without a move only count them."""
    if many is None:
        return BulkResult(0, 0)
    return await (many.count() if move is None else many.change(move, note))


def _run_if_early(transaction: Transaction, job: Job, now: datetime) -> Sequence[Job]:
    """Make a waiting job due now and return it; return nothing if it is due already."""
    return [] if job.scheduled_at <= now else [changing.run_now(transaction, job, now)]

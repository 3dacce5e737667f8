"""What booper needs of a database: one small protocol per noun.

`by` is who asks for a change; its entry in the audit is written with it. Every method is atomic and
durable when it returns; one that raises `StoreUnavailable` has changed nothing. Nothing outside
`store/` may assume that it is the only process, or know the database.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from booper.errors import BooperError
from booper.model.audit import ADMINISTRATOR, Actor
from booper.model.job import Job, NewJob
from booper.model.schedule import NewSchedule, Schedule
from booper.store.alerting import Alerting
from booper.store.counters import Counters
from booper.store.history import History
from booper.store.keys import Keys
from booper.store.limits import LimitKind
from booper.store.logs import Logs
from booper.store.nodes import Nodes
from booper.store.pauses import Pauses
from booper.store.pruning import Pruning
from booper.store.queue import Queue
from booper.store.sessions import Sessions
from booper.store.sharing import Sharing
from booper.store.values import (
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
    ScheduleChange,
    Subscriber,
    Watcher,
)
from booper.store.vitals import Vitals


class Jobs(Protocol):
    """Jobs as users see them."""

    async def create(self, creation: Creation, now: datetime) -> Created:
        """Store a job or a schedule with its first run, unless its idempotency key is taken.

        Raises: Conflict, if that was asked for or what holds the key cannot be replaced.
        """

    async def create_many(
        self, creations: Sequence[Creation], now: datetime, *, atomic: bool
    ) -> Sequence[Created | BooperError]:
        """Store many in one transaction, each with its result; all or none if `atomic`.

        Raises: BatchRefused, if `atomic` and one cannot be made.
        """

    async def holder(self, user_id: UUID, key: str, now: datetime) -> Job | None:
        """Return the job that holds an idempotency key (of a schedule, its latest run)."""

    async def owner(self, job_id: int) -> UUID:
        """Return the user of a job. Raises: NotFound."""

    async def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""

    async def brief(self, user_id: UUID, numbers: Sequence[int]) -> Sequence[Job]:
        """Return those of a user's jobs that have these numbers, as a brief list has them."""

    async def list(
        self,
        user_id: UUID,
        page: Page,
        wanted: JobFilter,
        now: datetime,
        *,
        is_brief: bool = False,
    ) -> Part[Job]:
        """Return a user's jobs; states are those seen at `now`.

        If brief, their args have a method and a URL alone: the page costs what it shows.
        """

    async def cancel(
        self,
        user_id: UUID,
        ref: JobRef,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> BulkResult:
        """Cancel a user's job; a finished one is unchanged. Raises: NotFound.

        The first of the returned jobs is the one asked for; if it was the waiting run of a
        schedule, the next run that was planned in its place follows.
        """

    async def retry(
        self, user_id: UUID, ref: JobRef, now: datetime, by: Actor = ADMINISTRATOR
    ) -> Job:
        """Make a discarded or cancelled job due again. Raises: NotFound, Conflict."""

    async def run(
        self, user_id: UUID, ref: JobRef, now: datetime, by: Actor = ADMINISTRATOR
    ) -> Job:
        """Make a waiting job due now. Raises: NotFound, Conflict."""

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
        """Cancel every unfinished job that matches, and plan the next runs in their place.

        Not atomic: each of many short changes is. One that cannot be written ends it.
        """

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
        """Make every discarded or cancelled job that matches due again, as `cancel_many` does."""

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
        """Make every waiting job that matches and is not due yet due now, as `cancel_many` does."""


class Schedules(Protocol):
    """Schedules as users see them. Each method raises NotFound where there is none."""

    async def get(self, user_id: UUID, schedule_id: UUID) -> Schedule:
        """Return a user's schedule."""

    async def list(self, user_id: UUID, page: Page) -> Part[Schedule]:
        """Return a user's schedules."""

    async def last_completed(self, names: Collection[str]) -> Mapping[str, datetime]:
        """Return when a run last completed of each schedule that has one of these names or ids.

        One that has not completed within its last `RUNS_READ` runs is left out.
        """

    async def taken(self, schedule_id: UUID, after: datetime) -> frozenset[datetime]:
        """Return the planned times after a moment that a run has, the waiting one included."""

    async def disable(
        self,
        user_id: UUID,
        schedule_id: UUID,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> ScheduleChange:
        """Cancel the waiting run and plan no more; `$previous` is lost, `$state` kept."""

    async def enable(
        self,
        user_id: UUID,
        schedule_id: UUID,
        now: datetime,
        max_attempts: int,
        by: Actor = ADMINISTRATOR,
    ) -> ScheduleChange:
        """Plan the next run after now; what passed meanwhile is logged."""

    async def delete(
        self,
        user_id: UUID,
        schedule_id: UUID,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> ScheduleChange:
        """Cancel the waiting run and forget the schedule; past jobs stay."""

    async def change(
        self,
        user_id: UUID,
        seen: Schedule,
        new: NewSchedule,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> ScheduleChange:
        """Put new args in a schedule's place, keeping its id, `$state` and count of runs.

        Its waiting run takes them over, at its new time. Raises: Conflict, if the schedule is
        no longer as it was `seen`.
        """

    async def run(
        self,
        user_id: UUID,
        schedule_id: UUID,
        new: NewJob,
        now: datetime,
        by: Actor = ADMINISTRATOR,
    ) -> Job:
        """Add a run beside the plan, due now."""

    async def set_state(
        self,
        user_id: UUID,
        schedule_id: UUID,
        state: str,
        now: datetime,
        by: Actor = ADMINISTRATOR,
        seen: str | None = None,
    ) -> Schedule:
        """Replace `$state` by another JSON text. Raises: Conflict, its version was not `seen`."""


class Store(Protocol):
    """The whole database."""

    @property
    def jobs(self) -> Jobs: ...

    @property
    def schedules(self) -> Schedules: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def pauses(self) -> Pauses: ...

    @property
    def logs(self) -> Logs: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def history(self) -> History: ...

    @property
    def counters(self) -> Counters: ...

    @property
    def vitals(self) -> Vitals: ...

    @property
    def pruning(self) -> Pruning: ...

    @property
    def alerting(self) -> Alerting: ...

    @property
    def nodes(self) -> Nodes: ...

    @property
    def sharing(self) -> Sharing | None:
        """Return what nodes tell each other by, None where no other process serves the database."""

    def subscribe(self, subscriber: Subscriber) -> None:
        """Announce the waiting jobs of each commit to the one `subscriber`, in order."""

    def watch(self, watcher: Watcher | None) -> None:
        """Show all jobs and schedules of each commit to the one `watcher`, to nobody if None."""

    def limits(self, kind: LimitKind, key: str) -> int:
        """Return how many jobs may be on their way at a time: in all, or to the origin `key`.

        Without I/O: the loop asks whenever a slot is taken or freed.
        """

    async def check_writable(self, now: datetime) -> None:
        """Write something durable. Raises: StoreUnavailable."""

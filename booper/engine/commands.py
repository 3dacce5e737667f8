"""Commands: the one way to change what booper has to do.

Whoever asks (the API, and through it the library, the command line and the client) gets values of
the model back, once they are durable. `now` is when the change happens and how its result is shown;
`by` is who asks, for the audit. What a change makes due is armed by the store's announcement, not
here.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from booper.clock import breathe
from booper.engine.feeds import Feeds
from booper.engine.reports import Reports
from booper.engine.scheduler import Scheduler
from booper.errors import BooperError, Conflict, StoreUnavailable
from booper.model.args import decode_args
from booper.model.audit import Action, Actor, Kind, NewChange
from booper.model.job import Job, NewJob
from booper.model.key import ApiKey, NewKey
from booper.model.schedule import NewSchedule, Plan, Schedule
from booper.store.base import Store
from booper.store.values import (
    UNBOUNDED,
    Bounds,
    BulkResult,
    Created,
    Creation,
    JobFilter,
    JobRef,
)

MAX_TRIES: Final = 5
"""How often a change is tried again on a schedule that others change as well."""

# What one transaction of many creates writes costs, about 25 ms: a plain job is 1.
PART_COST: Final = 250
_KEY_COST, _SCHEDULE_COST, _TAGS, _BYTES = 2, 4, 3, 4 << 10


class Commands:
    """Changes of jobs, schedules, pauses, breakers and keys.

    `max_attempts` is the default for runs; `forward_url` is where messages to the channel
    `discord` go, None if nowhere.
    """

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        reports: Reports,
        feeds: Feeds,
        max_attempts: int,
        forward_url: str | None = None,
    ) -> None:
        self._store = store
        self._jobs = store.jobs
        self._schedules = store.schedules
        self._scheduler = scheduler
        self._reports = reports
        self._feeds = feeds
        self._max_attempts = max_attempts
        self._forward_url = forward_url

    # --- jobs ---

    def create(self, creation: Creation, now: datetime) -> Awaitable[Created]:
        """Create a job or a schedule. Raises: Conflict, StoreUnavailable."""
        self._scheduler.check_sending()
        return self._jobs.create(creation, now)  # awaited by the caller: creates are frequent

    async def create_all(self, creations: Sequence[Creation], now: datetime) -> Sequence[Created]:
        """Create many jobs and schedules or none. Raises: BatchRefused, StoreUnavailable."""
        self._scheduler.check_sending()
        results = await self._jobs.create_many(creations, now, atomic=True)
        return [result for result in results if isinstance(result, Created)]

    async def create_each(
        self, creations: Sequence[Creation], now: datetime
    ) -> AsyncGenerator[Created | BooperError, None]:
        """Create many jobs and schedules in short transactions; yield the result of each in order.

        Raises:
            StoreUnavailable: nothing could be written. Later on it is a result as well.
        """
        self._scheduler.check_sending()
        has_written = False
        for part in parts(creations):
            results: Sequence[Created | BooperError]
            try:
                results = await self._jobs.create_many(part, now, atomic=False)
                has_written = True
            except StoreUnavailable as error:
                if not has_written:
                    raise
                results = [error] * len(part)
            for result in results:
                yield result
            await breathe()

    async def cancel(self, user_id: UUID, ref: JobRef, now: datetime, by: Actor) -> Job:
        """Cancel a job; a finished one is unchanged. Raises: NotFound."""
        changed = await self._jobs.cancel(user_id, ref, now, self._reports.cancelled, by)
        return changed.jobs[0]

    async def retry(self, user_id: UUID, ref: JobRef, now: datetime, by: Actor) -> Job:
        """Send a discarded or cancelled job again, now. Raises: NotFound, Conflict."""
        return await self._jobs.retry(user_id, ref, now, by)

    async def run(self, user_id: UUID, ref: JobRef, now: datetime, by: Actor) -> Job:
        """Send a waiting job now. Raises: NotFound, Conflict."""
        return await self._jobs.run(user_id, ref, now, by)

    async def cancel_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        now: datetime,
        by: Actor,
        *,
        dry_run: bool,
        bounds: Bounds = UNBOUNDED,
    ) -> BulkResult:
        """Cancel every unfinished job that matches; only count them if `dry_run`."""
        cancel, announce = self._jobs.cancel_many, self._reports.cancelled
        return await cancel(user_id, wanted, now, announce, by, dry_run=dry_run, bounds=bounds)

    async def retry_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        now: datetime,
        by: Actor,
        *,
        dry_run: bool,
        bounds: Bounds = UNBOUNDED,
    ) -> BulkResult:
        """Send every discarded or cancelled job that matches again; only count if `dry_run`."""
        retry = self._jobs.retry_many
        return await retry(user_id, wanted, now, by, dry_run=dry_run, bounds=bounds)

    async def run_many(
        self,
        user_id: UUID,
        wanted: JobFilter,
        now: datetime,
        by: Actor,
        *,
        dry_run: bool,
        bounds: Bounds = UNBOUNDED,
    ) -> BulkResult:
        """Send every job that matches and waits for its time now; only count if `dry_run`."""
        run = self._jobs.run_many
        return await run(user_id, wanted, now, by, dry_run=dry_run, bounds=bounds)

    async def forward(self, user_id: UUID, body: Mapping[str, object], now: datetime) -> None:
        """Forward a channel's message, as durably as any job, if the operator has set a URL."""
        if self._forward_url is not None:
            new = self._reports.forward(user_id, self._forward_url, body, now)
            await self._jobs.create(Creation(new), now)

    # --- schedules: each raises NotFound where there is none ---

    async def change_schedule(
        self,
        user_id: UUID,
        schedule_id: UUID,
        revise: Callable[[Schedule], NewSchedule],
        now: datetime,
        by: Actor,
    ) -> Schedule:
        """Replace a schedule by what `revise` makes of it; again if it has changed meanwhile."""
        for tries_left in reversed(range(MAX_TRIES)):
            seen = await self._schedules.get(user_id, schedule_id)
            new, announce = revise(seen), self._reports.cancelled
            try:
                change = await self._schedules.change(user_id, seen, new, now, announce, by)
            except Conflict:
                if not tries_left:
                    raise
            else:
                return change.schedule
        raise AssertionError("the last try returns or raises")

    async def disable_schedule(
        self, user_id: UUID, schedule_id: UUID, now: datetime, by: Actor
    ) -> Schedule:
        """Cancel the waiting run and plan no more."""
        announce = self._reports.cancelled
        return (await self._schedules.disable(user_id, schedule_id, now, announce, by)).schedule

    async def enable_schedule(
        self, user_id: UUID, schedule_id: UUID, now: datetime, by: Actor
    ) -> Schedule:
        """Plan the next run after now. Raises: Conflict, it cannot be planned."""
        schedule = await self._schedules.get(user_id, schedule_id)
        try:
            Plan.of_schedule(schedule)
        except ValueError as error:
            raise Conflict(f"schedule {schedule.id} cannot be planned: {error}") from error
        attempts = decode_args(schedule.args).max_attempts or self._max_attempts
        return (await self._schedules.enable(user_id, schedule_id, now, attempts, by)).schedule

    async def delete_schedule(
        self, user_id: UUID, schedule_id: UUID, now: datetime, by: Actor
    ) -> None:
        """Cancel the waiting run and forget the schedule; its past jobs stay."""
        await self._schedules.delete(user_id, schedule_id, now, self._reports.cancelled, by)

    async def run_schedule(
        self,
        user_id: UUID,
        schedule_id: UUID,
        make: Callable[[Schedule], NewJob],
        now: datetime,
        by: Actor,
    ) -> Job:
        """Send now the run that `make` makes of a schedule; its plan stays as it is."""
        schedule = await self._schedules.get(user_id, schedule_id)
        return await self._schedules.run(user_id, schedule_id, make(schedule), now, by)

    async def set_state(
        self,
        user_id: UUID,
        schedule_id: UUID,
        state: str,
        now: datetime,
        by: Actor,
        seen: str | None = None,
    ) -> Schedule:
        """Replace a schedule's `$state`. Raises: Conflict, its version was not `seen`."""
        return await self._schedules.set_state(user_id, schedule_id, state, now, by, seen)

    # --- targets: an origin, `host:port`, a host, or `ALL_TARGETS` ---

    async def pause(self, target: str, now: datetime, by: Actor) -> None:
        """Send nothing to a target until it is resumed."""
        await self._store.pauses.add(target, now, by)
        self._scheduler.pause(target, now)

    async def resume(self, target: str, now: datetime, by: Actor) -> None:
        """Send to a target again, also to one that failed."""
        await self._store.pauses.remove(target, now, by)
        self._scheduler.resume(target)

    async def reset_breakers(self, target: str, now: datetime, by: Actor) -> Sequence[str]:
        """Send to a target as if it had never failed; return the origins that were only probed."""
        if self._scheduler.breakers.open():
            change = NewChange(by, Action.BREAKERS_RESET, Kind.TARGET, target, now)
            await self._store.history.note(change)
        return self._scheduler.reset_breakers(target)

    # --- keys ---

    async def create_key(self, new: NewKey, now: datetime, by: Actor) -> ApiKey:
        """Store a key, and its user where there is none of that name."""
        return await self._store.keys.create(new, now, by)

    async def revoke_key(self, key_id: UUID, now: datetime, by: Actor) -> ApiKey:
        """Revoke a key and end its live feeds. Raises: NotFound."""
        key = await self._store.keys.revoke(key_id, now, by)
        self._feeds.end_of(key.id)
        return key


def parts(creations: Sequence[Creation]) -> Iterator[Sequence[Creation]]:
    """Yield creates in parts that cost about `PART_COST` to write."""
    part: list[Creation] = []
    cost = 0
    for creation in creations:
        cost += _cost(creation)
        if part and cost > PART_COST:
            yield part
            part, cost = [], _cost(creation)
        part.append(creation)
    if part:
        yield part


def _cost(creation: Creation) -> int:
    new = creation.new
    cost = 1 + len(new.tags) // _TAGS + len(new.args) // _BYTES
    cost += _KEY_COST if new.idempotency_key is not None else 0
    return cost + (_SCHEDULE_COST if isinstance(new, NewSchedule) else 0)

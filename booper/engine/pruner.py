"""The pruner: it deletes what is old, beside the loop and in small changes.

It works a quarter of the time at most, and by the machine's clock also where jobs have another: how
fast a database grows is no matter of what time it is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from booper.clock import Clock, Signal, SystemClock, monotonic
from booper.errors import PrunedElsewhere, StoreDamaged, StoreUnavailable
from booper.model.job import State
from booper.model.retention import PRUNED_STATES, Retention, Span
from booper.store.pruning import Found, Prunable, Pruning, Spot

log = logging.getLogger("booper")

MAX_ROWS: Final = 200
MAX_BYTES: Final = 1 << 20
"""What one change deletes at most, unless it is a single row: a few milliseconds."""

GRACE: Final = timedelta(days=7)
"""How long a database that has jobs from before anything was deleted is left alone."""

RETRY_AFTER: Final = timedelta(seconds=10)
SHORTEST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(hours=1)

LOOKS: Final = 50
"""How often is looked in the time for which jobs are kept that go first."""

# How much longer it rests than it works.
REST: Final = 3
SHORTEST_REST: Final = 0.005


@dataclass(frozen=True, slots=True)
class PrunerStatus:
    """What the pruner does: since when it may delete jobs, and how much it has deleted by now.

    `pruned_at` is the end of the last look at everything. `error` is what kept it from the last
    one, empty if nothing did.
    """

    begins_at: datetime | None = None
    jobs: int = 0
    rows: int = 0
    pruned_at: datetime | None = None
    error: str = ""


class Pruner:
    """What deletes old jobs and buckets; `status` is for whoever watches it."""

    def __init__(self, pruning: Pruning, retention: Retention, clock: Clock) -> None:
        self.status = PrunerStatus()
        self.has_begun = asyncio.Event()
        self._pruning = pruning
        self._retention = retention
        self._clock = clock
        self._is_wanted = Signal()

    async def run(self) -> None:
        """Delete what is old, again and again."""
        while True:
            pause = self._pause
            try:
                await self._wait_for_begin()
                self._is_wanted.clear()
                began_at = self._clock.now()
                await self.prune()
            except PrunedElsewhere:
                began_at, pause = self._clock.now(), RETRY_AFTER
            except StoreUnavailable as error:
                self._note_failure(error)
                began_at, pause = self._clock.now(), RETRY_AFTER
            await self._clock.wait(self._is_wanted, began_at + pause)

    async def begin(self) -> None:
        """Delete what is old from now on, and do so at once."""
        now = self._clock.now()
        await self._pruning.begin_at(now)
        self.status = replace(self.status, begins_at=min(now, self.status.begins_at or now))
        self._is_wanted.set()

    async def prune(self) -> None:
        """Delete all that is old now. Raises: PrunedElsewhere."""
        now = self._clock.now()
        self._note_dropped(await self._pruning.drop_old(self._retention, now))
        await self._walk(partial(self._pruning.find_by_own_time, self._retention, now), now)
        for state in PRUNED_STATES:
            if self._retention.of(state) is not None:
                find = partial(self._pruning.find, state, self._retention, now, is_over_size=False)
                await self._walk(find, now)
        await self._prune_aged(self._pruning.prune_audit, self._retention.audit, now)
        await self._prune_aged(self._pruning.prune_buckets, self._retention.buckets, now)
        self.status = replace(self.status, pruned_at=self._clock.now(), error="")

    async def drop_oldest(self, state: State, now: datetime) -> bool:
        """Delete the oldest jobs of a state that go together; return whether there were any.

        Raises: PrunedElsewhere.
        """
        dropped = await self._pruning.drop_oldest(state, now)
        self._note_dropped(dropped or 0)
        return dropped is not None

    async def delete(
        self,
        jobs: Sequence[Prunable],
        now: datetime,
        *,
        is_over_size: bool,
        is_urgent: bool = False,
    ) -> None:
        """Delete jobs together, one that has too much for a change in several.

        Raises: PrunedElsewhere.
        """
        ids = [job.id for job in jobs]
        limit, is_whole = _limit(jobs), False
        while not is_whole:
            began = monotonic()
            try:
                pruned = await self._pruning.prune(
                    ids,
                    self._retention,
                    now,
                    limit,
                    is_over_size=is_over_size,
                    is_urgent=is_urgent,
                )
            except StoreDamaged as error:  # a damaged page must not keep the others
                log.error("jobs %d to %d cannot be deleted: %s", ids[0], ids[-1], error)
                return
            is_whole = pruned.rows < limit or pruned.jobs > 0
            status = self.status
            self.status = replace(
                status, jobs=status.jobs + pruned.jobs, rows=status.rows + pruned.rows
            )
            if not is_urgent:
                await rest(monotonic() - began)

    async def _walk(self, find: Callable[[Spot], Awaitable[Found]], now: datetime) -> None:
        spot: Spot | None = Spot()
        while spot is not None:
            found = await find(spot)
            for batch in batches(found.jobs):
                await self.delete(batch, now, is_over_size=False)
            spot = found.rest

    async def _prune_aged(
        self, prune: Callable[[datetime, int], Awaitable[int]], kept: Span, now: datetime
    ) -> None:
        if kept is None:
            return
        count = MAX_ROWS
        while count == MAX_ROWS:
            began = monotonic()
            count = await prune(now - kept, MAX_ROWS)
            self.status = replace(self.status, rows=self.status.rows + count)
            if count:
                await rest(monotonic() - began)

    async def _wait_for_begin(self) -> None:
        """Wait until jobs may be deleted; of an older database, its owner is told first."""
        if self.has_begun.is_set():
            return
        now, at = self._clock.now(), await self._pruning.begins_at()
        if at is None:
            at = now + GRACE
            await self._pruning.begin_at(at)
        self.status = replace(self.status, begins_at=at)
        if at > now:
            log.warning(
                "old jobs will be deleted by [retention] from %s on, since this database has jobs"
                " of an older booper; `booper prune` begins now",
                f"{at:%Y-%m-%d %H:%M} UTC",
            )
            await self._clock.wait(self._is_wanted, at)
        self.has_begun.set()

    @property
    def _pause(self) -> timedelta:
        """Return how long to wait between two looks: the shorter jobs are kept, the shorter."""
        kept = [self._retention.of(state) for state in PRUNED_STATES]
        looks = [span / LOOKS for span in kept if span is not None]
        return min([LONGEST_PAUSE, *(max(each, SHORTEST_PAUSE) for each in looks)])

    def _note_dropped(self, jobs: int) -> None:
        status = self.status
        self.status = replace(status, jobs=status.jobs + jobs, rows=status.rows + jobs)

    def _note_failure(self, error: StoreUnavailable) -> None:
        if self.status.error != str(error):
            log.error("old jobs cannot be deleted now: %s", error)
        self.status = replace(self.status, error=str(error))


def batches(jobs: Sequence[Prunable]) -> Iterator[Sequence[Prunable]]:
    """Yield jobs that are small enough together to be deleted by one change, in order."""
    batch, rows, size = list[Prunable](), 0, 0
    for job in jobs:
        if batch and (rows + job.rows > MAX_ROWS or size + job.size > MAX_BYTES):
            yield batch
            batch, rows, size = [], 0, 0
        batch.append(job)
        rows, size = rows + job.rows, size + job.size
    if batch:
        yield batch


def _limit(jobs: Sequence[Prunable]) -> int:
    """Return how many rows one change deletes of these jobs: fewer if they are large."""
    rows, size = sum(job.rows for job in jobs), sum(job.size for job in jobs)
    return max(1, min(MAX_ROWS, MAX_BYTES * rows // max(size, 1)))


async def rest(seconds: float) -> None:
    """Rest after work that took this long."""
    await SystemClock().pause(timedelta(seconds=max(SHORTEST_REST, REST * seconds)))

"""What the pruner needs of a database: what has ended, deleting it, and the room it takes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from booper.model.job import State
from booper.model.retention import Retention
from booper.store.values import Pruned


class Prunable(msgspec.Struct, frozen=True, gc=False):
    """A job that may be deleted: how many rows it has with its log and tags, and their bytes."""

    id: int
    rows: int
    size: int


class Spot(msgspec.Struct, frozen=True, gc=False):
    """A place in a walk over jobs: behind a job of a value."""

    value: int = 0
    id: int = 0


class Found(msgspec.Struct, frozen=True, gc=False):
    """A part of what may be deleted, and where the next begins, None after the last."""

    jobs: Sequence[Prunable]
    rest: Spot | None


class Space(msgspec.Struct, frozen=True, gc=False):
    """How large the database is, and how much of that is free, in bytes.

    `can_shrink` is whether free space can be given back to the system without making it anew.
    """

    size: int
    free: int
    can_shrink: bool

    @property
    def used(self) -> int:
        """Return how much holds data."""
        return self.size - self.free


class Pruning(Protocol):
    """Deleting what is old, in small changes that nothing else has to wait for.

    What deletes by rows raises PrunedElsewhere where another node is at it.
    """

    async def begins_at(self) -> datetime | None:
        """Return since when jobs may be deleted, None where that is to be decided."""

    async def begin_at(self, at: datetime) -> None:
        """Delete no jobs before this time."""

    async def prepare(self, retention: Retention, now: datetime) -> None:
        """Prepare for what ends in the next days, where jobs are put together by when they end.

        Raises: StoreUnavailable.
        """

    async def drop_old(self, retention: Retention, now: datetime) -> int:
        """Delete what is so old that it goes together; return how many jobs that were."""

    async def drop_oldest(self, state: State, now: datetime) -> int | None:
        """Delete the oldest jobs of a state that go together, whatever their age.

        Return how many there were, None if there is nothing that goes together.

        Raises:
            PrunedElsewhere: another node is at it; the size is to be looked at again.
        """

    async def find(
        self, state: State, retention: Retention, now: datetime, behind: Spot, *, is_over_size: bool
    ) -> Found:
        """Return jobs of a finished state that may be deleted, in order of their creation.

        Where the database is over its size, they may be of any age.
        """

    async def find_by_own_time(self, retention: Retention, now: datetime, behind: Spot) -> Found:
        """Return jobs whose own `keep_for` is over, and which may be deleted."""

    async def prune(
        self,
        job_ids: Sequence[int],
        retention: Retention,
        now: datetime,
        limit: int,
        *,
        is_over_size: bool,
        is_urgent: bool = False,
    ) -> Pruned:
        """Delete those of these jobs that may be deleted still; at most `limit` rows of their logs.

        Unless it is urgent, it waits until nothing else is to be written, for a moment at most.
        """

    async def prune_audit(self, before: datetime, limit: int) -> int:
        """Delete the oldest entries of the audit from before a time; return how many there were."""

    async def prune_buckets(self, before: datetime, limit: int) -> int:
        """Delete the oldest buckets that begin before a time; return how many there were."""

    async def space(self) -> Space:
        """Return how large the database is."""

    async def wait_for_changes(self, count: int) -> None:
        """Return when this many changes have been made since the space was looked at."""

    async def give_back(self, size: int) -> None:
        """Give free space back to the system: some, and at most this many bytes."""

"""What the rest needs of the numbers that a database keeps, so that nobody counts rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import msgspec

from booper.model.bucket import Bucket
from booper.model.job import Kind, State

MAX_DUE: Final = 10_000
"""More are not counted: that would take the longer the further booper is behind."""


class DueCount(msgspec.Struct, frozen=True):
    """The number of jobs that wait though their time has come, and the time of the first."""

    count: int
    oldest_at: datetime | None


class OriginCounts(msgspec.Struct, frozen=True):
    """What happened to jobs of each origin, in order of the origins.

    `since` is the hour from which on all is counted; None if that is all of what was asked for.
    """

    buckets: Sequence[tuple[str, Bucket]]
    since: datetime | None = None


class Counters(Protocol):
    """Kept numbers: exact, and written with what they count."""

    async def jobs(self, user_id: UUID | None = None) -> Mapping[tuple[Kind, State], int]:
        """Return how many jobs a user has, or all have, by kind and state as stored.

        What there is none of is left out.
        """

    async def due(self, now: datetime) -> DueCount:
        """Return how many jobs wait though their time has come, up to `MAX_DUE`."""

    async def due_of(self, user_id: UUID, now: datetime) -> DueCount:
        """Return how many requests and runs of a user wait though their time has come.

        Up to `MAX_DUE`.
        """

    async def minutes(
        self, user_id: UUID | None, since: datetime, until: datetime
    ) -> Sequence[Bucket]:
        """Return what happened in each five minutes that begin between two times, in order.

        It is a user's, or everybody's. Where nothing happened there is no bucket.
        """

    async def spans(
        self, user_id: UUID, since: datetime, until: datetime, every: timedelta
    ) -> Sequence[Bucket]:
        """Return what happened to a user's jobs in each span of a time, in order.

        The first span begins at `since`; both are multiples of five minutes. Where nothing happened
        there is no bucket.
        """

    async def hours(
        self, user_id: UUID | None, since: datetime, until: datetime
    ) -> Sequence[tuple[str, Bucket]]:
        """Return what happened in each hour that begins between two times, by origin."""

    async def origins(self, since: datetime, until: datetime) -> OriginCounts:
        """Return what happened to jobs of each origin in the hours that begin between two times.

        Of all users together. Of very many hours the newest are counted.
        """

    async def roll_up(self, since: datetime | None) -> int:
        """Write numbers that are kept in several rows in one; return how many rows those were.

        Of what happened that is what began at `since` or later; None stands for all.
        """

"""What happened within five minutes or an hour, in numbers that add up.

A bucket counts attempts of requests and runs; callbacks and webhooks are not counted here. It is
the one that an attempt ended in, by UTC.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

MINUTES: Final = timedelta(minutes=5)
"""The width of a user's buckets."""

HOUR: Final = timedelta(hours=1)
"""The width of an origin's buckets."""

DAY: Final = timedelta(days=1)
"""The width of the sums that a database may keep beside a user's buckets."""

LIMITS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
)
"""The upper limits of a histogram's parts, included; behind them is one part more."""

PARTS: Final = len(LIMITS) + 1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def begin_of(at: datetime, width: timedelta) -> datetime:
    """Return when the bucket of a time begins."""
    return at - (at - _EPOCH) % width


def part_of(duration: timedelta) -> int:
    """Return the place of a duration's part in a histogram."""
    return bisect_left(LIMITS, duration)


class Histogram(msgspec.Struct, frozen=True):
    """The durations of attempts: `counts` by parts, `total` of all together."""

    counts: Sequence[int] = (0,) * PARTS
    total: timedelta = timedelta(0)

    @property
    def count(self) -> int:
        """Return how many there are."""
        return sum(self.counts)

    def quantile(self, share: float) -> timedelta | None:
        """Return the limit of the part that has this share of all behind or in it.

        None where there is nothing, or where only the last part has it, which has no limit.
        """
        wanted, seen = share * self.count, 0
        for limit, count in zip(LIMITS, self.counts, strict=False):
            seen += count
            if seen and seen >= wanted:
                return limit
        return None

    def __add__(self, other: "Histogram") -> "Histogram":
        """Return both together."""
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(counts, self.total + other.total)


class Bucket(msgspec.Struct, frozen=True):
    """The counts of what happened from `begins_at` on: to a user's jobs, or to those of one origin.

    `failed` are attempts that failed, also those after which a job was discarded; `skipped` are
    planned times of schedules that were noted as not run.
    """

    begins_at: datetime
    completed: int = 0
    failed: int = 0
    discarded: int = 0
    skipped: int = 0
    lateness: Histogram = Histogram()
    duration: Histogram = Histogram()


class Happened(msgspec.Struct, frozen=True):
    """What a bucket counts: ends of attempts and jobs, times not run, each in the five minutes.

    `lateness` leaves out runs that were held back by the one before: that is nobody's lateness.
    """

    at: datetime
    user_id: UUID
    origin: str
    completed: int = 0
    failed: int = 0
    discarded: int = 0
    skipped: int = 0
    lateness: Sequence[timedelta] = ()
    durations: Sequence[timedelta] = ()

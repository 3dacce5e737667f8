"""What happened within a time: numbers, and how late and long half and 99 of 100 attempts were."""

from collections.abc import Sequence
from typing import Final

import msgspec

from booper.model.bucket import Bucket, Histogram

_HALF: Final = 0.5
_NEARLY_ALL: Final = 0.99


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to requests and runs within a time.

    `failed` counts attempts, the others jobs and planned times. `late_…` and `duration_…` are what
    half of the attempts (`p50`) or 99 of 100 (`p99`) were late or took at most, rounded up to the
    next of 14 limits; null if that is more than 300, or if there were none.
    """

    completed: int
    failed: int
    discarded: int
    skipped: int
    late_p50_seconds: float | None
    late_p99_seconds: float | None
    duration_p50_seconds: float | None
    duration_p99_seconds: float | None


def rates_of(buckets: Sequence[Bucket]) -> Rates:
    """Return what happened in all of these buckets."""
    late = sum((bucket.lateness for bucket in buckets), Histogram())
    took = sum((bucket.duration for bucket in buckets), Histogram())
    return Rates(
        completed=sum(bucket.completed for bucket in buckets),
        failed=sum(bucket.failed for bucket in buckets),
        discarded=sum(bucket.discarded for bucket in buckets),
        skipped=sum(bucket.skipped for bucket in buckets),
        late_p50_seconds=_seconds(late, _HALF),
        late_p99_seconds=_seconds(late, _NEARLY_ALL),
        duration_p50_seconds=_seconds(took, _HALF),
        duration_p99_seconds=_seconds(took, _NEARLY_ALL),
    )


def _seconds(histogram: Histogram, share: float) -> float | None:
    limit = histogram.quantile(share)
    return None if limit is None else limit.total_seconds()

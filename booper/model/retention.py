"""How long what has ended is kept."""

from datetime import datetime, timedelta

import msgspec

from booper.model.duration import Duration, parse_duration
from booper.model.job import State

Span = timedelta | None
"""How long something is kept; None is for ever."""

FOREVER = "forever"


def parse_span(value: Duration) -> Span:
    """Read how long something is kept: a duration, or "forever". Raises: ValueError."""
    if value == FOREVER:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f'{error}; or "{FOREVER}"') from error


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long jobs are kept after their end, by state, and the rest after its time.

    Of each schedule the newest `schedule_runs` runs are kept whatever their age. `max_bytes` is how
    large the database may grow before jobs are deleted earlier, 0 for no limit.
    """

    completed: Span
    cancelled: Span
    discarded: Span
    audit: Span
    buckets: Span
    schedule_runs: int
    max_bytes: int

    def of(self, state: State) -> Span:
        """Return how long a finished job is kept that does not say so itself."""
        match state:
            case State.COMPLETED:
                return self.completed
            case State.CANCELLED:
                return self.cancelled
            case State.DISCARDED:
                return self.discarded
            case State.SCHEDULED | State.AVAILABLE | State.EXECUTING | State.RETRYABLE:
                return None

    def is_over(
        self, state: State, ended_at: datetime, keep_for: timedelta | None, now: datetime
    ) -> bool:
        """Return whether a finished job is old enough to go; `keep_for` is its own time, if any."""
        kept = self.of(state) if keep_for is None else keep_for
        return kept is not None and ended_at + kept <= now


PRUNED_STATES = (State.COMPLETED, State.CANCELLED, State.DISCARDED)
"""The finished states in the order in which their jobs go: what failed is kept longest."""

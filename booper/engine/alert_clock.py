"""Notice that the clock went another way than time did."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

MIN_STEP: Final = timedelta(seconds=30)
"""A smaller step is what time servers correct after a start, and harms no plan."""


class ClockWatch:
    """A comparison of the clock with the seconds that have really passed.

    Without `seconds`, for a clock that is moved on purpose, only a step back is one.
    """

    def __init__(self, now: datetime, seconds: Callable[[], float] | None) -> None:
        self._seconds = seconds
        self._at = now
        self._seconds_at = seconds() if seconds else 0.0

    def step(self, now: datetime) -> timedelta | None:
        """Return how far the clock was stepped since the last call, None if it was not."""
        passed = now - self._at
        if self._seconds is not None:
            seconds = self._seconds()
            stepped = passed - timedelta(seconds=seconds - self._seconds_at)
            self._seconds_at = seconds
        else:
            stepped = min(passed, timedelta(0))
        self._at = now
        return stepped if abs(stepped) >= MIN_STEP else None

"""How often a key may ask: a token bucket for each, in memory (contract §1: 429)."""

from collections.abc import Callable
from math import ceil
from uuid import UUID

from booper.clock import monotonic
from booper.errors import TooManyRequests


class RateLimit:
    """The rate of each key: `burst` requests at once, and `per_second` on average.

    There is one bucket for each key that was used, so callers must be known before they are
    counted: what strangers make up takes no memory here. `now` tells seconds that only grow.
    """

    def __init__(self, per_second: float, burst: int, now: Callable[[], float] = monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._now = now
        self._buckets: dict[UUID, tuple[float, float]] = {}

    def take(self, key: UUID) -> None:
        """Count a request. Raises: TooManyRequests, which costs the key nothing."""
        now = self._now()
        left, at = self._buckets.get(key, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_second)
        if left < 1:
            wait = (1 - left) / self._per_second
            raise TooManyRequests(
                f"this key may make {self._per_second:g} requests a second, and {self._burst} at "
                f"once; try again in {ceil(wait)} s",
                wait,
            )
        self._buckets[key] = (left - 1, now)

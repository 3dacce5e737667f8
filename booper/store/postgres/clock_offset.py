"""How far this machine's clock is ahead of the database's, as round trips show it."""

from datetime import datetime, timedelta
from typing import Final

DRIFT: Final = timedelta(microseconds=100)
"""By how much two clocks move apart at most between two round trips, which are a second apart."""


class ClockOffset:
    """The offset that is known best: of round trips that agree, the shortest one tells it.

    The database's time was read at some moment of a trip, taken to be its middle (RFC 5905 §8). So
    a trip tells the offset within half of how long it took. One that contradicts what was known
    shows that a clock was set.
    """

    def __init__(self) -> None:
        self.value: timedelta | None = None
        self._error = timedelta(0)

    def note(self, began_at: datetime, took: timedelta, database_at: datetime) -> None:
        """Note a round trip that began at a time of this clock, and the time that it has read."""
        error = took / 2
        value = began_at + error - database_at
        self._error += DRIFT
        if (
            self.value is None
            or error <= self._error
            or abs(value - self.value) > error + self._error
        ):
            self.value, self._error = value, error

"""The time of a database that several processes serve: one time for all that they write and arm.

Knows no database: whoever measures how far the machine's count is ahead says so.
"""

from datetime import datetime, timedelta

from booper.clock import EPOCH, Clock, SystemClock, monotonic


def counted() -> datetime:
    """Return the machine's monotonic count as a time: its steps are known to nobody else."""
    return EPOCH + timedelta(seconds=monotonic())


class DatabaseClock(SystemClock):
    """The database's time, carried on by the machine's monotonic count between two measurements.

    A step of the machine's wall clock changes nothing here; one of the database's clock does. Until
    the first measurement it is the wall clock.
    """

    def __init__(self) -> None:
        self.ahead: timedelta | None = None
        """How far `counted` is ahead of the database's time, None if that is not known yet."""

    def now(self) -> datetime:
        """Return the database's time, in UTC."""
        ahead = self.ahead
        return super().now() if ahead is None else counted() - ahead


def real_clock(clock: Clock) -> Clock:
    """Return a clock that shows real time: this one, or the machine's where it is virtual."""
    return clock if isinstance(clock, SystemClock) else SystemClock()

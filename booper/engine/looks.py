"""When the table of waiting jobs is looked at for what the timers miss, and how much of it.

They miss a create whose caller went away between its commit and its arming, and a claim that was
written but reported lost. Where other processes write jobs as well, nobody else tells of these.
"""

from datetime import datetime, timedelta
from typing import Final

EVERY: Final = timedelta(minutes=1)
SHARED_EVERY: Final = timedelta(seconds=1)
"""How often one process looks, and each of several."""

SOONEST: Final = timedelta(milliseconds=250)
"""The least time between two looks, however much others tell."""

# While somebody holds a snapshot, PostgreSQL walks over all that has been due since. So where a
# look at everything takes long, most looks are at what is due lately.
LATELY: Final = timedelta(seconds=15)
REST: Final = 200
"""How much longer than a look at everything it takes until the next of them."""

RAREST: Final = timedelta(minutes=5)


class Looks:
    """The next look is at `next_at`."""

    def __init__(self, now: datetime, *, are_shared: bool) -> None:
        self._are_shared = are_shared
        self._every = SHARED_EVERY if are_shared else EVERY
        self._last_at = self._last_whole_at = self._whole_at = now
        self.next_at = now + self._every
        self._is_whole = False
        self._read_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Return whether it is time for a look, or the clock was set back."""
        return not self.next_at - self._every <= now < self.next_at

    def begin(self, now: datetime) -> datetime | None:
        """Begin a look; return since when what is looked at is due, None for everything."""
        self._last_at, self.next_at = now, now + self._every
        self._is_whole = not (self._are_shared and self._last_whole_at <= now < self._whole_at)
        if not self._is_whole:
            return now - LATELY
        self._last_whole_at = self._whole_at = now
        return None

    def read(self, now: datetime) -> None:
        """Note that a part of the look is read from the table."""
        self._read_at = now

    def ended(self, now: datetime) -> None:
        """Note that what was read is there, if anything was."""
        if self._is_whole and self._read_at is not None:
            rest = min(REST * (now - self._read_at), RAREST)
            self._whole_at = max(self._whole_at, self._last_whole_at + rest)
        self._read_at = None

    def come_sooner(self, now: datetime) -> None:
        """Look as soon as may be: others have told of jobs."""
        self.next_at = min(self.next_at, max(now, self._last_at + SOONEST))

    def put_off(self, duration: timedelta) -> None:
        """Look this much later: the clock was moved on purpose, and nothing is missed in that."""
        self.next_at += duration

"""Jobs that may be what kills the process: each is sent while nothing else is on its way.

Were they sent among others, a crash would not tell which of them did it. Between two of them the
others get as much time as the last one took, so a long row of suspects holds nobody up for long.
"""

from datetime import datetime, timedelta

from booper.store.base import Seen

# How long the others may go on between two suspects, at most: a clock can be stepped meanwhile.
LONGEST_REST = timedelta(minutes=1)


class Suspects:
    """Suspects that wait, and the one that is on its way. Times are those of the loop's clock."""

    def __init__(self) -> None:
        self._waiting: dict[int, Seen] = {}
        self._begun_at: datetime | None = None
        self._turn_at: datetime | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, seen: Seen) -> None:
        """Let a suspect wait for its turn; one that waits already keeps its place."""
        self._waiting.setdefault(seen.due.id, seen)

    def stops_others(self, now: datetime) -> bool:
        """Say whether nothing else may begin: one is on its way, or it is one's turn."""
        return self._begun_at is not None or bool(self._waiting and self._is_their_turn(now))

    def take(self, now: datetime) -> Seen:
        """Take the one that has waited longest; it is on its way until `ended`."""
        self._begun_at = now
        return self._waiting.pop(next(iter(self._waiting)))

    def ended(self, now: datetime) -> None:
        """Note that the one on its way has come to its end, whatever it was."""
        if self._begun_at is not None:
            self._turn_at = now + min(now - self._begun_at, LONGEST_REST)
            self._begun_at = None

    @property
    def turn_at(self) -> datetime | None:
        """Return when it is the next one's turn, None if none waits or it is now."""
        return self._turn_at if self._waiting and self._begun_at is None else None

    def _is_their_turn(self, now: datetime) -> bool:
        # A clock that was stepped back is no reason to wait for longer than ever asked.
        at = self._turn_at
        return at is None or not at - LONGEST_REST <= now < at

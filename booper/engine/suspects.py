"""Jobs that may have killed the process: each is sent while nothing else is on its way.

Were they sent among others, a crash would not tell which of them did it. But they may be slow, so
the others are stopped for a short time only: while those on their way end, and for as long again
while the suspect is alone. After that the others go on beside it, and it is no longer blamed if
the process dies; then its patience doubles the next time. Between two suspects the others get as
much time as the last one took from them.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from booper.model.job import SUSPECT_CRASHES
from booper.store.values import Suspect

# How long the others are stopped for a suspect at first: twice, before it begins and after.
FIRST_PATIENCE = timedelta(seconds=0.4)
MAX_PATIENCE = timedelta(minutes=15)

# How long the others may go on between two suspects, at most: a clock can be stepped meanwhile.
MAX_REST = timedelta(minutes=1)


def patience_of(suspect: Suspect) -> timedelta:
    """Return how long others are stopped for a suspect; each crash beyond the third doubles it."""
    doublings = min(max(suspect.crashes - SUSPECT_CRASHES, 0), 32)
    return min(FIRST_PATIENCE * (1 << doublings), MAX_PATIENCE)


class Suspects:
    """Suspects that wait, and the one whose turn it is. Times are those of the loop's clock.

    `may_go` returns whether an origin is neither paused nor resting; a suspect of an origin that
    may not go gets no turn, since it would stop the others for nothing.
    """

    def __init__(self, may_go: Callable[[str, datetime], bool]) -> None:
        self._may_go = may_go
        self._waiting: dict[int, Suspect] = {}
        self._stopped_at: datetime | None = None
        self._stopped_for: Suspect | None = None
        self._alone: Suspect | None = None
        self._alone_since: datetime | None = None
        self._turn_at: datetime | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def ids(self) -> list[int]:
        """Return the numbers of those that wait."""
        return list(self._waiting)

    def add(self, suspect: Suspect) -> None:
        """Add a suspect to those that wait; one that waits already keeps its place."""
        number = suspect.seen.due.id
        waiting = self._waiting.get(number)
        if waiting is None or waiting.seen.due != suspect.seen.due:
            self._waiting[number] = suspect

    def next(self, now: datetime) -> Suspect | None:
        """Return the suspect whose turn it is, for whom nothing else may begin, or None."""
        if self._alone is not None or not self._waiting or self._is_others_turn(now):
            return None
        waiting = self._waiting.values()
        found = next((one for one in waiting if self._may_go(one.seen.due.origin, now)), None)
        self._stopped_for = found
        if found is None:
            self._stopped_at = None
        elif self._stopped_at is None:
            self._stopped_at = now
        return found

    def stops_others(self, now: datetime) -> bool:
        """Return whether nothing else may begin: a suspect is alone, or has its turn."""
        return self._alone is not None or self.next(now) is not None

    def is_patient(self, suspect: Suspect, now: datetime) -> bool:
        """Return whether the one whose turn it is still waits for the others to end."""
        return _is_within(self._stopped_at, patience_of(suspect), now)

    def begin(self, suspect: Suspect, now: datetime, *, is_alone: bool) -> None:
        """Note that a suspect begins; the others stay stopped if it is alone."""
        self._waiting.pop(suspect.seen.due.id, None)
        if is_alone:
            self._alone, self._alone_since = suspect, now
        else:
            self._give_way(now)

    def is_over(self, now: datetime) -> bool:
        """Return whether the one that is alone has been so for long enough."""
        alone = self._alone
        return alone is not None and not _is_within(self._alone_since, patience_of(alone), now)

    def end(self, now: datetime) -> None:
        """End a turn: the one that was alone has ended, or is alone no longer."""
        if self._alone is not None:
            self._alone = None
            self._give_way(now)

    def next_at(self, now: datetime) -> datetime | None:
        """Return when something changes by time alone, None if nothing does."""
        if self._alone is not None and self._alone_since is not None:
            return self._alone_since + patience_of(self._alone)
        if self._stopped_for is not None and self._stopped_at is not None:
            return self._stopped_at + patience_of(self._stopped_for)
        return self._turn_at if self._waiting and self._is_others_turn(now) else None

    def _give_way(self, now: datetime) -> None:
        took = now - (self._stopped_at or now)
        self._turn_at = now + min(max(took, timedelta(0)), MAX_REST)
        self._stopped_at = self._stopped_for = None

    def _is_others_turn(self, now: datetime) -> bool:
        # A clock that was stepped back must not prolong the wait.
        return self._turn_at is not None and self._turn_at - MAX_REST <= now < self._turn_at


def _is_within(since: datetime | None, duration: timedelta, now: datetime) -> bool:
    return since is not None and since <= now < since + duration

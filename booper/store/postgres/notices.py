"""What this node tells the others: jobs that are due and that it has not begun, and messages.

A job that this node begins at once is nobody else's business: to tell of it would only have all
claim it together. One that it has not begun when it was due for `PATIENCE` may be begun by others,
which would not look before their second is over: this node has no slot, too much to do, or stops.
Each job is told of once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from booper.clock import Clock
from booper.model.job import Job
from booper.store.sharing import Notice
from booper.store.values import Claims, Due

LOOK_EVERY: Final = timedelta(seconds=1)
"""How often each node looks for itself at the latest: what is due after that needs no telling."""

PATIENCE: Final = timedelta(milliseconds=50)
"""How long a job is due before others are told; also the time between two notices at least."""

MAX_KNOWN: Final = 1_000
"""How many jobs are watched; of others only that there are some is told."""

MAX_BYTES: Final = 6_000
"""How long the jobs of a notice may be. PostgreSQL takes less than 8,000 bytes in all."""


class Notices:
    """What there is to tell, by the time of `clock`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[int, tuple[datetime, Due]] = {}
        self._more_at: datetime | None = None
        self._message_at: datetime | None = None
        self._next_at: datetime | None = None
        self._told_at = clock.now() - PATIENCE

    def note_waiting(self, jobs: Sequence[Job]) -> bool:
        """Note waiting jobs that were committed; return whether one is the next to be told of."""
        before, now = self._next_at, self._clock.now()
        for job in jobs:
            if job.scheduled_at > now + LOOK_EVERY:
                self._due.pop(job.id, None)
                continue
            tell_at = max(job.scheduled_at, now) + PATIENCE
            if len(self._due) < MAX_KNOWN:
                self._due[job.id] = tell_at, Due.of(job)
            else:
                self._more_at = _first(self._more_at, tell_at)
            self._next_at = _first(self._next_at, tell_at)
        return self._next_at != before

    def note_committed(self, results: Sequence[object]) -> None:
        """Note what was committed: jobs that have begun, or wait for another, need nobody else."""
        if not self._due:
            return
        for result in results:
            if type(result) is Claims:
                for attempt in result.begun:
                    self._due.pop(attempt.job.id, None)
                for job in result.held:
                    self._due.pop(job.id, None)

    def note_message(self) -> None:
        """Note that there is a message for feeds."""
        self._message_at = _first(self._message_at, self._clock.now())
        self._next_at = _first(self._next_at, self._message_at)

    def seconds_left(self) -> float | None:
        """Return in how many seconds to `take` what there is, None if there is nothing."""
        if self._next_at is None:
            return None
        at, now = max(self._next_at, self._told_at + PATIENCE), self._clock.now()
        return min((at - now).total_seconds(), (LOOK_EVERY + PATIENCE).total_seconds())

    def take(self) -> Notice | None:
        """Return what is to be told now, None if that is nothing."""
        now = self._clock.now()
        if self._told_at <= now < self._told_at + PATIENCE:
            return None
        return self._taken(now, now)

    def take_all(self) -> Notice | None:
        """Return all that is to be told, by a node that stops."""
        now = self._clock.now()
        return self._taken(now, now + LOOK_EVERY + PATIENCE)

    def _taken(self, now: datetime, until: datetime) -> Notice | None:
        late = sorted(due for tell_at, due in self._due.values() if tell_at <= until)
        are_more = self._more_at is not None and self._more_at <= until
        are_messages = self._message_at is not None
        for due in late:
            del self._due[due.id]
        self._more_at = None if are_more else self._more_at
        self._message_at = None
        moments = [at for at, _ in self._due.values()]
        moments += [] if self._more_at is None else [self._more_at]
        self._next_at = min(moments, default=None)
        if not (late or are_more or are_messages):
            return None
        self._told_at, told = now, _fitting(late)
        return Notice(told, are_more or len(told) < len(late), are_messages)


def _first(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else min(known, at)


def _fitting(jobs: Sequence[Due]) -> tuple[Due, ...]:
    """Return as many jobs as a notice has room for."""
    length = 0
    for number, due in enumerate(jobs):
        length += len(msgspec.json.encode(due)) + 1
        if length > MAX_BYTES:
            return tuple(jobs[:number])
    return tuple(jobs)

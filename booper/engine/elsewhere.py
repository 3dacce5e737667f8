"""Origins for which there was no slot, since other nodes have them: each is left alone for a while.

Who has a slot of such an origin claims its next job with the result of the last, so the others ask
the less often, the longer they ask in vain.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Final

FIRST_PAUSE: Final = timedelta(milliseconds=20)
MAX_PAUSE: Final = timedelta(milliseconds=320)


class Elsewhere:
    """Until when origins are left alone. One that is not here may be asked for."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}
        self._pauses: dict[str, timedelta] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __bool__(self) -> bool:
        return bool(self._pauses)

    def __contains__(self, origin: str) -> bool:
        return origin in self._until

    def refused(self, origin: str, now: datetime) -> None:
        """Note that there was no slot for a job of an origin."""
        if origin in self._until:
            return
        pause = self._pauses.get(origin, FIRST_PAUSE)
        self._pauses[origin] = min(2 * pause, MAX_PAUSE)
        self._until[origin] = now + pause
        heappush(self._heap, (now + pause, origin))

    def admitted(self, origin: str) -> None:
        """Note that a job of an origin has begun: the next pause is a short one."""
        self._pauses.pop(origin, None)

    def next_at(self) -> datetime | None:
        """Return when the first of them may be asked for again, None if there is none."""
        return self._heap[0][0] if self._heap else None

    def pop_over(self, now: datetime) -> Iterator[str]:
        """Yield the origins that may be asked for again; all, where the clock was set back."""
        while self._heap:
            until, origin = self._heap[0]
            if until - MAX_PAUSE <= now < until:
                return
            heappop(self._heap)
            del self._until[origin]
            yield origin

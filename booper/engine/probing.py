"""Probes of origins whose breaker is open: when each is due, and which are under way.

One request at a time goes to such an origin. Whether a breaker is open, and how long it rests, is
for `breakers` to decide; which job is the probe, for the loop, which asks the table.
"""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from heapq import heappop, heappush

from booper.engine.breakers import Breakers
from booper.engine.pauses import Pauses
from booper.model.breaker import rests
from booper.store.values import Due, DueJob

MAX_PROBES = 16
"""Origins that are probed before the loop sends again."""


class Probing:
    """When origins are probed, and by what.

    Attributes:
        origins: those with an open breaker; true for one that may have a job due on a path that is
            not known to fail.
        under_way: origins whose probe waits for a slot or has been sent.
        queue: probes that wait for a slot.
    """

    def __init__(self, breakers: Breakers, pauses: Pauses) -> None:
        self._breakers = breakers
        self._pauses = pauses
        self.origins: dict[str, bool] = {}
        self.under_way: set[str] = set()
        self.queue: deque[DueJob] = deque()
        self._at: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def begin(self, origin: str) -> None:
        """Note that an origin's breaker is open."""
        self.origins.setdefault(origin, True)  # as far as is known

    def end(self, origin: str) -> None:
        """Note that an origin's breaker is closed again."""
        del self.origins[origin]
        self._at.pop(origin, None)

    def note_path(self, due: Due) -> bool:
        """Note a due job of an origin that is probed; return whether its path is not known to fail.

        Then the origin may be probed sooner.
        """
        is_new = due.path not in self._breakers.paths(due.origin)
        if is_new:
            self.origins[due.origin] = True
        return is_new

    def arm(self, origin: str) -> None:
        """Set the time of the next probe of an origin that has something due."""
        if origin in self.under_way:
            return
        if self._pauses.include(origin):
            self._at.pop(origin, None)
            return
        at = self._breakers.probe_at(origin, has_new_path=self.origins[origin])
        if at is not None and self._at.get(origin) != at:
            self._at[origin] = at
            heappush(self._heap, (at, origin))

    def disarm(self, origin: str) -> None:
        """Probe an origin no more until it is armed again."""
        self._at.pop(origin, None)

    def next_at(self) -> datetime | None:
        """Return when the next origin is probed that has something due."""
        heap = self._heap
        while heap and self._at.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: datetime) -> Iterator[str]:
        """Yield some origins that are to be probed now; a job is to be found for each."""
        for _ in range(MAX_PROBES):
            at = self.next_at()
            if at is None or rests(at, now):
                return
            _, origin = heappop(self._heap)
            del self._at[origin]
            yield origin

    def add(self, probe: DueJob) -> None:
        """Queue a probe for a slot."""
        due = probe.due
        self.origins[due.origin] = due.path not in self._breakers.paths(due.origin)
        self.under_way.add(due.origin)
        self.queue.append(probe)

    def freed(self, origin: str) -> None:
        """Note that a slot of an origin is free: a probe that was sent has ended."""
        if all(probe.due.origin != origin for probe in self.queue):
            self.under_way.discard(origin)

    def may_go(self, origin: str, now: datetime) -> bool:
        """Return whether an origin's breaker is closed, or lets a probe through at `now`."""
        at = self._breakers.probe_at(origin, has_new_path=False)
        return at is None or (origin not in self.under_way and not rests(at, now))

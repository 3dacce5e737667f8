"""The nearest due times, in memory. A hint: the table is the truth, and a claim asks it again.

The heap holds a window, every waiting job up to `horizon`; what is due later stays in the table
until the window is refilled. So memory and start-up time do not grow with the jobs that wait.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush

from booper.store.base import Due

# 10,000 entries take about 2 MB, and reading them from the index 10 ms.
WINDOW = 10_000

_NEVER = datetime.max.replace(tzinfo=UTC)
_BEFORE_ALL = Due(datetime.min.replace(tzinfo=UTC), 0, "")


class Timers:
    """A heap of `Due`, complete up to its horizon and silent about what lies behind it."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._heap: list[Due] = []
        self._horizon: Due = _BEFORE_ALL
        self._is_refilling = False

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def horizon(self) -> Due | None:
        """Return the last entry the window covers, None before the first refill."""
        return None if self._horizon is _BEFORE_ALL else self._horizon

    @property
    def wants_refill(self) -> bool:
        """Say whether the window may run dry while the table still holds waiting jobs."""
        return self._horizon.at != _NEVER and len(self._heap) < self._window // 2

    @property
    def next_at(self) -> datetime | None:
        """Return the nearest due time known, None if there is none."""
        return self._heap[0].at if self._heap else None

    def arm(self, due: Due) -> None:
        """Take in a job that waits now, unless it lies behind the horizon.

        While a refill is under way everything is taken: the job may have been written after the
        refill has read the table. A job that is in twice is claimed once.
        """
        if self._is_refilling or due <= self._horizon:
            heappush(self._heap, due)
            if len(self._heap) > 2 * self._window and not self._is_refilling:
                self._shrink()

    def pop_due(self, now: datetime) -> Iterator[Due]:
        """Take out, nearest first, what is due at `now`."""
        while self._heap and self._heap[0].at <= now:
            yield heappop(self._heap)

    def refill_begins(self) -> tuple[Due | None, int]:
        """Return what to ask the table for: the entry to begin behind, and how many."""
        self._is_refilling = True
        return self.horizon, self._window

    def refill_ends(self, found: Sequence[Due] | None) -> None:
        """Take in what the table answered; None if it could not."""
        self._is_refilling = False
        if found is None:
            return
        self._heap.extend(found)
        heapify(self._heap)
        self._horizon = found[-1] if len(found) == self._window else Due(_NEVER, 0, "")

    def _shrink(self) -> None:
        """Drop the far half of the window again; the table still has it."""
        self._heap.sort()
        del self._heap[self._window :]
        self._horizon = self._heap[-1]


class Ready:
    """Due jobs that wait for a slot, in a queue per host, so that none waits for another's."""

    def __init__(self, concurrency: int, per_host: int) -> None:
        self._free = concurrency
        self._per_host = per_host
        self._queues: dict[str, deque[Due]] = {}
        self._busy: dict[str, int] = {}
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, due: Due) -> None:
        """Queue a due job behind the others of its host."""
        self._queues.setdefault(due.host, deque()).append(due)
        self._waiting += 1

    def take(self) -> list[Due]:
        """Take as many jobs as there are free slots, one of each host in turn."""
        taken: list[Due] = []
        open_hosts = deque(host for host in self._queues if self._has_slot(host))
        while self._free and open_hosts:
            host = open_hosts.popleft()
            taken.append(self._queues[host].popleft())
            self._busy[host] = self._busy.get(host, 0) + 1
            self._free -= 1
            if not self._queues[host]:
                del self._queues[host]
            elif self._has_slot(host):
                open_hosts.append(host)
        self._waiting -= len(taken)
        return taken

    def free(self, host: str) -> None:
        """Give a slot back."""
        self._free += 1
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]

    def _has_slot(self, host: str) -> bool:
        return self._busy.get(host, 0) < self._per_host

"""The nearest due times, in memory. A hint: the table is the truth, and a claim asks it again.

The heap holds a window, every waiting job up to `horizon`; what is due later stays in the table
until the window is refilled. So memory and start-up time do not grow with the jobs that wait.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush

from booper.engine.breakers import Breakers
from booper.store.base import ALL_HOSTS, Due, Seen

# 10,000 entries take about 2 MB, and reading them from the index 10 ms.
WINDOW = 10_000

# Due jobs of one host that wait in memory for a slot.
ROOM = 1_000

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

    def forget(self) -> None:
        """Ask the table for everything anew at the next refill."""
        self._heap = []
        self._horizon = _BEFORE_ALL

    def arm(self, due: Due) -> bool:
        """Take in a job that waits now, unless it lies behind the horizon; say if it is nearest.

        While a refill is under way everything is taken: the job may have been written after the
        refill has read the table. A job that is in twice is claimed once.
        """
        if self._is_refilling or due <= self._horizon:
            heappush(self._heap, due)
            if len(self._heap) > 2 * self._window and not self._is_refilling:
                self._shrink()
        return bool(self._heap) and self._heap[0] == due

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
    """Due jobs that wait for a slot, in a queue per host, so that none waits for another's.

    A queue is bounded: what is due beyond it stays in the table, and its host is remembered, so
    that a host with a million overdue jobs takes neither the memory nor the turn of another.
    """

    def __init__(
        self, concurrency: int, per_host: int, breakers: Breakers, room: int = ROOM
    ) -> None:
        self._free = concurrency
        self._per_host = per_host
        self._breakers = breakers
        self._room = room
        self._overfull: set[str] = set()
        self._queues: dict[str, deque[Seen]] = {}
        self._busy: dict[str, int] = {}
        self._paused: set[str] = set()
        self._queued: set[Due] = set()

    def __len__(self) -> int:
        return len(self._queued)

    def has_open(self, now: datetime) -> bool:
        """Say whether something waits that is neither paused nor spared."""
        return any(
            not self._is_paused(host) and self._breakers.limit(host, 1, now)
            for host in self._queues
        )

    def next_probe_at(self, now: datetime) -> datetime | None:
        """Return when the next host that is spared, and for which something waits, is probed."""
        probes = (self._breakers.probe_at(host, now) for host in self._queues)
        return min((at for at in probes if at is not None), default=None)

    def put(self, seen: Seen) -> None:
        """Queue a due job behind the others of its host, once, and if there is room."""
        if seen.due in self._queued:
            return
        host = seen.due.host
        queue = self._queues.setdefault(host, deque())
        if len(queue) >= self._room:
            self._overfull.add(host)
            return
        queue.append(seen)
        self._queued.add(seen.due)

    def forget(self) -> None:
        """Drop what is queued: the table has it, and the clock it was found due by was wrong."""
        self._queues.clear()
        self._queued.clear()
        self._overfull.clear()

    def hungry(self) -> list[str]:
        """Return the hosts that the table has more of than their queues, which run low."""
        return [host for host in self._overfull if self._count(host) < self._room // 2]

    def refill(self, host: str, found: Sequence[Due], now: datetime) -> None:
        """Queue what the table has due for a host, nearest first, beside what is queued."""
        self._overfull.discard(host)
        for due in found:
            self.put(Seen(due, now))
        if len(found) >= self._room:
            self._overfull.add(host)

    @property
    def room(self) -> int:
        """Return how many due jobs of one host are held at most."""
        return self._room

    def take(self, now: datetime) -> list[Seen]:
        """Take as many jobs as there are free slots, one of each host in turn."""
        taken: list[Seen] = []
        open_hosts = deque(host for host in self._queues if self._has_slot(host, now))
        while self._free and open_hosts:
            host = open_hosts.popleft()
            taken.append(self._queues[host].popleft())
            self.occupy(host)
            if not self._queues[host]:
                del self._queues[host]
            elif self._has_slot(host, now):
                open_hosts.append(host)
        self._queued.difference_update(seen.due for seen in taken)
        return taken

    def occupy(self, host: str) -> None:
        """Take a slot for a job that did not wait here."""
        self._busy[host] = self._busy.get(host, 0) + 1
        self._free -= 1

    def free(self, host: str) -> None:
        """Give a slot back."""
        self._free += 1
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]

    def pause(self, host: str) -> None:
        """Take nothing of a host (or of `ALL_HOSTS`) until it is resumed."""
        self._paused.add(host)

    def resume(self, host: str, now: datetime) -> None:
        """Take a host's jobs again; they count as seen now, for a pause is a lateness of ours."""
        paused = set(self._queues) if host == ALL_HOSTS or ALL_HOSTS in self._paused else {host}
        self._paused = set() if host == ALL_HOSTS else self._paused - {host}
        for name in paused & set(self._queues):
            self._queues[name] = deque(Seen(seen.due, now) for seen in self._queues[name])

    def _count(self, host: str) -> int:
        return len(self._queues.get(host, ()))

    def _has_slot(self, host: str, now: datetime) -> bool:
        if self._is_paused(host):
            return False
        return self._busy.get(host, 0) < self._breakers.limit(host, self._per_host, now)

    def _is_paused(self, host: str) -> bool:
        return host in self._paused or ALL_HOSTS in self._paused

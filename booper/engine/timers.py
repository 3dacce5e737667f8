"""The nearest due times, in memory. A hint: the table is the truth, and a claim asks it again.

The heap holds a window, every waiting job up to `horizon`; what is due later stays in the table
until the window is refilled. So memory and start-up time do not grow with the jobs that wait. From
time to time the table is swept up to the horizon for what was missed. Both are read in parts.
"""

from collections.abc import Iterator
from datetime import datetime
from heapq import heapify, heappop, heappush

from booper.store.values import MAX_TIME, Due, Scan

# 10,000 entries take about 3 MB, and reading them from the index 10 ms.
WINDOW = 10_000

_BEFORE_ALL = Due(datetime.min.replace(tzinfo=MAX_TIME.tzinfo), 0, "")
_AFTER_ALL = Due(MAX_TIME, 0, "")


class Timers:
    """A heap of `Due`: complete up to its horizon, empty beyond it."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._heap: list[Due] = []
        self._known: dict[int, Due] = {}
        self._horizon: Due = _BEFORE_ALL
        self._swept: Due | None = None
        self._is_reading = False
        self._is_refill = True

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def horizon(self) -> Due | None:
        """Return the last entry the window covers, None before the first refill."""
        return None if self._horizon is _BEFORE_ALL else self._horizon

    @property
    def wants_read(self) -> bool:
        """Return whether the table is to be read: the window may run dry, or a sweep goes on."""
        return self._wants_refill or self._swept is not None

    @property
    def next_at(self) -> datetime | None:
        """Return the nearest due time known, None if there is none."""
        return self._heap[0].at if self._heap else None

    def sweep(self, since: datetime | None = None) -> None:
        """Begin to read the table anew up to the horizon, for what has been missed.

        Of what is due before `since` nothing has been. A sweep that goes on is begun anew if it is
        behind that.
        """
        begin = _BEFORE_ALL if since is None else Due(since, 0, "")
        if self._horizon is not _BEFORE_ALL:
            self._swept = begin if self._swept is None else min(self._swept, begin)

    def arm(self, due: Due) -> bool:
        """Add a job that waits now, unless it lies behind the horizon.

        Return whether it is new, and the nearest. While the table is read everything is taken: the
        job may have been written after that. A job that is in twice is claimed once.
        """
        if self._known.get(due.id) == due or not (self._is_reading or due <= self._horizon):
            return False
        self._known[due.id] = due
        heappush(self._heap, due)
        if len(self._heap) > 2 * self._window and not self._is_reading:
            self._shrink()
        return self._heap[0] == due

    def pop_due(self, now: datetime) -> Iterator[Due]:
        """Remove and return, nearest first, what is due at `now`."""
        while self._heap and self._heap[0].at <= now:
            due = heappop(self._heap)
            if self._known.get(due.id) == due:
                del self._known[due.id]
            yield due

    def read_begins(self) -> tuple[Due | None, int]:
        """Return what to read from the table: the entry to begin behind, and how many."""
        self._is_reading = True
        self._is_refill = self._wants_refill
        after = self._horizon if self._is_refill else self._swept
        return None if after is _BEFORE_ALL else after, self._window

    def read_ends(self, scan: Scan | None) -> None:
        """Add what the table returned; None if it could not."""
        self._is_reading = False
        if scan is None:
            return
        if self._is_refill:
            new = [due for due in scan.found if self._known.get(due.id) != due]
            self._known.update((due.id, due) for due in new)
            self._heap.extend(new)
            heapify(self._heap)
            self._horizon = scan.until or _AFTER_ALL
        else:
            for due in scan.found:
                if due <= self._horizon:
                    self._push(due)
            is_done = scan.until is None or scan.until >= self._horizon
            self._swept = None if is_done else scan.until

    @property
    def _wants_refill(self) -> bool:
        return self._horizon is not _AFTER_ALL and len(self._heap) < self._window // 2

    def _push(self, due: Due) -> None:
        if self._known.get(due.id) != due:
            self._known[due.id] = due
            heappush(self._heap, due)

    def _shrink(self) -> None:
        """Drop the far half of the window again; the table still has it."""
        self._heap.sort()
        del self._heap[self._window :]
        self._known = {due.id: due for due in self._heap}
        self._horizon = self._heap[-1]

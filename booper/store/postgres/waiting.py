"""The changes that wait for the writing thread of a node, none of them for long."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock

from booper.clock import monotonic
from booper.store.postgres.changes import Change


class Waiting:
    """Changes in the order in which they came; one that is taken has not expired, and never will.

    `expired` is given, on the event loop, those that nobody has taken within so many `seconds`.
    """

    def __init__(self, seconds: float, expired: Callable[[Sequence[Change]], None]) -> None:
        self._seconds = seconds
        self._expired = expired
        self._changes: deque[tuple[float, Change]] = deque()
        self._lock = Lock()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, change: Change) -> None:
        """Add a change, on the event loop."""
        self._changes.append((monotonic(), change))
        if self._timer is None:
            self._watch(self._seconds)

    def take(self, most: int | None = None) -> list[Change]:
        """Take so many changes at most, None for all, without those that nobody waits for."""
        with self._lock:
            count = len(self._changes) if most is None else min(len(self._changes), most)
            taken = [self._changes.popleft()[1] for _ in range(count)]
        return [change for change in taken if not change.future.cancelled()]

    def _watch(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        """Take out what has waited for too long."""
        before, late = monotonic() - self._seconds, list[Change]()
        with self._lock:
            while self._changes and self._changes[0][0] <= before:
                late.append(self._changes.popleft()[1])
            left = self._changes[0][0] - before if self._changes else None
        self._timer = None
        if left is not None:
            self._watch(left)
        if late:
            self._expired(late)

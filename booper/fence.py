"""Until when this process may send requests, where another may take over what it has claimed."""

from collections.abc import Callable
from math import inf
from typing import Final

from booper.clock import monotonic


class Fence:
    """A moment of the monotonic clock after which nothing is sent; never, unless it is moved."""

    __slots__ = ("_until", "cut")

    def __init__(self) -> None:
        self._until = inf
        self.cut: Callable[[], int] = lambda: 0
        """Cuts off what was begun before, sent or not, and counts it; on the event loop."""

    def move(self, until: float) -> None:
        """Allow sending until another moment, as `booper.clock.monotonic` counts."""
        self._until = until

    def extend(self, until: float) -> bool:
        """Allow sending until a later moment, and return True; unless it has closed already."""
        is_open = self.is_open()
        if is_open:
            self._until = until
        return is_open

    def is_open(self) -> bool:
        """Return whether requests may be sent now."""
        return monotonic() < self._until


OPEN: Final = Fence()
"""For a process whose claims nobody can take over."""

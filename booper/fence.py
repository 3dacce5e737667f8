"""Until when this process may send requests, where another may take over what it has claimed."""

from collections.abc import Callable
from math import inf
from typing import Final

from booper.clock import since_boot

HAS_ENDED: Final = "the lease of this node has ended"
"""Why nothing is sent once the fence is closed."""


class Fence:
    """A moment after which nothing is sent; never, unless it is moved.

    It counts as `booper.clock.since_boot` does: others count on while this machine is suspended.
    """

    __slots__ = ("_until", "cut")

    def __init__(self) -> None:
        self._until = inf
        self.cut: Callable[[], int] = lambda: 0
        """Cuts off what was begun before, sent or not, and counts it; on the event loop."""

    def move(self, until: float) -> None:
        """Allow sending until another moment."""
        self._until = until

    def extend(self, until: float) -> bool:
        """Allow sending until a later moment, and return True; unless it has closed already."""
        is_open = self.is_open()
        if is_open:
            self._until = until
        return is_open

    def is_open(self) -> bool:
        """Return whether requests may be sent now."""
        return since_boot() < self._until


OPEN: Final = Fence()
"""For a process whose claims nobody can take over."""

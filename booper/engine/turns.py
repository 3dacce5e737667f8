"""The turns of the loop: what wakes it, and who waits to see that it still turns."""

import asyncio

from booper.clock import Signal, monotonic


class Turns:
    """Begun by the loop, one after the other; `wake` ends a turn that waits for its time."""

    def __init__(self, wake: Signal) -> None:
        self._wake = wake
        self._begun = asyncio.Event()
        self._begun_at = monotonic()

    @property
    def age_seconds(self) -> float:
        """Return how long ago the last turn began."""
        return monotonic() - self._begun_at

    def begin(self) -> None:
        """Begin a turn, which notices every wake-up that comes from now on."""
        self._wake.clear()
        self._begun.set()
        self._begun_at = monotonic()

    async def next(self) -> None:
        """Wake the loop and return once it begins a turn; a loop that is stuck never does."""
        self._begun.clear()
        self._wake.set()
        await self._begun.wait()

"""Connecting to several addresses, staggered: one that hangs delays nothing (RFC 8305)."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

STAGGER_SECONDS = 0.25
"""How long an attempt runs alone before the next one begins (RFC 8305 §8)."""

FAILURES = (OSError, UnicodeError, MemoryError)
"""What an attempt may raise; everything else ends the race."""


class NothingConnected(Exception):
    """No address could be connected to; `failures` are the addresses and errors as they came."""

    def __init__(self, failures: Sequence[tuple[str, Exception]]) -> None:
        super().__init__(failures)
        self.failures = failures


def interleaved(addresses: Sequence[str]) -> list[str]:
    """Return addresses with both families by turns, that of the first one first (RFC 8305 §4)."""
    first = [address for address in addresses if (":" in address) == (":" in addresses[0])]
    other = [address for address in addresses if (":" in address) != (":" in addresses[0])]
    both = min(len(first), len(other))
    pairs = [address for pair in zip(first, other, strict=False) for address in pair]
    return pairs + first[both:] + other[both:]


async def first_connected(
    addresses: Sequence[str],
    connect: Callable[[str], Awaitable[T]],
    discard: Callable[[T], None],
    stagger_seconds: float = STAGGER_SECONDS,
) -> T:
    """Return the first connection that is open; the others are cancelled and discarded.

    The next attempt begins as soon as one fails, or after `stagger_seconds`.

    Raises:
        NothingConnected: every attempt failed.
    """
    if len(addresses) == 1:  # nearly always: no task for it
        try:
            return await connect(addresses[0])
        except FAILURES as error:
            raise NothingConnected([(addresses[0], error)]) from error
    race = _Race(connect, discard)
    try:
        return await race.run(deque(interleaved(addresses)), stagger_seconds)
    finally:
        race.end()


class _Race(Generic[T]):
    """The attempts that run, and how the others have failed."""

    def __init__(
        self, connect: Callable[[str], Awaitable[T]], discard: Callable[[T], None]
    ) -> None:
        self._connect = connect
        self._discard = discard
        self._running: dict[asyncio.Task[T], str] = {}
        self._failures: list[tuple[str, Exception]] = []

    async def run(self, waiting: deque[str], stagger_seconds: float) -> T:
        """Begin one attempt after the other until one succeeds. Raises: NothingConnected."""
        while waiting or self._running:
            if waiting:
                address = waiting.popleft()
                self._running[asyncio.create_task(self._attempt(address))] = address
            pause = stagger_seconds if waiting else None
            done, _ = await asyncio.wait(
                self._running, timeout=pause, return_when=asyncio.FIRST_COMPLETED
            )
            # In the order in which they began.
            for task in [task for task in self._running if task in done]:
                address = self._running.pop(task)
                try:
                    return task.result()
                except FAILURES as error:
                    self._failures.append((address, error))
        raise NothingConnected(self._failures)

    def end(self) -> None:
        """Cancel what runs; a connection that opens nevertheless is discarded."""
        for task in self._running:
            task.add_done_callback(self._discard_result)
            task.cancel()

    async def _attempt(self, address: str) -> T:
        return await self._connect(address)

    def _discard_result(self, task: "asyncio.Task[T]") -> None:
        if not task.cancelled() and task.exception() is None:
            self._discard(task.result())

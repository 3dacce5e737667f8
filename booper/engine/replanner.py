"""Notice that the clock was set back, and plan again what was planned by the wrong time.

While a clock is ahead, schedules plan their next runs ahead, and retries are put off to then. Once
it is set back they would all be silent for as long as the step was.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from booper.clock import Clock, Signal
from booper.engine.executor import STORE_PAUSE
from booper.errors import StoreDamaged, StoreUnavailable
from booper.model.job import Job
from booper.store.queue import Queue
from booper.store.values import Ahead

T = TypeVar("T")

log = logging.getLogger("booper")

# No schedule is more frequent, so what a smaller step costs is less than a period.
SMALLEST_STEP: Final = timedelta(seconds=1)

LOOK_EVERY: Final = timedelta(seconds=1)

CHUNK: Final = 100
"""How many schedules or retries one transaction plans anew: about 10 ms."""


class Replanner:
    """A watch for steps back of the clock, which plans again what is too late after one.

    `watch` and `plan_forever` are its agents.
    """

    def __init__(self, queue: Queue, clock: Clock, wake: Signal) -> None:
        self._queue = queue
        self._clock = clock
        self._wake = wake
        self._latest = clock.now()
        self._stepped_back = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """Return whether something is being planned anew."""
        return self._stepped_back.is_set()

    async def start(self) -> None:
        """Read how late it was when booper was last up: the next check compares that with now."""
        try:
            newest = await self._queue.newest()
        except StoreDamaged as error:  # a damaged page must not keep others from being sent
            log.error(
                "if the clock was set back while booper was down, that goes unnoticed: %s", error
            )
            newest = None
        if newest is not None:
            self._latest = max(self._latest, newest)

    def check(self) -> bool:
        """Return whether the clock was set back since the last check; if so, have it planned."""
        now = self._clock.now()
        if not self._is_back():
            self._latest = max(self._latest, now)
            return False
        log.warning("the clock was set back by %s", self._latest - now)
        self._latest = now
        self._stepped_back.set()  # planning that is under way reads the clock for each chunk
        return True

    async def watch(self) -> None:
        """Wake the loop after a step back: it may wait for a time that is far away now."""
        while True:
            await self._clock.pause(LOOK_EVERY)
            if self._is_back():
                self._wake.set()

    async def plan_forever(self) -> None:
        """Plan anew after each step back; what is half done is done at the next start."""
        while True:
            await self._stepped_back.wait()
            try:
                await self._replan()
            finally:
                self._stepped_back.clear()
                self._wake.set()

    def _is_back(self) -> bool:
        return self._clock.now() < self._latest - SMALLEST_STEP

    async def _replan(self) -> None:
        ahead = await self._patiently(lambda: self._queue.ahead(self._clock.now()))
        moved = 0
        for chunk in _chunks(ahead):
            moved += await self._move(chunk)
        log.warning("%d schedules and retries were planned again", moved)

    async def _move(self, chunk: Ahead) -> int:
        async def move() -> list[Job]:
            return list(await self._queue.replan(chunk, self._clock.now()))

        jobs = await self._patiently(move)
        return len(jobs)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what the store returns, once it can be used."""
        while True:
            try:
                return await ask()
            except StoreUnavailable as error:
                log.error("planning again waits for the store: %s", error)
                await self._clock.pause(STORE_PAUSE)


def _chunks(ahead: Ahead) -> list[Ahead]:
    """Return parts that are small enough for one transaction each."""
    return [
        Ahead(ahead.schedules[at : at + CHUNK], ahead.retries[at : at + CHUNK])
        for at in range(0, max(len(ahead.schedules), len(ahead.retries)), CHUNK)
    ]

"""Time: the one module that reads a clock.

Everything that depends on time takes a `Clock`, so that days pass in milliseconds in a test.
Inside booper a time is an aware UTC datetime; `EPOCH` is the origin of stored microseconds.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Protocol

from booper.exact_timer import call_not_after

# Time-freezing test tools replace the name `datetime` in every module by a subclass, which codecs
# refuse. Only the class of a value made before is sure to be the real one.
_datetime = next(base for base in datetime.__mro__ if base.__module__ == "datetime")
EPOCH: datetime = _datetime(1970, 1, 1, tzinfo=UTC)
del _datetime


def plain(at: datetime) -> datetime:
    """Return an aware time as a plain `datetime` in UTC. Raises: TypeError, it has no zone."""
    return EPOCH + type(EPOCH).__sub__(at, EPOCH)


wall_seconds = time.time
"""The seconds since 1970 of the system's clock, for the lines of a log alone."""

monotonic = time.perf_counter
"""Seconds that only grow, for measuring how long something took; real whatever the clock."""

_boot = getattr(time, "CLOCK_BOOTTIME", None)
since_boot = monotonic if _boot is None else partial(time.clock_gettime, _boot)
"""Seconds that only grow, on Linux also while the machine is suspended."""

# A wall clock can be stepped and a machine suspended while we wait; neither is announced.
# Reading the clock again this often bounds what either costs.
NAP_SECONDS = 1.0


async def breathe() -> None:
    """Return after everybody else on the loop had a turn; for long work, between its steps."""
    await asyncio.sleep(0)


class UnfrozenLoop(asyncio.SelectorEventLoop):
    """An event loop by the system's own clock, which tools that freeze `time.monotonic` leave."""

    def time(self) -> float:
        """Return the seconds of the system's monotonic clock."""
        return _system_seconds()


def new_unfrozen_loop() -> asyncio.AbstractEventLoop:
    """Return a fast event loop whose timers go on where a test tool has frozen `time.monotonic`."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        return UnfrozenLoop()
    return uvloop.new_event_loop()


@contextmanager
def unfrozen(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Keep a loop's timers going meanwhile, also while a test tool freezes `time.monotonic`."""
    # Loops that are not written in Python (uvloop's) read the system's clock anyway.
    if not isinstance(loop, asyncio.BaseEventLoop) or isinstance(loop, UnfrozenLoop):
        yield
        return
    behind = loop.time() - _system_seconds()
    setattr(loop, "time", lambda: _system_seconds() + behind)  # noqa: B010 - mypy forbids the other
    try:
        yield
    finally:
        with suppress(AttributeError):  # another booper in this loop has ended before
            delattr(loop, "time")


if hasattr(time, "clock_gettime"):
    _system_seconds = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
else:  # Windows
    _system_seconds = time.monotonic  # type: ignore[assignment]  # also without arguments


class Signal:
    """A flag as an `asyncio.Event` is one, for whose waiters a clock can end the waiting, too."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: dict[asyncio.Future[None], None] = {}

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Wake all who wait, and those who come, until it is cleared."""
        self._is_set = True
        for waiting in self._waiting:
            end_waiting(waiting)

    def clear(self) -> None:
        """Make those wait who come from now on."""
        self._is_set = False

    def begin_waiting(self) -> asyncio.Future[None]:
        """Return a future that ends when this is set; whoever took it gives it to `forget`."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = None
        return waiting

    def forget(self, waiting: asyncio.Future[None]) -> None:
        """End what `begin_waiting` began."""
        del self._waiting[waiting]


def end_waiting(waiting: asyncio.Future[None]) -> None:
    """End a wait, as soon as its task's turn comes."""
    if not waiting.done():
        waiting.set_result(None)


class Clock(Protocol):
    """A source of time that can wait for a moment of it."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    async def wait(self, signal: Signal, until: datetime | None) -> None:
        """Return when `signal` is set or when `until` has come, whichever is first.

        `until` is an absolute time, never a duration: with a duration, an advance of the clock
        between reading it and waiting is lost. None waits for the signal alone.
        """
        ...

    async def pause(self, duration: timedelta) -> None:
        """Wait for this long, or less where the clock is stepped; never longer because it is."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> datetime:
        """Return the machine's time, in UTC."""
        now = datetime.now(UTC)
        return now if now.__class__ is EPOCH.__class__ else plain(now)

    async def wait(self, signal: Signal, until: datetime | None) -> None:
        """Wait in naps of at most `NAP_SECONDS`, reading the wall clock after each."""
        while not signal.is_set():
            remaining = (until - self.now()).total_seconds() if until is not None else None
            if remaining is not None and remaining <= 0:
                return
            nap = None if remaining is None else min(remaining, NAP_SECONDS)
            await _nap(signal, nap, signal.begin_waiting())

    async def pause(self, duration: timedelta) -> None:
        """Sleep by the machine's own count, which knows no steps."""
        await asyncio.sleep(duration.total_seconds())


class VirtualClock:
    """A clock that stands still until it is moved: tests, simulations and time travel."""

    def __init__(self, start: datetime) -> None:
        self._now = plain(start)
        # In the order in which they came, which holds among those of one moment: a seed replays.
        self._waiting: dict[asyncio.Future[None], datetime] = {}
        self._stepped_back = Signal()

    def now(self) -> datetime:
        """Return the time this clock was last moved to."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move the clock by a duration; a negative one steps it back."""
        self.set(self._now + by)

    def set(self, to: datetime) -> None:
        """Move the clock to a time and wake the waiters whose moments have come, in order."""
        to = plain(to)
        if to < self._now:
            self._stepped_back.set()
            self._stepped_back = Signal()
        self._now = to
        for waiting, until in sorted(self._waiting.items(), key=itemgetter(1)):
            if until <= to:
                end_waiting(waiting)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the clock still meanwhile, as it always is."""
        yield

    async def wait(self, signal: Signal, until: datetime | None) -> None:
        """Wait for the signal or for the clock to be moved to `until`; real time never ends it."""
        if signal.is_set() or (until is not None and until <= self.now()):
            return
        waiting, nap = signal.begin_waiting(), None
        if until is not None:
            self._waiting[waiting] = until
            nap = self._longest_nap(until)
        try:
            await _nap(signal, nap, waiting)
        finally:
            self._waiting.pop(waiting, None)

    def _longest_nap(self, until: datetime) -> float | None:
        """Return how many real seconds to wait at most before the clock is read again."""
        return None

    async def pause(self, duration: timedelta) -> None:
        """Wait until the clock was moved on by this much, or back."""
        await self.wait(self._stepped_back, self._now + duration)


class RunningClock(VirtualClock):
    """A virtual clock that goes at the pace of the machine's, unless it is frozen or held."""

    def __init__(self, start: datetime, *, is_frozen: bool = False) -> None:
        super().__init__(start)
        self._machine = SystemClock()
        self._since = None if is_frozen else self._machine.now()

    @property
    def is_frozen(self) -> bool:
        """Return whether it is frozen."""
        return self._since is None

    def now(self) -> datetime:
        """Return the time it was last moved to, and what has passed since if it runs."""
        passed = self._machine.now() - self._since if self._since else timedelta(0)
        return self._now + passed

    def set(self, to: datetime) -> None:
        """Move the clock to a time, and run on from there if it runs."""
        if self._since is not None:
            self._since = self._machine.now()
        super().set(to)

    def freeze(self) -> None:
        """Stop at the present time."""
        if self._since is not None:
            self._now, self._since = self.now(), None

    def run(self) -> None:
        """Run from the present time."""
        if self._since is None:
            self._since = self._machine.now()
            for waiting in self._waiting:  # by the machine's count from now on
                end_waiting(waiting)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stop the clock meanwhile."""
        was_frozen = self.is_frozen
        self.freeze()
        try:
            yield
        finally:
            if not was_frozen:
                self.run()

    async def wait(self, signal: Signal, until: datetime | None) -> None:
        """Wait as the machine's clock does while it runs, as a virtual one while it does not."""
        while not signal.is_set() and (until is None or self.now() < until):
            await super().wait(signal, until)

    def _longest_nap(self, until: datetime) -> float | None:
        """Return how many real seconds to wait at most before the clock is read again."""
        if self.is_frozen:
            return None
        return min((until - self.now()).total_seconds(), NAP_SECONDS)

    async def pause(self, duration: timedelta) -> None:
        """Sleep by the machine's own count: what is paused for does not wait for a traveller."""
        await asyncio.sleep(duration.total_seconds())


async def _nap(signal: Signal, seconds: float | None, waiting: asyncio.Future[None]) -> None:
    """Wait for a signal, at most so many real seconds; it may also end a bit before."""
    timer = None
    if seconds is not None:
        timer = call_not_after(seconds, end_waiting, waiting)
    try:
        await waiting
    finally:
        signal.forget(waiting)
        if timer is not None:
            timer.cancel()

"""A timer of an event loop that is exact to some microseconds; loops count in whole milliseconds.

Owns the timers of Linux (timerfd_create(2)) that are ready to be used. Elsewhere, and where the
system has no file descriptor left, a timer is the loop's own and up to a millisecond late.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Protocol, TypeVar

# The last part of a wait: longer than a loop's timer is late by.
EXACT_SECONDS = 0.002

_CLOCK_MONOTONIC = 1
_CLOSE_ON_EXEC = 0o2000000
_NANOSECONDS = 1_000_000_000

T = TypeVar("T")

# Those of ended waits, kept to be used again: never more than there were waits at one time.
_spare: list[int] = []


class Timer(Protocol):
    """Something that will call back, unless it is cancelled before."""

    def cancel(self) -> None:
        """Do not call back, or not again."""
        ...


def call_not_after(seconds: float, callback: Callable[[T], None], argument: T) -> Timer:
    """Call `callback(argument)` on the running loop when so many real seconds are over, or before.

    The loop's own timer costs least: it ends a long wait `EXACT_SECONDS` early, and whoever then
    waits for what is left has an exact one. That may call again until it is cancelled, which
    everyone who takes one must do.
    """
    loop = asyncio.get_running_loop()
    if seconds > EXACT_SECONDS:
        return loop.call_later(seconds - EXACT_SECONDS, callback, argument)
    descriptor = _descriptor()
    if descriptor is None:
        return loop.call_later(seconds, callback, argument)
    timer = _SystemTimer(loop, descriptor)
    timer.set(seconds)
    loop.add_reader(descriptor, callback, argument)
    return timer


class _SystemTimer:
    """A timer of the system, watched by a loop as a file that becomes readable."""

    __slots__ = ("_descriptor", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        self._loop = loop
        self._descriptor = descriptor

    def set(self, seconds: float) -> None:
        """Make it readable in so many seconds; whether it is so now is forgotten."""
        nanoseconds = max(1, int(seconds * _NANOSECONDS))  # 0 would mean never
        value = _TimerValue(0, 0, *divmod(nanoseconds, _NANOSECONDS))
        system = _system()
        assert system is not None  # it made the timer
        system.timerfd_settime(self._descriptor, 0, ctypes.byref(value), None)

    def cancel(self) -> None:
        """Watch it no longer, and keep it for the next."""
        self._loop.remove_reader(self._descriptor)
        _spare.append(self._descriptor)


class _TimerValue(ctypes.Structure):
    """The system's `struct itimerspec`: what it repeats by, and its first time."""

    _fields_ = (
        ("repeat_seconds", ctypes.c_long),
        ("repeat_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


def _descriptor() -> int | None:
    """Return a timer of the system that nobody uses, None if there is none."""
    if _spare:
        return _spare.pop()
    system = _system()
    if system is None:
        return None
    descriptor = system.timerfd_create(_CLOCK_MONOTONIC, _CLOSE_ON_EXEC)
    return descriptor if descriptor >= 0 else None


@cache
def _system() -> ctypes.CDLL | None:
    """Return the system's functions, None where they are not those of Linux with 64 bits."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != ctypes.sizeof(ctypes.c_int64):
        return None
    os.register_at_fork(after_in_child=_spare.clear)  # both would set the same timer
    return ctypes.CDLL(None)

"""The stacks of a process whose event loop is stuck: a thread writes them to the log.

A watchdog ends such a process by SIGABRT. A signal's handler can read no stack but that of its own
thread: the others go on meanwhile, and what it reads may be gone. A thread that holds the
interpreter's lock can read all of them, so it does that before the watchdog's time is over.
"""

import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import islice
from types import FrameType
from typing import Final

from booper.clock import monotonic

log = logging.getLogger("booper")

CHECKS: Final = 4
"""How often the thread looks in the time after which a loop counts as stuck."""

MAX_FRAMES: Final = 100


class StackWatch:
    """A watch over an event loop, which shows by `feed` that it turns.

    Where it has not for this long, and not between two looks either, as it would in a process that
    was only suspended, the stacks are logged: once, until the loop turns again.
    """

    def __init__(self, after: timedelta) -> None:
        self._after = after.total_seconds()
        self._fed_at = monotonic()
        self._is_over = threading.Event()

    def feed(self) -> None:
        """Note that the loop turns."""
        self._fed_at = monotonic()

    def watch(self) -> None:
        """Watch until `end`; for a thread of its own."""
        late_since = stuck_since = None
        while not self._is_over.wait(self._after / CHECKS):
            fed_at = self._fed_at
            seconds = monotonic() - fed_at
            if stuck_since not in (None, fed_at):
                log.warning("the event loop turns again")
                stuck_since = None
            if seconds > self._after and late_since == fed_at and stuck_since is None:
                stuck_since = fed_at
                _log_stacks(f"the event loop or the store has not responded for {seconds:.1f} s")
            late_since = fed_at if seconds > self._after else None

    def end(self) -> None:
        """End the watch at its next look, without waiting for it."""
        self._is_over.set()


@asynccontextmanager
async def watched(after: timedelta) -> AsyncIterator[StackWatch]:
    """Watch this loop until the end of the block."""
    watch = StackWatch(after)
    threading.Thread(target=watch.watch, name="stack watch", daemon=True).start()
    try:
        yield watch
    finally:
        watch.end()


def stacks() -> str:
    """Return where each thread is, its newest call last. No source is read: a disk may hang."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    # https://docs.python.org/3/library/sys.html#sys._current_frames
    frames = sys._current_frames()
    del frames[threading.get_ident()]
    lines = list[str]()
    for ident, frame in frames.items():
        newest = list(islice(_calls(frame), MAX_FRAMES))
        lines += [f"Thread {names.get(ident, ident)}:", *reversed(newest)]
    return "\n".join(lines)


def _calls(frame: FrameType | None) -> Iterator[str]:
    """Yield the calls of a stack, the newest first."""
    while frame is not None:
        code = frame.f_code
        yield f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_qualname}'
        frame = frame.f_back


def _log_stacks(reason: str) -> None:
    message = f"{reason}; the stacks of all threads:"
    record = log.makeRecord(log.name, logging.CRITICAL, "", 0, message, (), None, sinfo=stacks())
    log.handle(record)

"""Ending what does not end, also where the loop goes round without ever giving way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Some ten times as long as the longest takes on a slow machine that is busy.
DEADLINE_SECONDS = 200.0
# Then again and again: what was interrupted may not end with the first one.
EVERY_SECONDS = 1.0


class Stuck(KeyboardInterrupt):
    """The program was stuck; the text says where.

    Like the keyboard's interrupt it ends asyncio's loop, and no attempt takes it for its own.
    """


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `Stuck` in the main thread, wherever it is, if the block takes longer."""

    def ring(_: int, frame: FrameType | None) -> None:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "?"
        raise Stuck(f"no end after {seconds:g} s, at {where}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, EVERY_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

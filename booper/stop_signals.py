"""The signals by which a program is told to stop, heard beside whoever handles them.

A server around booper waits for responses on their way before it tells the program of its end. One
that has no end would hold it up for good.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def called_on_stop(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` on the event loop when one of `SIGNALS` comes, until the end of the block.

    The handler that was there is called as well. Outside of the main thread nothing is heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    replaced = list[tuple[int, Handler, Handler]]()
    for number in SIGNALS:
        before = signal.getsignal(number)
        if callable(before):
            handler: Handler = partial(_stop, loop, end, before)
            signal.signal(number, handler)
            replaced.append((number, handler, before))
    try:
        yield
    finally:
        for replaced_number, ours, theirs in replaced:
            if signal.getsignal(replaced_number) is ours:  # nobody has set another one since
                signal.signal(replaced_number, theirs)


Handler = Callable[[int, FrameType | None], object]


def _stop(
    loop: asyncio.AbstractEventLoop,
    end: Callable[[], None],
    before: Handler,
    number: int,
    frame: FrameType | None,
) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(end)
    before(number, frame)

"""What `serve` and `dev` have in common as processes: their loop, their signals and their end."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import uvloop

from booper import executable
from booper.server.files import raise_file_limit

log = logging.getLogger("booper")

STOPPED_AT_ONCE = 130


def run_process(main: Coroutine[Any, Any, None]) -> None:
    """Run a daemon to its end, with as many open files as this user may have."""
    raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


async def until_stopped(
    stop: asyncio.Event,
    wait_failed: Callable[[], Coroutine[Any, Any, None]],
    listeners: Sequence[asyncio.Task[None]] = (),
) -> None:
    """Wait until told to stop, or until the loop or a listener ends, which is never meant.

    Raises: whatever ended the loop or the listener.
    """
    loop = asyncio.create_task(wait_failed())
    told = asyncio.create_task(stop.wait())
    await asyncio.wait({loop, told, *listeners}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    for task in (loop, *listeners):
        if task.done():
            task.result()
    loop.cancel()


def tune_gc() -> None:
    """Keep what the imports have made out of each garbage collection, and collect less often.

    A full one would stop the loop for 20 ms to look through that again (measured). Little of what
    a request or a job makes is for the collector; by the library's own threshold of 700 objects it
    looks for it so often that this takes 3 % of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def stop_event(on_hangup: Callable[[], None] | None = None) -> asyncio.Event:
    """Return an event that the first SIGINT or SIGTERM sets; the second ends the process.

    So does SIGHUP on a terminal, however often it comes: a terminal that closes and the shell in
    it both send one. Without a terminal it asks daemons to read their settings again: `on_hangup`.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    signals = executable.signals()

    def on_signal() -> None:
        if not signals.is_new():
            return
        if stop.is_set():
            os._exit(STOPPED_AT_ONCE)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        reaction = stop.set if _is_on_terminal() else on_hangup or _keep_settings
        loop.add_signal_handler(signal.SIGHUP, reaction)
    return stop


def _is_on_terminal() -> bool:
    """Return whether one of the standard streams is a terminal."""
    return any(_is_terminal(number) for number in range(3))


def _is_terminal(number: int) -> bool:
    try:
        return os.isatty(number)
    except OSError:  # it is closed
        return False


def _keep_settings() -> None:
    log.warning("SIGHUP changes nothing: settings are read at the start; restart to change them")

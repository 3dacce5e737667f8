"""The keys of `booper dev`: time travel by single letters, without Enter."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from booper.dev.bench import Bench
from booper.dev.console import Console
from booper.errors import BooperError
from booper.travel import Journey

ADVANCES: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
HELP: Final = (
    "n run what is due next · m h d w advance a minute, hour, day, week · "
    "f freeze or run the clock · t tell the time · q quit"
)


class Keys:
    """What each key does; one journey at a time."""

    def __init__(self, bench: Bench, console: Console, stop: Callable[[], None]) -> None:
        self._bench = bench
        self._console = console
        self._stop = stop
        self._journey: asyncio.Task[None] | None = None

    def press(self, key: str) -> None:
        """Do what a key stands for."""
        match key:
            case "q":
                self._stop()
            case "f":
                self._toggle()
            case "t":
                self._tell_time()
            case "n" | "m" | "h" | "d" | "w":
                self._set_out(key)
            case "?":
                self._console.say(HELP)

    async def close(self) -> None:
        """Break off a journey that is under way."""
        if self._journey is not None:
            self._journey.cancel()
            await asyncio.wait({self._journey})

    def _toggle(self) -> None:
        clock = self._bench.clock
        if clock.is_frozen:
            clock.run()
        else:
            clock.freeze()
        self._tell_time()

    def _tell_time(self) -> None:
        clock = self._bench.clock
        state = "stands still" if clock.is_frozen else "runs"
        self._console.say(f"it is {clock.now():%Y-%m-%d %H:%M:%S} UTC; the clock {state}")

    def _set_out(self, key: str) -> None:
        if self._journey is not None and not self._journey.done():
            self._console.say("still on the way")
            return
        self._journey = asyncio.create_task(self._go(key), name="journey")

    async def _go(self, key: str) -> None:
        try:
            self._console.went(await self._travel(key))
        except BooperError as error:
            self._console.say(str(error))

    async def _travel(self, key: str) -> Journey:
        travel = self._bench.travel
        return await (travel.run_next() if key == "n" else travel.by(ADVANCES[key]))


@contextmanager
def pressed(press: Callable[[str], None]) -> Iterator[None]:
    """Hand on each key as it is pressed; the terminal is as it was afterwards."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()

    def read() -> None:
        typed = os.read(terminal, 64).decode(errors="ignore")
        if not typed:  # the terminal is gone
            loop.remove_reader(terminal)
        for key in typed:
            press(key)

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)

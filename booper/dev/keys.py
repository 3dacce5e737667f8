"""The keys of `booper dev`: time travel by single letters, without Enter."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from booper.dev.bench import Bench
from booper.dev.console import Console
from booper.errors import BooperError
from booper.travel import Journey, Travel

ADVANCES: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
HELP: Final = (
    "n run what is due next",
    "m h d w advance a minute, hour, day, week",
    "f freeze or run the clock",
    "t show the time",
    "r show or hide callbacks and webhook events",
    "? these keys",
    "q quit",
)


class Keys:
    """The actions of the keys; one move of the clock at a time."""

    def __init__(self, bench: Bench, console: Console, stop: Callable[[], None]) -> None:
        self._bench = bench
        self._console = console
        self._stop = stop
        self._move: asyncio.Task[None] | None = None

    def press(self, key: str) -> None:
        """Run the action of a key."""
        match key:
            case "q":
                self._stop()
            case "f":
                self._begin(key)
            case "t":
                self._console.told_time(is_frozen=self._bench.clock.is_frozen)
            case "r":
                self._console.toggle_reports()
            case "n" | "m" | "h" | "d" | "w":
                self._begin(key)
            case "?":
                self._console.say(*HELP)

    async def close(self) -> None:
        """Break off a move that is under way."""
        if self._move is not None:
            self._move.cancel()
            await asyncio.wait({self._move})

    def _begin(self, key: str) -> None:
        if self._move is not None and not self._move.done():
            self._console.say("still on the way")
            return
        self._move = asyncio.create_task(self._do(key), name="journey")

    async def _do(self, key: str) -> None:
        bench = self._bench
        try:
            match key:
                case "f":
                    await bench.set_frozen(not bench.clock.is_frozen)
                case "n":
                    await bench.go(lambda travel: travel.run_next())
                case _:
                    await bench.go(partial(_advance, ADVANCES[key]))
        except BooperError as error:
            self._console.say(str(error))


async def _advance(duration: timedelta, travel: Travel) -> Journey:
    return await travel.by(duration)

"""The agent that rolls up kept numbers, where several processes only add rows to them.

It goes by the machine's clock also where jobs have another.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from booper.clock import Clock, SystemClock
from booper.errors import StoreUnavailable
from booper.store.counters import Counters

log = logging.getLogger("booper")

ROLL_UP_EVERY: Final = timedelta(minutes=1)

LOOK_BACK: Final = timedelta(hours=2)
"""How far back is looked for new rows: the longest buckets are of an hour."""

ALL_EVERY: Final = timedelta(hours=1)
"""How often all is looked through, for what was written late or by a clock that was wrong."""


class RollUps:
    """What rolls up kept numbers; `clock` is that of the jobs, `machine` the machine's."""

    def __init__(self, counters: Counters, clock: Clock, machine: Clock | None = None) -> None:
        self._counters = counters
        self._clock = clock
        self._machine = machine or SystemClock()
        self._all_at: datetime | None = None

    async def run(self) -> None:
        """Roll up, again and again."""
        while True:
            await self._machine.pause(ROLL_UP_EVERY)
            await self.roll_up()

    async def roll_up(self) -> None:
        """Roll up what is new; at first, and now and then, all."""
        now = self._machine.now()
        is_all = self._all_at is None or not self._all_at <= now < self._all_at + ALL_EVERY
        try:
            await self._counters.roll_up(None if is_all else self._clock.now() - LOOK_BACK)
        except StoreUnavailable as error:
            log.debug("kept numbers are not rolled up: %s", error)
            return
        if is_all:
            self._all_at = now

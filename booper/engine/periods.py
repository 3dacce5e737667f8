"""The agent that prepares the database for what ends in the next days."""

import logging
from datetime import timedelta
from typing import Final

from booper.clock import Clock
from booper.errors import StoreUnavailable
from booper.model.retention import Retention
from booper.store.pruning import Pruning

log = logging.getLogger("booper")

LOOK_EVERY: Final = timedelta(hours=1)
"""Days are prepared for long before they come."""

RETRY_AFTER: Final = timedelta(seconds=10)


class PeriodMaker:
    """What has the database prepare for the days to come."""

    def __init__(self, pruning: Pruning, retention: Retention, clock: Clock) -> None:
        self._pruning = pruning
        self._retention = retention
        self._clock = clock
        self._pause = timedelta(0)

    async def prepare(self) -> None:
        """Prepare for the next days, if the database can be used."""
        try:
            await self._pruning.prepare(self._retention, self._clock.now())
        except StoreUnavailable as error:
            log.warning("the database is not prepared for the next days: %s", error)
            self._pause = RETRY_AFTER
        else:
            self._pause = LOOK_EVERY

    async def run(self) -> None:
        """Prepare for the next days again and again, and first when that is due again."""
        while True:
            await self._clock.pause(self._pause)
            await self.prepare()

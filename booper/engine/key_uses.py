"""The agent that writes when API keys were last used: what is new, once a minute.

It goes by the machine's clock also where jobs have another: travelling in time writes nothing.
"""

import logging
from datetime import timedelta
from typing import Final

from booper.clock import Clock, SystemClock
from booper.errors import StoreUnavailable
from booper.store.keys import Keys

log = logging.getLogger("booper")

WRITE_EVERY: Final = timedelta(minutes=1)
"""How often uses are written. A crash loses those of this long."""


class KeyUses:
    """What writes the last uses of keys; `machine` is the machine's clock."""

    def __init__(self, keys: Keys, machine: Clock | None = None) -> None:
        self._keys = keys
        self._machine = machine or SystemClock()

    async def run(self) -> None:
        """Write what is new, again and again."""
        while True:
            await self._machine.pause(WRITE_EVERY)
            await self.write()

    async def write(self) -> None:
        """Write what is new; what cannot be written now is written with what comes next."""
        try:
            await self._keys.write_uses()
        except StoreUnavailable as error:
            log.debug("the last uses of keys are not written: %s", error)

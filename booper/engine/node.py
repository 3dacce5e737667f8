"""What a process does where others send the jobs of the same database: its agents."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from booper.clock import Clock
from booper.engine.agents import Agent
from booper.engine.scheduler import Scheduler
from booper.errors import StoreUnavailable
from booper.fence import Fence

log = logging.getLogger("booper")

SHARE_PAUSE: Final = timedelta(milliseconds=500)
"""How often nodes tell each other of failing origins and learn of pauses."""

RESCUE_PAUSE: Final = timedelta(milliseconds=250)
"""How often is looked for claims that nodes have left which are gone."""


class Node:
    """One of several nodes. It takes over what others leave, and tells them of failing origins."""

    def __init__(self, scheduler: Scheduler, fence: Fence, clock: Clock) -> None:
        self._scheduler = scheduler
        self._clock = clock
        fence.cut = scheduler.cut

    @property
    def agents(self) -> Mapping[str, Agent]:
        """Return its agents by their names."""
        return {
            "rescuer": self._rescue_forever,
            "sharer of origins": self._share_forever,
        }

    async def _rescue_forever(self) -> None:
        """Make due again what other nodes leave, soon after their leases have ended."""
        while True:
            await self._clock.pause(RESCUE_PAUSE)
            try:
                await self._scheduler.rescue()
            except StoreUnavailable as error:
                log.warning("what other nodes may have left is not looked for: %s", error)

    async def _share_forever(self) -> None:
        """Exchange failing origins with the other nodes, and learn of pauses."""
        while True:
            try:
                await self._scheduler.share()
            except StoreUnavailable as error:
                log.warning("other nodes are not told of failing origins: %s", error)
            await self._clock.pause(SHARE_PAUSE)

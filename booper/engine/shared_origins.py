"""What holds for all nodes of a database: which origins fail, and what is paused.

It exchanges that with the database. What this node has changed is told before its next claim, so
that neither it nor another one claims by what no longer holds.
"""

import asyncio
from datetime import datetime

from booper.engine.breakers import Breakers
from booper.engine.ready import Ready
from booper.engine.waits import Waits
from booper.errors import StoreUnavailable
from booper.store.sharing import Shared, Sharing


class SharedOrigins:
    """The breakers and pauses of this node, as others have them."""

    def __init__(self, sharing: Sharing, breakers: Breakers, ready: Ready, waits: Waits) -> None:
        self._sharing = sharing
        self._breakers = breakers
        self._ready = ready
        self._waits = waits
        # One after the other, so that what is learned is never older than what is known.
        self._exchanging = asyncio.Lock()

    async def share(self, now: datetime) -> None:
        """Write what has changed here, and take over what holds. Raises: StoreUnavailable."""
        async with self._exchanging:
            opened, closed = self._breakers.take_changed()
            known = self._ready.pauses.changes
            try:
                shared = await self._sharing.exchange(opened, closed, now)
            except StoreUnavailable:
                self._breakers.give_back(opened, closed)
                raise
            self._adopt_breakers(shared, now)
            # What began or ended here meanwhile may be newer than what was read: the next tells.
            if known == self._ready.pauses.changes:
                self._adopt_pauses(shared, now)

    def _adopt_breakers(self, shared: Shared, now: datetime) -> None:
        before = {each.origin: each for each in self._breakers.open()}
        for origin in self._breakers.adopt(shared.breakers):
            if origin in before and not self._breakers.is_open(origin):
                self._waits.breaker_ended(before[origin], now)
            self._ready.consider(origin)

    def _adopt_pauses(self, shared: Shared, now: datetime) -> None:
        paused = {pause.target: pause.paused_at for pause in shared.pauses}
        for target in [target for target in self._ready.pauses if target not in paused]:
            self._waits.pause_ended(target, now)
            self._ready.resume(target)
        for target, at in paused.items():
            if target not in self._ready.pauses:
                self._ready.pause(target, at)

"""The heartbeat: whether the loop still turns and the store still responds."""

from booper.clock import Clock
from booper.engine.turns import Turns
from booper.errors import StoreUnavailable
from booper.store.base import Store


class Heartbeat:
    """The sign of life that distinguishes a slow process from a stuck one."""

    def __init__(self, turns: Turns, store: Store, clock: Clock) -> None:
        self.turns = turns
        self._store = store
        self._clock = clock

    async def beat(self) -> StoreUnavailable | None:
        """Return once the loop has turned and the store has written; or why it cannot write.

        Where one of them is stuck, this does not return.
        """
        await self.turns.next()
        try:
            await self._store.check_writable(self._clock.now())
        except StoreUnavailable as error:
            return error
        return None

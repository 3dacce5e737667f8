"""The space keeper: it keeps the database under its size, and gives free space back."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from booper.clock import Clock, SystemClock, monotonic
from booper.engine.pruner import Pruner, batches, rest
from booper.errors import StoreUnavailable
from booper.model.job import State
from booper.model.retention import PRUNED_STATES, Retention
from booper.store.pruning import Pruning, Space, Spot

log = logging.getLogger("booper")

MIN_FREE: Final = 64 << 20
FREE_SHARE: Final = 5

STEP: Final = 512 << 10
"""How much is given back at a time: a few milliseconds."""

# Hundredths of the size that is allowed: where deleting begins, where it ends, and from where on it
# takes its turn with all other changes.
BEGINS_AT: Final = 97
ENDS_AT: Final = 95
IS_URGENT_AT: Final = 100

LOOK_EVERY: Final = timedelta(minutes=1)
SHORTEST_PAUSE: Final = timedelta(milliseconds=20)
RETRY_AFTER: Final = timedelta(seconds=10)

# How much a change adds at most, but for few: the less room there is, the fewer are waited for.
CHANGE_BYTES: Final = 128 << 10
MAX_CHANGES: Final = 1_000

# How long what ends behind a walk is not looked at: then it begins anew.
WALK_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class SpaceStatus:
    """The space of the database as last looked at, and whether it cannot be kept under its size.

    The latter `is_known` once that was tried.
    """

    space: Space | None = None
    is_over_size: bool = False
    is_known: bool = False


class SpaceKeeper:
    """What keeps the database's size; `status` is for whoever watches it.

    Free space is given back where there is more of it than `min_free`, and than a fifth of all.
    """

    def __init__(
        self,
        pruning: Pruning,
        pruner: Pruner,
        retention: Retention,
        clock: Clock,
        *,
        min_free: int = MIN_FREE,
    ) -> None:
        self.status = SpaceStatus()
        self._pruning = pruning
        self._pruner = pruner
        self._retention = retention
        self._clock = clock
        self._min_free = min_free
        self._spots: dict[State, Spot] = {}
        self._walk_until = 0.0
        self._is_exhausted = False

    async def run(self) -> None:
        """Look at the space again and again, as soon as jobs may be deleted."""
        machine = SystemClock()
        await self._pruner.has_begun.wait()
        while True:
            try:
                space = await self.keep()
            except StoreUnavailable as error:
                log.debug("the space is not looked at: %s", error)  # the pruner tells of it
                await self._clock.pause(RETRY_AFTER)
                continue
            if not self._retention.max_bytes:  # what is free has time
                await machine.pause(LOOK_EVERY)
                continue
            await machine.pause(SHORTEST_PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                    await self._wait_for_growth(space)

    async def keep(self) -> Space:
        """Bring the database under its size if it is over it, and give back what is free.

        Raises:
            PrunedElsewhere: another node deletes already; look again after that.
        """
        space = await self._look()
        self._is_exhausted = False
        if self._is_beyond(BEGINS_AT, space):
            goal = self._retention.max_bytes * ENDS_AT // 100
            space = await self._delete_down_to(goal)
            self._is_exhausted = space.used > goal
        self._note(is_over_size=self._is_beyond(100, space))
        return await self._give_back(space)

    async def _look(self) -> Space:
        space = await self._pruning.space()
        self.status = replace(self.status, space=space)
        return space

    async def _delete_down_to(self, goal: int) -> Space:
        """Delete jobs, the oldest of each state, until the database uses no more than this.

        Begin where the last time ended, and only if that is not enough at the oldest: what is
        needed is not passed over anew each time.
        """
        if monotonic() >= self._walk_until:
            self._spots.clear()
            self._walk_until = monotonic() + WALK_SECONDS
        space = await self._walk(goal)
        if space.used > goal:
            self._spots.clear()
            space = await self._walk(goal)
        return space

    async def _walk(self, goal: int) -> Space:
        space = await self._look()
        for state in PRUNED_STATES:
            while space.used > goal and await self._pruner.drop_oldest(state, self._clock.now()):
                space = await self._look()
            if space.used <= goal:
                return space
            spot: Spot | None = self._spots.get(state, Spot())
            while spot is not None:
                self._spots[state] = spot
                now = self._clock.now()
                found = await self._pruning.find(
                    state, self._retention, now, spot, is_over_size=True
                )
                for batch in batches(found.jobs):
                    is_urgent = self._is_beyond(IS_URGENT_AT, space)
                    await self._pruner.delete(batch, now, is_over_size=True, is_urgent=is_urgent)
                    space = await self._look()
                    if space.used <= goal:
                        return space
                spot = found.rest
        return space

    def _is_beyond(self, hundredths: int, space: Space) -> bool:
        most = self._retention.max_bytes
        return bool(most) and space.used > most * hundredths // 100

    async def _give_back(self, space: Space) -> Space:
        """Give free space back where there is much of it, or the database is over its size."""
        most = self._retention.max_bytes
        if not space.can_shrink:
            return space
        if space.free > self._min_free and space.free > space.size // FREE_SHARE:
            while space.free > space.size // (2 * FREE_SHARE):
                space = await self._give_back_step(STEP)
        # Work that comes meanwhile goes first: what is deleted for it makes room in the file.
        while space.free and self._is_too_large(space) and not self._is_beyond(BEGINS_AT, space):
            space = await self._give_back_step(min(STEP, space.size - most, space.free))
        return space

    def _is_too_large(self, space: Space) -> bool:
        return 0 < self._retention.max_bytes < space.size

    async def _give_back_step(self, size: int) -> Space:
        began = monotonic()
        await self._pruning.give_back(size)
        await rest(monotonic() - began)
        return await self._look()

    async def _wait_for_growth(self, space: Space) -> None:
        """Wait until the database may have come to its size."""
        most = self._retention.max_bytes
        changes = max(most * BEGINS_AT // 100 - space.used, 0) // CHANGE_BYTES
        if self._is_exhausted:  # there is nothing to delete until other jobs have ended
            changes = MAX_CHANGES
        await self._pruning.wait_for_changes(min(changes, MAX_CHANGES))

    def _note(self, *, is_over_size: bool) -> None:
        if is_over_size and not self.status.is_over_size:
            log.error(
                "the database is over [retention] max_bytes = %d, and all that may be deleted is; "
                "what is left waits to be sent or is needed",
                self._retention.max_bytes,
            )
        elif self.status.is_over_size and not is_over_size:
            log.warning("the database is under [retention] max_bytes again")
        self.status = replace(self.status, is_over_size=is_over_size, is_known=True)

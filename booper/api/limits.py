"""How often a key may ask: a token bucket for each, of this process or of all nodes (contract §1).

What is asked too often is responded to by 429.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from uuid import UUID

from booper.clock import monotonic
from booper.errors import StoreUnavailable, TooManyRequests
from booper.store.sharing import Granted, Rate

Count = Callable[[Mapping[UUID, int], Rate], Awaitable[Mapping[UUID, Granted]]]
"""Count requests of keys over all nodes (`booper.store.sharing.Sharing.count_requests`)."""


class RateLimit:
    """The rate of each key: `burst` requests at once, and `per_second` on average.

    There is one bucket for each key that was used, so callers must be known before they are
    counted: what strangers make up takes no memory here. `now` tells seconds that only grow.
    """

    def __init__(self, per_second: float, burst: int, now: Callable[[], float] = monotonic) -> None:
        self._rate = Rate(per_second, burst)
        self._now = now
        self._buckets: dict[UUID, tuple[float, float]] = {}

    def take(self, key: UUID) -> None:
        """Count a request. Raises: TooManyRequests, which costs the key nothing."""
        rate, now = self._rate, self._now()
        left, at = self._buckets.get(key, (float(rate.burst), now))
        left = min(rate.burst, left + (now - at) * rate.per_second)
        if left < 1:
            raise _too_many(rate, (1 - left) / rate.per_second)
        self._buckets[key] = (left - 1, now)


class SharedRateLimit:
    """The rate of each key over all nodes, as `count` has it.

    Requests that come while a count is under way are counted together by the next one. Until a key
    that has used up its rate may make a request again, nothing is counted for it.
    """

    def __init__(self, rate: Rate, count: Count, now: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._count = count
        self._now = now
        self._refused_until: dict[UUID, float] = {}
        self._asked: dict[UUID, list[asyncio.Future[float]]] = {}
        self._counting: asyncio.Task[None] | None = None

    async def take(self, key: UUID) -> None:
        """Count a request.

        Raises:
            TooManyRequests: the rate is used up; a refusal costs the key nothing.
            StoreUnavailable: it cannot be counted now.
        """
        wait = self._refused_until.get(key, 0.0) - self._now()
        if wait <= 0:
            wait = await self._counted(key)
        if wait > 0:
            raise _too_many(self._rate, wait)

    async def _counted(self, key: UUID) -> float:
        """Count a request with the next ones; return in how many seconds it may be made."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key, []).append(future)
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count_asked(), name="rate limit")
        return await future

    async def _count_asked(self) -> None:
        """Count what was asked for until nothing is, also if whoever asked has gone away."""
        while self._asked:
            asked, self._asked = self._asked, {}
            wanted = {key: len(futures) for key, futures in asked.items()}
            try:
                self._tell(asked, await self._count(wanted, self._rate))
            except StoreUnavailable as error:
                later, self._asked = self._asked, {}  # they have waited for long enough
                for future in (*_undone(asked), *_undone(later)):
                    future.set_exception(error)
            finally:
                for future in _undone(asked):
                    future.cancel()

    def _tell(
        self, asked: Mapping[UUID, list[asyncio.Future[float]]], found: Mapping[UUID, Granted]
    ) -> None:
        """Admit as many requests of each key as were granted to it, and refuse the others."""
        for key, futures in asked.items():
            granted = found[key]
            if granted.count < len(futures):
                self._refused_until[key] = self._now() + granted.wait_seconds
            for place, future in enumerate(futures):
                if not future.done():
                    future.set_result(0.0 if place < granted.count else granted.wait_seconds)


def _undone(asked: Mapping[UUID, list[asyncio.Future[float]]]) -> list[asyncio.Future[float]]:
    return [future for futures in asked.values() for future in futures if not future.done()]


def _too_many(rate: Rate, wait: float) -> TooManyRequests:
    """Return the refusal of a request that may be made in so many seconds."""
    return TooManyRequests(
        f"this key may make {rate.per_second:g} requests a second, and {rate.burst} at once; "
        f"try again in {ceil(wait)} s",
        wait,
    )

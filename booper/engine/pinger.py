"""The pinger: while booper is healthy it requests a URL, and whoever watches that notices its end.

A booper whose loop is stuck, or whose machine is gone, cannot send an alert: the request that does
not come is the alert.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from booper.clock import Clock
from booper.engine.alert_channels import NotSent, exchange
from booper.engine.delivery import Delivery
from booper.errors import StoreUnavailable
from booper.model.job import Request

log = logging.getLogger("booper.alerts")

EVERY: Final = timedelta(minutes=1)
BEAT_SECONDS: Final = 30.0


class Pinger:
    """An agent that requests a URL each minute if `beat` shows that booper works.

    Without a URL it does nothing.
    """

    def __init__(
        self,
        beat: Callable[[], Awaitable[StoreUnavailable | None]],
        delivery: Delivery,
        url: str,
        user_agent: str,
        clock: Clock,
    ) -> None:
        self._beat = beat
        self._delivery = delivery
        self._url = url
        self._user_agent = user_agent
        self._clock = clock
        self._problem = ""

    def use(self, delivery: Delivery, url: str) -> None:
        """Request another URL from now on."""
        self._delivery, self._url = delivery, url

    @property
    def is_wanted(self) -> bool:
        """Return whether there is a URL to call."""
        return bool(self._url)

    async def run(self) -> None:
        """Request the URL again and again, until cancelled."""
        while True:
            if self._url:
                self._note(await self._ping())
            await self._clock.pause(EVERY)

    async def _ping(self) -> str:
        """Request the URL; return why that was not done, empty if it was."""
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                error = await self._beat()
        except TimeoutError:
            return f"the loop or the database has not responded for {BEAT_SECONDS:g} s"
        if error is not None:
            return str(error)
        headers = {"User-Agent": self._user_agent}
        try:
            await exchange(self._delivery, Request("GET", self._url, headers, b"", {}, {}))
        except NotSent as problem:
            return str(problem)
        return ""

    def _note(self, problem: str) -> None:
        if problem and problem != self._problem:
            log.error("[alerts] heartbeat_url is not requested, or does not respond: %s", problem)
        elif self._problem and not problem:
            log.info("[alerts] heartbeat_url is requested again")
        self._problem = problem

"""A receiver of alerts in tests: what came to it, in the form of booper's own."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from anyio.lowlevel import checkpoint

from booper.alert_settings import Alerts
from booper.clock import VirtualClock
from booper.config import Config
from booper.engine.alerts import LOOK_EVERY
from tests.support.api import Api
from tests.support.target import FakeTarget

URL = "https://alerts.test/hook"
DEADLINE_SECONDS = 20.0


def alerting(config: Config, **settings: Any) -> Config:
    """Return settings by which alerts are sent to `URL`."""
    return msgspec.structs.replace(config, alerts=Alerts(**{"url": URL, **settings}))


class Inbox:
    """The alerts that a target has received."""

    def __init__(self, target: FakeTarget, url: str = URL) -> None:
        self._target = target
        self._url = url

    @property
    def bodies(self) -> list[Any]:
        """Return all alerts as they came."""
        requests = [each for each in self._target.received if str(each.url) == self._url]
        return [msgspec.json.decode(each.content) for each in requests]

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Return the type, the kind and the subject of each alert, in order."""
        return [
            (each["type"], each["data"]["kind"], each["data"]["subject"]) for each in self.bodies
        ]

    async def wait(self, count: int) -> list[tuple[str, str, str]]:
        """Return what was told, once so many alerts have come."""
        await until(lambda: len(self.bodies) >= count)
        return self.told


async def until(is_true: Callable[[], bool]) -> None:
    """Return once something is true, which other tasks make so."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not is_true():
            await checkpoint()


async def all_told(admin: Api) -> None:
    """Return once every alert that is open has been sent."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not all(
            each["is_told"] for each in (await admin.read("/api/status"))["alerts"]["open"]
        ):
            await checkpoint()


async def looked(admin: Api, clock: VirtualClock, by: timedelta = LOOK_EVERY) -> Any:
    """Advance the clock so that booper looks at what is wrong; return the alerts it shows then."""
    await admin.read("/api/status")  # until this is done, the agents wait for the clock
    clock.advance(by)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            alerts = (await admin.read("/api/status"))["alerts"]
            if alerts["looked_at"] and datetime.fromisoformat(alerts["looked_at"]) >= clock.now():
                return alerts

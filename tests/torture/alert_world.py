"""A booper on a virtual clock whose target, disk and operator can be at fault, and its alerts."""

import asyncio
import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from booper.alert_settings import Alerts
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Backup, Config, Database, Delivery, Retention, Targets
from booper.engine.alert_clock import ClockWatch
from booper.engine.alerts import LOOK_EVERY
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.databases import make_database

ALERTS = "https://alerts.test/hook"
DEADLINE_SECONDS = 60.0
DOWN = timedelta(seconds=20)

Told = tuple[str, str, str]
"""What is told of an alert: its type, its kind, its subject."""


class Hosts(httpx.AsyncBaseTransport):
    """All targets, and the receiver of alerts; each host responds as it is told to, 200 at first.

    While a host is held, nothing comes from it.
    """

    def __init__(self) -> None:
        self.responds: dict[str, Callable[[], httpx.Response]] = {}
        self.told: list[Told] = []
        self.sent = 0
        self._open: dict[str, asyncio.Event] = {}

    @property
    def is_held(self) -> bool:
        """Return whether a host is held."""
        return bool(self._open)

    def hold(self, host: str) -> None:
        """Respond to nothing that is sent to a host, until it is released."""
        self._open[host] = asyncio.Event()

    def release(self, host: str) -> None:
        """Respond again."""
        self._open.pop(host).set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Respond, or note an alert."""
        content, host = await request.aread(), request.url.host
        if str(request.url) == ALERTS:
            body = msgspec.json.decode(content)
            self.told.append((body["type"], body["data"]["kind"], body["data"]["subject"]))
            return httpx.Response(204)
        self.sent += 1
        if host in self._open:
            await self._open[host].wait()
        return self.responds.get(host, lambda: httpx.Response(200))()


class World:
    """A booper, its clock, its hosts; `alerts` and `others` are settings of it.

    `sabotage` is SQL that breaks its database before the start. While it `is_stuck`, nobody waits
    for what is due.
    """

    def __init__(
        self, folder: Path, alerts: dict[str, Any], sabotage: str = "", **others: Any
    ) -> None:
        path = folder / "booper.db"
        make_database(path)
        with closing(sqlite3.connect(path)) as opened:
            opened.executescript(sabotage)
        self.clock = VirtualClock(START)
        self.hosts = Hosts()
        self.folder = folder
        self.config = Config(
            database=Database(path=str(path), durability="normal"),
            targets=Targets(require_https=False, allow_private_networks=True),
            delivery=Delivery(grace_seconds=0, concurrency=others.pop("concurrency", 64)),
            alerts=Alerts(**{"url": ALERTS, "disk_free_bytes": 0, **alerts}),
            backup=Backup(folder=str(folder / "backups"), **others.pop("backup", {})),
            retention=Retention(**others.pop("retention", {})),
        )
        self.is_stuck = False
        self._lives = 0
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start booper."""
        self._lives += 1
        self.booper = await self._stack.enter_async_context(
            Booper(
                self.config,
                api_key=KEY,
                clock=self.clock,
                random=Random(self._lives),
                transport=self.hosts,
            )
        )
        self.api = await self._stack.enter_async_context(Api(self.booper.asgi, KEY))
        self.admin = await self._stack.enter_async_context(Api(self.booper.administration))

    async def stop(self) -> None:
        """Stop booper."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    async def restart(self) -> None:
        """Stop booper, and start it after a while."""
        await self.stop()
        self.clock.advance(DOWN)
        await self.start()

    def use_alerts(self, **settings: Any) -> None:
        """Go on by other settings of alerts."""
        self.config = replace(self.config, alerts=replace(self.config.alerts, **settings))
        self.booper.use(self.config)

    def put_seconds(self, seconds: Callable[[], float]) -> None:
        """Have booper's clock be compared with these seconds, as a machine's clock would be."""
        alerts = self._alerts
        alerts._clock_watch = ClockWatch(self.clock.now(), seconds)

    def put_loop_age(self, seconds: float) -> None:
        """Have the loop look as if its last turn had begun so long ago."""
        alerts = self._alerts
        alerts._watched = dataclasses.replace(alerts._watched, loop_age_seconds=lambda: seconds)

    @property
    def _alerts(self) -> Any:
        """Return booper's own alerts: the seam where the machine is."""
        return self.booper._holder._alarm.alerts

    async def until_created(self, status: int) -> None:
        """Create jobs until that gets this status: a broken database is noticed in real time."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                job = {"url": "https://good.test", "schedule_in": 60}
                if (await self.api.post("/api/jobs", json=job)).status_code == status:
                    return
                await self._advance(timedelta(milliseconds=100))  # the loop pauses after a failure
                await checkpoint()

    async def until_over_size(self) -> None:
        """Return once booper has seen that its database is over its size: in real time, too."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not self._alerts._watched.is_over_size():
                await checkpoint()

    async def until(self, is_true: Callable[[Any], object]) -> None:
        """Return once something is true of the status."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not is_true(await self.admin.read("/api/status")):
                await checkpoint()

    async def alerts(self) -> Any:
        """Return the alerts as the status has them."""
        return (await self.admin.read("/api/status"))["alerts"]

    async def pass_time(
        self,
        duration: timedelta,
        step: timedelta = LOOK_EVERY,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Let time pass in steps, with a look after each, until it has or `is_over`."""
        end = self.clock.now() + duration
        while self.clock.now() < end and not is_over():
            await self.step(min(step, end - self.clock.now()))

    async def step(self, step: timedelta) -> None:
        """Let time pass, until booper has looked at what is wrong then and has told it."""
        if not self.is_stuck:
            await self.booper.beat()  # what the agents write is written by then
        await self._advance(step)
        if not self.is_stuck and not self.hosts.is_held:
            await self.booper.wait_idle()
        if step < LOOK_EVERY:
            return
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not _is_settled(await self.alerts(), self.clock.now()):
                await checkpoint()

    async def _advance(self, by: timedelta) -> None:
        """Move the clock once a look that is due is over: the next one is planned by its end."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while _is_looking(await self.alerts(), self.clock.now()):
                await checkpoint()
        self.clock.advance(by)


def _is_looking(alerts: Any, now: datetime) -> bool:
    at = alerts["looked_at"]
    return at is not None and datetime.fromisoformat(at) + LOOK_EVERY <= now


def _is_settled(alerts: Any, now: datetime) -> bool:
    at = alerts["looked_at"]
    has_looked = at is not None and datetime.fromisoformat(at) >= now
    return has_looked and not alerts["unsent"]

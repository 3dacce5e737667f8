"""The heartbeat URL: requested while booper is healthy, and not while it is not."""

import asyncio
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from booper.clock import VirtualClock
from booper.engine.delivery import Delivery
from booper.engine.pinger import Pinger
from booper.errors import StoreUnavailable
from booper.guard.policy import Guard
from booper.http.adapter import HttpxClient
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
URL = "http://127.0.0.1:9/beat"


class Health:
    """A booper that is healthy, cannot write, or is stuck."""

    def __init__(self) -> None:
        self.error: StoreUnavailable | None = None
        self.works = asyncio.Event()
        self.works.set()

    async def beat(self) -> StoreUnavailable | None:
        """Return how it is, unless it is stuck."""
        await self.works.wait()
        return self.error


async def minutes(pinger: Pinger, clock: VirtualClock, *changes: Any) -> None:
    """Run a pinger for a minute before and after each change."""
    task = asyncio.create_task(pinger.run())
    await anyio.wait_all_tasks_blocked()
    for change in changes:
        change()
        clock.advance(MINUTE)
        await anyio.wait_all_tasks_blocked()
    task.cancel()
    await asyncio.wait({task})


def pinger_of(health: Health, target: FakeTarget, clock: VirtualClock, url: str = URL) -> Pinger:
    """Return a pinger; a private address over plain http is fine for the operator's URL."""
    guard = Guard(require_https=True, allow_private_networks=False, allow=(), own=())
    delivery = Delivery(HttpxClient(target), guard.trusting(["127.0.0.1"]), 100)
    return Pinger(health.beat, delivery, url, "booper/1", clock)


def nothing() -> None:
    """Change nothing."""


async def test_it_is_requested_each_minute(clock: VirtualClock, target: FakeTarget) -> None:
    """At the start, too."""
    await minutes(pinger_of(Health(), target, clock), clock, nothing, nothing)
    assert [(each.method, str(each.url)) for each in target.received] == [("GET", URL)] * 3


async def test_without_a_url_nothing_is_requested(clock: VirtualClock, target: FakeTarget) -> None:
    """As by default."""
    await minutes(pinger_of(Health(), target, clock, ""), clock, nothing)
    assert target.received == []


async def test_a_store_that_cannot_write_ends_it_until_it_can(
    clock: VirtualClock, target: FakeTarget, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why, once."""
    health = Health()

    def fail() -> None:
        health.error = StoreUnavailable("the disk is full")

    def mend() -> None:
        health.error = None

    await minutes(pinger_of(health, target, clock), clock, fail, nothing, mend)
    assert len(target.received) == 2
    assert sum("the disk is full" in line for line in caplog.messages) == 1


async def test_a_booper_that_is_stuck_does_not_request_it(
    clock: VirtualClock, target: FakeTarget
) -> None:
    """Whatever the clock says."""
    health = Health()
    await minutes(pinger_of(health, target, clock), clock, health.works.clear, nothing, nothing)
    assert len(target.received) == 1


async def test_a_receiver_that_fails_is_logged_without_its_url(
    clock: VirtualClock, target: FakeTarget, caplog: pytest.LogCaptureFixture
) -> None:
    """Its path may be a secret."""
    target.respond(httpx.Response(404))
    await minutes(pinger_of(Health(), target, clock), clock, nothing)
    assert any("the receiver responded 404" in line for line in caplog.messages)
    assert "/beat" not in caplog.text

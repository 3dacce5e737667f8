"""Alerts from the fault to the receiver, in a running booper."""

from collections.abc import AsyncIterator
from random import Random

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.conftest import KEY
from tests.support.alerts import Inbox, alerting, all_told, looked
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


@pytest.fixture
async def booper(config: Config, clock: VirtualClock, target: FakeTarget) -> AsyncIterator[Booper]:
    """Run a booper that sends alerts to the target, too."""
    async with Booper(
        alerting(config), api_key=KEY, clock=clock, random=Random(1), transport=target
    ) as running:
        yield running


async def test_a_discarded_job_is_told_at_once(
    booper: Booper, api: Api, admin: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """At the next look, and not once more at those that follow."""
    inbox = Inbox(target)
    target.respond(httpx.Response(500))
    number = await api.create_id(max_attempts=1, tags=["billing"])
    await booper.wait_idle()
    await looked(admin, clock)
    assert await inbox.wait(1) == [("alert.opened", "job.discarded", "billing")]
    [body] = inbox.bodies
    await looked(admin, clock)
    await all_told(admin)
    [shown] = (await looked(admin, clock))["open"]
    assert body == {
        "type": "alert.opened",
        "timestamp": "2030-01-01T12:00:10.000000Z",
        "data": {
            "id": shown["id"],
            "kind": "job.discarded",
            "subject": "billing",
            "since": "2030-01-01T12:00:10.000000Z",
            "detail": f"job {number} to https://target.test was discarded",
            "url": None,
        },
    }
    assert shown["is_told"] is True
    assert len(inbox.bodies) == 1

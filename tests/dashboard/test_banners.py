"""Home says what is wrong: each open alert is a banner, for administrators."""

from collections.abc import AsyncIterator
from random import Random

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.conftest import KEY
from tests.support.alerts import alerting, looked
from tests.support.api import Api
from tests.support.dashboard import Browser
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


@pytest.fixture
async def booper(config: Config, clock: VirtualClock, target: FakeTarget) -> AsyncIterator[Booper]:
    """Run a booper that looks at what may be wrong, and wants more room than there is."""
    settings = alerting(config, disk_free_bytes=1 << 50)
    async with Booper(
        settings, api_key=KEY, clock=clock, random=Random(1), transport=target
    ) as running:
        yield running


async def test_open_alerts_are_banners(
    browser: Browser,
    booper: Booper,
    api: Api,
    admin: Api,
    clock: VirtualClock,
    target: FakeTarget,
) -> None:
    """A disk that is nearly full, and a job that was discarded, since when, in the API's words."""
    target.respond(httpx.Response(500))
    await api.create(max_attempts=1, tags=["billing"])
    await booper.wait_idle()
    alerts = (await looked(admin, clock))["open"]
    assert {each["kind"] for each in alerts} == {"disk.low", "job.discarded"}
    await browser.sign_in(KEY)
    home, status = await browser.see("/"), await browser.see("/status")
    for each in alerts:
        assert f"{each['subject']}: {each['detail']}, since 2030-01-01 12:00:10." in home.text
        assert each["kind"] in status.text
        assert each["detail"] in status.text


async def test_who_does_not_administer_sees_none(
    browser: Browser, admin: Api, keys: dict[str, str], clock: VirtualClock
) -> None:
    """They may be about others."""
    await looked(admin, clock)
    await browser.sign_in(keys["write"])
    assert "since 2030" not in (await browser.see("/")).text

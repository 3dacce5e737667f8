"""The loop: when requests leave, what their outcomes make of jobs, how it stops."""

from datetime import timedelta

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.target import FakeTarget

pytestmark = pytest.mark.anyio


async def create(api: httpx.AsyncClient, **fields: object) -> int:
    """Post a job and return its number."""
    answer = await api.post("/api/jobs", json={"url": "https://target.test/", **fields})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["data"]["job_id"])


async def job(api: httpx.AsyncClient, number: int) -> dict[str, object]:
    """Return a job's inner state."""
    answer = await api.get(f"/api/jobs/{number}")
    inner: dict[str, object] = answer.json()["data"]["job"]
    return inner


async def test_a_job_leaves_at_its_time_and_not_before(
    booper: Booper, api: httpx.AsyncClient, clock: VirtualClock, target: FakeTarget
) -> None:
    """A job due in an hour is sent when the clock has passed that hour, within milliseconds."""
    number = await create(api, schedule_in=[1, "hour"])
    clock.advance(timedelta(minutes=59, seconds=59))
    await booper.wait_idle()
    assert target.received == []
    clock.advance(timedelta(seconds=1))
    await booper.wait_idle()
    assert len(target.received) == 1
    assert (await job(api, number))["state"] == "completed"


async def test_a_nearer_job_posted_later_leaves_first(
    booper: Booper, api: httpx.AsyncClient, clock: VirtualClock, target: FakeTarget
) -> None:
    """The loop that sleeps until a far job is woken by a nearer one."""
    await create(api, schedule_in=[2, "hours"], url="https://far.test/")
    await create(api, schedule_in=[1, "hour"], url="https://near.test/")
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    assert [request.url.host for request in target.received] == ["near.test"]

"""`GET /api/schedules/{id}/runs`: the newest runs of a schedule without what they send."""

from datetime import timedelta

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import START
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


async def test_a_run_has_its_state_and_its_times(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """The newest first; a run that waits for its time is none yet."""
    target.respond(httpx.Response(200), httpx.Response(410), httpx.Response(503))
    path = await api.create_schedule(repeat_every=[1, "hour"], method="post", body="x" * 1_000)
    await booper.wait_idle()
    for _ in range(2):
        clock.advance(HOUR)
        await booper.wait_idle()
    found = await api.read(f"{path}/runs")
    assert [(run["state"], run["attempt"], run["planned_at"]) for run in found] == [
        ("retryable", 1, "2030-01-01T14:00:00.000000Z"),
        ("discarded", 1, "2030-01-01T13:00:00.000000Z"),
        ("completed", 1, "2030-01-01T12:00:00.000000Z"),
    ]
    jobs = (await api.read("/api/jobs", "limit=100"))[1:]
    assert [run["job_id"] for run in found] == [job["job_id"] for job in jobs]
    assert found[2] == {
        "job_id": jobs[2]["job_id"],
        "state": "completed",
        "attempt": 1,
        "planned_at": "2030-01-01T12:00:00.000000Z",
        "scheduled_at": "2030-01-01T12:00:00.000000Z",
        "attempted_at": jobs[2]["job"]["attempted_at"],
        "ended_at": jobs[2]["job"]["completed_at"],
        "duration_ms": 0,
    }
    assert (found[0]["ended_at"], found[0]["duration_ms"]) == (None, None)
    assert clock.now() == START + 2 * HOUR


async def test_a_cancelled_run_took_no_time(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Though it was attempted before: it did not end with an attempt."""
    target.respond(httpx.Response(503))
    path = await api.create_schedule(repeat_every=[1, "hour"])
    await booper.wait_idle()
    clock.advance(timedelta(seconds=5))
    [run] = await api.read(f"{path}/runs")
    await api.act(f"/api/jobs/{run['job_id']}/cancel")
    [run] = await api.read(f"{path}/runs")
    assert run["state"] == "cancelled"
    assert run["ended_at"] == "2030-01-01T12:00:05.000000Z"
    assert run["duration_ms"] is None


async def test_a_run_that_is_due_but_held_is_available(api: Api, admin: Api) -> None:
    """As the job is."""
    await admin.act("/api/pause", {})
    path = await api.create_schedule(repeat_every=[1, "hour"])
    [run] = await api.read(f"{path}/runs")
    assert (run["state"], run["attempt"], run["attempted_at"]) == ("available", 0, None)
    assert (await api.job(run["job_id"]))["state"] == "available"


async def test_as_many_as_are_asked_for(api: Api, booper: Booper, clock: VirtualClock) -> None:
    """The newest; 50 by default."""
    path = await api.create_schedule(repeat_every=[1, "hour"])
    await booper.wait_idle()
    for _ in range(51):
        clock.advance(HOUR)
        await booper.wait_idle()
    every = await api.read(f"{path}/runs", "limit=100")
    assert len(every) == 52
    assert await api.read(f"{path}/runs") == every[:50]
    assert await api.read(f"{path}/runs", "limit=2") == every[:2]


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1", "1.0", "٣", "9" * 50])
async def test_a_limit_that_cannot_be_is_refused(api: Api, limit: str) -> None:
    """With what would be right."""
    path = await api.create_schedule(schedule_in=60)
    response = await api.get(f"{path}/runs", params={"limit": limit})
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["pointer"] == "/limit"
    assert "expected 1 to 100" in error["detail"]

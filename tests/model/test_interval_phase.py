"""The anchor of an interval stays the anchor: a start in the past gives the phase, and no run."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import START
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"

# It is 2030-01-01T12:00:00Z, a Tuesday.
CASES: list[tuple[dict[str, Any], list[str]]] = [
    # 05:00 yesterday, daily: tomorrow at 05:00 is next.
    (
        {"repeat_every": [1, "day"], "starts_at": "2029-12-31T05:00:00Z"},
        ["2030-01-02T05:00:00.000000Z", "2030-01-03T05:00:00.000000Z"],
    ),
    # Seven hours are not a part of a day: 05:00 yesterday + 5 x 7 h = 16:00 today.
    (
        {"repeat_every": [7, "hours"], "starts_at": "2029-12-31T05:00:00Z"},
        ["2030-01-01T16:00:00.000000Z", "2030-01-01T23:00:00.000000Z"],
    ),
    # In a zone: 05:00 in Kathmandu is 23:15 in UTC the day before.
    (
        {
            "repeat_every": [1, "day"],
            "starts_at": "2029-12-31T05:00:00",
            "timezone": "Asia/Kathmandu",
        },
        ["2030-01-01T23:15:00.000000Z", "2030-01-02T23:15:00.000000Z"],
    ),
    # A time of the grid that is just now is run now.
    (
        {"repeat_every": [1, "hour"], "starts_at": "2029-12-31T05:00:00Z"},
        ["2030-01-01T12:00:00.000000Z", "2030-01-01T13:00:00.000000Z"],
    ),
    ({"repeat_every": [1, "hour"], "starts_at": 0}, ["2030-01-01T12:00:00.000000Z"]),
    (
        {"repeat_every": [90, "minutes"], "starts_at": "1970-01-01T00:00:00Z"},
        ["2030-01-01T12:00:00.000000Z", "2030-01-01T13:30:00.000000Z"],
    ),
    # A start to come is the first run.
    (
        {"repeat_every": [1, "day"], "starts_at": "2030-01-01T13:15:00Z"},
        ["2030-01-01T13:15:00.000000Z", "2030-01-02T13:15:00.000000Z"],
    ),
    # With a first run of its own, that one is the anchor (contract §3).
    (
        {"repeat_every": [1, "day"], "starts_at": "2029-12-31T05:00:00Z", "schedule_in": 60},
        ["2030-01-01T12:01:00.000000Z", "2030-01-02T12:01:00.000000Z"],
    ),
    # What is past is now, for a `scheduled_at` (contract §3).
    (
        {"repeat_every": [1, "day"], "scheduled_at": "2029-12-31T05:00:00Z"},
        ["2030-01-01T12:00:00.000000Z", "2030-01-02T12:00:00.000000Z"],
    ),
    # Bounds are of the times to come.
    (
        {
            "repeat_every": [1, "day"],
            "starts_at": "2029-12-01T05:00:00Z",
            "ends_at": "2030-01-02T05:00:00Z",
        },
        ["2030-01-02T05:00:00.000000Z"],
    ),
    (
        {"repeat_every": [1, "day"], "starts_at": "2029-12-01T05:00:00Z", "max_runs": 2},
        ["2030-01-02T05:00:00.000000Z", "2030-01-03T05:00:00.000000Z"],
    ),
    # A cron has its phase in itself.
    (
        {"cron": "0 5 * * *", "starts_at": "2029-12-31T06:00:00Z"},
        ["2030-01-02T05:00:00.000000Z", "2030-01-03T05:00:00.000000Z"],
    ),
]


@pytest.mark.parametrize(("fields", "expected"), CASES)
async def test_the_next_runs_keep_the_phase_of_the_start(
    api: httpx.AsyncClient, fields: dict[str, Any], expected: list[str]
) -> None:
    """A dry run shows them, and the job that is made waits for the first."""
    shown = await api.post("/api/jobs?dry_run=true", json={"url": URL, **fields})
    times = shown.json()["data"]["next_runs"]
    assert times[: len(expected)] == expected
    if "max_runs" in fields or "ends_at" in fields:
        assert times == expected
    made = (await api.post("/api/jobs", json={"url": URL, **fields})).json()["data"]
    assert made["job"]["scheduled_at"] == expected[0]


async def test_no_run_is_made_for_times_before_the_create(
    booper: Booper, api: httpx.AsyncClient, clock: VirtualClock, target: FakeTarget
) -> None:
    """With `misfire: all` too: what lies before the create was never missed."""
    fields = {"repeat_every": [7, "hours"], "starts_at": "2029-12-01T05:00:00Z", "misfire": "all"}
    await api.post("/api/jobs", json={"url": URL, **fields})
    await booper.wait_idle()
    assert target.received == []
    for _ in range(24):
        clock.advance(timedelta(hours=1))
        await booper.wait_idle()
    # 31 days and 7 hours after 1 December 05:00 are 751 hours: 107 periods are 749, 10:00.
    planned = [request.headers["booper-scheduled-at"] for request in target.received]
    assert planned == [
        f"2030-01-0{day}T{hour}:00:00.000000Z" for day, hour in ((1, 17), (2, "00"), (2, "07"))
    ]
    assert (await api.get("/api/logs?event=schedule.skipped")).json()["data"] == []


async def test_enable_and_changes_keep_the_phase(
    booper: Booper, api: httpx.AsyncClient, clock: VirtualClock
) -> None:
    """Disabled over a run and enabled; changed otherwise; given another start, a past one too."""
    fields = {"repeat_every": [1, "day"], "starts_at": "2029-12-31T05:00:00Z"}
    made = (await api.post("/api/jobs", json={"url": URL, **fields})).json()["data"]
    path = f"/api/schedules/{made['schedule_id']}"

    async def following() -> datetime:
        return datetime.fromisoformat((await api.get(path)).json()["data"]["next_runs"][0])

    await api.post(f"{path}/disable")
    clock.set(START + timedelta(days=2))
    await booper.wait_idle()
    await api.post(f"{path}/enable")
    assert await following() == datetime.fromisoformat("2030-01-04T05:00:00Z")
    await api.patch(path, json={"name": "n"})
    assert await following() == datetime.fromisoformat("2030-01-04T05:00:00Z")
    await api.patch(path, json={"repeat_every": [12, "hours"]})
    assert await following() == datetime.fromisoformat("2030-01-03T17:00:00Z")
    await api.patch(path, json={"starts_at": "2029-12-31T06:30:00Z"})
    assert await following() == datetime.fromisoformat("2030-01-03T18:30:00Z")

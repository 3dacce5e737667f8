"""A jitter is shorter than the time between two runs, so that no run is due after the next one."""

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

MINUTE, HOUR, DAY = 60, 3_600, 86_400

# What repeats, and the shortest time between two of its runs in seconds, of a cron at most a day.
SCHEDULES: list[tuple[dict[str, Any], int]] = [
    ({"repeat_every": 90}, 90),
    ({"repeat_every": [2, "weeks"]}, 14 * DAY),
    ({"cron": "* * * * *"}, MINUTE),
    ({"cron": "*/15 * * * *"}, 15 * MINUTE),
    ({"cron": "@hourly"}, HOUR),
    ({"cron": "0 9 * * *"}, DAY),
    ({"cron": "0 9,17 * * *"}, 8 * HOUR),
    ({"cron": "50 23 * * *"}, DAY),
    # 23:50 and 0:10 of the next day.
    ({"cron": "50,10 23,0 * * *"}, 20 * MINUTE),
    ({"cron": "0,59 * * * *"}, MINUTE),
    ({"cron": "0 9 * * MON", "timezone": "Europe/Berlin"}, DAY),
    ({"cron": "0 0 29 2 *"}, DAY),
]


async def created(api: httpx.AsyncClient, fields: dict[str, Any]) -> httpx.Response:
    """Create a schedule."""
    return await api.post("/api/jobs", json={"url": "https://target.test/", **fields})


@pytest.mark.parametrize(("timing", "seconds"), SCHEDULES)
async def test_a_jitter_is_shorter_than_the_time_between_two_runs(
    api: httpx.AsyncClient, timing: dict[str, Any], seconds: int
) -> None:
    """A second less is right, as much is not, and the error says how long it may be."""
    assert (await created(api, {**timing, "jitter": seconds - 1})).status_code == 201
    for jitter in (seconds, seconds + 1, [100, "weeks"], 36_525 * DAY):
        response = await created(api, {**timing, "jitter": jitter})
        assert response.status_code == 422
        [error] = response.json()["errors"]
        assert error["pointer"] == "/jitter"
        assert f"must be shorter than {float(seconds):g} seconds" in error["detail"]


async def test_a_change_of_a_schedule_is_held_to_it(api: httpx.AsyncClient) -> None:
    """A jitter that fitted a daily run does not fit an hourly one."""
    daily = await created(api, {"cron": "0 9 * * *", "jitter": [2, "hours"]})
    path = f"/api/schedules/{daily.json()['data']['schedule_id']}"
    refused = await api.patch(path, json={"cron": "@hourly"})
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/jitter"]
    assert (await api.patch(path, json={"cron": "@hourly", "jitter": 60})).status_code == 200

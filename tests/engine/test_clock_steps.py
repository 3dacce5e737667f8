"""A clock that was ahead and is set back: schedules go on within a period, no time runs twice.

And a time zone that is gone: its schedules say so, and stop no other.
"""

import sqlite3
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.conftest import START
from tests.support.api import URL, Api
from tests.support.running import running
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
EVERY = 10 * MINUTE
STEP = 10 * DAY

KINDS: dict[str, dict[str, Any]] = {
    "interval": {"repeat_every": [10, "minutes"]},
    "cron": {"cron": "*/10 * * * *"},
    "cron in a zone": {"cron": "*/10 * * * *", "timezone": "Europe/Berlin"},
    "catching up": {"repeat_every": [10, "minutes"], "misfire": "all"},
    "skipping": {"repeat_every": [10, "minutes"], "misfire": "skip"},
    "queueing": {"repeat_every": [10, "minutes"], "overlap": "queue"},
    "ending within the step": {
        "repeat_every": [10, "minutes"],
        "ends_at": (START + DAY).isoformat(),
        "misfire": "skip",
    },
}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def fields(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what makes a schedule of every ten minutes."""
    chosen: dict[str, Any] = request.param
    return chosen


def planned(target: FakeTarget) -> list[datetime]:
    """Return the planned times of what was sent."""
    sent = (request.headers["booper-scheduled-at"] for request in target.received)
    return [datetime.fromisoformat(at) for at in sent]


async def step(booper: Booper, clock: VirtualClock, by: timedelta) -> None:
    """Move the clock, in one step, and let everything that follows happen."""
    clock.advance(by)
    await booper.wait_idle()


async def run_on(booper: Booper, clock: VirtualClock, until: datetime) -> None:
    """Advance time in minutes."""
    while clock.now() < until:
        await step(booper, clock, MINUTE)


def judge(target: FakeTarget, since: datetime) -> None:
    """Check that no time was run twice, and that the schedule goes on within a period."""
    times = planned(target)
    assert max(Counter(times).values()) == 1
    expected = {since + n * EVERY for n in range(1, 4)}
    assert expected <= set(times)


async def test_a_clock_that_was_ahead_silences_no_schedule(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: FakeTarget,
    fields: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Ten days ahead and back: each later time is run, and GET tells them before."""
    path = await api.create_schedule(**fields)
    await run_on(booper, clock, START + 25 * MINUTE)
    await step(booper, clock, STEP)
    await step(booper, clock, -STEP)
    told = (await api.read(path))["next_runs"][:3]
    assert told == [f"2030-01-01T12:{minute}:00.000000Z" for minute in (30, 40, 50)]
    await run_on(booper, clock, START + 55 * MINUTE)
    judge(target, START + 20 * MINUTE)
    assert "the clock was set back by 10 days" in caplog.text
    assert "1 schedules and retries were planned again" in caplog.text


async def test_a_loop_that_sleeps_notices_the_step(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Nobody has to call: the clock is watched while the loop waits for a far time."""
    path = await api.create_schedule(repeat_every=[10, "minutes"])
    await step(booper, clock, STEP)
    clock.advance(-STEP)
    for _ in range(100):  # each read takes several turns of the loop
        if (await api.read(path))["next_runs"][0] == "2030-01-01T12:10:00.000000Z":
            return
    pytest.fail("nothing was planned anew")


@pytest.mark.parametrize("when", ["ahead", "back"])
@pytest.mark.parametrize("what", ["disable", "patch", "replace"])
async def test_what_a_user_does_meanwhile_does_not_silence_it_either(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: FakeTarget,
    what: str,
    when: str,
) -> None:
    """Disable and enable, PATCH, and a redeploy, while the clock is ahead and after it."""
    create = {"repeat_every": [10, "minutes"], "idempotency_key": "k", "on_conflict": "replace"}
    path = await api.create_schedule(**create)
    await run_on(booper, clock, START + 25 * MINUTE)
    await step(booper, clock, STEP)
    if what == "disable" and when == "back":
        await api.post(f"{path}/disable")
    if when == "back":
        await step(booper, clock, -STEP)
    match what:
        case "disable":
            await api.post(f"{path}/disable")
            await api.post(f"{path}/enable")
        case "patch":
            assert (await api.patch(path, json={"name": "n"})).status_code == 200
        case _:
            response = await api.post("/api/jobs", json={"url": URL, "name": "n", **create})
            assert response.status_code == 200
    if when == "ahead":
        await booper.wait_idle()
        await step(booper, clock, -STEP)
    assert (await api.read(path))["next_runs"][0] == "2030-01-01T12:30:00.000000Z"
    await run_on(booper, clock, START + 55 * MINUTE)
    judge(target, START + 20 * MINUTE)


@pytest.mark.parametrize("misfire", ["latest", "skip", "all"])
async def test_a_missed_time_that_a_run_had_while_the_clock_was_ahead_is_not_run_again(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget, misfire: str
) -> None:
    """An hour ahead and back, then asleep beyond it: each time is run or skipped, once."""
    path = await api.create_schedule(repeat_every=[10, "minutes"], misfire=misfire)
    for by in (60 * MINUTE, 25 * MINUTE, -80 * MINUTE, 75 * MINUTE, 60 * MINUTE, 30 * MINUTE):
        await step(booper, clock, by)
        await booper.wait_idle()
    told = Counter(planned(target))
    entries = (await api.get("/api/logs", params={"event": "schedule.skipped"})).json()["data"]
    for gap in (entry["payload"] for entry in entries):
        first, last = (datetime.fromisoformat(gap[name]) for name in ("first", "last"))
        times = [first + n * EVERY for n in range((last - first) // EVERY + 1)]
        assert len(times) == gap["count"]
        told.update(times)
    until = datetime.fromisoformat((await api.read(path))["next_runs"][0])
    assert told == Counter(START + n * EVERY for n in range((until - START) // EVERY))


@pytest.mark.parametrize("is_disabled", [False, True])
async def test_a_restart_with_the_right_clock_heals_it(
    config: Config, target: FakeTarget, is_disabled: bool
) -> None:
    """Stopped while the clock is ahead, started when it is right again."""
    clock = VirtualClock(START)
    async with running(config, clock, target) as (booper, api):
        path = await api.create_schedule(repeat_every=[10, "minutes"])
        await run_on(booper, clock, START + 25 * MINUTE)
        await step(booper, clock, STEP)
        if is_disabled:
            await api.post(f"{path}/disable")
    clock = VirtualClock(START + 25 * MINUTE)
    async with running(config, clock, target) as (booper, api):
        if is_disabled:
            await api.post(f"{path}/enable")
        await booper.wait_idle()
        assert (await api.read(path))["next_runs"][0] == "2030-01-01T12:30:00.000000Z"
        await run_on(booper, clock, START + 55 * MINUTE)
    judge(target, START + 20 * MINUTE)


@pytest.mark.parametrize("fields", [{"repeat_every": [10, "minutes"]}, {"cron": "*/10 * * * *"}])
async def test_a_schedule_that_was_made_while_the_clock_was_ahead_runs_too(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: FakeTarget,
    fields: dict[str, Any],
) -> None:
    """Its grid keeps its phase and begins earlier; a start that its user named stays."""
    await step(booper, clock, STEP)
    await api.create_schedule(**fields)
    named = await api.create_schedule(scheduled_at=(START + STEP + DAY).isoformat(), **fields)
    await booper.wait_idle()
    await step(booper, clock, -STEP)
    await run_on(booper, clock, START + 35 * MINUTE)
    judge(target, START)
    [first] = (await api.read(named))["next_runs"][:1]
    assert first == "2030-01-12T12:00:00.000000Z"


# What a PATCH changes while the clock is ahead, and the first run that GET tells afterwards.
# 12:00 and 12:10 have been run, or lie before the start that was asked for.
PATCHES: dict[str, tuple[dict[str, Any], str]] = {
    "soon": ({"schedule_in": 30}, "2030-01-01T12:15:30.000000Z"),
    "in two hours": ({"schedule_in": [2, "hours"]}, "2030-01-01T14:15:00.000000Z"),
    "with a new period": (
        {"schedule_in": [20, "minutes"], "repeat_every": [1, "hour"]},
        "2030-01-01T12:35:00.000000Z",
    ),
    "at a time": (
        {"scheduled_at": (START + STEP + DAY).isoformat()},
        "2030-01-12T12:00:00.000000Z",
    ),
}


@pytest.mark.parametrize("case", PATCHES)
async def test_a_start_that_was_changed_while_the_clock_was_ahead_is_meant_from_then(
    booper: Booper, api: Api, clock: VirtualClock, case: str
) -> None:
    """Thirty seconds from now are not ten days and thirty seconds once the clock is right."""
    change, first = PATCHES[case]
    path = await api.create_schedule(repeat_every=[10, "minutes"])
    await run_on(booper, clock, START + 15 * MINUTE)
    await step(booper, clock, STEP)
    assert (await api.patch(path, json=change)).status_code == 200
    await step(booper, clock, -STEP)
    assert (await api.read(path))["next_runs"][0] == first


async def test_a_start_that_is_far_away_stays_where_the_clock_was_right(
    booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """A `schedule_in` of thirty days, changed before the step, is thirty days."""
    path = await api.create_schedule(repeat_every=[10, "minutes"])
    await run_on(booper, clock, START + 15 * MINUTE)
    assert (await api.patch(path, json={"schedule_in": [30, "days"]})).status_code == 200
    await step(booper, clock, STEP)
    await step(booper, clock, -STEP)
    assert (await api.read(path))["next_runs"][0] == "2030-01-31T12:15:00.000000Z"


async def test_a_retry_that_was_put_off_by_a_wrong_clock_comes_when_it_was_to(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A one-off that failed while the clock was ahead waits for its backoff, not for the step."""
    await step(booper, clock, STEP)
    target.respond(httpx.Response(500), httpx.Response(200))
    await api.post("/api/jobs", json={"url": URL, "backoff": [60]})
    await booper.wait_idle()
    await step(booper, clock, -STEP)
    await step(booper, clock, MINUTE)
    assert len(target.received) == 2


async def test_a_run_that_was_cancelled_is_not_planned_again(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A small step back plans nothing that was called off, nor what was sent before its time."""
    path = await api.create_schedule(repeat_every=[10, "minutes"])
    await booper.wait_idle()
    [waiting] = (await api.get("/api/jobs", params={"state": "scheduled"})).json()["data"]
    await api.post(f"/api/jobs/{waiting['job_id']}/cancel")
    clock.advance(MINUTE * 5)
    await booper.wait_idle()
    await step(booper, clock, -4 * MINUTE)
    assert (await api.read(path))["next_runs"][0] == "2030-01-01T12:20:00.000000Z"


# --- a zone that disappears ---


async def test_a_zone_that_is_gone_is_told_and_stops_nobody_else(
    config: Config, target: FakeTarget
) -> None:
    """GET, the list, the log and enable say which zone; the other schedule runs on."""
    clock = VirtualClock(START)
    async with running(config, clock, target) as (booper, api):
        lost = await api.create_schedule(cron="*/10 * * * *", timezone="Asia/Kathmandu")
        other = await api.create_schedule(cron="*/10 * * * *", timezone="Europe/Berlin")
        waiting = await api.create_schedule(cron="0 0 1 1 *", timezone="Asia/Tokyo")
        await booper.wait_idle()
    with sqlite3.connect(config.database.path) as database:
        database.execute("UPDATE schedules SET args = replace(args, 'Kathmandu', 'Atlantis')")
        database.execute("UPDATE schedules SET args = replace(args, 'Tokyo', 'Atlantis')")
    database.close()
    async with running(config, clock, target) as (booper, api):
        assert "Asia/Atlantis" in (await api.read(lost))["error"]
        assert "error" not in await api.read(other)
        await run_on(booper, clock, START + 25 * MINUTE)
        found = await api.read(lost)
        assert "Asia/Atlantis" in found["error"]
        assert found["disabled_at"] is not None
        assert found["next_runs"] == []
        [entry] = (await api.get("/api/logs?event=worker.http.error")).json()["data"]
        assert "Asia/Atlantis" in entry["payload"]["message"]
        assert planned(target) == [START + EVERY, START + 2 * EVERY]
        listed = (await api.get("/api/schedules")).json()["data"]
        assert sum("error" in each for each in listed) == 2
        refused = await api.post(f"{lost}/enable")
        assert refused.status_code == 409
        assert "Asia/Atlantis" in refused.json()["detail"]
        for found in (await api.get("/api/jobs", params={"state": "scheduled"})).json()["data"]:
            if f"/api/schedules/{found['schedule_id']}" == waiting:
                response = await api.post(f"/api/jobs/{found['job_id']}/cancel")
                assert response.status_code == 200
        for path in (lost, waiting):
            assert (await api.patch(path, json={"timezone": "Asia/Tokyo"})).status_code == 200
            assert (await api.post(f"{path}/enable")).status_code == 200
            assert len((await api.read(path))["next_runs"]) == 5


async def test_a_change_of_a_disabled_schedule_logs_no_time_twice(
    booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """Disabled for 20 minutes, changed after ten: 20 times were skipped, in one entry of 20."""
    body = {"url": "https://target.test/", "repeat_every": 60}
    made = (await api.post("/api/jobs", json=body)).json()["data"]["schedule_id"]
    await booper.wait_idle()
    await api.post(f"/api/schedules/{made}/disable")
    for minute in (10, 20):
        clock.advance(timedelta(minutes=10))
        response = await api.patch(f"/api/schedules/{made}", json={"name": f"after {minute}"})
        assert response.status_code == 200, response.text
    await api.post(f"/api/schedules/{made}/enable")
    entries = (await api.get("/api/logs", params={"event": "schedule.skipped"})).json()["data"]
    assert [entry["payload"]["count"] for entry in entries] == [20]


async def test_times_that_were_skipped_long_ago_are_told_once(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Set back into a time that was skipped over a thousand runs before, they are planned again."""
    path = await api.create_schedule(repeat_every=60)
    for by in (3 * DAY, -DAY, MINUTE):
        await step(booper, clock, by)
    await run_on(booper, clock, clock.now() + 1_001 * MINUTE)
    for by in (-2 * DAY, MINUTE, 3 * DAY):
        await step(booper, clock, by)
    told = Counter(planned(target))
    entries = (await api.get("/api/logs", params={"event": "schedule.skipped"})).json()["data"]
    for gap in (entry["payload"] for entry in entries):
        first, last = (datetime.fromisoformat(gap[name]) for name in ("first", "last"))
        told.update(first + n * MINUTE for n in range((last - first) // MINUTE + 1))
    until = datetime.fromisoformat((await api.read(path))["next_runs"][0])
    assert told == Counter(START + n * MINUTE for n in range((until - START) // MINUTE))

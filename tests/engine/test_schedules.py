"""Schedules end to end: when runs leave, and what becomes of those that do not."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.conftest import START
from tests.support.api import Api
from tests.support.programs import json_of, planned_at
from tests.support.running import running
from tests.support.schedules import gap, noon, pass_through, sent, wire
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

DEADLINE_SECONDS = 5.0


def utc(*parts: int) -> datetime:
    """Return a time of UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # year, month, day and so on


async def skipped(api: Api) -> list[dict[str, Any]]:
    """Return what the log says was not run, oldest first."""
    path = "/api/logs?event=schedule.skipped&order_by=inserted_at,asc&limit=100"
    return [entry["payload"] for entry in await api.read(path)]


async def waiting(api: Api, schedule_id: str) -> dict[str, Any]:
    """Return the one run of a schedule that waits."""
    (job,) = await api.read(f"/api/jobs?state=scheduled,available&schedule_id={schedule_id}")
    found: dict[str, Any] = job
    return found


async def pass_held(api: Api, clock: VirtualClock, target: FakeTarget, at: datetime) -> None:
    """Advance to a time while the target does not respond; return once the loop has seen it.

    Nothing is idle then, so a job of another host is claimed together with what is due.
    """
    await api.create(url="https://marker.test/", scheduled_at=wire(at))
    target.arrived.clear()
    clock.set(at)
    await arrival(target)


async def arrival(target: FakeTarget) -> None:
    """Return once something has arrived since `arrived` was cleared."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        await target.arrived.wait()


# When runs leave


async def test_the_grid_does_not_drift(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Runs that leave a second later each time are still planned ten minutes apart."""
    first = noon() + timedelta(seconds=7.25)
    await api.create(scheduled_at=wire(first), repeat_every=[10, "minutes"])
    grid = [first + n * 10 * MINUTE for n in range(40)]
    await pass_through(booper, clock, (at + n * SECOND for n, at in enumerate(grid)))
    assert sent(target) == grid


async def test_without_a_time_an_interval_begins_at_once_and_a_cron_at_its_next_match(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """At 12:20 `repeat_every` runs now and at 13:20, a cron of the full hour at 13:00."""
    clock.set(noon(20))
    await api.create(url="https://interval.test/", repeat_every=[1, "hour"])
    await api.create(url="https://cron.test/", cron="0 * * * *")
    await pass_through(booper, clock, [noon(20), noon(60), noon(80)])
    assert sent(target, "interval.test") == [noon(20), noon(80)]
    assert sent(target, "cron.test") == [noon(60)]


async def test_the_night_that_skips_an_hour(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """On 10 March 2030 New York goes from 2:00 EST (7:00 UTC) to 3:00 EDT.

    2:30 is 7:30 UTC the day before, does not exist and runs at the gap's end, 7:00 UTC, that night,
    and is 6:30 UTC the day after. A job of every half hour runs every half hour.
    """
    clock.set(utc(2030, 3, 9, 6))
    zone = {"timezone": "America/New_York"}
    await api.create(url="https://fixed.test/", cron="30 2 * * *", **zone)
    await api.create(url="https://wildcard.test/", cron="*/30 * * * *", **zone)
    halves = [utc(2030, 3, 9, 6) + n * 30 * MINUTE for n in range(1, 100)]
    await pass_through(booper, clock, halves)
    assert sent(target, "fixed.test") == [
        utc(2030, 3, 9, 7, 30),
        utc(2030, 3, 10, 7),
        utc(2030, 3, 11, 6, 30),
    ]
    assert sent(target, "wildcard.test") == halves


async def test_the_night_that_repeats_an_hour(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """On 3 November 2030 New York goes from 2:00 EDT (6:00 UTC) back to 1:00 EST.

    1:30 is 5:30 UTC until then and 6:30 UTC after; that night it comes at 5:30 and at 6:30, and
    the job runs at the first. A job of every half hour runs every half hour.
    """
    clock.set(utc(2030, 11, 2, 5))
    zone = {"timezone": "America/New_York"}
    await api.create(url="https://fixed.test/", cron="30 1 * * *", **zone)
    await api.create(url="https://wildcard.test/", cron="*/30 * * * *", **zone)
    halves = [utc(2030, 11, 2, 5) + n * 30 * MINUTE for n in range(1, 100)]
    await pass_through(booper, clock, halves)
    assert sent(target, "fixed.test") == [
        utc(2030, 11, 2, 5, 30),
        utc(2030, 11, 3, 5, 30),
        utc(2030, 11, 4, 6, 30),
    ]
    assert sent(target, "wildcard.test") == halves


async def test_jitter_delays_a_run_but_not_its_planned_time(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """With 10 minutes of jitter each run is due up to 10 minutes after its hour, never before."""
    resource = await api.create(repeat_every=[1, "hour"], jitter=[10, "minutes"])
    late = []
    for n in range(24):
        run = await waiting(api, resource["schedule_id"])
        due = datetime.fromisoformat(run["job"]["scheduled_at"])
        late.append(due - noon(60 * n))
        await pass_through(booper, clock, [due - timedelta(microseconds=1)])
        assert len(target.received) == n
        await pass_through(booper, clock, [due])
    assert sent(target) == [noon(60 * n) for n in range(24)]
    assert all(timedelta(0) <= delay <= 10 * MINUTE for delay in late)
    assert len(set(late)) > 20


async def test_a_schedule_keeps_within_its_window(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Between 14:30 and 17:30 lie 15:00, 16:00 and 17:00; then the schedule has ended."""
    resource = await api.create(
        cron="0 * * * *", starts_at="2030-01-01T14:30:00Z", ends_at="2030-01-01T17:30:00Z"
    )
    await pass_through(booper, clock, (noon(60 * n) for n in range(1, 12)))
    assert sent(target) == [noon(180), noon(240), noon(300)]
    schedule = await api.read(f"/api/schedules/{resource['schedule_id']}")
    assert schedule["next_runs"] == []
    assert await skipped(api) == []


async def test_an_interval_begins_where_its_window_does(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """`starts_at` 12:07 moves the grid of 20 minutes there: 12:07, 12:27, 12:47."""
    await api.create(repeat_every=[20, "minutes"], starts_at=wire(noon(7)), ends_at=wire(noon(50)))
    await pass_through(booper, clock, (noon(n) for n in range(120)))
    assert sent(target) == [noon(7), noon(27), noon(47)]


async def test_a_schedule_ends_after_its_last_run(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """With `max_runs` of 3 a schedule of every hour runs three times."""
    resource = await api.create(repeat_every=[1, "hour"], max_runs=3)
    await pass_through(booper, clock, (noon(60 * n) for n in range(10)))
    assert sent(target) == [noon(), noon(60), noon(120)]
    assert (await api.read(f"/api/schedules/{resource['schedule_id']}"))["next_runs"] == []
    path = f"/api/jobs?schedule_id={resource['schedule_id']}&limit=100"
    assert [job["job"]["state"] for job in await api.read(path)] == ["completed"] * 3


# A run that is due while its predecessor executes


async def test_overlap_skip_leaves_out_what_falls_due_meanwhile(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """The run of 12:00 takes until 12:05:30; 12:01 to 12:05 are one gap, 12:06 runs."""
    resource = await api.create(repeat_every=[1, "minute"])
    target.hold()
    await arrival(target)
    for n in range(1, 6):
        await pass_held(api, clock, target, noon(n))
    assert sent(target) == [noon()]
    clock.set(noon(5.5))
    target.release()
    await pass_through(booper, clock, [noon(5.5), noon(6)])
    assert sent(target) == [noon(), noon(6)]
    assert await skipped(api) == [gap("overlap", noon(1), noon(5), 5)]
    run = await waiting(api, resource["schedule_id"])
    assert run["job"]["scheduled_at"] == wire(noon(7))


async def test_overlap_queue_keeps_one_waiting(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """The run of 12:00 takes until 12:03:30; 12:01 follows at once, 12:02 and 12:03 are a gap."""
    await api.create(repeat_every=[1, "minute"], overlap="queue")
    target.hold()
    await arrival(target)
    for n in (1, 2, 3):
        await pass_held(api, clock, target, noon(n))
    assert sent(target) == [noon()]
    clock.set(noon(3.5))
    target.release()
    await pass_through(booper, clock, [noon(3.5)])
    assert sent(target) == [noon(), noon(1)]
    await pass_through(booper, clock, [noon(4)])
    assert sent(target) == [noon(), noon(1), noon(4)]
    assert await skipped(api) == [gap("overlap", noon(2), noon(3), 2)]


async def test_overlap_allow_starts_a_run_beside_its_predecessor(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Three runs are on their way at once, and nothing is skipped."""
    await api.create(repeat_every=[1, "minute"], overlap="allow")
    target.hold()
    await arrival(target)
    for n in (1, 2):
        target.arrived.clear()
        clock.set(noon(n))
        await arrival(target)
    assert sent(target) == [noon(), noon(1), noon(2)]
    assert len(await api.read("/api/jobs?state=executing")) == 3
    target.release()
    await booper.wait_idle()
    assert await skipped(api) == []


async def test_a_queued_run_follows_when_its_predecessor_is_cancelled(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Cancelling frees the way once the cancelled request has come to its end."""
    resource = await api.create(repeat_every=[1, "minute"], overlap="queue")
    target.hold()
    await arrival(target)
    await pass_held(api, clock, target, noon(1))
    await api.act(f"/api/jobs/{resource['job_id']}/cancel")
    target.release()
    await booper.wait_idle()
    assert sent(target) == [noon(), noon(1)]


async def test_a_queued_run_follows_when_what_waits_for_a_retry_is_cancelled(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Whatever a queued run waits for, it goes as soon as that is out of the way."""
    resource = await api.create(
        repeat_every=[1, "minute"],
        scheduled_at=wire(noon(1)),
        overlap="queue",
        backoff=[[1, "hour"]],
    )
    target.respond(httpx.Response(500))
    extra = await api.act(f"/api/schedules/{resource['schedule_id']}/run")
    await pass_through(booper, clock, [noon(), noon(1)])
    await api.act(f"/api/jobs/{extra['job_id']}/cancel")
    await booper.wait_idle()
    assert sent(target) == [noon(), noon(1)]


# Times that passed while booper could not send


MISFIRES: dict[str, tuple[list[datetime], list[dict[str, Any]]]] = {
    "latest": (
        [utc(2030, 1, 10, 9)],
        [gap("misfire", utc(2030, 1, 4, 9), utc(2030, 1, 9, 9), 6)],
    ),
    "skip": ([], [gap("misfire", utc(2030, 1, 4, 9), utc(2030, 1, 10, 9), 7)]),
    "all": ([utc(2030, 1, day, 9) for day in range(4, 11)], []),
}


@pytest.mark.parametrize("misfire", MISFIRES)
async def test_a_week_of_downtime(
    config: Config, clock: VirtualClock, target: FakeTarget, misfire: str
) -> None:
    """A job of 9:00 ran on 2 and 3 January; booper is back on the 10th at noon.

    Seven times were missed, the 4th to the 10th: `latest` runs the last, `skip` none, `all` each,
    and the rest is one gap. The next run is that of the 11th.
    """
    expected, gaps = MISFIRES[misfire]
    before = [utc(2030, 1, 2, 9), utc(2030, 1, 3, 9)]
    async with running(config, clock, target) as (booper, api):
        await api.create(cron="0 9 * * *", misfire=misfire)
        await pass_through(booper, clock, before)
    clock.set(utc(2030, 1, 10, 12))
    async with running(config, clock, target) as (booper, api):
        await booper.wait_idle()
        assert sent(target) == [*before, *expected]
        assert await skipped(api) == gaps
        await pass_through(booper, clock, [utc(2030, 1, 11, 9)])
        assert sent(target) == [*before, *expected, utc(2030, 1, 11, 9)]
        assert await skipped(api) == gaps


async def test_misfire_all_makes_up_for_a_hundred_runs_at_most(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """A week has 7 * 24 * 6 = 1,008 runs ten minutes apart; 100 are sent, 908 are a gap.

    The last is that of noon on the 8th, five minutes ago; the first of the hundred comes 99 * 10
    minutes, 16:30 hours, before it: 19:30 on the 7th.
    """
    async with running(config, clock, target) as (booper, api):
        await api.create(repeat_every=[10, "minutes"], misfire="all")
        await booper.wait_idle()
    last = START + 7 * DAY
    clock.set(last + 5 * MINUTE)
    async with running(config, clock, target) as (booper, api):
        await booper.wait_idle()
        assert sent(target)[1:] == [last - n * 10 * MINUTE for n in range(99, -1, -1)]
        assert sent(target)[1] == utc(2030, 1, 7, 19, 30)
        assert await skipped(api) == [gap("misfire", noon(10), utc(2030, 1, 7, 19, 20), 908)]


@pytest.mark.parametrize("misfire", ["latest", "skip", "all"])
async def test_a_minute_late_is_not_missed(
    config: Config, clock: VirtualClock, target: FakeTarget, misfire: str
) -> None:
    """A run that is 60 s late when booper is back is sent, whatever `misfire` says."""
    async with running(config, clock, target) as (booper, api):
        await api.create(cron="0 13 * * *", misfire=misfire)
    clock.set(noon(61))
    async with running(config, clock, target) as (booper, api):
        await booper.wait_idle()
        assert sent(target) == [noon(60)]
        assert await skipped(api) == []


async def test_what_a_pause_held_back_is_missed_not_late(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Paused from 12:30 to 15:30, a schedule of every hour runs 15:00 then; 13:00 and 14:00 are a
    gap. A one-off job is not missed but sent, and another host is not paused.
    """
    await api.create(repeat_every=[1, "hour"])
    await api.create(url="https://other.test/", repeat_every=[1, "hour"])
    await api.create(url="https://target.test/once", schedule_in=[1, "hour"])
    await pass_through(booper, clock, [noon(), noon(30)])
    await api.act("/api/pause", {"host": "target.test"})
    await pass_through(booper, clock, [noon(60), noon(120), noon(180), noon(210)])
    assert sent(target) == [noon()]
    assert sent(target, "other.test") == [noon(), noon(60), noon(120), noon(180)]
    await api.act("/api/resume", {"host": "target.test"})
    await booper.wait_idle()
    paths = {request.url.path: planned_at(request) for request in target.received[-2:]}
    assert paths == {"/hook": noon(180), "/once": noon(60)}
    assert await skipped(api) == [gap("misfire", noon(60), noon(120), 2)]


async def test_a_pause_outlives_a_restart(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """What was paused stays so when booper starts again, and jobs wait in their state."""
    async with running(config, clock, target) as (booper, api):
        resource = await api.create(repeat_every=[1, "hour"], misfire="skip")
        await booper.wait_idle()
        await api.act("/api/pause")
    clock.set(noon(90))
    async with running(config, clock, target) as (booper, api):
        await booper.wait_idle()
        assert sent(target) == [noon()]
        run = await waiting(api, resource["schedule_id"])
        assert run["job"]["state"] == "available"
        await api.act("/api/resume")
        await pass_through(booper, clock, [noon(90), noon(120)])
        assert sent(target) == [noon(), noon(120)]
        assert await skipped(api) == [gap("misfire", noon(60), noon(60), 1)]


async def test_a_gap_is_an_ordinary_log_entry(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """An entry `schedule.skipped` has the six keys of every entry, about the run that waited."""
    resource = await api.create(repeat_every=[1, "hour"], misfire="skip")
    await booper.wait_idle()
    clock.set(noon(300))
    await booper.wait_idle()
    (entry,) = await api.read("/api/logs?event=schedule.skipped")
    assert entry.keys() == {"event", "id", "inserted_at", "job_id", "payload", "user_id"}
    assert (entry["event"], entry["inserted_at"]) == ("schedule.skipped", wire(noon(300)))
    assert entry["user_id"] == resource["user_id"]
    # 13:00 to 16:00; the run of 17:00 is on time and goes.
    assert entry["payload"] == gap("misfire", noon(60), noon(240), 4)
    assert sent(target) == [noon(), noon(300)]
    assert await api.read(f"/api/logs/{entry['id']}") == entry


# Disabling, cancelling, and runs beside the plan


async def test_what_a_disabled_schedule_would_have_run_is_accounted_for(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Disabled from 12:30 to 17:30, the times 13:00 to 17:00 are one gap; 18:00 runs."""
    resource = await api.create(repeat_every=[1, "hour"])
    schedule = f"/api/schedules/{resource['schedule_id']}"
    await pass_through(booper, clock, [noon(), noon(30)])
    disabled = await api.act(f"{schedule}/disable")
    assert disabled["disabled_at"] == "2030-01-01T12:30:00Z"
    await pass_through(booper, clock, (noon(60 * n + 30) for n in range(1, 6)))
    enabled = await api.act(f"{schedule}/enable")
    assert enabled["disabled_at"] is None
    await pass_through(booper, clock, [noon(360)])
    assert sent(target) == [noon(), noon(360)]
    assert await skipped(api) == [gap("disabled", noon(60), noon(300), 5)]


async def test_a_schedule_disabled_between_two_runs_misses_none(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Enabled again before the next planned time, it runs then, and no gap is told."""
    resource = await api.create(repeat_every=[1, "hour"])
    schedule = f"/api/schedules/{resource['schedule_id']}"
    await pass_through(booper, clock, [noon(), noon(30)])
    await api.act(f"{schedule}/disable")
    await pass_through(booper, clock, [noon(40)])
    await api.act(f"{schedule}/enable")
    await pass_through(booper, clock, [noon(60)])
    assert sent(target) == [noon(), noon(60)]
    assert await skipped(api) == []


async def test_times_of_a_disabled_schedule_are_accounted_for_when_it_is_changed(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Changed at 15:30 and enabled at 15:40, it has skipped 13:00 to 15:00 of the old grid."""
    resource = await api.create(cron="0 * * * *")
    schedule = f"/api/schedules/{resource['schedule_id']}"
    await api.act(f"{schedule}/disable")
    await pass_through(booper, clock, [noon(210)])
    response = await api.patch(schedule, json={"cron": "45 * * * *"})
    assert response.status_code == 200, response.text
    await pass_through(booper, clock, [noon(220)])
    await api.act(f"{schedule}/enable")
    await pass_through(booper, clock, [noon(225)])
    assert sent(target) == [noon(225)]
    assert await skipped(api) == [gap("disabled", noon(60), noon(180), 3)]


async def test_cancelling_the_waiting_run_plans_the_next(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """The run of 13:00 is cancelled; that of 14:00 takes its place."""
    resource = await api.create(repeat_every=[1, "hour"])
    await booper.wait_idle()
    run = await waiting(api, resource["schedule_id"])
    cancelled = await api.act(f"/api/jobs/{run['job_id']}/cancel")
    assert cancelled["job"]["state"] == "cancelled"
    assert (await waiting(api, resource["schedule_id"]))["job"]["scheduled_at"] == wire(noon(120))
    await pass_through(booper, clock, [noon(60), noon(120)])
    assert sent(target) == [noon(), noon(120)]
    assert await skipped(api) == []


async def test_a_cancelled_run_divides_a_gap(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """12:01 and 12:03 are skipped, 12:02 was cancelled: no gap holds it, so there are two."""
    resource = await api.create(repeat_every=[1, "minute"])
    target.hold()
    await arrival(target)
    await pass_held(api, clock, target, noon(1))
    run = await waiting(api, resource["schedule_id"])
    await api.act(f"/api/jobs/{run['job_id']}/cancel")
    await pass_held(api, clock, target, noon(3))
    target.release()
    await booper.wait_idle()
    assert await skipped(api) == [
        gap("overlap", noon(1), noon(1), 1),
        gap("overlap", noon(3), noon(3), 1),
    ]


async def test_deleting_a_schedule_cancels_its_waiting_run_and_keeps_past_jobs(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """After the 204 the schedule is not there, nothing more is sent, and its jobs are."""
    resource = await api.create(repeat_every=[1, "hour"])
    await booper.wait_idle()
    run = await waiting(api, resource["schedule_id"])
    schedule = f"/api/schedules/{resource['schedule_id']}"
    assert (await api.delete(schedule)).status_code == 204
    assert (await api.get(schedule)).status_code == 404
    await pass_through(booper, clock, [noon(60), noon(120)])
    assert sent(target) == [noon()]
    states = {job["job_id"]: job["job"]["state"] for job in await api.read("/api/jobs")}
    assert states == {resource["job_id"]: "completed", run["job_id"]: "cancelled"}


async def test_a_run_beside_the_plan_leaves_the_plan_alone(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """An extra run at 12:30, with a body of its own, changes neither 13:00 nor the body there."""
    resource = await api.create(
        method="post", body={"kind": "planned"}, repeat_every=[1, "hour"], max_runs=2
    )
    await pass_through(booper, clock, [noon(), noon(30)])
    extra = await api.act(
        f"/api/schedules/{resource['schedule_id']}/run", {"body": {"kind": "extra"}}
    )
    assert extra["schedule_id"] == resource["schedule_id"]
    await pass_through(booper, clock, [noon(30), noon(60), noon(120)])
    assert sent(target) == [noon(), noon(30), noon(60)]
    kinds = [json_of(request)["kind"] for request in target.received]
    assert kinds == ["planned", "extra", "planned"]
    assert json_of(target.received[1])["$job"]["id"] == extra["job_id"]


async def test_an_extra_run_that_waits_for_its_retry_holds_up_nothing(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """It does not execute while it waits, so the runs of the plan go at their times."""
    resource = await api.create(repeat_every=[1, "minute"], backoff=[[1, "hour"]])
    await booper.wait_idle()
    target.respond(httpx.Response(500))
    await api.act(f"/api/schedules/{resource['schedule_id']}/run")
    await pass_through(booper, clock, [noon(), noon(1), noon(2)])
    assert sent(target) == [noon(), noon(), noon(1), noon(2)]
    assert await skipped(api) == []


async def test_the_waiting_run_can_go_before_its_time(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Told to run at 12:30, the run of 13:00 leaves then, and the next is that of 14:00."""
    resource = await api.create(repeat_every=[1, "hour"])
    await pass_through(booper, clock, [noon(), noon(30)])
    run = await waiting(api, resource["schedule_id"])
    await api.act(f"/api/jobs/{run['job_id']}/run")
    await pass_through(booper, clock, [noon(30)])
    assert sent(target) == [noon(), noon(60)]
    await pass_through(booper, clock, [noon(60), noon(120)])
    assert sent(target) == [noon(), noon(60), noon(120)]


# Runs that fail


async def test_a_run_is_retried_only_until_the_next_is_due(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Every 10 s from 12:00 on the run is tried again; at 12:01 it would meet the next and ends.

    Attempts at 0, 10, 20, 30, 40 and 50 s make six, all of the same planned time.
    """
    target.respond(*[httpx.Response(500)] * 6)
    resource = await api.create(repeat_every=[1, "minute"], backoff=[10])
    await pass_through(booper, clock, (noon() + n * 10 * SECOND for n in range(6)))
    assert sent(target) == [noon()] * 6
    run = await api.read(f"/api/jobs/{resource['job_id']}")
    assert (run["job"]["state"], run["job"]["attempt"]) == ("discarded", 6)
    assert "next run" in run["job"]["last_error"]
    await pass_through(booper, clock, [noon(1)])
    assert sent(target)[6:] == [noon(1)]
    assert await skipped(api) == []


async def test_the_last_run_of_a_schedule_may_use_all_its_attempts(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """After it nothing is planned, so nothing bounds its retries but `max_attempts`."""
    target.respond(*[httpx.Response(500)] * 5)
    resource = await api.create(
        repeat_every=[15, "seconds"], max_runs=1, backoff=[10], max_attempts=5
    )
    await pass_through(booper, clock, (noon() + n * 10 * SECOND for n in range(10)))
    assert sent(target) == [noon()] * 5
    run = await api.read(f"/api/jobs/{resource['job_id']}")
    assert (run["job"]["state"], run["job"]["attempt"]) == ("discarded", 5)

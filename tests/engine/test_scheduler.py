"""The loop: when requests leave, what their outcomes make of jobs, how it stops."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from random import Random

import anyio
import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import StoreUnavailable
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


async def test_a_job_leaves_at_its_time_and_not_before(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A job due in an hour is sent when the clock has passed that hour, within milliseconds."""
    number = await api.create_id(schedule_in=[1, "hour"])
    clock.advance(timedelta(minutes=59, seconds=59))
    await booper.wait_idle()
    assert target.received == []
    clock.advance(timedelta(seconds=1))
    await booper.wait_idle()
    assert len(target.received) == 1
    assert (await api.job(number))["state"] == "completed"


async def test_a_nearer_job_posted_later_leaves_first(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """The loop that sleeps until a far job is woken by a nearer one."""
    await api.create_id(schedule_in=[2, "hours"], url="https://far.test/")
    await api.create_id(schedule_in=[1, "hour"], url="https://near.test/")
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    assert [request.url.host for request in target.received] == ["near.test"]


async def test_a_failed_attempt_is_made_again_after_its_backoff(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """After a 500 the job waits 15 + 2^1 = 17 s, plus at most 10 %, and then succeeds."""
    target.respond(httpx.Response(500))
    number = await api.create_id()
    await booper.wait_idle()
    waiting = await api.job(number)
    assert (waiting["state"], waiting["attempt"]) == ("retryable", 1)
    assert waiting["last_error"] == "the target responded 500"
    clock.advance(timedelta(seconds=16.9))
    await booper.wait_idle()
    assert len(target.received) == 1
    clock.advance(timedelta(seconds=1.9))
    await booper.wait_idle()
    assert (await api.job(number))["state"] == "completed"
    assert [request.headers["booper-attempt"] for request in target.received] == ["1", "2"]


async def test_retry_after_moves_the_next_attempt_later(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A target that asks for an hour is left alone for an hour."""
    target.respond(httpx.Response(503, headers={"Retry-After": "3600"}))
    await api.create_id()
    await booper.wait_idle()
    clock.advance(timedelta(seconds=3599))
    await booper.wait_idle()
    assert len(target.received) == 1
    clock.advance(timedelta(seconds=1))
    await booper.wait_idle()
    assert len(target.received) == 2


async def test_a_job_is_discarded_when_its_attempts_are_used_up(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """With two attempts and a fixed backoff, the second failure is the last."""
    target.respond(httpx.Response(500), httpx.ConnectError("refused"))
    number = await api.create_id(max_attempts=2, backoff=[60])
    await booper.wait_idle()
    clock.advance(timedelta(seconds=60))
    await booper.wait_idle()
    ended = await api.job(number)
    assert (ended["state"], ended["last_error"]) == ("discarded", "connect: refused")
    assert ended["discarded_at"] is not None


async def test_a_target_that_is_gone_is_not_asked_again(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """410 discards at once, whatever attempts are left."""
    target.respond(httpx.Response(410))
    number = await api.create_id()
    await booper.wait_idle()
    assert (await api.job(number))["state"] == "discarded"


async def test_a_clock_that_steps_back_loses_no_job(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A job due in an hour survives a step of a day back, and leaves when its time comes again."""
    await api.create_id(schedule_in=[1, "hour"])
    clock.advance(timedelta(days=-1))
    await booper.wait_idle()
    assert target.received == []
    clock.advance(timedelta(days=1, hours=1))
    await booper.wait_idle()
    assert len(target.received) == 1


async def test_after_a_suspended_night_everything_due_leaves_in_order(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A jump of eight hours sends what fell due meanwhile, each once, the oldest first."""
    for hour in (3, 1, 2):
        await api.create_id(schedule_in=[hour, "hours"], url=f"https://h{hour}.test/")
    clock.advance(timedelta(hours=8))
    await booper.wait_idle()
    assert [request.url.host for request in target.received] == ["h1.test", "h2.test", "h3.test"]


async def test_a_slow_host_does_not_hold_up_another(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """With more jobs to a hanging host than it has slots, another host's job still leaves."""
    target.hold()
    for _ in range(booper.config.delivery.per_host + 5):
        await api.create_id(url="https://hangs.test/")
    await api.create_id(url="https://healthy.test/")
    while "healthy.test" not in [request.url.host for request in target.received]:
        target.arrived.clear()
        await target.arrived.wait()
    hanging = [request for request in target.received if request.url.host == "hangs.test"]
    assert len(hanging) == booper.config.delivery.per_host
    target.release()
    await booper.wait_idle()
    assert len(target.received) == booper.config.delivery.per_host + 6


async def test_what_is_cancelled_while_executing_stays_cancelled(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """The response to a request whose job was cancelled meanwhile is logged and changes nothing."""
    target.hold()
    number = await api.create_id()
    await target.arrived.wait()
    response = await api.post(f"/api/jobs/{number}/cancel")
    assert response.json()["data"]["job"]["state"] == "cancelled"
    target.release()
    await booper.wait_idle()
    assert (await api.job(number))["state"] == "cancelled"
    events = [entry["event"] for entry in (await api.get("/api/logs")).json()["data"]]
    assert sorted(events) == ["worker.http.request", "worker.http.response"]


async def test_a_fault_of_our_own_ends_one_attempt_and_not_the_loop(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Whatever sending a job raises, the job fails with it and the next one is sent."""
    target.respond(RuntimeError("a bug"))
    number = await api.create_id()
    await booper.wait_idle()
    failed = await api.job(number)
    assert (failed["state"], failed["last_error"]) == ("retryable", "internal: RuntimeError: a bug")
    following = await api.create_id()
    await booper.wait_idle()
    assert (await api.job(following))["state"] == "completed"


@pytest.mark.parametrize(("hosts", "each", "status"), [(4, 16, 503), (1, 17, 200)])
async def test_readiness_ends_where_a_job_that_may_go_waits_for_five_seconds(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: FakeTarget,
    hosts: int,
    each: int,
    status: int,
) -> None:
    """Four hosts that hang take all 64 slots from a fifth; one alone keeps nobody but itself."""
    target.hold()
    for host in range(hosts):
        for _ in range(each):
            await api.create_id(url=f"https://hangs{host}.test/", timeout=[10, "minutes"])
    while len(target.received) < min(hosts * each, hosts * 16):
        target.arrived.clear()
        await target.arrived.wait()
    if hosts == 4:
        await api.create_id(url="https://healthy.test/")
    assert (await api.get("/readyz")).status_code == 200
    clock.advance(timedelta(seconds=4))
    await anyio.wait_all_tasks_blocked()
    clock.advance(timedelta(seconds=2))
    await anyio.wait_all_tasks_blocked()
    assert (await api.get("/readyz")).status_code == status
    target.release()
    await booper.wait_idle()
    assert (await api.get("/readyz")).status_code == 200


async def test_a_host_with_more_due_than_there_is_room_for_is_served_to_the_end(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Of 2,500 jobs to one host every one arrives once, though a queue holds a thousand."""
    target.hold()
    for start in range(0, 2_500, 500):
        jobs = [{"url": f"https://one.test/{start + number}"} for number in range(500)]
        await api.post("/api/jobs/batch", json={"jobs": jobs})
    await api.create_id(url="https://other.test/")
    while "other.test" not in [request.url.host for request in target.received]:
        target.arrived.clear()
        await target.arrived.wait()
    target.release()
    await booper.wait_idle()
    paths = [request.url.path for request in target.received if request.url.host == "one.test"]
    assert sorted(paths, key=lambda path: int(path[1:])) == [f"/{n}" for n in range(2_500)]


async def test_a_held_run_hides_nothing_of_its_host(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Of 2,500 jobs every one is sent, though first of all that is due a run waits for another."""
    target.hold("/run")
    await api.create_id(url="https://one.test/run", repeat_every=[1, "minute"], overlap="queue")
    await target.arrived.wait()
    clock.advance(timedelta(minutes=1))
    for start in range(0, 2_500, 500):
        jobs = [{"url": f"https://one.test/{start + number}"} for number in range(500)]
        await api.post("/api/jobs/batch", json={"jobs": jobs})
    with anyio.fail_after(60):
        while len(target.received) < 2_501:
            target.arrived.clear()
            await target.arrived.wait()
    paths = {request.url.path for request in target.received}
    assert paths == {"/run"} | {f"/{number}" for number in range(2_500)}
    target.release()
    await booper.wait_idle()
    assert [request.url.path for request in target.received[2_501:]] == ["/run"]


async def test_a_job_that_nobody_armed_is_found_within_a_minute(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget, config: Config
) -> None:
    """A job that is in the table but not in the timers leaves when the table is read again."""
    await api.create_id(schedule_in=[1, "day"])
    await booper.wait_idle()
    with closing(sqlite3.connect(config.database.path)) as database, database:
        database.execute("UPDATE jobs SET scheduled_at = planned_at - 86400000000")
    await booper.wait_idle()
    assert target.received == []
    clock.advance(timedelta(minutes=1))
    await booper.wait_idle()
    assert len(target.received) == 1


@asynccontextmanager
async def calling(booper: Booper) -> AsyncIterator[Api]:
    """Call a booper that a test starts by itself."""
    async with Api(booper.administration) as client:
        yield client


async def test_what_has_started_is_ready_and_what_stops_is_not(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """From the first call on, which may come before the loop's first turn, until the stop."""
    booper = Booper(config, clock=clock, random=Random(1), transport=target)
    async with booper, calling(booper) as client:
        assert (await client.get("/readyz")).status_code == 200
        await booper.drain()
        assert (await client.get("/readyz")).status_code == 503


async def test_where_the_loop_has_failed_nothing_is_ready(
    config: Config, clock: VirtualClock, target: FakeTarget, caplog: pytest.LogCaptureFixture
) -> None:
    """A loop that cannot read its pauses ends; the probe, whoever waits and the log tell of it."""
    async with Booper(config, clock=clock, transport=target):
        pass
    with closing(sqlite3.connect(config.database.path)) as database, database:
        database.execute("DROP TABLE pauses")
    booper = Booper(config, clock=clock, transport=target)
    async with booper, calling(booper) as client:
        with pytest.raises(StoreUnavailable, match="no such table: pauses"):
            await booper.wait_failed()
        assert (await client.get("/readyz")).status_code == 503
    assert "the loop failed" in caplog.text


async def test_a_stop_gives_running_attempts_their_grace(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """What was being claimed when the stop began is still sent, recorded, and not sent again."""
    booper = Booper(config, api_key=KEY, clock=clock, random=Random(1), transport=target)
    async with (
        booper,
        Api(booper.asgi, KEY) as api,
    ):
        number = await api.create_id()
        await booper.drain()
        state = (await api.job(number))["state"]
    assert (state, len(target.received)) in [("completed", 1), ("available", 0)]

"""`booper why` over 27 prepared fates, three for each reason: it names the reason and the time."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import anyio
import httpx
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from booper.app import Booper
from booper.cli import main
from booper.clock import VirtualClock
from booper.config import Config, Targets
from booper.server.limits import Limits
from booper.server.listener import Listener, listening
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.schedules import wire
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
DEADLINE_SECONDS = 10.0
SLOW = "https://target.test/slow"
"""Where requests are held while `target.hold("/slow")` is in force."""


class World:
    """A booper, its clock, its target and its API; an origin has one slot unless said otherwise."""

    booper: Booper
    api: Api
    admin: Api

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = VirtualClock(START)
        self.target = FakeTarget()
        self._running = AsyncExitStack()
        self._seed = 0

    async def start(self, slots: int = 1, **targets: Any) -> None:
        """Start it, again if it runs; `targets` are settings of that table."""
        await self.stop()
        self._seed += 1
        delivery = replace(self.config.delivery, per_host=slots)
        allowed = Targets(**targets) if targets else self.config.targets
        booper = Booper(
            replace(self.config, delivery=delivery, targets=allowed),
            api_key=KEY,
            clock=self.clock,
            random=Random(self._seed),
            transport=self.target,
        )
        enter = self._running.enter_async_context
        self.booper = await enter(booper)
        self.api = await enter(Api(booper.asgi, KEY))
        self.admin = await enter(Api(booper.administration))
        await self.idle()

    async def stop(self) -> None:
        """Stop it; its database stays."""
        await self._running.aclose()

    async def idle(self) -> None:
        """Return once all that is due is done."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.booper.wait_idle()

    async def pass_by(self, seconds: int) -> None:
        """Advance second by second; all that is due is done."""
        for _ in range(seconds):
            self.clock.advance(SECOND)
            await self.idle()

    async def slow(self) -> None:
        """Begin a request to the target that gets no response until `target.release`."""
        self.target.hold("/slow")
        await self.seen_by_loop(partial(self.api.create, url=SLOW))

    async def pass_held(self, seconds: int) -> None:
        """Advance while a request is held; return once the loop has seen what is due then."""
        at = self.clock.now() + seconds * SECOND
        await self.api.create(url="https://marker.test/", scheduled_at=wire(at))
        await self.seen_by_loop(partial(self._set, at))

    async def seen_by_loop(self, act: Callable[[], Awaitable[Any]]) -> None:
        """Do what makes a request leave, and return once it has arrived."""
        self.target.arrived.clear()
        await act()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.target.arrived.wait()

    async def _set(self, at: datetime) -> None:
        self.clock.set(at)

    async def why(self, *arguments: str) -> list[str]:
        """Return the lines that `booper why` prints."""
        with socket.create_server(("127.0.0.1", 0)) as bound:
            url = f"http://127.0.0.1:{bound.getsockname()[1]}"
            async with listening(Listener(self.booper.asgi, 1, [bound], Limits())):
                typed = ["why", *arguments, "--url", url, "--key", KEY]
                done = await anyio.to_thread.run_sync(partial(CliRunner().invoke, main, typed))
        assert done.exit_code == 0, done.output
        return done.stdout.splitlines()


Fate = Callable[[World], Awaitable[tuple[str, ...]]]
"""Prepare a fate and return what is typed behind `booper why`."""

FATES: dict[str, list[tuple[Fate, list[str]]]] = {}
"""By reason: fates, and lines that must be printed."""


def fate(reason: str, *lines: str) -> Callable[[Fate], Fate]:
    """Add a fate to the table; its day is left out of its lines' own times."""

    def added(prepare: Fate) -> Fate:
        expected = [f"2030-01-01 {line}" for line in lines]
        FATES.setdefault(reason, []).append((prepare, expected))
        return prepare

    return added


def id_of(schedule: str) -> str:
    """Return the id of a schedule by its path."""
    return schedule.rpartition("/")[2]


# --- created, planned -----------------------------------------------------------------------------


@fate(
    "created",
    "12:00:00Z  created, to be sent at 2030-01-01 13:00:00Z",
    "12:00:00Z  waits for its time, 2030-01-01 13:00:00Z",
)
async def waits_for_its_time(world: World) -> tuple[str, ...]:
    """A job of an hour from now."""
    return (str(await world.api.create_id(schedule_in=3600)),)


@fate(
    "created",
    "12:00:00Z  created, to be sent at once",
    "12:00:00Z  attempt 1 was sent to https://target.test",
    "12:00:00Z  attempt 1 got the response 200",
    "12:00:00Z  completed",
)
async def sent_at_once(world: World) -> tuple[str, ...]:
    """A job that was sent when it was created."""
    job_id = await world.api.create_id()
    await world.idle()
    return (str(job_id),)


@fate(
    "created",
    "12:00:00Z  the schedule was created",
    "12:00:00Z  job 1: planned for 2030-01-01 13:30:00Z",
    "12:00:00Z  job 1: waits for its time, 2030-01-01 13:30:00Z",
)
async def planned(world: World) -> tuple[str, ...]:
    """A schedule, by its name, whose first run is to come."""
    await world.api.create_schedule(cron="30 13 * * *", name="standup")
    return ("standup",)


# --- slot -----------------------------------------------------------------------------------------


@fate("slot", "12:00:00Z  waits for a free slot to https://target.test, since 2030-01-01 12:00:00Z")
async def waits_for_a_slot(world: World) -> tuple[str, ...]:
    """Another request has the one slot for five seconds by now."""
    await world.slow()
    job_id = await world.api.create_id()
    await world.pass_held(5)
    return (str(job_id),)


@fate(
    "slot",
    "12:00:00Z  waited 5 s for a free slot to https://target.test; attempt 1 began at "
    "2030-01-01 12:00:05Z",
    "12:00:05Z  attempt 1 was sent to https://target.test",
)
async def waited_for_a_slot(world: World) -> tuple[str, ...]:
    """The slot was free after five seconds."""
    await world.slow()
    job_id = await world.api.create_id()
    await world.pass_held(5)
    world.target.release()
    await world.idle()
    return (str(job_id),)


@fate(
    "slot",
    "12:00:10Z  waited 1 min 20 s for a free slot to https://target.test; attempt 2 began at "
    "2030-01-01 12:01:30Z",
    "12:01:30Z  attempt 2 was sent to https://target.test",
)
async def retry_waited_for_a_slot(world: World) -> tuple[str, ...]:
    """A retry was due after 10 s, and the slot free after 90."""
    world.target.respond(httpx.Response(500))
    job_id = await world.api.create_id(backoff=[10])
    await world.idle()
    await world.slow()
    await world.pass_held(10)
    await world.pass_held(50)
    await world.pass_held(30)
    world.target.release()
    await world.idle()
    return (str(job_id),)


# --- breaker --------------------------------------------------------------------------------------


async def fail(world: World) -> int:
    """Make 20 requests in a row fail, after which an origin is probed; return one that waits."""
    world.target.respond(*[httpx.ConnectError("refused")] * 20)
    for _ in range(20):
        await world.api.create(backoff=[3600])
    await world.idle()
    return await world.api.create_id()


@fate(
    "breaker",
    "12:00:00Z  waits for https://target.test, which failed again and again and was only probed, "
    "since 2030-01-01 12:00:00Z",
)
async def waits_for_a_breaker(world: World) -> tuple[str, ...]:
    """The first probe leaves after a second."""
    return (str(await fail(world)),)


@fate(
    "breaker",
    "12:00:00Z  waited 3 s for https://target.test, which failed again and again and was only "
    "probed; attempt 1 began at 2030-01-01 12:00:03Z",
)
async def waited_for_a_breaker(world: World) -> tuple[str, ...]:
    """The probe after 1 s, of another job, failed; that after 2 s more succeeded."""
    await fail(world)
    job_id = await world.api.create_id()
    world.target.respond(httpx.ConnectError("refused"))
    await world.pass_by(3)
    return (str(job_id),)


@fate(
    "breaker",
    "12:00:16Z  waited 14 s for https://target.test, which failed again and again and was only "
    "probed; attempt 1 began at 2030-01-01 12:00:30Z",
)
async def waited_until_reset(world: World) -> tuple[str, ...]:
    """Due 16 s after the breaker opened; an administrator reset it after 30.

    Other jobs were the probes after 1, 3, 7 and 15 s.
    """
    world.target.respond(*[httpx.ConnectError("refused")] * 24)
    for _ in range(24):
        await world.api.create(backoff=[3600])
    await world.idle()
    job_id = await world.api.create_id(schedule_in=16)
    await world.pass_by(30)
    world.target.clear()
    await world.admin.act("/api/breakers/reset")
    await world.idle()
    return (str(job_id),)


# --- pause ----------------------------------------------------------------------------------------


@fate(
    "pause",
    "12:00:00Z  waits for the end of the pause of target.test, since 2030-01-01 12:00:00Z",
)
async def waits_for_a_pause(world: World) -> tuple[str, ...]:
    """The host is paused."""
    await world.admin.act("/api/pause", {"host": "target.test"})
    return (str(await world.api.create_id()),)


@fate(
    "pause",
    "12:00:00Z  waited 10 min for the end of the pause of target.test; attempt 1 began at "
    "2030-01-01 12:10:00Z",
)
async def waited_for_a_pause(world: World) -> tuple[str, ...]:
    """The host was paused for ten minutes."""
    await world.admin.act("/api/pause", {"host": "target.test"})
    job_id = await world.api.create_id()
    world.clock.advance(600 * SECOND)
    await world.admin.act("/api/resume", {"host": "target.test"})
    await world.idle()
    return (str(job_id),)


@fate(
    "pause",
    "13:00:00Z  job 1: waited 30 s for the end of the pause of everything; attempt 1 began at "
    "2030-01-01 13:00:30Z",
)
async def run_waited_for_a_pause(world: World) -> tuple[str, ...]:
    """Everything was paused when a run was due, and resumed 30 s later, over a restart."""
    schedule = await world.api.create_schedule(cron="0 * * * *")
    await world.admin.act("/api/pause")
    await world.start()
    world.clock.advance(3630 * SECOND)
    await world.admin.act("/api/resume")
    await world.idle()
    return (id_of(schedule),)


# --- predecessor ----------------------------------------------------------------------------------


async def queue(world: World) -> str:
    """Run a schedule each minute whose first run does not end; a minute passes."""
    await world.start(slots=2)
    world.target.hold("/slow")
    made = partial(world.api.create, url=SLOW, repeat_every=60, overlap="queue", name="each minute")
    await world.seen_by_loop(made)
    await world.pass_held(60)
    return "each minute"


@fate(
    "predecessor",
    "12:01:00Z  job 2: waits for the run before it to finish, since 2030-01-01 12:01:00Z",
)
async def waits_for_its_predecessor(world: World) -> tuple[str, ...]:
    """The first run goes on after a minute and a half."""
    name = await queue(world)
    await world.pass_held(30)
    return (name,)


@fate(
    "predecessor",
    "12:01:00Z  job 2: waited 30 s for the run before it to finish; attempt 1 began at "
    "2030-01-01 12:01:30Z",
)
async def waited_for_its_predecessor(world: World) -> tuple[str, ...]:
    """The first run ended after a minute and a half."""
    name = await queue(world)
    await world.pass_held(30)
    world.target.release()
    await world.idle()
    return (name,)


@fate(
    "predecessor",
    "12:00:00Z  planned for 2030-01-01 12:01:00Z",
    "12:01:00Z  waited 40 s for the run before it to finish; attempt 1 began at "
    "2030-01-01 12:01:40Z",
)
async def waited_at_that_time(world: World) -> tuple[str, ...]:
    """Only what had begun by 12:01:10 is asked for: its attempt is left out."""
    await queue(world)
    await world.pass_held(40)
    world.target.release()
    await world.idle()
    return ("2", "--at", "2030-01-01T12:01:10Z")


# --- guard ----------------------------------------------------------------------------------------


@fate("guard", "12:00:01Z  attempt 1 was refused: url must begin with https://")
async def refused_http(world: World) -> tuple[str, ...]:
    """Plain http was allowed when the job was created, and is not any more."""
    job_id = await world.api.create_id(url="http://target.test/", schedule_in=1)
    await world.start(require_https=True)
    world.clock.advance(SECOND)
    await world.idle()
    return (str(job_id),)


@fate("guard", "12:00:01Z  attempt 1 was refused: host 10.0.0.1 is in a private network")
async def refused_address(world: World) -> tuple[str, ...]:
    """Private networks were allowed when the job was created, and are not any more."""
    job_id = await world.api.create_id(url="https://10.0.0.1/", schedule_in=1)
    await world.start(require_https=False)
    world.clock.advance(SECOND)
    await world.idle()
    return (str(job_id),)


@fate(
    "guard",
    "12:00:00Z  attempt 1 was refused: redirected to 'http://169.254.169.254/latest/': host "
    "169.254.169.254 is a cloud metadata service",
)
async def refused_redirect(world: World) -> tuple[str, ...]:
    """The target redirects to the metadata of a cloud, which is never allowed."""
    location = {"Location": "http://169.254.169.254/latest/"}
    world.target.respond(httpx.Response(302, headers=location))
    job_id = await world.api.create_id(follow_redirects=True)
    await world.idle()
    return (str(job_id),)


# --- retry ----------------------------------------------------------------------------------------


@fate(
    "retry",
    "12:00:00Z  attempt 1 got the response 503",
    "12:00:00Z  retried because the target responded 503; attempt 2 is due at 2030-01-01 12:00:17Z",
)
async def will_be_retried(world: World) -> tuple[str, ...]:
    """A retry is to come."""
    world.target.respond(httpx.Response(503))
    job_id = await world.api.create_id(backoff=[17])
    await world.idle()
    return (str(job_id),)


@fate(
    "retry",
    "12:00:00Z  retried because the attempt failed (connect: refused); attempt 2 began at "
    "2030-01-01 12:00:10Z",
    "12:00:10Z  completed",
)
async def was_retried(world: World) -> tuple[str, ...]:
    """The second attempt succeeded."""
    world.target.respond(httpx.ConnectError("refused"))
    job_id = await world.api.create_id(backoff=[10])
    await world.idle()
    await world.pass_by(10)
    return (str(job_id),)


@fate(
    "retry",
    "12:00:00Z  retried because the target responded 500; attempt 2 began at 2030-01-01 12:00:05Z",
    "12:00:05Z  attempt 2 got the response 502",
    "12:00:05Z  discarded because the target responded 502",
)
async def was_retried_in_vain(world: World) -> tuple[str, ...]:
    """The second attempt was the last."""
    world.target.respond(httpx.Response(500), httpx.Response(502))
    job_id = await world.api.create_id(backoff=[5], max_attempts=2)
    await world.idle()
    await world.pass_by(5)
    return (str(job_id),)


# --- skipped --------------------------------------------------------------------------------------


@fate(
    "skipped",
    "12:01:00Z  job 2: skipped the planned time 2030-01-01 12:01:00Z because the run before was "
    "not finished",
)
async def skipped_by_overlap(world: World) -> tuple[str, ...]:
    """The first run still executes when the second is due."""
    await world.start(slots=2)
    world.target.hold("/slow")
    made = partial(world.api.create, url=SLOW, repeat_every=60, name="each minute")
    await world.seen_by_loop(made)
    await world.pass_held(60)
    world.target.release()
    await world.idle()
    return ("each minute",)


@fate(
    "skipped",
    "12:30:00Z  job 1: skipped the planned time 2030-01-01 12:10:00Z because booper was stopped, "
    "asleep or paused at that time",
    "12:30:00Z  job 1: waits for its time, 2030-01-01 13:10:00Z",
)
async def skipped_while_stopped(world: World) -> tuple[str, ...]:
    """booper was stopped from 12:00 to 12:30."""
    schedule = await world.api.create_schedule(cron="10 * * * *", misfire="skip")
    await world.stop()
    world.clock.advance(1800 * SECOND)
    await world.start()
    await world.idle()
    return (id_of(schedule), "--at", "2030-01-01T12:10:00Z")


@fate(
    "skipped",
    "12:00:00Z  the schedule was disabled by the key BOOPER_API_KEY",
    "15:30:00Z  job 1: skipped 3 planned times from 2030-01-01 13:00:00Z to 2030-01-01 15:00:00Z "
    "because the schedule was disabled",
    "15:30:00Z  the schedule was enabled by the key BOOPER_API_KEY",
)
async def skipped_while_disabled(world: World) -> tuple[str, ...]:
    """The schedule was disabled from 12:00 to 15:30."""
    schedule = await world.api.create_schedule(cron="0 * * * *")
    await world.api.act(f"{schedule}/disable")
    world.clock.advance(12_600 * SECOND)
    await world.api.act(f"{schedule}/enable")
    return (id_of(schedule), "--at", "2030-01-01 14:00Z")


# --- cancelled ------------------------------------------------------------------------------------


@fate("cancelled", "12:00:07Z  cancelled by the key BOOPER_API_KEY")
async def cancelled_by_key(world: World) -> tuple[str, ...]:
    """One job was cancelled."""
    job_id = await world.api.create_id(schedule_in=60)
    await world.pass_by(7)
    await world.api.act(f"/api/jobs/{job_id}/cancel")
    return (str(job_id),)


@fate(
    "cancelled",
    "12:00:05Z  cancelled by the key night shift, with all jobs that matched a filter",
)
async def cancelled_by_filter(world: World) -> tuple[str, ...]:
    """All jobs with a tag were cancelled by another key."""
    made = await world.admin.act("/api/keys", {"name": "night shift"})
    job_id = await world.api.create_id(schedule_in=60, tags=["nightly"])
    await world.pass_by(5)
    async with Api(world.booper.asgi, made["key"]) as other:
        await other.act("/api/jobs/cancel", {"filter": {"tag": "nightly"}})
    return (str(job_id),)


@fate(
    "cancelled",
    "12:00:09Z  cancelled because its schedule was disabled by the key BOOPER_API_KEY",
)
async def cancelled_with_its_schedule(world: World) -> tuple[str, ...]:
    """Its schedule was disabled."""
    schedule = await world.api.create_schedule(cron="0 * * * *")
    await world.pass_by(9)
    await world.api.act(f"{schedule}/disable")
    return ("1",)


# --- the table ------------------------------------------------------------------------------------


REASONS = (
    "created",
    "slot",
    "breaker",
    "pause",
    "predecessor",
    "guard",
    "retry",
    "skipped",
    "cancelled",
)


@asynccontextmanager
async def prepared(config: Config) -> AsyncIterator[World]:
    """Run a world until the end of the block."""
    world = World(config)
    await world.start()
    try:
        yield world
    finally:
        world.target.release()
        await world.stop()


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [pytest.param(*one, id=one[0].__name__) for fates in FATES.values() for one in fates],
)
async def test_why_names_the_reason_and_the_time(
    config: Config, prepare: Fate, expected: list[str]
) -> None:
    """Each expected line is printed, with its time before it."""
    async with prepared(config) as world:
        lines = await world.why(*await prepare(world))
    missing = [one for one in expected if not any(line.startswith(one) for line in lines)]
    assert not missing, "\n".join(lines)


def test_the_table_has_three_fates_for_each_reason() -> None:
    """Nine reasons and 27 fates."""
    assert {reason: len(fates) for reason, fates in FATES.items()} == dict.fromkeys(REASONS, 3)

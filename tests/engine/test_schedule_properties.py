"""Whatever happens to a schedule, each of its planned times is accounted for exactly once.

Hypothesis makes up a schedule and what happens to it: time passes, the target is slow or fails,
booper is restarted, crashes, is paused, the schedule is disabled, a run is cancelled. The planned
times are known beforehand by plain arithmetic. In the end each of them up to the run that waits
has been run, was cancelled by the user, or lies in one `schedule.skipped` entry.
"""

import asyncio
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from booper.app import Booper
from booper.clock import EPOCH, VirtualClock
from booper.config import Config, Database, Delivery, Targets
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.programs import planned_at
from tests.support.target import FakeTarget

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
BEGIN = START + 30 * SECOND
"""Half a minute past noon, so that no cron matches right now."""

DEADLINE_SECONDS = 30.0


@dataclass(frozen=True)
class Cron:
    """An expression and, written by hand, which minutes of its zone's clock it means."""

    expression: str
    timezone: str
    ahead_of_utc: timedelta
    means: Callable[[datetime], bool]


# Zones without daylight saving, so that a fixed difference tells their time.
INDIA = ("Asia/Kolkata", timedelta(hours=5, minutes=30))
CRONS = (
    Cron("* * * * *", "UTC", timedelta(0), lambda at: True),
    Cron("*/7 * * * *", "UTC", timedelta(0), lambda at: at.minute % 7 == 0),
    Cron("15 3 * * *", *INDIA, lambda at: (at.hour, at.minute) == (3, 15)),
    Cron("0 */6 * * *", *INDIA, lambda at: (at.hour % 6, at.minute) == (0, 0)),
    Cron(
        "30 9 * * 1-5",
        "UTC",
        timedelta(0),
        lambda at: (at.hour, at.minute) == (9, 30) and at.weekday() < 5,
    ),
)


@dataclass(frozen=True)
class Plan:
    """A schedule that is asked for at `BEGIN`; `every` or `cron` says when it runs."""

    every: timedelta | None
    cron: Cron | None
    wait: timedelta
    ends_after: timedelta | None
    max_runs: int | None
    jitter: timedelta
    overlap: str
    misfire: str

    def fields(self) -> dict[str, Any]:
        """Return the body of its create."""
        given = {
            "repeat_every": self.every and self.every.total_seconds(),
            "cron": self.cron and self.cron.expression,
            "timezone": self.cron and self.cron.timezone,
            "schedule_in": self.wait.total_seconds(),
            "ends_at": self.ends_at and self.ends_at.isoformat(),
            "max_runs": self.max_runs,
            "jitter": self.jitter.total_seconds(),
            "overlap": self.overlap,
            "misfire": self.misfire,
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def ends_at(self) -> datetime | None:
        """Return when its window ends."""
        return None if self.ends_after is None else BEGIN + self.wait + self.ends_after

    def grid(self, until: datetime) -> list[datetime]:
        """Return its planned times up to `until`, by arithmetic of its own."""
        first = BEGIN + self.wait
        until = min(until, self.ends_at or until)
        if self.every is not None:
            return [
                first + n * self.every for n in range(max((until - first) // self.every + 1, 0))
            ]
        assert self.cron is not None
        minute = first.replace(second=0, microsecond=0)
        minute += MINUTE * (minute < first)
        found = []
        while minute <= until:
            if self.cron.means(minute + self.cron.ahead_of_utc):
                found.append(minute)
            minute += MINUTE
        return found


INTERVALS = (timedelta(seconds=1), 10 * SECOND, 7 * MINUTE, timedelta(hours=1), timedelta(days=1))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a schedule; its window ends off the grid, and has room for a run."""
    every = draw(st.sampled_from([None, *INTERVALS]))
    windows = st.integers(1, 200).map(lambda n: n * 61.5 * SECOND + timedelta(days=4))
    return Plan(
        every=every,
        cron=draw(st.sampled_from(CRONS)) if every is None else None,
        wait=draw(st.sampled_from([0, 1, 90])) * SECOND,
        ends_after=draw(st.none() | windows),
        max_runs=draw(st.none() | st.integers(1, 8)),
        jitter=draw(st.sampled_from([timedelta(0), (every or MINUTE) / 2])),
        overlap=draw(st.sampled_from(["skip", "queue", "allow"])),
        misfire=draw(st.sampled_from(["latest", "skip", "all"])),
    )


# How far time goes on at once, in seconds; "due" goes to the time of the run that waits.
ADVANCES = (1, 30, 59, 60, 61, 420, 3_600, 86_400, 4 * 86_400)
STEPS = st.one_of(
    st.sampled_from(["due", "due", "due", "hold", "release", "fail"]),
    st.sampled_from(ADVANCES),
    st.sampled_from(["restart", "crash", "crash", "pause", "resume", "disable", "enable"]),
    st.sampled_from(["cancel", "run", "hurry"]),
)


@dataclass(frozen=True)
class Job:
    """A planned run as it lies in the database."""

    id: int
    state: str
    attempt: int
    planned_at: datetime
    scheduled_at: datetime


class World:
    """A booper that can crash: then another goes on with what its database held at that moment."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(BEGIN)
        self.received: list[httpx.Request] = []
        self.cancelled: set[int] = set()
        self.schedule = ""
        self._folder = folder
        self._lives = 0
        self._crashes = 0
        self._is_holding = False
        self._target = FakeTarget()

    async def start(self) -> None:
        """Start a booper on what the database holds."""
        self._lives += 1
        config = Config(
            database=Database(path=str(self._database()), durability="normal"),
            targets=Targets(require_https=False, allow_private_networks=True),
            delivery=Delivery(grace_seconds=0),
        )
        self._booper = Booper(
            config,
            api_key=KEY,
            clock=self.clock,
            random=Random(self._lives),
            transport=self._target,
        )
        await self._booper.__aenter__()
        self._api = Api(self._booper.asgi, KEY)

    async def stop(self) -> None:
        """Stop without grace: what is on its way is given back."""
        await self._api.aclose()
        await self._booper.__aexit__(None, None, None)

    async def create(self, plan: Plan) -> None:
        """Post the schedule; what it sends comes to one host."""
        response = await self.post("/api/jobs", {"url": "https://target.test/", **plan.fields()})
        self.schedule = f"/api/schedules/{response.json()['data']['schedule_id']}"

    async def post(self, path: str, body: object = None) -> httpx.Response:
        """Post to the API, which may find that it comes too late."""
        response = await self._api.post(path, json=body)
        assert response.status_code in (200, 201, 409), response.text
        return response

    async def step(self, step: str | int) -> None:
        """Play a random step, and everything that follows from it."""
        match step:
            case int():
                self.clock.advance(step * SECOND)
            case "due":
                if (job := self._waiting()) is not None:
                    self.clock.set(max(job.scheduled_at, self.clock.now()))
            case "hold":
                self._hold()
            case "release":
                self._release()
            case "fail":
                self._target.respond(httpx.Response(500))
            case "restart":
                await self.stop()
                await self.start()
            case "crash":
                await self._crash()
            case "pause" | "resume":
                await self.post(f"/api/{step}", {"host": "target.test"})
            case "disable" | "enable":
                await self.post(f"{self.schedule}/{step}", None)
            case "cancel" if (job := self._waiting()) is not None:
                await self._cancel(job)
            case "run" if (job := self._waiting()) is not None:
                await self.post(f"/api/jobs/{job.id}/run")

    async def settle(self) -> None:
        """Return when all that can happen now has happened, however slow the target is."""
        if not self._is_holding:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._booper.wait_idle()
            return
        self._take()
        # Claimed together with what is due, and of a host that nobody pauses.
        await self.post("/api/jobs", {"url": "https://marker.test/"})
        while not any(sent.url.host == "marker.test" for sent in self._target.received):
            self._target.arrived.clear()
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._target.arrived.wait()

    async def end(self) -> None:
        """Release everything that waits, and stop."""
        self._release()
        await self.step("resume")
        await self.step("enable")
        await self.settle()
        self._take()
        await self.stop()

    def jobs(self) -> list[Job]:
        """Return the planned runs in the database, in order of their planning."""
        columns = "id, state, attempt, planned_at, scheduled_at"
        with closing(self._connect()) as connection:
            found = connection.execute(
                f"SELECT {columns} FROM jobs WHERE kind = 'run' ORDER BY id"
            ).fetchall()
        return [
            Job(number, state, attempt, _time(planned), _time(scheduled))
            for number, state, attempt, planned, scheduled in found
        ]

    def gaps(self) -> list[dict[str, Any]]:
        """Return what the log says was not run."""
        with closing(self._connect()) as connection:
            found = connection.execute(
                "SELECT payload FROM logs WHERE event = 'schedule.skipped' ORDER BY seq"
            ).fetchall()
        return [msgspec.json.decode(payload) for (payload,) in found]

    def _waiting(self) -> Job | None:
        waiting = [job for job in self.jobs() if job.state == "scheduled"]
        return waiting[-1] if waiting else None

    async def _cancel(self, job: Job) -> None:
        response = await self.post(f"/api/jobs/{job.id}/cancel")
        state = response.json()["data"]["job"]
        if state["state"] == "cancelled" and state["attempt"] == 0:
            self.cancelled.add(job.id)

    async def _crash(self) -> None:
        """Copy the database as it is at this very moment; the booper that wrote it is forgotten."""
        database = self._database()
        self._crashes += 1
        self._database().parent.mkdir()
        for name in (database.name, f"{database.name}-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(database.with_name(name), self._database().with_name(name))
        self._take()
        forgotten, self._target = self._target, FakeTarget()
        await self.stop()
        forgotten.release()
        if self._is_holding:
            self._target.hold()
        await self.start()

    def _take(self) -> None:
        """Keep what has arrived."""
        self.received += [sent for sent in self._target.received if sent.url.host == "target.test"]
        self._target.received.clear()

    def _hold(self) -> None:
        self._is_holding = True
        self._target.hold()

    def _release(self) -> None:
        self._is_holding = False
        self._target.release()

    def _database(self) -> Path:
        return self._folder / str(self._crashes) / "booper.db"

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._database()}?mode=ro", uri=True)


def _time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


async def live(plan: Plan, steps: list[str | int], folder: Path) -> World:
    """Create a schedule, let all of that happen to it, and return the world it leaves."""
    (folder / "0").mkdir()
    world = World(folder)
    await world.start()
    try:
        await world.create(plan)
        hurries = False
        for step in steps:
            await world.step(step)
            # After "hurry" the next thing happens at once, in the middle of everything.
            if not hurries:
                await world.settle()
            hurries = step == "hurry"
        await world.end()
    except BaseException:
        await world.stop()
        raise
    return world


def times_of(gap: dict[str, Any], grid: list[datetime]) -> list[datetime]:
    """Return the planned times that lie in a gap, which must be as many as it says."""
    first, last = datetime.fromisoformat(gap["first"]), datetime.fromisoformat(gap["last"])
    within = [at for at in grid if first <= at <= last]
    assert (within[0], within[-1], len(within)) == (first, last, gap["count"])
    return within


def check(plan: Plan, world: World) -> None:
    """Check that each planned time is accounted for exactly once, and none came out of order."""
    jobs = world.jobs()
    runs = [job for job in jobs if job.attempt]
    assert all(one.planned_at < other.planned_at for one, other in pairwise(runs))
    rest = [job for job in jobs if job.state == "scheduled"]
    assert len(rest) <= 1
    grid = plan.grid(max([world.clock.now(), *(job.planned_at for job in jobs)]))
    accounted = [job.planned_at for job in runs]
    accounted += [job.planned_at for job in jobs if job.id in world.cancelled]
    for gap in world.gaps():
        accounted += times_of(gap, grid)
    if rest:
        expected = [at for at in grid if at < rest[0].planned_at]
        assert rest[0].planned_at in grid
    elif plan.max_runs is not None and len(runs) >= plan.max_runs:
        last = max(accounted)
        expected = [at for at in grid if at <= last]
    else:
        expected = grid
        assert plan.ends_at is not None
    assert Counter(accounted) == Counter(expected)
    check_received(plan, world, {job.id: job.planned_at for job in runs})


def check_received(plan: Plan, world: World, runs: dict[int, datetime]) -> None:
    """Check what the target was told: the planned times of runs, the later ones later."""
    first_sends: dict[int, datetime] = {}
    for request in world.received:
        number = int(request.headers["booper-job-id"])
        assert first_sends.setdefault(number, planned_at(request)) == runs[number]
    if plan.overlap != "allow":
        assert list(first_sends.values()) == sorted(first_sends.values())


@given(plan=plans(), steps=st.lists(STEPS, min_size=3, max_size=14))
@settings(max_examples=60, derandomize=True)
def test_every_planned_time_is_accounted_for_once(plan: Plan, steps: list[str | int]) -> None:
    """Through slow targets, failures, restarts, crashes, pauses: run, cancelled or in one gap."""
    with tempfile.TemporaryDirectory() as folder:
        world = asyncio.run(live(plan, steps, Path(folder)))
        event(f"runs: {min(len(world.received), 10)}, gaps: {min(len(world.gaps()), 3)}")
        check(plan, world)

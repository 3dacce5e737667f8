"""Jobs that kill the process, or that nobody thought of: they end alone, and the loop goes on."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import START
from tests.support.api import Api
from tests.support.programs import json_of
from tests.support.target import FakeTarget
from tests.torture.line import Line, Size, line
from tests.torture.made_up import Capricious, bodies
from tests.torture.virtual import running

BYSTANDERS = 10
POISON = BYSTANDERS // 2  # as many suspects before it as behind it
CRASHES = 3
PART = 100
STEPS = (timedelta(0), timedelta(seconds=30), timedelta(minutes=10), timedelta(days=2))
STUCK_SECONDS = 30.0
JSON = {"Content-Type": "application/json"}


def measure(size: Size) -> Line:
    """Die four times of one job, and have made-up jobs sent; 3 of 10 are accepted."""
    faults = asyncio.run(_die())
    made_up = bodies(size.pick(36_000, 200))
    accepted, sent, more = asyncio.run(_send(made_up))
    figure = (
        f"{CRASHES + 1} crashes: 1 job given up, {BYSTANDERS} bystanders completed; of "
        f"{len(made_up)} made-up jobs {accepted} were accepted, {sent} requests sent"
    )
    return line("poison", figure, faults + more)


class Deadly(FakeTarget):
    """A target that answers no request whose body's number is among `deadly`."""

    def __init__(self, deadly: set[int]) -> None:
        super().__init__()
        self.deadly = deadly
        self.numbers: list[int] = []
        self.most_at_once = 0
        self._here = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer 200, or never."""
        self._here += 1
        self.most_at_once = max(self.most_at_once, self._here)
        self.numbers.append(json_of(request)["number"])
        self.arrived.set()
        try:
            if self.numbers[-1] in self.deadly:
                await asyncio.Event().wait()
            return httpx.Response(200)
        finally:
            self._here -= 1

    async def seen(self, number: int) -> None:
        """Wait until a request of this number has arrived."""
        while number not in self.numbers:
            self.arrived.clear()
            await self.arrived.wait()


async def _die() -> list[str]:
    """Crash with all jobs on their way, then with the poison alone; return what went wrong."""
    clock, everyone = VirtualClock(START), set(range(BYSTANDERS + 1))
    faults = []
    with TemporaryDirectory() as name:
        lives = [Path(name) / f"life{life}" for life in range(CRASHES + 2)]
        for life in lives:
            life.mkdir()
        for life, following in pairwise(lives[: CRASHES + 1]):
            async with _life(life, clock, everyone) as (_, api, target):
                if life is lives[0]:
                    await _create(api)
                for number in everyone:
                    await target.seen(number)
                _crash(life, following)
        async with _life(lives[-2], clock, {POISON}) as (_, _api, target):
            await target.seen(POISON)
            if target.most_at_once > 1:
                faults.append(f"suspects were sent {target.most_at_once} at once")
            _crash(lives[-2], lives[-1])
        faults += _early(lives[-1])
        async with _life(lives[-1], clock, set()) as (booper, _api, target):
            await booper.wait_idle()
            if POISON in target.numbers:
                faults.append("the poison was sent once more")
        return faults + _ends(lives[-1])


@asynccontextmanager
async def _life(
    folder: Path, clock: VirtualClock, deadly: set[int]
) -> AsyncIterator[tuple[Booper, Api, Deadly]]:
    target = Deadly(deadly)
    # Each life draws other ids than the one whose rows it finds.
    async with running(folder / "booper.db", clock, target, Random(folder.name)) as (booper, api):
        yield booper, api, target


def _crash(folder: Path, following: Path) -> None:
    """Keep the database as it is now for the next life."""
    for name in ("booper.db", "booper.db-wal"):
        shutil.copy(folder / name, following / name)


async def _create(api: Api) -> None:
    for number in range(BYSTANDERS + 1):
        job = {"method": "post", "url": "https://target.test/", "body": {"number": number}}
        (await api.post("/api/jobs", json=job)).raise_for_status()


def _rows(folder: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "booper.db")) as connection:
        return connection.execute(sql).fetchall()


def _early(folder: Path) -> list[str]:
    """Return what was given up before the fourth crash was known."""
    found = _rows(folder, "SELECT args ->> '$.body.number' FROM jobs WHERE state = 'discarded'")
    return [f"job {number} was given up early" for (number,) in found]


def _ends(folder: Path) -> list[str]:
    found = _rows(folder, "SELECT args ->> '$.body.number', state, last_error FROM jobs")
    faults = []
    for number, state, error in found:
        if state != ("discarded" if number == POISON else "completed"):
            faults.append(f"job {number} is {state}")
        if number == POISON and f"died in {CRASHES + 1} attempts in a row" not in (error or ""):
            faults.append(f"the poison ended with {error!r}")
    return faults if len(found) == BYSTANDERS + 1 else [*faults, f"{len(found)} jobs are left"]


async def _send(made_up: list[bytes]) -> tuple[int, int, list[str]]:
    """Send made-up jobs; return how many were accepted, the requests, and what went wrong."""
    clock, target = VirtualClock(START), Capricious(Random(1))
    accepted, faults = 0, []
    with TemporaryDirectory() as name:
        async with running(Path(name) / "booper.db", clock, target, Random(1)) as (booper, api):
            for start in range(0, len(made_up), PART):
                for body in made_up[start : start + PART]:
                    response = await api.post("/api/jobs", content=body, headers=JSON)
                    accepted += response.status_code in (200, 201)
                    if response.status_code >= 500:
                        faults.append(f"{response.status_code} to {body!r}")
                if not await _goes_on(booper, clock):
                    faults.append(f"the loop stopped after {start + PART} jobs")
                    break
        rows = _rows(Path(name), INTERNAL)
    faults += [f"{message} in {args}" for args, message in rows]
    return accepted, len(target.received), faults


INTERNAL = """
    SELECT jobs.args, logs.payload ->> 'message' FROM logs JOIN jobs ON jobs.id = logs.job_id
    WHERE logs.payload ->> 'error' = 'internal'
"""


async def _goes_on(booper: Booper, clock: VirtualClock) -> bool:
    """Advance time by days; return whether all that was due meanwhile has been done."""
    try:
        async with asyncio.timeout(STUCK_SECONDS):
            for step in STEPS:
                clock.advance(step)
                await booper.wait_idle()
    except TimeoutError:
        return False
    return True

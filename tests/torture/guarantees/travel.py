"""A year of a schedule of every 15 minutes, travelled through: each run once, all in a minute.

Ten thousand jobs wait beyond the year; they cost a run nothing. The database is thrown away at the
end, as that of a `VirtualBooper` is.
"""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import httpx
import uvloop

from booper.clock import VirtualClock
from booper.model.job import State
from booper.travel import Journey, Travel
from tests.conftest import START
from tests.support.api import Api
from tests.support.processes import monotonic
from tests.torture.line import Line, Size, line
from tests.torture.virtual import running

DAY = timedelta(days=1)
EVERY = timedelta(minutes=15)
MAX_SECONDS = 60
BEYOND = 10_000


class Target(httpx.AsyncBaseTransport):
    """A target that notes which planned times it has seen, and answers at once."""

    def __init__(self) -> None:
        self.seen: Counter[datetime] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Note a run."""
        self.seen[datetime.fromisoformat(request.headers["booper-scheduled-at"])] += 1
        return httpx.Response(200)


def measure(size: Size) -> Line:
    """Advance by a year (in short by two days)."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(size.pick(365, 2)))


async def _measure(days: int) -> Line:
    clock, target = VirtualClock(START), Target()
    with TemporaryDirectory() as folder:
        database = Path(folder) / "booper.db"
        async with running(database, clock, target, Random(1), is_temporary=True) as (booper, api):
            fields = {"url": "https://target.test/", "cron": "*/15 * * * *"}
            (await api.post("/api/jobs", json=fields)).raise_for_status()
            await _wait_beyond(api)
            began = monotonic()
            journey = await Travel(booper, clock).by(days * DAY)
            took = monotonic() - began
        stored = _states(database)
    faults = _judged(days, journey, target.seen, stored)
    if took > MAX_SECONDS:
        faults.append(f"more than {MAX_SECONDS} s")
    figure = f"{days} days, {journey.count:,} runs in {took:.1f} s, each at its time and once"
    return line("travel", figure, faults)


async def _wait_beyond(api: Api) -> None:
    """Create jobs that are not due in this year."""
    later = {"url": "https://target.test/", "schedule_in": [500, "days"]}
    for _ in range(BEYOND // 1_000):
        response = await api.post("/api/jobs/batch", json={"jobs": [later] * 1_000})
        response.raise_for_status()


def _judged(
    days: int, journey: Journey, seen: Counter[datetime], stored: dict[str, int]
) -> list[str]:
    planned = [START + n * EVERY for n in range(1, days * DAY // EVERY + 1)]
    faults = [f"{at} was sent {seen[at]} times" for at in planned if seen[at] != 1]
    faults += [f"{at} was not planned" for at in seen.keys() - set(planned)]
    if journey.states != {State.COMPLETED: len(planned)}:
        faults.append(f"told of {dict(journey.states)}")
    if stored != {State.COMPLETED: len(planned), State.SCHEDULED: 1 + BEYOND}:
        faults.append(f"the database holds {stored}")
    return faults


def _states(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database)) as opened:
        return dict(opened.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())

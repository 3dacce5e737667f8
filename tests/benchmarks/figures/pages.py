"""How long the server takes for each page of the dashboard where years of jobs are."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from html import unescape
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

from booper.app import Booper
from booper.clock import VirtualClock
from tests.benchmarks.runner import Bench, Row, percentile
from tests.benchmarks.years import KEY, NOW, config, fill_years
from tests.support.dashboard import Browser
from tests.support.target import FakeTarget

WANTED = "under 50"

FIXED = (
    *("/", "/new", "/schedules", "/origins", "/keys", "/status", "/audit"),
    *("/jobs", "/jobs?state=completed", "/jobs?state=scheduled", "/jobs?state=discarded"),
    *("/jobs?tag=nightly", "/jobs?tag=none", "/jobs?host=target.test", "/jobs?host=none.test"),
    *("/jobs?url_prefix=https://target.test/", "/jobs?url_prefix=https://none.test/"),
    *("/jobs?order_by=scheduled_at,asc", "/jobs?order_by=inserted_at,asc"),
    *("/jobs?after=2029-12-20T00:00:00Z", "/jobs?before=2029-12-20T00:00:00Z"),
    *("/jobs?text=4711", "/jobs?text=nothing-has-this", "/jobs/all?action=cancel&state=scheduled"),
)
"""Pages that are the same in every database."""

WARM = 5


def measure(bench: Bench) -> list[Row]:
    """Ask for each page again and again; the slowest hundredth counts.

    Beside it is that of the time on a processor, which other work on this machine hardly touches.
    """
    finished, waiting = 10 * bench.sizes.many, bench.sizes.many
    with bench.folder() as folder:
        bench.say(f"  {finished:,} finished and {waiting:,} waiting jobs of 3 users")
        fill_years(folder, finished, waiting)
        bench.say(f"  {(folder / 'booper.db').stat().st_size / 1e9:.1f} GB")
        taken = asyncio.run(_pages(folder, bench.sizes.pages))
    return [
        Row(
            f"page {path}",
            percentile([each.took for each in shown], 99),
            "ms",
            beside=f"CPU {percentile([each.cpu for each in shown], 99):.1f}",
            wanted=WANTED,
        )
        for path, shown in taken.items()
    ]


class Shown(NamedTuple):
    """How many milliseconds a page took, and how many of them on a processor."""

    took: float
    cpu: float


async def _pages(folder: Path, times: int) -> dict[str, Sequence[Shown]]:
    """Return for each page what it took, each time."""
    taken: dict[str, Sequence[Shown]] = {}
    booper = Booper(config(folder), api_key=KEY, clock=VirtualClock(NOW), transport=FakeTarget())
    async with booper, Browser(booper.asgi) as browser:
        await browser.sign_in(KEY)
        async for path in _paths(browser):
            for _ in range(WARM):
                await _shown(browser, path)
            taken[path] = [await _shown(browser, path) for _ in range(times)]
    return taken


async def _shown(browser: Browser, path: str) -> Shown:
    begun, cpu = perf_counter(), process_time()
    response = await browser.get(path)
    shown = Shown((perf_counter() - begun) * 1000, (process_time() - cpu) * 1000)
    assert response.status_code == 200, (path, response.text[:500])
    return shown


async def _paths(browser: Browser) -> AsyncIterator[str]:
    """Yield the pages, with those of a finished job, a waiting one and the schedule."""
    for path in FIXED:
        yield path
    for path, pattern in {
        "/jobs?state=completed": r'href="(/jobs/\d+)"',
        "/jobs?state=scheduled": r'href="(/jobs/\d+)"',
        "/schedules": r'href="(/schedules/[0-9a-f-]{36})"',
    }.items():
        found = re.search(pattern, (await browser.get(path)).text)
        assert found is not None, path
        yield found[1]
    page = "/jobs?state=completed"
    for _ in range(3):  # each page behind the one before it
        found = re.search(r'rel="next" href="([^"]*)"', (await browser.get(page)).text)
        assert found is not None, page
        page = unescape(found[1])
    yield page

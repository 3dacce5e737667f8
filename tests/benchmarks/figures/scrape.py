"""How long a scrape of the metrics takes while everything there can be is there."""

import asyncio
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import httpx

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Metrics, Targets
from tests.benchmarks.runner import Bench, Rounds, Row
from tests.conftest import START
from tests.support.api import Api
from tests.support.scrape import HEADERS
from tests.support.target import FakeTarget

KEY = "sk_benchmark_benchmark_benchmark_benchmark"
BATCH = 1_000
SCRAPES = 20
WANTED = "under 50"


def measure(bench: Bench) -> list[Row]:
    """Scrape a booper with jobs due for many origins, and as many schedules."""
    rounds = Rounds()
    for _ in bench.rounds():
        with bench.folder() as folder:
            for took in asyncio.run(_scrapes(folder, bench.sizes.few)):
                rounds.add("scrape", took * 1000)
    name = f"scrape, {bench.sizes.few:,} origins with due jobs, {bench.sizes.few:,} schedules"
    return [Row(name, rounds.median("scrape"), "ms", wanted=WANTED)]


async def _scrapes(folder: Path, count: int) -> list[float]:
    """Return the seconds of scrapes; no slot becomes free meanwhile, so that all else waits."""
    clock, target = VirtualClock(START), FakeTarget()
    target.hold()
    config = Config(
        database=Database(path=str(folder / "booper.db"), durability="normal"),
        targets=Targets(allow_private_networks=True),
        metrics=Metrics(schedules=tuple(f"s{number}" for number in range(200))),
    )
    async with Booper(config, api_key=KEY, clock=clock, transport=target) as booper:
        async with Api(booper.asgi, KEY) as api:
            for first in range(0, count, BATCH):
                await _create(api, range(first, first + BATCH))
            clock.set(START + timedelta(seconds=10))
            while len(target.received) < config.delivery.concurrency:
                target.arrived.clear()
                await target.arrived.wait()
            took = [await _scrape(api) for _ in range(SCRAPES)]
        target.release()
    return took


async def _create(api: Api, numbers: range) -> None:
    """Create a job for an origin of its own, and a schedule, for each number."""
    due = (START + timedelta(seconds=1)).isoformat()
    jobs = [{"url": f"https://o{n}.test/", "scheduled_at": due} for n in numbers]
    schedules = [
        {"url": f"https://s{n}.test/", "name": f"s{n}", "repeat_every": [1, "day"]} for n in numbers
    ]
    for batch in (jobs, schedules):
        response = await api.post("/api/jobs/batch", json={"jobs": batch}, timeout=60)
        assert response.is_success, response.text[:500]


async def _scrape(api: httpx.AsyncClient) -> float:
    begun = perf_counter()
    response = await api.get("/metrics", headers=HEADERS)
    took = perf_counter() - begun
    assert b'booper_in_flight{origin="other"}' in response.content, response.text[:500]
    return took

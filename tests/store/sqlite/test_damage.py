"""A damaged page of the database: it stops what lies on it, and nothing is lost in silence."""

import asyncio
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from booper.app import Booper
from booper.clock import RunningClock
from booper.config import Config
from booper.errors import StartError
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

JOBS = 300
TOLD = "the database file is damaged"
INTERIOR = (2, 5)
"""Kinds of b-tree pages that lead to others (https://www.sqlite.org/fileformat2.html §1.6)."""


def pages(path: Path, name: str) -> tuple[int, list[int]]:
    """Return the size of a page, and the leaves of a table or an index in order; root first."""
    with closing(sqlite3.connect(path)) as database:
        select = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (root,) = database.execute(select, (name,)).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content = path.read_bytes()

    def leaves(number: int) -> list[int]:
        page = content[(number - 1) * size : number * size]
        if page[0] not in INTERIOR:
            return [number]
        (count,) = struct.unpack(">H", page[3:5])
        cells = [struct.unpack(">H", page[12 + 2 * i : 14 + 2 * i])[0] for i in range(count)]
        children = [struct.unpack(">I", page[at : at + 4])[0] for at in cells]
        children.append(struct.unpack(">I", page[8:12])[0])
        return [leaf for child in children for leaf in leaves(child)]

    return size, [root, *leaves(root)]


def damage(path: Path, name: str, place: str) -> None:
    """Fill a page of a table or an index with noise."""
    size, numbers = pages(path, name)
    root, *leaves = numbers
    number = {
        "root": root,
        "first": leaves[0],
        "middle": leaves[len(leaves) // 2],
        "last": leaves[-1],
    }[place]
    with path.open("r+b") as file:
        file.seek((number - 1) * size)
        file.write(Random(1).randbytes(size))


def damage_first_page(path: Path) -> None:
    """Fill the page that holds the schema with noise."""
    with path.open("r+b") as file:
        file.write(Random(1).randbytes(4096))


def sent(target: FakeTarget) -> set[str]:
    """Return the URLs that were sent to."""
    return {str(request.url) for request in target.received}


def client_of(booper: Booper) -> Api:
    """Return a client of a booper's API."""
    return Api(booper.asgi, KEY)


async def until(clock: RunningClock, look: Callable[[], bool]) -> None:
    """Run the loop, in steps of a second, until there is something to see."""
    async with asyncio.timeout(20):
        while not look():
            clock.advance(timedelta(seconds=1))
            for _ in range(20):
                await asyncio.to_thread(bool)  # as long as a change takes on its thread


@pytest.mark.parametrize(
    ("name", "place", "lost"),
    [
        ("jobs", "first", 25),
        ("jobs", "middle", 25),
        ("jobs", "last", 25),
        ("jobs", "root", JOBS),
        ("jobs_waiting", "first", JOBS),
        ("jobs_waiting", "root", JOBS),
        ("jobs_by_id", "middle", JOBS),
        ("logs", "last", JOBS),
    ],
)
async def test_a_damaged_page_stops_what_lies_on_it_and_is_told(
    config: Config,
    target: FakeTarget,
    caplog: pytest.LogCaptureFixture,
    name: str,
    place: str,
    lost: int,
) -> None:
    """What is accepted afterwards is sent; what could not be sent is 503; the probe is 503."""
    clock = RunningClock(START, is_frozen=True)
    booper = Booper(config, api_key=KEY, clock=clock, random=Random(1), transport=target)
    jobs = [
        {"url": f"https://h{n % 20}.test/{n}", "schedule_in": 60, "name": "x" * 100}
        for n in range(JOBS)
    ]
    async with booper, client_of(booper) as api:
        await api.post("/api/jobs", json={"url": "https://h.test/first"})
        await booper.wait_idle()
        await api.post("/api/jobs/batch", json={"jobs": jobs})
    target.received.clear()
    damage(Path(config.database.path), name, place)
    booper = Booper(config, api_key=KEY, clock=clock, random=Random(1), transport=target)
    async with booper, client_of(booper) as api:
        clock.advance(timedelta(seconds=60))
        await until(clock, lambda: len(sent(target)) >= JOBS - lost and TOLD in caplog.text)
        created: dict[str, int] = {}
        for number in range(5):
            url = f"https://new.test/{number}"
            created[url] = (await api.post("/api/jobs", json={"url": url})).status_code
        assert set(created.values()) <= {201, 503}
        accepted = {url for url, status in created.items() if status == 201}
        await until(clock, lambda: accepted <= sent(target))
        assert (await api.get("/readyz")).status_code == 503


async def test_a_damaged_schema_is_a_line_at_the_start(config: Config) -> None:
    """Without its first page a file is no database."""
    async with Booper(config, api_key=KEY):
        pass
    damage_first_page(Path(config.database.path))
    with pytest.raises(StartError, match="file is not a database"):
        async with Booper(config, api_key=KEY):
            pass

"""Programs around booper that share a database of PostgreSQL, and nodes that have none around them.

All of them go by the machine's clock, as nodes do. What is not to be sent yet is paused.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from booper.app import Booper
from booper.config import Config
from booper.errors import TargetRefused
from booper.guard.target import parse_origin, parse_target
from booper.model.origin import names_of
from tests.conftest import KEY
from tests.support.api import URL, Api
from tests.support.postgres import url_in
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS = 20.0
OWN = {"Booper-User": "app"}


class Program:
    """A program around booper, which notes the paths that it gets."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.paths: deque[str] = deque()
        self._came = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with 200 to any request."""
        assert scope["type"] == "http"
        self.paths.append(scope["path"])
        self._came.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def got(self, count: int) -> Sequence[str]:
        """Wait until so many requests have come; return their paths in order of the alphabet."""
        while len(self.paths) < count:
            self._came.clear()
            await self._came.wait()
        return sorted(self.paths)


@pytest.fixture
def shared(config: Config, tmp_path: Path) -> Config:
    """Return settings with one database of PostgreSQL."""
    return replace(config, database=replace(config.database, url=url_in(tmp_path, "shared.db")))


@asynccontextmanager
async def running(
    config: Config, program: Program | None = None, target: FakeTarget | None = None
) -> AsyncIterator[tuple[Booper, Api]]:
    """Run a node, with a program around it or none; yield it with its administrator's API."""
    name = program.name if program is not None else ""
    named = replace(config, delivery=replace(config.delivery, app_name=name))
    node = Booper(
        named, api_key=KEY, random=Random(), transport=target or FakeTarget(), app=program
    )
    async with asyncio.timeout(DEADLINE_SECONDS), node, Api(node.administration) as api:
        api.headers.update(OWN)
        yield node, api


async def paused_job(config: Config, program: Program, **fields: Any) -> int:
    """Run a program that creates a job for itself while its jobs are paused, and ends."""
    async with running(config, program) as (_, api):
        await api.act("/api/pause", {"host": "app:"})
        return await api.create_id(**fields)


async def resume(api: Api) -> None:
    """Resume the jobs of all programs."""
    await api.act("/api/resume", {"host": "app:"})


async def test_copies_of_a_program_are_nodes_that_share_its_jobs(shared: Config) -> None:
    """Neither follows the other, and one sends what the other has made before it ended."""
    first, second = Program(), Program()
    async with AsyncExitStack() as stack:
        other, api = await stack.enter_async_context(running(shared, second))
        async with running(shared, first) as (one, own):
            await one.wait_idle()  # which only a process that sends can tell
            await other.wait_idle()
            await own.act("/api/pause", {"host": "app:"})
            for number in range(3):
                await own.create(url=f"app:/tasks/{number}")
        assert not first.paths
        await resume(api)
        assert await second.got(3) == ["/tasks/0", "/tasks/1", "/tasks/2"]


async def test_a_node_without_a_program_claims_none_of_its_jobs(
    shared: Config, target: FakeTarget
) -> None:
    """It sends other jobs meanwhile, is idle after them, and the attempt is not counted."""
    program = Program()
    number = await paused_job(shared, program, url="app:/tasks/1")
    async with running(shared, target=target) as (node, api):
        await resume(api)
        other = await api.create_id(url=URL)
        await node.wait_idle()
        assert (await api.job(other))["state"] == "completed"
        waiting = await api.job(number)
        assert (waiting["state"], waiting["attempt"]) == ("available", 0)
        async with running(shared, program):
            assert await program.got(1) == ["/tasks/1"]


async def test_many_jobs_of_a_program_that_is_gone_hold_up_nobody(
    shared: Config, target: FakeTarget
) -> None:
    """More than a queue holds, due before all others: the others are sent, whatever waits."""
    program = Program()
    async with running(shared, program) as (_, api):
        await api.act("/api/pause", {"host": "app:"})
        for _ in range(3):
            jobs = [{"url": "app:/tasks"} for _ in range(500)]
            assert (await api.post("/api/jobs/batch", json={"jobs": jobs})).status_code == 201
    async with running(shared, target=target) as (node, api):
        await resume(api)
        others = [await api.create_id(url=URL) for _ in range(5)]
        await node.wait_idle()
        assert {(await api.job(other))["state"] for other in others} == {"completed"}
    assert not program.paths


async def test_each_program_gets_its_own_jobs(shared: Config) -> None:
    """Of two with names and one without, all of them running at once."""
    programs = [Program("shop"), Program("billing"), Program()]
    async with AsyncExitStack() as stack:
        for program in programs:
            _, api = await stack.enter_async_context(running(shared, program))
            where = f"app://{program.name}" if program.name else "app:"
            for number in range(5):
                await api.create(url=f"{where}/{program.name or 'none'}/{number}")
        for program in programs:
            expected = [f"/{program.name or 'none'}/{number}" for number in range(5)]
            assert await program.got(5) == expected


async def test_a_callback_into_a_program_waits_for_it(shared: Config, target: FakeTarget) -> None:
    """Another node has made the attempt that it reports."""
    program = Program("shop")
    async with running(shared, program) as (_, api):
        await api.act("/api/pause", {"host": "target.test"})
        number = await api.create_id(url=URL, callback_url="app://shop/done")
    async with running(shared, target=target) as (node, api):
        await api.act("/api/resume", {"host": "target.test"})
        await node.wait_idle()
        assert (await api.job(number))["state"] == "completed"
    assert not program.paths
    async with running(shared, program):
        assert await program.got(1) == ["/done"]


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("shop", "app:/tasks"),
        ("shop", "app://billing/tasks"),
        ("", "app://shop/tasks"),
    ],
)
async def test_a_program_creates_no_job_for_another(config: Config, name: str, url: str) -> None:
    """The error names the program, and the setting of its name."""
    async with running(config, Program(name)) as (_, api):
        own = f"app://{name}" if name else "app:"
        for fields in ({"url": url}, {"url": URL, "callback_url": url}):
            response = await api.post("/api/jobs", json=fields)
            assert response.status_code == 422
            assert f"url must begin with {own}/, which is this program, got" in response.text
            assert "[delivery] app_name gives a program a name" in response.text


async def test_over_a_file_a_program_does_not_get_jobs_of_another_name(config: Config) -> None:
    """It was given the name after they were made: they fail, and are retried."""
    program = Program()
    number = await paused_job(config, program, url="app:/tasks")
    program.name = "shop"
    async with running(config, program) as (node, api):
        await resume(api)
        await node.wait_idle()
        job = await api.job(number)
        assert (job["state"], job["attempt"]) == ("retryable", 1)
        assert "the program that made the job has" in job["last_error"]
    assert not program.paths


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("app:/tasks", "app:", "/tasks"),
        ("app://shop/tasks?a=b", "app://shop", "/tasks?a=b"),
        ("APP://Shop-2/", "app://shop-2", "/"),
    ],
)
def test_the_origin_of_a_program_is_in_its_urls(url: str, origin: str, path: str) -> None:
    """In lower case; the rest of the URL is the request's target."""
    target = parse_target(url)
    assert (target.origin, target.request_target) == (origin, path)
    assert target.url == origin + path
    assert parse_target(target.url) == target


@pytest.mark.parametrize(
    "url",
    [
        "app://",
        "app://shop",
        "app:///tasks",
        "app://-shop/",
        "app://shop-/",
        "app://sh_op/",
        "app://shop:1/",
        "app://a@shop/",
        f"app://{64 * 'a'}/",
        "app://shop//tasks",
        "app://shop?a",
    ],
)
def test_a_program_has_a_name_and_a_path(url: str) -> None:
    """Anything else is refused."""
    with pytest.raises(TargetRefused, match=r"url must be app:|the name of a program"):
        parse_target(url)


def test_a_pause_of_all_programs_means_those_with_names() -> None:
    """And one of an origin means that program alone."""
    assert names_of(parse_origin("app://shop")) == ("app://shop", "app:")
    assert names_of(parse_origin("app:")) == ("app:",)

"""The dashboard wherever it is: under a mount, under the path of a public URL, or switched off."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.routing import Mount

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Server
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

PREFIX = "/tools/booper"


async def walk(browser: Browser, api: Api, prefix: str) -> None:
    """Sign in by a link, read all pages, change a job: every link stays under the prefix."""
    job_id = await api.create_id(schedule_in=3600)
    asked = await browser.get(f"/jobs/{job_id}")
    assert asked.headers["location"] == f"{prefix}/sign-in?next=%2Fjobs%2F{job_id}"
    form = Seen((await browser.get("/sign-in")).text)
    assert form.values("form", "action") == [f"{prefix}/sign-in"]
    response = await browser.submit("/sign-in", {"key": KEY, "next": f"/jobs/{job_id}"})
    assert response.headers["location"] == f"{prefix}/jobs/{job_id}"
    assert f"; Path={prefix or '/'}; " in response.headers["set-cookie"]
    of_docs = ("/docs", "/docs?q=job", "/docs/operating", "/docs/api", "/docs/api/jobs/post_jobs")
    for path in ("/", "/jobs", f"/jobs/{job_id}", "/jobs?state=scheduled&limit=1", *of_docs):
        seen = await browser.see(path)
        inner = {link for link in seen.links if not link.startswith("#")}
        assert {link for link in inner if not link.startswith(f"{prefix}/")} == set()
        for link in seen.values("link", "href") + seen.values("script", "src"):
            assert (await browser.get(link.removeprefix(prefix))).status_code == 200
    response = await browser.submit(f"/jobs/{job_id}/cancel")
    assert response.headers["location"] == f"{prefix}/jobs/{job_id}?notice=cancelled"


async def test_at_the_root(browser: Browser, api: Api) -> None:
    """Where it is unless told otherwise."""
    await walk(browser, api, "")


async def test_under_a_mount(booper: Booper, api: Api) -> None:
    """In another program."""
    program = Starlette(routes=[Mount(PREFIX, booper.asgi)])
    async with Browser(program, PREFIX) as browser:
        await walk(browser, api, PREFIX)


@pytest.fixture
async def public(config: Config, clock: VirtualClock, target: FakeTarget) -> AsyncIterator[Booper]:
    """Run a booper behind a proxy."""
    settings = replace(config, server=Server(public_url=f"https://booper.example{PREFIX}"))
    async with Booper(settings, api_key=KEY, clock=clock, transport=target) as running:
        yield running


def _in_the_browser(browser: Browser, prefix: str) -> Callable[[httpx.Response], Awaitable[None]]:
    """Return what sends a session's cookie as a browser does, which sees the path with a prefix."""

    async def keep(response: httpx.Response) -> None:
        cookie = response.headers.get("set-cookie", "")
        if f"; Path={prefix};" in cookie:
            browser.headers["Cookie"] = cookie.partition(";")[0]

    return keep


@pytest.mark.parametrize("prefix", ["", PREFIX])
async def test_under_a_public_url_whose_path_the_proxy_removes_or_keeps(
    public: Booper, prefix: str
) -> None:
    """The browser always has the whole path."""
    async with (
        Browser(public.asgi, prefix, "https://booper.example") as browser,
        Api(public.asgi, KEY) as api,
    ):
        browser.event_hooks["response"].append(_in_the_browser(browser, PREFIX))
        await walk(browser, api, PREFIX)


@pytest.mark.parametrize("path", ["/", "/jobs", "/sign-in", "/static/booper.css"])
async def test_switched_off_there_are_no_pages(
    config: Config, clock: VirtualClock, target: FakeTarget, path: str
) -> None:
    """Every path is then one that the API does not have."""
    settings = replace(config, server=Server(pages=False))
    async with (
        Booper(settings, api_key=KEY, clock=clock, transport=target) as running,
        Browser(running.asgi) as browser,
    ):
        response = await browser.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/nothing", "/jobs/1/2/3", "/api/jobs/"])
async def test_a_path_that_is_not_there(browser: Browser, api: Api, path: str) -> None:
    """A browser gets a page; a program, or anybody under /api, gets a problem as ever."""
    page = await browser.get(path)
    problem = await api.get(path)
    assert page.status_code == problem.status_code == 404
    assert problem.headers["content-type"] == "application/problem+json"
    is_page = not path.startswith("/api")
    assert page.headers["content-type"].startswith("text/html") is is_page


async def test_the_administrators_socket_has_no_pages(booper: Booper) -> None:
    """It is for the command line, and for programs around booper."""
    async with Browser(booper.administration) as browser:
        assert (await browser.get("/jobs")).status_code == 404


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_under_a_mount_of_a_process_that_hands_its_calls_on(
    config: Config, target: FakeTarget, scheme: str
) -> None:
    """The holder of the database makes links and cookies for where the browser is."""
    async with (
        Booper(config, api_key=KEY, transport=target) as holder,
        Booper(config, api_key=KEY, transport=target) as standby,
    ):
        program = Starlette(routes=[Mount(PREFIX, standby.asgi)])
        async with (
            Browser(program, PREFIX, f"{scheme}://127.0.0.1") as browser,
            Api(holder.asgi, KEY) as api,
        ):
            await walk(browser, api, PREFIX)
            response = await browser.submit("/sign-in", {"key": KEY})
            assert ("; Secure" in response.headers["set-cookie"]) is (scheme == "https")

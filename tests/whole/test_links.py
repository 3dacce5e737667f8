"""Every link, form and file of every page, behind real proxies and under a mount."""

from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from booper.app import Booper
from booper.config import Config
from booper.dashboard.application import PAGES
from tests.conftest import KEY as OWN_KEY
from tests.support.api import Api
from tests.support.dashboard import ORIGIN, Browser
from tests.support.deployed import KEY, PREFIX, SENDER, Way, caddy, deployed, nginx
from tests.support.leading import Led, Walk
from tests.support.processes import DEADLINE_SECONDS
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

ENDLESS = {"/events"}
"""What scripts read for as long as a page is open; other tests read it."""

UNLINKED = {"/sign-in", *ENDLESS}
"""Pages that no link of a page leads to: who is signed in needs none to the first."""

RARE = {"/jobs/{job_id}/retry", "/origins/reset", "/logs/{log_id}/body"}
"""What only pages of attempts lead to."""

TEMPLATES = sorted({page.path for page in PAGES}, key=lambda path: path.count("{"))


async def seed(api: Api) -> None:
    """Make jobs, schedules, a pause and a key, so that pages have all of their forms."""
    body = {"method": "post", "body": {"n": 1}, "schedule_in": 3600}
    await api.create(**body)
    over = await api.create_id(**body, tags=["a/b&c"])
    await api.act(f"/api/jobs/{over}/cancel")
    await api.create_schedule(schedule_in=3600)
    await api.act(f"{await api.create_schedule(schedule_in=3600)}/disable")
    await api.act("/api/pause", {"host": "paused.test"})
    await api.act("/api/keys", {"name": "spare"})


async def sign_in(browser: Browser, key: str, prefix: str) -> None:
    """Be sent to the sign-in from a page, and back to it, as a browser is."""
    base = f"{str(browser.base_url).rstrip('/')}/"
    sent = await browser.get("/jobs?state=scheduled")
    assert sent.status_code == 303
    form = urljoin(str(sent.url), sent.headers["location"])
    assert form.startswith(f"{base}sign-in?next=")
    assert (await browser.get(form)).status_code == 200
    fields = {"key": key, "next": "/jobs?state=scheduled"}
    response = await browser.submit("/sign-in", fields)
    assert urljoin(str(response.url), response.headers["location"]) == f"{base}jobs?state=scheduled"
    cookie = response.headers["set-cookie"]
    assert f"; Path={prefix or '/'}; " in cookie
    browser.headers["Cookie"] = cookie.partition(";")[0]


def check(led: Led) -> None:
    """Check that nothing leads out or nowhere, and that all pages and changes were met."""
    assert led.faults == []
    pages = {page.path for page in PAGES if page.method == "GET"}
    assert pages - UNLINKED - RARE - led.pages == set()
    assert {page.path for page in PAGES} - pages - UNLINKED - RARE - led.changes == set()


@pytest.mark.parametrize("prefix", [PREFIX, ""], ids=["below a path", "at the root"])
@pytest.mark.parametrize("way", [nginx, caddy])
async def test_behind_a_proxy(tmp_path: Path, way: Way, prefix: str) -> None:
    """With the configurations of the page about deploying."""
    with deployed(tmp_path, way, prefix) as booper:
        transport = httpx.AsyncHTTPTransport(verify=booper.front.trusted, local_address=SENDER)
        async with (
            Api(transport, KEY, booper.url) as api,
            Browser(transport, prefix, booper.front.origin) as browser,
        ):
            browser.timeout = httpx.Timeout(DEADLINE_SECONDS)
            await seed(api)
            await sign_in(browser, KEY, prefix)
            check(await Walk(browser, prefix, TEMPLATES, most=3, endless=ENDLESS).take())


async def test_under_a_mount(config: Config, target: FakeTarget) -> None:
    """In another program, which has nothing else."""
    async with Booper(config, api_key=OWN_KEY, transport=target) as booper:
        program = Starlette(routes=[Mount(PREFIX, booper.asgi)])
        async with Api(booper.asgi, OWN_KEY) as api, Browser(program, PREFIX) as browser:
            await seed(api)
            await sign_in(browser, OWN_KEY, PREFIX)
            check(await Walk(browser, PREFIX, TEMPLATES, most=3, endless=ENDLESS).take())


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="/jobs">', "/jobs leads out"),
        ('<a href="https://evil.test/">', "https://evil.test/ leads out"),
        ('<a href="../jobs">', "../jobs leads out"),
        ('<form method="post" action="/keys">', "/keys leads out"),
        ('<button formaction="/new/check">', "/new/check leads out"),
        ('<form data-live="/new/check">', "/new/check leads out"),
        ('<link rel="stylesheet" href="/static/x.css">', "/static/x.css leads out"),
        (f'<a href="{PREFIX}/nothing">', "is 404"),
        (f'<form method="post" action="{PREFIX}/nothing">', "is 404"),
        (f'<a href="{PREFIX}/away">', "leads out to http://127.0.0.1:2667/sign-in"),
    ],
)
async def test_a_fault_is_found(html: str, fault: str) -> None:
    """Wherever on a page it is."""

    async def home(request: object) -> HTMLResponse:
        return HTMLResponse(html)

    async def away(request: object) -> HTMLResponse:
        return HTMLResponse("", 303, {"Location": "/sign-in"})

    program = Starlette(routes=[Route(f"{PREFIX}/", home), Route(f"{PREFIX}/away", away)])
    async with Browser(program, PREFIX, ORIGIN) as browser:
        [found] = (await Walk(browser, PREFIX, TEMPLATES, most=3, endless=ENDLESS).take()).faults
    assert found.endswith(fault)

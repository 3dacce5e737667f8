"""Pages of others change nothing and read nothing, whatever they send and however it is called."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Request

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.foreign import (
    NAMES,
    READS,
    SUBMIT,
    WRITES,
    foreign_pages,
    without_checks,
)
from tests.browser.site import Site, serving_site, unchanged
from tests.browser.visitor import Visitor
from tests.conftest import KEY
from tests.support.rows import rows_of

TARGET: Final = "http://127.0.0.1:9/"
DEADLINE_SECONDS: Final = 20.0
KINDS: Final = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")

Fields = list[tuple[str, str]]


async def changes_of(site: Site) -> Mapping[str, Fields]:
    """Return changes that would have an effect: paths, and the fields of their forms."""
    job = await site.api.create_id(url=TARGET, schedule_in=3600)
    schedule = (await site.api.create_schedule(url=TARGET, schedule_in=3600)).rpartition("/")[2]
    return {
        f"/jobs/{job}/cancel": [],
        f"/schedules/{schedule}/delete": [],
        "/new": [("method", "get"), ("url", TARGET), ("when", "now"), ("body_kind", "json")],
        "/keys": [("name", "stolen"), ("scope", "admin")],
        "/origins/pause": [("target", "*")],
        "/jobs/all": [("action", "cancel"), ("through", "9999")],
        "/sign-out": [],
        f"/api/jobs/{job}/cancel": [],
        "/api/jobs": [("url", TARGET)],
    }


async def attack(visitor: Visitor, changes: Mapping[str, Fields]) -> list[str]:
    """Try each change in each way, from the page that is shown; return what could be read."""
    read = []
    for path, fields in changes.items():
        url = f"{visitor.site.url}{path}"
        for kind in KINDS:
            await visitor.page.evaluate(SUBMIT, [url, fields, kind])
        for name, script in WRITES.items():
            async with ended(visitor, url):
                text = await visitor.page.evaluate(script, [url, fields])
            if text:
                read.append(f"{name} of {path}: {text:.100}")
    return read


@asynccontextmanager
async def ended(visitor: Visitor, url: str) -> AsyncIterator[None]:
    """Wait at the end of the block for the end of a request to a URL, as a beacon has no other."""
    done = asyncio.Event()

    def note(request: Request) -> None:
        if request.url == url:
            done.set()

    for event in ("requestfinished", "requestfailed"):
        visitor.context.on(event, note)
    yield
    async with asyncio.timeout(DEADLINE_SECONDS):
        await done.wait()
    for event in ("requestfinished", "requestfailed"):
        visitor.context.remove_listener(event, note)


async def spy(visitor: Visitor) -> list[str]:
    """Try to read pages and the API in each way, from the page that is shown."""
    read = []
    for path in ("/jobs", "/keys", "/api/jobs", "/events", "/logs/0/body"):
        for name, script in READS.items():
            if text := await visitor.page.evaluate(script, f"{visitor.site.url}{path}"):
                read.append(f"{name} of {path}: {text:.100}")
    return read


async def forgive(visitor: Visitor) -> None:
    """Forget what the foreign page did."""
    await visitor.found()
    visitor.faults.clear()


def rows(config: Config) -> dict[str, list[str]]:
    """Return what a change could change: all but when sessions were used."""
    found = rows_of(Path(config.database.path))
    return {**found, "sessions": [str(len(found["sessions"]))]}


@pytest.mark.parametrize("name", NAMES)
async def test_a_page_of_others_changes_and_reads_nothing(
    chromium: Chromium, config: Config, name: str
) -> None:
    """At another port of this machine, by another of its names, and by a name of the internet."""
    async with (
        foreign_pages() as port,
        serving_site(config) as site,
        chromium.visit(site) as visitor,
    ):
        changes = await changes_of(site)
        await visitor.sign_in(KEY)
        before = rows(config)
        await visitor.page.goto(f"http://{name}:{port}/")
        assert await attack(visitor, changes) == []
        assert await spy(visitor) == []
        assert rows(config) == before
        await visitor.open("/jobs")  # nobody was signed out either
        await visitor.page.get_by_role("heading", name="Jobs", exact=True).wait_for()
        await forgive(visitor)


async def test_a_page_of_others_would_change_much_without_the_check(
    chromium: Chromium, config: Config
) -> None:
    """The same attack finds that it is switched off: jobs, schedules, keys and pauses change."""
    async with (
        foreign_pages() as port,
        serving_site(config, without_checks) as site,
        chromium.visit(site) as visitor,
    ):
        changes = await changes_of(site)
        await visitor.sign_in(KEY)
        before = rows(config)
        own = f"http://{NAMES[0]}:{port}/"
        await visitor.page.goto(own)
        read = {name for name, script in READS.items() if await visitor.page.evaluate(script, own)}
        assert read >= {"fetch", "XMLHttpRequest", "frame"}  # what is its own it could read
        await attack(visitor, changes)
        after = rows(config)
        changed = {table for table, found in after.items() if found != before[table]}
        assert changed >= {"jobs", "schedules", "keys", "pauses", "sessions"}
        await forgive(visitor)


@pytest.mark.parametrize(("wrap", "is_refused"), [(unchanged, True), (without_checks, False)])
async def test_a_name_of_others_that_leads_here_shows_nothing(
    chromium: Chromium, config: Config, wrap: object, is_refused: bool
) -> None:
    """By a name that is not booper's its pages are not there, which the twin shows."""
    assert callable(wrap)
    async with serving_site(config, wrap) as site, chromium.visit(site) as visitor:
        response = await visitor.page.goto(site.url.replace("127.0.0.1", NAMES[-1]))
        assert response is not None
        assert (response.status == 403) is is_refused
        assert await visitor.page.get_by_label("API key").is_visible() is not is_refused
        await forgive(visitor)

"""Changes that are refused change nothing: each of them, with a form that would have an effect."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.dashboard.application import PAGES
from booper.engine.breakers import MAX_FAILURES
from booper.model.session import MAX_IDLE
from tests.conftest import KEY, START
from tests.dashboard.test_access import NEEDS
from tests.dashboard.test_schedule_form import typed_in
from tests.support.api import URL, Api
from tests.support.dashboard import Browser
from tests.support.rows import rows_of
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

Fields = dict[str, str]

IDLE = {"/sign-in", "/sign-out", "/new/check", "/new/curl"}
"""What changes nothing but the session, if that."""

FIELDS: dict[str, Fields] = {
    "/jobs/selected": {"action": "cancel", "job": "{job_id}"},
    "/jobs/all": {"action": "cancel", "through": "9999"},
    "/jobs/{job_id}/cancel": {},
    "/jobs/{job_id}/run": {},
    "/jobs/{job_id}/retry": {},
    "/new": {"method": "get", "url": URL, "when": "in", "schedule_in": "1 hour"},
    "/schedules/{schedule_id}/run": {},
    "/schedules/{schedule_id}/disable": {},
    "/schedules/{schedule_id}/enable": {},
    "/schedules/{schedule_id}/delete": {},
    "/schedules/{schedule_id}/change": {"name": "changed"},
    "/schedules/{schedule_id}/state": {"state": '{"changed": 1}'},
    "/origins/pause": {"target": "*"},
    "/origins/resume": {"target": "paused.test"},
    "/origins/reset": {"target": "https://down.test"},
    "/keys": {"name": "stolen", "scope": "admin"},
    "/keys/{key_id}/revoke": {},
    "/docs/api/{tag}/{operation}": {"body": f'{{"url": "{URL}"}}'},
}
"""The fields of forms that would have an effect, by the routes of the changes."""

OTHERS: dict[str, Fields] = {
    "/jobs/{job_id}/retry": {"job_id": "{ended_id}"},
    "/schedules/{schedule_id}/enable": {"schedule_id": "{disabled_id}"},
}
"""What a change is made to, where that is neither the job nor the schedule that waits."""

LATER = [90, "days"]

Forms = dict[str, tuple[str, Fields]]
"""The paths of changes and what is sent there, by their routes."""


def test_the_table_has_every_change() -> None:
    """And nothing else."""
    changes = {page.path for page in PAGES if page.method == "POST"}
    assert changes - IDLE == set(FIELDS)


@pytest.fixture
async def forms(booper: Booper, api: Api, admin: Api, target: FakeTarget) -> Forms:
    """Return a form of each change; there is all that they are about."""
    target.respond(httpx.Response(500), *[httpx.Response(503)] * MAX_FAILURES)
    ended = await api.create_id(max_attempts=1)
    await booper.wait_idle()
    for _ in range(MAX_FAILURES):
        await api.create(url="https://down.test/", max_attempts=1)
        await booper.wait_idle()
    await admin.act("/api/pause", {"host": "paused.test"})
    disabled = await api.create_schedule(schedule_in=LATER)
    await api.act(f"{disabled}/disable")
    ids = {
        "job_id": str(await api.create_id(schedule_in=LATER)),
        "ended_id": str(ended),
        "schedule_id": (await api.create_schedule(schedule_in=LATER)).rpartition("/")[2],
        "disabled_id": disabled.rpartition("/")[2],
        "key_id": (await admin.act("/api/keys", {"name": "spare"}))["id"],
        "tag": "jobs",
        "operation": "post_jobs",
    }
    async with Browser(booper.asgi) as browser:
        await browser.sign_in(KEY)
        return {route: await form_of(browser, route, ids) for route in FIELDS}


async def form_of(browser: Browser, route: str, ids: Fields) -> tuple[str, Fields]:
    """Return where the form of a change is sent, and its fields as somebody has filled them."""
    own = {name: value.format_map(ids) for name, value in OTHERS.get(route, {}).items()}
    path = route.format_map({**ids, **own})
    fields = {
        name: value.replace("{job_id}", ids["job_id"]) for name, value in FIELDS[route].items()
    }
    if route.endswith(("/change", "/state")):
        fields = {**typed_in(await browser.see(path)), **fields}
    return path, fields


def rows(config: Config) -> dict[str, list[str]]:
    """Return what a change could change."""
    found = rows_of(Path(config.database.path))
    return {table: rows for table, rows in found.items() if table != "sessions"}


@pytest.mark.parametrize("route", FIELDS)
async def test_each_form_has_an_effect(
    browser: Browser, config: Config, forms: Forms, route: str
) -> None:
    """For who may have it: that of an administrator."""
    await browser.sign_in(KEY)
    before = rows(config)
    response = await browser.submit(*forms[route])
    assert response.status_code in (200, 201, 303), response.text
    assert rows(config) != before


Visit = Callable[[Browser, dict[str, str], Api, VirtualClock], Awaitable[None]]


async def as_nobody(
    browser: Browser, keys: dict[str, str], admin: Api, clock: VirtualClock
) -> None:
    """Sign in with no key."""


async def as_reader(
    browser: Browser, keys: dict[str, str], admin: Api, clock: VirtualClock
) -> None:
    """Sign in with a key of scope read."""
    await browser.sign_in(keys["read"])


async def as_writer(
    browser: Browser, keys: dict[str, str], admin: Api, clock: VirtualClock
) -> None:
    """Sign in with a key of scope write."""
    await browser.sign_in(keys["write"])


async def as_another(
    browser: Browser, keys: dict[str, str], admin: Api, clock: VirtualClock
) -> None:
    """Sign in with a key of another user."""
    await browser.sign_in(keys["other"])


async def as_revoked(
    browser: Browser, keys: dict[str, str], admin: Api, clock: VirtualClock
) -> None:
    """Sign in with a key of scope admin, which is revoked then."""
    await browser.sign_in(keys["admin"])
    found = next(key for key in await admin.read("/api/keys") if key["name"] == "admin")
    assert (await admin.delete(f"/api/keys/{found['id']}")).status_code == 200


async def as_expired(
    browser: Browser, keys: dict[str, str], admin: Api, clock: VirtualClock
) -> None:
    """Sign in, and come back when the session has ended."""
    await browser.sign_in(keys["admin"])
    clock.set(START + MAX_IDLE + timedelta(seconds=1))
    await admin.read("/api/status")


async def as_foreign(
    browser: Browser, keys: dict[str, str], admin: Api, clock: VirtualClock
) -> None:
    """Sign in with a key of scope admin; the page of another site sends the forms."""
    await browser.sign_in(keys["admin"])
    browser.headers["Sec-Fetch-Site"] = "cross-site"


VISITS: dict[Visit, Callable[[str], bool]] = {
    as_nobody: lambda route: True,
    as_reader: lambda route: True,
    as_writer: lambda route: NEEDS["POST", route][0] == "admin",
    as_another: lambda route: "{job_id}" in route or "{schedule_id}" in route,
    as_revoked: lambda route: True,
    as_expired: lambda route: True,
    as_foreign: lambda route: True,
}
"""Who sends forms, and which of them must have no effect then."""


@pytest.mark.parametrize("visit", VISITS, ids=lambda visit: visit.__name__)
async def test_a_refused_form_has_none(
    browser: Browser,
    config: Config,
    admin: Api,
    keys: dict[str, str],
    clock: VirtualClock,
    forms: Forms,
    visit: Visit,
) -> None:
    """Not one row is another, whatever is sent."""
    await visit(browser, keys, admin, clock)
    site = browser.headers.get("Sec-Fetch-Site", "same-origin")
    for route in filter(VISITS[visit], FIELDS):
        path, fields = forms[route]
        before = rows(config)
        response = await browser.post(path, data=fields, headers={"Sec-Fetch-Site": site})
        assert response.status_code in (303, 403, 404), route
        assert rows(config) == before, route

"""Who sees which page and may do what: the whole table, sent as raw HTTP."""

from datetime import timedelta

import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.dashboard.application import PAGES
from booper.model.session import MAX_IDLE
from tests.conftest import START
from tests.support.api import Api
from tests.support.dashboard import Browser, filled

pytestmark = pytest.mark.anyio

# What each page and change needs, or "none", and the status it has for whoever may have it.
NEEDS = {
    ("GET", "/sign-in"): ("none", 200),
    ("POST", "/sign-in"): ("none", 403),  # no key is given
    ("POST", "/sign-out"): ("none", 303),
    ("GET", "/"): ("read", 200),
    ("GET", "/jobs"): ("read", 200),
    ("GET", "/jobs/{job_id}"): ("read", 200),
    ("POST", "/jobs/selected"): ("write", 422),  # nothing is to be done to them
    ("GET", "/jobs/all"): ("write", 422),
    ("POST", "/jobs/all"): ("write", 422),
    ("GET", "/schedules"): ("read", 200),
    ("GET", "/schedules/{schedule_id}"): ("read", 200),
    ("POST", "/schedules/{schedule_id}/run"): ("write", 303),
    ("POST", "/schedules/{schedule_id}/disable"): ("write", 303),
    ("POST", "/schedules/{schedule_id}/enable"): ("write", 303),
    ("POST", "/schedules/{schedule_id}/delete"): ("write", 303),
    ("GET", "/schedules/{schedule_id}/change"): ("write", 200),
    ("POST", "/schedules/{schedule_id}/change"): ("write", 409),  # of a form that nobody has seen
    ("GET", "/schedules/{schedule_id}/state"): ("write", 200),
    ("POST", "/schedules/{schedule_id}/state"): ("write", 409),
    ("GET", "/logs/{log_id}/body"): ("read", 200),
    ("GET", "/new"): ("write", 200),
    ("POST", "/new"): ("write", 422),  # no URL is given
    ("POST", "/new/check"): ("write", 200),
    ("POST", "/new/curl"): ("write", 422),  # no command is given
    ("POST", "/jobs/{job_id}/cancel"): ("write", 303),
    ("POST", "/jobs/{job_id}/retry"): ("write", 409),  # it waits
    ("POST", "/jobs/{job_id}/run"): ("write", 303),
    ("GET", "/origins"): ("admin", 200),
    ("POST", "/origins/pause"): ("admin", 422),  # of no target
    ("POST", "/origins/resume"): ("admin", 422),
    ("POST", "/origins/reset"): ("admin", 422),
    ("GET", "/keys"): ("admin", 200),
    ("POST", "/keys"): ("admin", 422),  # without a name
    ("POST", "/keys/{key_id}/revoke"): ("admin", 303),
    ("GET", "/status"): ("admin", 200),
    ("GET", "/audit"): ("admin", 200),
    ("GET", "/docs"): ("none", 200),
    ("GET", "/docs/{topic}"): ("none", 200),
    ("GET", "/docs/api"): ("none", 200),
    ("GET", "/docs/api/{tag}"): ("none", 200),
    ("GET", "/docs/api/{tag}/{operation}"): ("none", 200),
    ("POST", "/docs/api/{tag}/{operation}"): ("read", 200),  # test_api_docs.py has what it calls
    ("GET", "/events"): ("read", 200),
}
CLOSED = [page for page, (needs, _) in NEEDS.items() if needs != "none"]
OF_SOMETHING = [
    page
    for page in CLOSED
    if "{" in page[1] and NEEDS[page][0] != "admin" and not page[1].startswith("/docs/")
]
RANKS = ("none", "read", "write", "admin")


def test_the_table_has_every_page() -> None:
    """And nothing else."""
    assert {(page.method, page.path) for page in PAGES} == set(NEEDS)


Ids = dict[str, str]
"""The names of parameters, and the ids that stand for them."""


async def call(browser: Browser, method: str, path: str, ids: Ids) -> tuple[int, str]:
    """Return the status of a call, and where it leads."""
    target = filled(path, ids)
    if path == "/events":
        response = await browser.head(target)  # a stream has no end
    else:
        response = await (browser.get(target) if method == "GET" else browser.submit(target))
    return response.status_code, response.headers.get("location", "")


@pytest.fixture
async def ids(booper: Booper, api: Api, admin: Api) -> Ids:
    """Return a job of the first user that waits for an hour, an entry of their log, and a key."""
    await api.create()
    await booper.wait_idle()
    log_id = (await api.read("/api/logs"))[0]["id"]
    key_id = (await admin.act("/api/keys", {"name": "spare"}))["id"]
    schedule_id = (await api.create_schedule(schedule_in=3600)).rpartition("/")[2]
    job_id = str(await api.create_id(schedule_in=3600))
    return {"job_id": job_id, "schedule_id": schedule_id, "log_id": log_id, "key_id": key_id}


@pytest.mark.parametrize(("method", "path"), NEEDS)
@pytest.mark.parametrize("scope", ["read", "write", "admin"])
async def test_a_key_sees_what_its_scope_allows(
    browser: Browser, keys: dict[str, str], ids: Ids, method: str, path: str, scope: str
) -> None:
    """Anything else is refused as the API refuses it, and changes nothing."""
    needs, expected = NEEDS[method, path]
    await browser.sign_in(keys[scope])
    if path == "/sign-in" and method == "GET":
        expected = 303  # who is signed in goes on
    status, _ = await call(browser, method, path, ids)
    assert status == (expected if RANKS.index(scope) >= RANKS.index(needs) else 403)


@pytest.mark.parametrize("scope", ["read", "write"])
async def test_what_was_refused_has_not_happened(
    browser: Browser, api: Api, keys: dict[str, str], ids: Ids, scope: str
) -> None:
    """A reader sees no form of a change, and the change itself is refused."""
    await browser.sign_in(keys[scope])
    seen = await browser.see(filled("/jobs/{job_id}", ids))
    is_offered = filled("/jobs/{job_id}/cancel", ids) in seen.values("form", "action")
    await browser.submit(filled("/jobs/{job_id}/cancel", ids))
    is_cancelled = (await api.job(ids["job_id"]))["state"] == "cancelled"
    assert is_offered is is_cancelled is (scope == "write")


@pytest.mark.parametrize("scope", ["read", "write"])
async def test_a_reader_neither_sees_nor_makes_a_change_of_a_schedule(
    browser: Browser, api: Api, keys: dict[str, str], ids: Ids, scope: str
) -> None:
    """What is not offered is refused as well."""
    await browser.sign_in(keys[scope])
    page = filled("/schedules/{schedule_id}", ids)
    seen = await browser.see(page)
    offered = {*seen.values("form", "action"), *seen.values("a", "href")}
    changes = {f"{page}/{change}" for change in ("run", "disable", "delete", "change", "state")}
    assert changes & offered == (changes if scope == "write" else set())
    await browser.submit(f"{page}/disable")
    is_disabled = (await api.read(f"/api{page}"))["disabled_at"] is not None
    await browser.submit(f"{page}/delete")
    is_gone = (await api.get(f"/api{page}")).status_code == 404
    assert is_disabled is is_gone is (scope == "write")


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_nobody_in_particular_is_asked_to_sign_in(
    browser: Browser, api: Api, ids: Ids, method: str, path: str
) -> None:
    """Who only reads comes back afterwards; a change is not made."""
    status, location = await call(browser, method, path, ids)
    asked = filled(path, ids).replace("/", "%2F")
    following = f"?next={asked}" if method == "GET" and path != "/" else ""
    assert (status, location) == (303, f"/sign-in{following}")
    assert (await api.job(ids["job_id"]))["state"] == "scheduled"


@pytest.mark.parametrize(("method", "path"), OF_SOMETHING)
async def test_what_is_another_users_is_not_there(
    browser: Browser, api: Api, keys: dict[str, str], ids: Ids, method: str, path: str
) -> None:
    """As in the API, which does not tell whether it is there."""
    await browser.sign_in(keys["other"])
    status, _ = await call(browser, method, path, ids)
    assert status == 404
    assert (await api.job(ids["job_id"]))["state"] == "scheduled"
    assert (await browser.see("/jobs")).values("tr", "id") == []


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_a_revoked_key_ends_its_sessions_at_once(
    browser: Browser,
    admin: Api,
    keys: dict[str, str],
    ids: Ids,
    method: str,
    path: str,
) -> None:
    """The next request is asked to sign in, whatever it is."""
    await browser.sign_in(keys["admin"])
    found = next(key for key in await admin.read("/api/keys") if key["name"] == "admin")
    assert (await admin.delete(f"/api/keys/{found['id']}")).status_code == 200
    status, location = await call(browser, method, path, ids)
    assert (status, location.partition("?")[0]) == (303, "/sign-in")


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_a_session_that_was_not_used_for_30_days_has_ended(
    browser: Browser,
    clock: VirtualClock,
    keys: dict[str, str],
    ids: Ids,
    method: str,
    path: str,
) -> None:
    """A moment before, it has not; each use counts from then on."""
    assert timedelta(days=30) == MAX_IDLE
    await browser.sign_in(keys["admin"])
    clock.set(START + MAX_IDLE - timedelta(seconds=1))
    assert (await browser.get("/jobs")).status_code == 200
    clock.set(START + 2 * MAX_IDLE - timedelta(seconds=2))
    assert (await browser.get("/jobs")).status_code == 200
    clock.set(START + 3 * MAX_IDLE - timedelta(seconds=2))
    status, location = await call(browser, method, path, ids)
    assert (status, location.partition("?")[0]) == (303, "/sign-in")


async def test_a_page_asks_for_no_more_than_it_was_given(
    booper: Booper, keys: dict[str, str]
) -> None:
    """A made-up cookie is nobody's, nor is a key in its place."""
    for value in ("", "x", keys["admin"], "\xff"):
        async with Browser(booper.asgi) as browser:
            headers = [(b"cookie", f"booper_session={value}".encode("latin-1"))]
            response = await browser.get("/jobs", headers=headers)
            assert response.status_code == 303

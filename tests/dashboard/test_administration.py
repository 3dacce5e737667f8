"""The pages of administrators: origins, keys, status, audit."""

import re
import socket
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.dashboard.audit import WORDS
from booper.dashboard.keyset import LIMIT
from booper.engine.breakers import MAX_FAILURES
from booper.model.audit import Action
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

PAGES = ("/origins", "/keys", "/status", "/audit")


@pytest.fixture(autouse=True)
async def signed_in(browser: Browser) -> None:
    """Sign in with the first key, which administers."""
    await browser.sign_in(KEY)


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
async def test_the_menu_leads_to_what_one_may_see(
    booper: Booper, keys: dict[str, str], scope: str
) -> None:
    """To the pages of administrators only with such a key."""
    async with Browser(booper.asgi) as browser:
        await browser.sign_in(keys[scope])
        links = (await browser.see("/")).links
    assert [page in links for page in PAGES] == [scope == "admin"] * len(PAGES)


async def test_origins_show_what_the_api_has(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """An origin that works, and one whose breaker is open, with its errors."""
    await api.create(url="https://works.test/")
    await booper.wait_idle()
    target.respond(*[httpx.Response(503)] * MAX_FAILURES)
    for _ in range(MAX_FAILURES):
        await api.create(url="https://down.test/", max_attempts=1)
        await booper.wait_idle()
    text = (await browser.see("/origins")).text
    assert "https://works.test sending 0 of 16 1 0 0.005 s" in text
    assert f"https://down.test {MAX_FAILURES} \u00d7 5xx breaker open" in text
    assert f"{MAX_FAILURES} failures; next probe 2030-01-01 12:00:01" in text
    response = await browser.submit("/origins/reset", {"target": "https://down.test"})
    seen = await browser.see(response.headers["location"])
    assert "The breaker is reset: requests to this origin are sent again." in seen.text
    assert "breaker open" not in seen.text


@pytest.mark.parametrize("named", ["shop.test", "shop.test:8443", "https://shop.test", "*"])
async def test_targets_are_paused_and_resumed(browser: Browser, admin: Api, named: str) -> None:
    """Whichever way a target can be named; the page has the button for the way back."""
    response = await browser.submit("/origins/pause", {"target": f" {named} "})
    seen = await browser.see(response.headers["location"])
    assert "Requests to this target are paused." in seen.text
    assert [pause["target"] for pause in await admin.read("/api/pauses")] == [named]
    assert seen.values("input", "value") == ["", named]
    response = await browser.submit("/origins/resume", {"target": named})
    assert "Nothing is paused." in (await browser.see(response.headers["location"])).text
    assert await admin.read("/api/pauses") == []


async def test_a_target_that_cannot_be_is_explained(browser: Browser, admin: Api) -> None:
    """In the API's words, and the form keeps it. An empty one does not mean everything."""
    detail = (await admin.post("/api/pause", json={"host": "a b"})).json()["errors"][0]["detail"]
    response = await browser.submit("/origins/pause", {"target": "a b"})
    assert response.status_code == 422
    assert detail in Seen(response.text).text
    assert "a b" in Seen(response.text).values("input", "value")
    assert (await browser.submit("/origins/pause", {"target": " "})).status_code == 422
    assert await admin.read("/api/pauses") == []


async def test_a_key_is_shown_once_and_works(browser: Browser, booper: Booper, admin: Api) -> None:
    """With its scope and user; no later page has it."""
    fields = {"name": "deploy", "user": "bob", "scope": "read"}
    response = await browser.submit("/keys", fields)
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store")
    [secret] = re.findall(r"sk_[\w-]{43}", Seen(response.text).text)
    made = next(key for key in await admin.read("/api/keys") if key["name"] == "deploy")
    assert (made["user"], made["scope"]) == ("bob", "read")
    assert secret not in (await browser.get("/keys")).text
    async with Browser(booper.asgi) as other:
        await other.sign_in(secret)
        assert "bob · read" in (await other.see("/jobs")).text


async def test_a_key_without_a_user_is_the_first_users(browser: Browser, admin: Api) -> None:
    """And writes, unless something else is chosen."""
    response = await browser.submit("/keys", {"name": "spare", "user": ""})
    assert response.status_code == 201
    made = next(key for key in await admin.read("/api/keys") if key["name"] == "spare")
    assert (made["user"], made["scope"]) == ("default", "write")


async def test_what_is_wrong_with_a_key_is_explained(browser: Browser, admin: Api) -> None:
    """In the API's words; the form keeps what was typed."""
    fields = {"name": "x" * 101, "scope": "root"}
    known = await admin.read("/api/keys")
    told = (await admin.post("/api/keys", json=fields)).json()["errors"]
    response = await browser.submit("/keys", fields)
    assert response.status_code == 422
    for each in told:
        assert each["detail"] in Seen(response.text).text
    assert "x" * 101 in Seen(response.text).values("input", "value")
    assert await admin.read("/api/keys") == known


async def test_a_key_is_revoked_behind_a_question(
    browser: Browser, booper: Booper, admin: Api
) -> None:
    """Which needs no script: the button that does it is in a part of the page that opens."""
    made = await admin.act("/api/keys", {"name": "old"})
    path = f"/keys/{made['id']}/revoke"
    names = [(name, found.get("action")) for name, found in (await browser.see("/keys")).elements]
    place = names.index(("form", path))
    assert "details" in [name for name, _ in names[place - 5 : place]]
    response = await browser.submit(path)
    seen = await browser.see(response.headers["location"])
    assert "The key is revoked." in seen.text
    assert path not in seen.values("form", "action")
    async with Api(booper.asgi, made["key"]) as api:
        assert (await api.get("/api/jobs")).status_code == 401


async def test_who_revokes_their_own_key_is_signed_out(browser: Browser, admin: Api) -> None:
    """The page says so before."""
    assert "You are signed in with it" in (await browser.see("/keys")).text
    [own] = await admin.read("/api/keys")
    response = await browser.submit(f"/keys/{own['id']}/revoke")
    assert (await browser.get(response.headers["location"])).status_code == 303


async def test_keys_have_pages_in_both_directions(browser: Browser, admin: Api) -> None:
    """Newest first, none missing and none twice, forward and back."""
    for n in range(2 * LIMIT):
        await admin.act("/api/keys", {"name": f"key {n}"})
    expected = sorted(await rows_of(admin, "/api/keys"), reverse=True)
    await walk(browser, "/keys", [f"key-{each}" for each in expected])


async def test_the_audit_has_pages_in_both_directions(browser: Browser, admin: Api) -> None:
    """As the keys have."""
    for n in range(2 * LIMIT + 1):
        await admin.act("/api/pause", {"host": f"host{n}.test"})
    expected = sorted(await rows_of(admin, "/api/audit"), reverse=True)
    await walk(browser, "/audit", [f"change-{each}" for each in expected])


async def rows_of(admin: Api, path: str) -> list[Any]:
    """Return the ids of all items of a list of the API."""
    found, cursor = list[Any](), ""
    while True:
        page = (await admin.get(f"{path}?limit=100{cursor}")).json()
        found += [each["id"] for each in page["data"]]
        if "next_cursor" not in page:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def walk(browser: Browser, path: str, expected: list[str]) -> None:
    """Check the rows of all pages of a list, to its end and back."""
    pages = [await browser.see(path)]
    while link := leading(pages[-1], "next"):
        pages.append(await browser.see(link))
    assert [row for page in pages for row in page.values("tr", "id")] == expected
    assert len(pages) == -(-len(expected) // LIMIT)
    back = [pages[-1]]
    while link := leading(back[0], "prev"):
        back.insert(0, await browser.see(link))
    assert [row for page in back for row in page.values("tr", "id")] == expected


def leading(seen: Seen, relation: str) -> str:
    """Return where a page's link of a relation leads, nothing if it has none."""
    return "".join(
        found["href"] or "" for _, found in seen.elements if found.get("rel") == relation
    )


async def test_status_shows_what_the_api_has(
    browser: Browser, booper: Booper, api: Api, admin: Api, target: FakeTarget
) -> None:
    """Numbers, versions, and the state of the loop."""
    target.respond(httpx.Response(200), httpx.Response(500))
    await api.create()
    await api.create(max_attempts=1)
    await booper.wait_idle()
    await admin.act("/api/pause", {"host": "paused.test"})
    await api.create(url="https://paused.test/")
    text = "".join((await browser.see("/status")).text.split())
    status = await admin.read("/api/status")
    for words in (
        "Status sending",
        "scheduled 1",
        "completed 1",
        "discarded 1",
        "Due now 1",
        "Oldest of them 2030-01-01 12:00:00",
        "Completed in the last hour 1",
        "Failed attempts 1",
        "99 of 100 late by at most 0.005 s",
        "0 of 64 taken",
        "Pauses 1",
        f"booper {status['version']}",
        f"SQLite {status['sqlite']}",
        "This booper makes none by itself.",
        f"{socket.gethostname()} this one",
        "\N{EN DASH} 0.000 s",
    ):
        assert words.replace(" ", "") in text, words


async def test_every_change_has_words() -> None:
    """And nothing else has."""
    assert set(WORDS) == set(Action)


async def test_the_audit_shows_who_changed_what(
    browser: Browser, api: Api, keys: dict[str, str]
) -> None:
    """A key by its name, the administrator of the machine without one; jobs by links."""
    job_id = await api.create_id(schedule_in=3600)
    await browser.submit(f"/jobs/{job_id}/cancel")
    seen = await browser.see("/audit")
    assert f"BOOPER_API_KEY cancelled a job job {job_id} 1" in seen.text
    assert "the machine's administrator created a key" in seen.text
    assert f"/jobs/{job_id}" in seen.links


async def test_the_audit_leads_to_a_schedule(browser: Browser, api: Api) -> None:
    """To its page."""
    path = await api.create_schedule()
    await api.act(f"{path}/disable")
    link = path.removeprefix("/api")
    assert link in (await browser.see("/audit")).links
    assert (await browser.get(link)).status_code == 200


async def test_the_audit_is_filtered(browser: Browser, admin: Api) -> None:
    """By what stands in the address bar, through all pages; the form shows it."""
    for n in range(LIMIT + 1):
        await admin.act("/api/pause", {"host": f"host{n}.test"})
        await admin.act("/api/resume", {"host": f"host{n}.test"})
    expected = [each["id"] for each in await admin.read("/api/audit", "limit=100&action=pause")]
    await walk(browser, "/audit?action=pause", [f"change-{each}" for each in expected])
    seen = await browser.see("/audit?action=pause")
    chosen = [found["value"] for name, found in seen.elements if "selected" in found]
    assert chosen == ["pause"]
    [own] = await admin.read("/api/keys")
    assert "No change matches." in (await browser.see(f"/audit?key_id={own['id']}")).text


async def test_a_filter_of_the_audit_that_cannot_be_is_explained(
    browser: Browser, admin: Api
) -> None:
    """In the API's words."""
    detail = (await admin.get("/api/audit?key_id=7")).json()["errors"][0]["detail"]
    response = await browser.get("/audit?key_id=7")
    assert response.status_code == 422
    assert detail in Seen(response.text).text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><b x="', "&lt;i&gt;", "a'b"])
async def test_names_of_others_are_text(
    browser: Browser, booper: Booper, api: Api, admin: Api, text: str
) -> None:
    """Keys, users and filters: the pages have no more elements than with harmless ones."""
    found = []
    for name in ("harmless", text):
        await admin.act("/api/keys", {"name": name, "user": name})
        await api.act("/api/jobs/cancel", {"filter": {"tag": name}})
        found.append([await browser.see(path) for path in ("/keys", "/audit")])
        assert name in found[-1][0].text
    kinds = [
        {(tag, *sorted(given)) for page in pages for tag, given in page.elements} for pages in found
    ]
    assert kinds[0] == kinds[1]

"""What pages of `booper dev` have beside those of any booper: the clock and the sink's catch."""

from collections.abc import AsyncIterator

import httpx
import pytest
from msgspec.structs import replace

from booper.clock import RunningClock
from booper.config import Config, Delivery
from booper.dashboard.dev import PAGES
from booper.dev.bench import PUBLIC_KEY, Bench
from tests.conftest import KEY, START
from tests.dashboard.test_hostile_text import HIDDEN, TEXTS
from tests.support.api import Api
from tests.support.dashboard import ORIGIN, Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

# What each needs, and its status for whoever has it.
NEEDS = {
    ("GET", "/clock"): ("read", 200),
    ("POST", "/clock"): ("admin", 422),  # without a move
    ("POST", "/clock/reset"): ("admin", 303),
    ("GET", "/sink"): ("read", 200),
    ("GET", "/sink/{number}"): ("read", 200),
    ("POST", "/sink/clear"): ("admin", 303),
}
RANKS = ("read", "write", "admin")


@pytest.fixture
async def bench(config: Config, target: FakeTarget) -> AsyncIterator[Bench]:
    """Run a bench on a frozen clock."""
    async with Bench(
        replace(config, delivery=Delivery(grace_seconds=0)),
        RunningClock(START, is_frozen=True),
        address=("127.0.0.1", 2667),
        url="http://127.0.0.1:2667",
        transport=target,
    ) as running:
        yield running


@pytest.fixture
async def dev(bench: Bench) -> AsyncIterator[Api]:
    """Return a client of its API."""
    async with Api(bench.asgi, PUBLIC_KEY, ORIGIN) as client:
        yield client


@pytest.fixture
async def page(bench: Bench) -> AsyncIterator[Browser]:
    """Return a browser of this machine that nobody has signed in with."""
    async with Browser(bench.asgi) as browser:
        yield browser


def filled(path: str) -> str:
    """Return a path of the request that the sink caught first."""
    return path.replace("{number}", "1")


def test_the_table_has_every_page() -> None:
    """And nothing else."""
    assert {(page.method, page.path) for page in PAGES} == set(NEEDS)


@pytest.mark.parametrize(("method", "path"), NEEDS)
@pytest.mark.parametrize("scope", ["none", "read", "write", "admin"])
async def test_a_key_sees_what_its_scope_allows(
    bench: Bench, dev: Api, method: str, path: str, scope: str
) -> None:
    """By an address that is not this machine's own one signs in as ever."""
    needs, expected = NEEDS[method, path]
    await dev.get("/dev/sink/a")
    async with Browser(bench.asgi, origin="http://192.0.2.7:2667") as browser:
        if scope != "none":
            made = await dev.act("/api/keys", {"name": scope, "scope": scope})
            await browser.sign_in(made["key"])
        target = filled(path)
        response = await (browser.get(target) if method == "GET" else browser.submit(target))
    if scope == "none":
        expected = 303
        assert response.headers["location"].startswith("/sign-in")
    elif RANKS.index(scope) < RANKS.index(needs):
        expected = 403
    assert response.status_code == expected


@pytest.mark.parametrize(("method", "path"), NEEDS)
async def test_no_other_booper_has_any_of_it(browser: Browser, method: str, path: str) -> None:
    """Neither the pages nor the bar."""
    await browser.sign_in(KEY)
    response = await (browser.get(filled(path)) if method == "GET" else browser.submit(path))
    assert response.status_code == 404
    assert "/clock" not in (await browser.see("/")).values("form", "action")


def frozen(seen: Seen) -> list[str]:
    """Return what the buttons offer to do with the clock."""
    return [found["value"] or "" for _, found in seen.elements if found.get("name") == "freeze"]


@pytest.mark.parametrize(
    ("fields", "now"),
    [
        ({"advance": "1 minute"}, "2030-01-01T12:01:00.000000Z"),
        ({"advance": "1 hour"}, "2030-01-01T13:00:00.000000Z"),
        ({"advance": "1 day"}, "2030-01-02T12:00:00.000000Z"),
        ({"advance": "1h30m", "to": ""}, "2030-01-01T13:30:00.000000Z"),
        ({"to": "2030-01-31 09:00"}, "2030-01-31T09:00:00.000000Z"),
        ({"run": "next"}, "2030-01-01T14:00:00.000000Z"),
    ],
)
async def test_the_clock_is_moved(
    page: Browser, dev: Api, fields: dict[str, str], now: str
) -> None:
    """From the bar of any page, which comes back with its query, and says so."""
    job_id = await dev.create_id(schedule_in=7200)
    await dev.act("/api/dev/clock", {"advance": 0})  # the loop has then seen the job
    asked = f"/jobs?state=scheduled&tag=a%26b&notice=cancelled#{job_id}"
    response = await page.submit("/clock", {**fields, "next": asked.partition("#")[0]})
    assert response.status_code == 303
    assert response.headers["location"] == "/jobs?state=scheduled&tag=a%26b&notice=clock-moved"
    assert (await dev.read("/api/dev/clock"))["now"] == now
    seen = await page.see(response.headers["location"])
    assert "The clock was moved." in seen.text
    is_over = now >= "2030-01-01T14:00:00.000000Z"
    assert (await dev.job(job_id))["state"] == ("completed" if is_over else "scheduled")


async def test_each_page_has_the_buttons(page: Browser) -> None:
    """A form that leads back to where it is."""
    for path in ("/", "/jobs?state=scheduled", "/docs", "/new"):
        seen = await page.see(path)
        assert seen.values("form", "action").count("/clock") == 1
        fields = {found.get("name"): found.get("value") for name, found in seen.elements}
        assert fields["next"] == path
        steps = [
            found["value"]
            for _, found in seen.elements
            if found.get("name") in ("advance", "run") and "value" in found
        ]
        assert steps == ["1 minute", "1 hour", "1 day", "next"]


async def test_the_clock_stands_still_or_runs(page: Browser, bench: Bench) -> None:
    """Its page offers the other."""
    assert frozen(await page.see("/clock")) == ["false"]
    await page.submit("/clock", {"freeze": "false"})
    assert not bench.clock.is_frozen
    assert frozen(await page.see("/clock")) == ["true"]
    response = await page.submit("/clock", {"freeze": "true"})
    assert response.headers["location"] == "/clock?notice=clock-stopped"
    assert bench.clock.is_frozen


async def test_the_clock_goes_on_as_it_did_if_neither_is_asked_for(
    page: Browser, bench: Bench
) -> None:
    """A value that is no button's does not let it run."""
    response = await page.submit("/clock", {"freeze": "maybe"})
    assert response.status_code == 422
    assert "freeze: " in Seen(response.text).text
    assert bench.clock.is_frozen


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"advance": "4 dayz"}, 422, "advance: expected a duration such as"),
        ({"to": "soon"}, 422, "to: "),
        ({"to": "2029-12-31 09:00"}, 409, "time only goes forward"),
        ({}, 422, "expected one of"),
    ],
)
async def test_a_move_that_cannot_be_is_explained(
    page: Browser, fields: dict[str, str], status: int, words: str
) -> None:
    """In the API's words; the form keeps what was typed."""
    response = await page.submit("/clock", fields)
    assert response.status_code == status
    seen = Seen(response.text)
    assert words in seen.text
    for name, value in fields.items():
        assert {"id": f"f-{name}", "value": value}.items() <= next(
            found for _, found in seen.elements if found.get("id") == f"f-{name}"
        ).items()


async def test_a_move_leads_to_no_other_site(page: Browser) -> None:
    """Whatever the form says."""
    for following in ("//evil.test/", "https://evil.test/", "/\\evil.test"):
        response = await page.submit("/clock", {"advance": "1 minute", "next": following})
        assert response.headers["location"] == "/"


async def test_the_latest_attempts_are_listed(page: Browser, dev: Api, target: FakeTarget) -> None:
    """Each with its job and its result, the newest first."""
    target.respond(httpx.Response(500), httpx.ConnectError("no"))
    job_id = await dev.create_id(backoff=[60], max_attempts=2)
    await page.submit("/clock", {"advance": "1 hour"})
    seen = await page.see("/clock")
    assert seen.values("a", "href").count(f"/jobs/{job_id}") == 2
    assert "2030-01-01 12:01:00 1 connect 2030-01-01 12:00:00 1 500" in seen.text


async def test_all_is_forgotten(page: Browser, dev: Api) -> None:
    """And the clock is set back."""
    await dev.create(schedule_in=60)
    await page.submit("/clock", {"advance": "1 hour"})
    await dev.get("/dev/sink/a")
    response = await page.submit("/clock/reset")
    assert response.headers["location"] == "/clock?notice=reset"
    assert (
        "It is 2030-01-01 12:00:00, and the clock stands still."
        in (await page.see("/clock?notice=reset")).text
    )
    assert await dev.read("/api/jobs") == await dev.read("/api/dev/sink") == []


async def test_the_sink_shows_what_it_has_caught(page: Browser, dev: Api) -> None:
    """The latest first; each with its headers and its body; until it is cleared."""
    assert "Nothing has arrived." in (await page.see("/sink")).text
    await dev.post("/dev/sink/a/b?respond=503", content='{"n": 1}', headers={"X-Own": "here"})
    await dev.get("/dev/sink/c")
    seen = await page.see("/sink")
    assert seen.values("tr", "id") == ["caught-2", "caught-1"]
    assert "POST /a/b?respond=503 503" in seen.text
    one = await page.see("/sink/1")
    assert "POST /dev/sink/a/b?respond=503" in one.text
    assert "x-ownhere" in one.text
    assert '{"n": 1}' in one.text
    response = await page.submit("/sink/clear")
    assert response.headers["location"] == "/sink?notice=sink-cleared"
    assert await dev.read("/api/dev/sink") == []
    assert (await page.get("/sink/1")).status_code == 404


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_what_arrives_is_text(page: Browser, dev: Api, text: str) -> None:
    """In the name, the query, a header and the body."""
    for each in (text, "harmless"):
        header = each.encode("unicode_escape").decode()[:200]
        await dev.post("/dev/sink/x", params={"q": each}, content=each, headers={"X-A": header})
    shown, plain = await page.see("/sink/1"), await page.see("/sink/2")
    assert [(name, sorted(found)) for name, found in shown.elements] == [
        (name, sorted(found)) for name, found in plain.elements
    ]
    assert not HIDDEN.search(shown.text)
    assert (await page.see("/sink")).values("tr", "id") == ["caught-2", "caught-1"]


async def test_another_site_moves_nothing(page: Browser, dev: Api) -> None:
    """Though this machine's own browser needs no session."""
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": ""}):
        for path in ("/clock", "/clock/reset", "/sink/clear"):
            response = await page.submit(path, {"advance": "1 day"}, headers=headers)
            assert response.status_code == 403
    assert (await dev.read("/api/dev/clock"))["now"] == "2030-01-01T12:00:00.000000Z"

"""What pages show, and what becomes of a change."""

from datetime import timedelta
from itertools import chain

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import KEY, START
from tests.support.api import URL, Api
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def signed_in(browser: Browser) -> None:
    """Sign in with the first key."""
    await browser.sign_in(KEY)


async def test_home_shows_how_many_jobs_there_are_and_what_is_next(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Each number as the API has it."""
    target.respond(httpx.Response(200), httpx.Response(500))
    await api.create()
    await booper.wait_idle()
    await api.create(max_attempts=1)
    await booper.wait_idle()
    later = [await api.create_id(schedule_in=seconds) for seconds in (7200, 3600)]
    home = await browser.see("/")
    numbers = ("2waiting", "0due now", "0running", "1completed today", "1failed attempts today")
    for text in numbers:
        assert text in home.text
    assert home.values("tr", "id") == [f"job-{later[1]}", f"job-{later[0]}"]
    assert "2030-01-01 13:00:00" in home.text


async def test_home_of_who_may_only_read_has_nothing_of_others(
    booper: Booper, api: Api, admin: Api, keys: dict[str, str]
) -> None:
    """Neither their numbers nor origins and pauses, which are everybody's."""
    await api.create(url="https://secret.test/")
    await booper.wait_idle()
    await admin.act("/api/pause", {"host": "secret.test"})
    await api.create(url="https://secret.test/")
    async with Browser(booper.asgi) as browser:
        await browser.sign_in(keys["other"])
        home = await browser.see("/")
        await browser.sign_in(keys["read"])
        own = await browser.see("/")
    assert "0waiting 0due now 0running 0completed today" in home.text
    assert "secret.test" not in home.text
    assert "1due now" in own.text
    assert "Origins" not in own.text


async def test_home_says_what_is_paused(browser: Browser, admin: Api) -> None:
    """In a banner."""
    await admin.act("/api/pause", {"host": "paused.test"})
    assert (
        "Requests to paused.test are paused since 2030-01-01 12:00:00"
        in (await browser.see("/")).text
    )


async def test_the_list_filters_as_the_api_does(browser: Browser, api: Api) -> None:
    """By what stands in the address bar; the form shows it."""
    tagged = await api.create_id(tags=["nightly"], schedule_in=60)
    await api.create_id(schedule_in=60)
    seen = await browser.see("/jobs?tag=nightly&state=scheduled")
    assert seen.values("tr", "id") == [f"job-{tagged}"]
    fields = {found.get("name"): found.get("value") for name, found in seen.elements}
    assert (fields["tag"], fields["state"]) == ("nightly", "scheduled")


async def test_a_filter_that_cannot_be_used_is_explained(browser: Browser, api: Api) -> None:
    """In the API's words, beside the form, which keeps it."""
    response = await browser.get("/jobs?after=soon&state=nope")
    assert response.status_code == 422
    detail = (await api.get("/api/jobs?after=soon&state=nope")).json()["errors"]
    assert {each["pointer"] for each in detail} == {"/after", "/state"}
    for each in detail:
        assert each["detail"] in Seen(response.text).text
    assert 'value="soon"' in response.text


async def test_only_a_list_that_is_shown_is_followed(browser: Browser) -> None:
    """Nothing changes in one that cannot be had."""
    await browser.sign_in(KEY)
    assert "data-events" in dict((await browser.see("/jobs")).elements)["main"]
    response = await browser.get("/jobs?after=soon")
    assert "data-events" not in dict(Seen(response.text).elements)["main"]


def leading(seen: Seen, relation: str) -> str:
    """Return where a page's link of a relation leads, nothing if it has none."""
    return "".join(
        found["href"] or "" for _, found in seen.elements if found.get("rel") == relation
    )


@pytest.mark.parametrize(
    "order",
    ["", "inserted_at,asc", "scheduled_at,asc", "scheduled_at,desc", '["inserted_at","desc"]'],
)
async def test_pages_go_both_ways(browser: Browser, api: Api, order: str) -> None:
    """Forward to the last job and back to the first, none missing and none twice."""
    ids = [await api.create_id(schedule_in=3600 + 60 * (n % 60)) for n in range(120)]
    expected = ids if order == "inserted_at,asc" else ids[::-1]
    if order.startswith("scheduled_at"):
        expected = sorted(ids, key=lambda each: ((each - 1) % 60, each))
        expected = expected if order.endswith("asc") else expected[::-1]
    rows = [f"job-{each}" for each in expected]
    seen: Seen | None = None
    path, forward = f"/jobs?order_by={order}", list[list[str]]()
    while path:
        seen = await browser.see(path)
        forward.append(seen.values("tr", "id"))
        path = leading(seen, "next")
    assert list(chain(*forward)) == rows
    backward = [forward[-1]]
    while seen is not None and (path := leading(seen, "prev")):
        seen = await browser.see(path)
        if rows_here := seen.values("tr", "id"):
            backward.insert(0, rows_here)
    assert list(chain(*backward)) == rows


async def test_a_job_shows_what_was_sent_and_received(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Each attempt, with the numbers of its bodies as they came."""
    target.respond(
        httpx.Response(500, text="out of order"),
        httpx.Response(200, content=b'{"n":1.10}', headers={"content-type": "application/json"}),
    )
    job_id = await api.create_id(
        method="post", body={"big": 2**63, "a": [1]}, headers={"X-Shop": "one"}, backoff=[1]
    )
    await booper.wait_idle()
    clock.set(START + timedelta(minutes=1))
    await booper.wait_idle()
    seen = await browser.see(f"/jobs/{job_id}")
    for text in (
        "Attempt 1 500",
        "Attempt 2 200",
        "out of order",
        '"n": 1.10',
        '"big": 9223372036854775808',
        "X-Shopone",
        "retried because the target responded 500",
    ):
        assert text in seen.text, text


async def test_a_job_is_found_by_its_uuid_too(browser: Browser, api: Api) -> None:
    """As in the API."""
    created = await api.create(schedule_in=60)
    assert f"Job {created['job_id']}" in (await browser.see(f"/jobs/{created['id']}")).text


async def test_a_change_leads_back_and_says_what_was_done(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Cancel, retry, run now: each by the form that the page has then."""
    job_id = await api.create_id(schedule_in=3600)
    for action, state, said in (
        ("cancel", "cancelled", "The job is cancelled."),
        ("retry", "completed", "The job is due again now."),
    ):
        seen = await browser.see(f"/jobs/{job_id}")
        assert f"/jobs/{job_id}/{action}" in seen.values("form", "action")
        response = await browser.submit(f"/jobs/{job_id}/{action}")
        await booper.wait_idle()
        assert (await api.job(job_id))["state"] == state
        assert said in (await browser.see(response.headers["location"])).text
    other = await api.create_id(schedule_in=3600)
    response = await browser.submit(f"/jobs/{other}/run")
    assert "The job is due now." in (await browser.see(response.headers["location"])).text
    await booper.wait_idle()
    assert (await api.job(other))["state"] == "completed"


async def test_what_the_api_refuses_is_said_in_its_words(browser: Browser, api: Api) -> None:
    """As a page, with the API's status."""
    job_id = await api.create_id(schedule_in=3600)
    told = (await api.post(f"/api/jobs/{job_id}/retry")).json()
    response = await browser.submit(f"/jobs/{job_id}/retry")
    assert response.status_code == told["status"] == 409
    assert told["detail"] in response.text


async def test_a_notice_of_others_is_not_shown(browser: Browser) -> None:
    """A link cannot put words into a page."""
    seen = await browser.see("/jobs?notice=You+must+call+555")
    assert "555" not in seen.text


async def test_the_audit_has_who_changed_what(
    browser: Browser, api: Api, admin: Api, keys: dict[str, str]
) -> None:
    """A change on a page is one of the key that signed in."""
    job_id = await api.create_id(schedule_in=3600)
    await browser.sign_in(keys["write"])
    await browser.submit(f"/jobs/{job_id}/cancel")
    [entry] = [each for each in await admin.read("/api/audit") if each["action"] == "job.cancel"]
    assert (entry["key_name"], entry["object"]) == ("write", str(job_id))


async def test_times_are_in_utc_and_have_their_exact_value(
    browser: Browser, api: Api, clock: VirtualClock
) -> None:
    """For scripts and for whoever reads the source."""
    clock.set(START + timedelta(microseconds=123456))
    job_id = await api.create_id(schedule_in=60)
    seen = await browser.see(f"/jobs/{job_id}")
    assert "2030-01-01T12:01:00.123456Z" in seen.values("time", "datetime")
    assert "2030-01-01 12:01:00" in seen.text


async def test_what_an_open_page_shows_is_read_again(
    booper: Booper, browser: Browser, api: Api, admin: Api
) -> None:
    """If the list does not have it now: by its number, in its state, without what it sends.

    What is not there, of another user or no number is left out.
    """
    sent = await api.create_id(method="post", body="x" * (1 << 19))
    await booper.wait_idle()
    waiting = await api.create_id(schedule_in=60)
    key = (await admin.act("/api/keys", {"name": "b", "scope": "write", "user": "bob"}))["key"]
    async with Api(booper.asgi, key) as bob:
        theirs = await bob.create_id(schedule_in=60)
    shown = f"{sent},{waiting},{theirs},{sent},999999,{'9' * 30},-1,0,x,\u00b2,,"
    response = await browser.get("/jobs", params={"state": "scheduled", "shown": shown})
    assert response.status_code == 200
    seen = Seen(response.text)
    assert seen.values("tr", "id") == [f"job-{waiting}", f"job-{sent}"]
    assert "completed" in seen.inside("others")
    assert len(response.content) <= 60_000


async def test_jobs_are_searched_by_a_text(browser: Browser, api: Api) -> None:
    """The field keeps it, the buttons for all that match mean it too, and other filters stay."""
    hit = await api.create_id(name='50% "off"', tags=["a"], schedule_in=60)
    await api.create_id(name="500", tags=["a"], schedule_in=60)
    seen = await browser.see("/jobs?text=50%25+%22OFF&tag=a&state=scheduled")
    assert seen.values("tr", "id") == [f"job-{hit}"]
    fields = {found.get("name"): found.get("value") for _, found in seen.elements}
    assert (fields["text"], fields["tag"], fields["state"]) == ('50% "OFF', "a", "scheduled")
    [link] = [each for each in seen.links if "action=cancel" in each]
    assert "Cancel 1 job?" in (await browser.see(link)).text


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("", "Searched back to 2030-01-01 12:00:00"),
        ("id,asc", "Searched on to 2030-01-01 12:00:00"),
    ],
)
async def test_a_search_that_goes_on_says_how_far_it_is(
    browser: Browser, api: Api, order: str, said: str
) -> None:
    """With a link that goes on, until it is found; and back again."""
    hits = [await api.create_id(name="needle", schedule_in=60)]
    for _ in range(6):
        jobs = [{"url": URL, "schedule_in": 60}] * 1_000
        assert (await api.post("/api/jobs/batch", json={"jobs": jobs})).status_code == 201
    hits.append(await api.create_id(name="needle", schedule_in=60))
    first, last = hits if order else hits[::-1]
    seen = await browser.see(f"/jobs?text=needle&order_by={order}")
    assert said in seen.text
    assert seen.values("tr", "id") == [f"job-{first}"]
    seen = await browser.see(leading(seen, "next"))
    assert "Searched" not in seen.text
    assert seen.values("tr", "id") == [f"job-{last}"]
    seen = await browser.see(leading(seen, "prev"))
    assert "None of the jobs that were looked at match." in seen.text
    [further] = [
        found["href"] or ""
        for name, found in seen.elements
        if name == "a" and "turned=yes" in (found.get("href") or "") and not found.get("rel")
    ]
    assert (await browser.see(further)).values("tr", "id") == [f"job-{first}"]


async def test_a_page_of_large_jobs_is_full_and_short(browser: Browser, api: Api) -> None:
    """50 jobs with bodies of a mebibyte: each has its row, and the page at most 60 kB."""
    for _ in range(55):
        await api.create(method="post", body="x" * ((1 << 20) - 200), schedule_in=60)
    response = await browser.get("/jobs")
    assert len(Seen(response.text).values("tr", "id")) == 50
    assert len(response.content) <= 60_000

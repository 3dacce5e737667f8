"""A job's page: the request as curl, and when it was due, sent and answered."""

import re
import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.dashboard.curl import read_curl
from tests.conftest import KEY, START
from tests.dashboard.test_hostile_text import HIDDEN
from tests.support.api import URL, Api
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def signed_in(browser: Browser) -> None:
    """Sign in with the first key."""
    await browser.sign_in(KEY)


def command_on(seen: Seen) -> list[str]:
    """Return the words of the curl command on a page, as a shell splits them."""
    found = re.search(r"curl -X .*?(?=\nCopy)", seen.inside("about"), re.DOTALL)
    assert found is not None
    return shlex.split(found[0].replace("\\\n", ""))


def request_of(words: list[str]) -> tuple[str, str, dict[str, str], bytes]:
    """Return method, URL, headers and body that the words of a curl command mean."""
    assert words[:2] == ["curl", "-X"]
    headers, body = dict[str, str](), b""
    for option, value in zip(words[4::2], words[5::2], strict=True):
        if option == "-H":
            name, _, text = value.partition(": ")
            headers[name.removesuffix(";").lower()] = text
        else:
            assert option == "--data-raw"
            body = value.encode()
    return words[2], words[3], headers, body


CASES: tuple[Mapping[str, Any], ...] = (
    {},
    {"method": "delete"},
    {"method": "post", "body": {"text": 'it\'s "$HOME" `x` \\ \n é', "n": 10**30}},
    {"method": "put", "body": "plain"},
    {"method": "put", "body": "plain 'text'\n", "headers": {"Content-Type": "text/plain"}},
    {"method": "patch", "body": [1, None], "headers": {"content-type": "application/json; v=1"}},
    {"query": {"a": ["1", "2"], "b": "x y&z", "c": None, "d": True}, "url": f"{URL}?e=f"},
    {"headers": {"X-Empty": "", "X-Number": 1.5, "X-Quote": "a'b\"c$d"}},
    {"method": "post", "body": ""},
    {"method": "post", "body": "$state.x"},
)


@pytest.mark.parametrize("fields", CASES, ids=range(len(CASES)))
async def test_curl_sends_the_request_of_the_job(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget, fields: Mapping[str, Any]
) -> None:
    """As it will be sent, and as it was: method, URL, headers of its own and body."""
    waiting = await api.create_id(**fields, schedule_in=3600)
    before = request_of(command_on(await browser.see(f"/jobs/{waiting}")))
    await api.act(f"/api/jobs/{waiting}/run")
    await booper.wait_idle()
    sent = target.received[-1]
    after = request_of(command_on(await browser.see(f"/jobs/{waiting}")))
    for method, url, headers, body in (before, after):
        assert (method, httpx.URL(url)) == (sent.method, sent.url)
        assert body == sent.read()
        assert {name: sent.headers.get(name) for name in headers} == headers


@pytest.mark.parametrize("text", ["a\u202eb'\\", "\x7f\x1b[0m", "\u200b\n", "\U000e0041'\"$x"])
async def test_curl_shows_what_hides(browser: Browser, api: Api, text: str) -> None:
    """As escapes that a shell, or JSON, turns into the same again."""
    body = {"type": "text/plain", "text": f"{text}1"}
    typed = await api.create_id(method="post", body=text, headers={"Content-Type": "text/plain"})
    as_json = await api.create_id(method="post", body=body)
    for job_id, expected in ((typed, text), (as_json, body)):
        shown = (await browser.see(f"/jobs/{job_id}")).inside("about")
        assert not HIDDEN.search(shown)
        command = shown[shown.index("curl -X") : shown.rindex("Copy")].rstrip("\n")
        assert read_curl(command).fields["body"] == expected


async def test_curl_is_what_the_page_new_reads(browser: Browser, api: Api) -> None:
    """From the page of one job to the form of another."""
    body = {"a": "it's"}
    job_id = await api.create_id(method="post", body=body, headers={"X": "'"})
    words = command_on(await browser.see(f"/jobs/{job_id}"))
    pasted = read_curl(shlex.join(words))
    assert pasted.fields == {"method": "post", "url": URL, "headers": {"X": "'"}, "body": body}
    assert pasted.notes == ()


async def test_hidden_headers_are_named(browser: Browser, api: Api) -> None:
    """Their values are nowhere on the page."""
    job_id = await api.create_id(headers={"Authorization": "Bearer s3cr3t"})
    response = await browser.get(f"/jobs/{job_id}")
    assert "Put in the values of Authorization, which are hidden" in Seen(response.text).text
    assert "s3cr3t" not in response.text


async def test_reports_of_a_job_are_shown(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Newest first, each with what it says and a link to it; a job without any has no such part."""
    plain = await api.create_id()
    urls = {"callback_url": "https://callback.test/<b>", "webhook_url": "https://webhook.test/"}
    job_id = await api.create_id(**urls, schedule_in=3600)
    assert "Reports" not in (await browser.see(f"/jobs/{plain}")).text
    assert "Nothing has been reported yet" in (await browser.see(f"/jobs/{job_id}")).text
    await api.act(f"/api/jobs/{job_id}/run")
    await booper.wait_idle()
    listed = await api.read("/api/jobs", f"reports_of={job_id}&limit=100")
    said = [each["args"]["body"].get("type", "callback") for each in listed]
    assert sorted(said) == [
        "callback",
        "job.finished",
        "job.request",
        "job.response",
        "job.started",
    ]
    seen = await browser.see(f"/jobs/{job_id}")
    for each, name in zip(listed, said, strict=True):
        assert f"{each['job_id']} {name} completed {each['args']['url']}" in seen.text
        assert f"/jobs/{each['job_id']}" in seen.links
        await browser.see(f"/jobs/{each['job_id']}")


async def test_times_are_those_of_the_last_attempt(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Due, sent late by that much, and answered."""
    target.respond(httpx.Response(500), httpx.Response(200))
    job_id = await api.create_id(schedule_in=60, backoff=[3600])
    seen = await browser.see(f"/jobs/{job_id}")
    assert "Due2030-01-01 12:01:00" in seen.text
    assert "Sent2030" not in seen.text
    clock.set(START + timedelta(seconds=90))
    await booper.wait_idle()
    seen = await browser.see(f"/jobs/{job_id}")  # it waits for its next attempt
    assert "Due2030-01-01 13:01:30" in seen.text
    assert "Sent2030" not in seen.text
    clock.set(START + timedelta(days=1))
    await booper.wait_idle()
    seen = await browser.see(f"/jobs/{job_id}")
    # 24 h after the start, and 1 h 1 min 30 s after it was due.
    assert "Sent2030-01-02 12:00:00 late by 22 h 58 min" in seen.text
    assert "Answered2030-01-02 12:00:00" in seen.text


async def test_a_job_that_is_sent_at_its_time_is_on_time(
    browser: Browser, booper: Booper, api: Api
) -> None:
    """To the microsecond here, where the clock stands."""
    job_id = await api.create_id()
    await booper.wait_idle()
    assert "Sent2030-01-01 12:00:00 on time" in (await browser.see(f"/jobs/{job_id}")).text


async def test_lateness_below_a_second_is_in_milliseconds(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """As durations are."""
    job_id = await api.create_id(schedule_in=60)
    clock.set(START + timedelta(seconds=60, milliseconds=250))
    await booper.wait_idle()
    assert "Sent2030-01-01 12:01:00 late by 250 ms" in (await browser.see(f"/jobs/{job_id}")).text


async def test_an_attempt_that_was_cancelled_has_no_times(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Those of the one before are its own, and stand there."""
    target.respond(httpx.Response(500))
    job_id = await api.create_id(backoff=[3600])
    await booper.wait_idle()
    await api.act(f"/api/jobs/{job_id}/cancel")
    seen = await browser.see(f"/jobs/{job_id}")
    assert "Due2030-01-01 13:00:00" in seen.text
    assert "Sent2030" not in seen.text


async def test_a_run_leads_to_the_runs_around_it(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """To the one before and the one after of its own schedule, with their states and times."""
    schedule = await api.create_schedule(repeat_every=60)
    for minute in (1, 2):
        await api.create(repeat_every=60, starts_at="2031-01-01")  # of another, in between
        await api.create_id(schedule_in=3600)
        await booper.wait_idle()  # the run before has ended, or this one would be skipped
        clock.set(START + minute * timedelta(minutes=1))
        await booper.wait_idle()
    query = f"schedule_id={schedule.rpartition('/')[2]}&order_by=id,asc"
    runs = [run["job_id"] for run in await api.read("/api/jobs", query)]
    assert len(runs) == 4
    links = {f"/jobs/{run}" for run in runs}
    for place, run in enumerate(runs):
        around = [each for each in (place - 1, place + 1) if 0 <= each < len(runs)]
        seen = await browser.see(f"/jobs/{run}")
        found = [link for link in seen.values("a", "href") if link in links]
        assert found == [f"/jobs/{runs[each]}" for each in around]
    text = (await browser.see(f"/jobs/{runs[2]}")).text
    assert f"The run beforeJob {runs[1]} completed 2030-01-01 12:01:00" in text
    assert f"The run afterJob {runs[3]} scheduled 2030-01-01 12:03:00" in text


async def test_a_job_of_no_schedule_has_no_neighbours(browser: Browser, api: Api) -> None:
    """However many there are beside it."""
    numbers = [await api.create_id(schedule_in=60) for _ in range(3)]
    assert "The run" not in (await browser.see(f"/jobs/{numbers[1]}")).text


async def test_a_response_is_shown_as_it_came(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """In lines, but every name and every digit of it: nothing was read into objects and back."""
    content = b'{"n":1.10,"n":-0,"big":123456789012345678901234567890}'
    target.respond(
        httpx.Response(200, content=content, headers={"content-type": "application/json"})
    )
    job_id = await api.create_id()
    await booper.wait_idle()
    seen = await browser.see(f"/jobs/{job_id}")
    lines = '"n": 1.10,\n  "n": -0,\n  "big": 123456789012345678901234567890'
    assert lines in seen.inside("tried")

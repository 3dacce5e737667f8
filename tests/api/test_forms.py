"""Forms: the older clients' way of posting, with bracket nesting (contract §1)."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"
URL = "https://target.test/hook"


async def post(
    api: httpx.AsyncClient, form: str | bytes, path: str = "/api/jobs", kind: str = FORM
) -> httpx.Response:
    """Post a form as the bytes it is."""
    content = form.encode() if isinstance(form, str) else form
    return await api.post(path, content=content, headers={"Content-Type": kind})


async def args_of(api: httpx.AsyncClient, form: str) -> Any:
    """Post a form and return the echoed args of the job it made."""
    response = await post(api, form)
    assert response.status_code == 201, response.text
    return response.json()["data"]["args"]


async def echoed(api: httpx.AsyncClient, form: str) -> Any:
    """Return what `echo` makes of a form."""
    response = await post(api, form, "/api/echo")
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_published_form_makes_its_schedule(
    api: httpx.AsyncClient, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """The daily standup's form, raw spaces and all, runs at 9 on working days (§11)."""
    form = f"method=post&url={URL}&body[content]=Time for standup!&cron=0 9 * * 1-5"
    response = await post(api, form)
    assert response.status_code == 201
    data = response.json()["data"]
    assert data["args"] == {
        "method": "post",
        "url": URL,
        "body": {"content": "Time for standup!"},
        "cron": "0 9 * * 1-5",
    }
    assert data["schedule_id"] is not None
    # The clock stands at noon of Tuesday 2030-01-01.
    assert data["job"]["scheduled_at"] == "2030-01-02T09:00:00.000000Z"
    clock.advance(timedelta(hours=21))
    await booper.wait_idle()
    [sent] = target.received
    assert json.loads(sent.read())["content"] == "Time for standup!"


async def test_the_published_form_without_cron_makes_its_job(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget
) -> None:
    """The same form as a one-off: raw spaces stay, and the body goes out as JSON."""
    form = f"method=post&url={URL}&body[content]=Time for standup!"
    assert await args_of(api, form) == {
        "method": "post",
        "url": URL,
        "body": {"content": "Time for standup!"},
    }
    await booper.wait_idle()
    [sent] = target.received
    assert sent.headers["content-type"] == "application/json"
    assert json.loads(sent.read()) == {"content": "Time for standup!"}


async def test_a_list_of_the_form_becomes_a_duration(api: httpx.AsyncClient) -> None:
    """`schedule_in[]=30&schedule_in[]=seconds` is `[30, "seconds"]`, its number a number."""
    form = f"url={URL}&schedule_in[]=30&schedule_in[]=seconds"
    assert (await args_of(api, form))["schedule_in"] == [30, "seconds"]


@pytest.mark.parametrize(
    ("form", "field", "value"),
    [
        ("schedule_in=90", "schedule_in", 90),
        ("schedule_in=1.5", "schedule_in", 1.5),
        ("scheduled_at=1893502800", "scheduled_at", 1893502800),
        ("scheduled_at=2030-01-01T13:00:00Z", "scheduled_at", "2030-01-01T13:00:00Z"),
        ("max_attempts=3", "max_attempts", 3),
        ("timeout[]=20&timeout[]=seconds", "timeout", [20, "seconds"]),
        ("backoff[]=1&backoff[]=2", "backoff", [1, 2]),
        ("backoff=exponential", "backoff", "exponential"),
        ("expect_status[]=200&expect_status[]=3xx", "expect_status", [200, "3xx"]),
        ("schedule_in[0]=30&schedule_in[1]=seconds", "schedule_in", [30, "seconds"]),
        ("schedule_in[1]=seconds&schedule_in[0]=30", "schedule_in", [30, "seconds"]),
        ("repeat_every[0]=5&repeat_every[1]=minutes", "repeat_every", [5, "minutes"]),
        ("timeout%5B0%5D=20&timeout%5B1%5D=seconds", "timeout", [20, "seconds"]),
        ("backoff[0]=1&backoff[1]=2.5", "backoff", [1, 2.5]),
        (
            "backoff[0][0]=5&backoff[0][1]=minutes&backoff[1]=60",
            "backoff",
            [[5, "minutes"], 60],
        ),
        ("expect_status[0]=200&expect_status[1]=3xx", "expect_status", [200, "3xx"]),
        ("tags[0]=5&tags[1]=b", "tags", ["5", "b"]),
        ("body[0]=x", "body", ["x"]),
        (
            "body[items][0][name]=A&body[items][0][n]=1",
            "body",
            {"items": [{"name": "A", "n": "1"}]},
        ),
        ("query[ids][0]=1&query[ids][1]=2", "query", {"ids": ["1", "2"]}),
        # The names of headers and parameters are their user's.
        ("query[0]=x&query[1]=y", "query", {"0": "x", "1": "y"}),
        ("headers[0]=x", "headers", {"0": "x"}),
        ("repeat_every=300", "repeat_every", 300),
        ("repeat_every[]=5&repeat_every[]=minutes", "repeat_every", [5, "minutes"]),
        ("repeat_every=60&max_runs=3", "max_runs", 3),
        ("repeat_every=60&jitter=1.5", "jitter", 1.5),
        ("repeat_every=60&starts_at=1893502800", "starts_at", 1893502800),
        ("repeat_every=60&ends_at=2030-01-02", "ends_at", "2030-01-02"),
        ("repeat_every=60&overlap=queue", "overlap", "queue"),
        ("idempotency_key=k&idempotency_ttl=60", "idempotency_ttl", 60),
        ("follow_redirects=true", "follow_redirects", True),
        ("metadata=false", "metadata", False),
        ("tags[]=5&tags[]=b", "tags", ["5", "b"]),
        ("timezone=Europe/Berlin", "timezone", "Europe/Berlin"),
        ("callback_url=https://target.test/c", "callback_url", "https://target.test/c"),
        # Fields of text stay text, numbers in them too.
        ("name=5", "name", "5"),
        ("idempotency_key=007", "idempotency_key", "007"),
        ("headers[X-A]=5", "headers", {"X-A": "5"}),
        ("query[q]=5", "query", {"q": "5"}),
        ("body[n]=5", "body", {"n": "5"}),
        ("body=5", "body", "5"),
        ("body=", "body", ""),
    ],
)
async def test_only_numeric_fields_of_a_form_become_numbers(
    api: httpx.AsyncClient, form: str, field: str, value: object
) -> None:
    """Form values are text; numbers in the known numeric fields are converted, no others."""
    args = await args_of(api, f"method=post&url={URL}&{form}")
    assert args[field] == value
    assert type(args[field]) is type(value)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("a=1", {"a": "1"}),
        ("a=b+c", {"a": "b c"}),
        ("a=b c", {"a": "b c"}),
        ("a=b%20c%26d%3De", {"a": "b c&d=e"}),
        ("a%5Bb%5D=1", {"a": {"b": "1"}}),
        ("a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        ("a[b][c][d]=1", {"a": {"b": {"c": {"d": "1"}}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[]=", {"a": [""]}),
        ("a[b][]=1&a[b][]=2", {"a": {"b": ["1", "2"]}}),
        ("a[0]=x", {"a": ["x"]}),
        ("a[1]=y&a[0]=x", {"a": ["x", "y"]}),
        ("a[0][]=x&a[0][]=y&a[1][]=z", {"a": [["x", "y"], ["z"]]}),
        ("a[0][b]=1&a[0][c]=2&a[1][b]=3", {"a": [{"b": "1", "c": "2"}, {"b": "3"}]}),
        ("a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("a[b][0]=1&a[c]=2", {"a": {"b": ["1"], "c": "2"}}),
        # As PHP counts: `[]` goes on after the highest number.
        ("a[0]=x&a[]=y", {"a": ["x", "y"]}),
        ("a[]=x&a[1]=y&a[]=z", {"a": ["x", "y", "z"]}),
        # Numbers with gaps, or beside names, are names, as in PHP's json_encode.
        ("a[1]=x", {"a": {"1": "x"}}),
        ("a[0]=x&a[2]=y", {"a": {"0": "x", "2": "y"}}),
        ("a[0]=x&a[b]=y", {"a": {"0": "x", "b": "y"}}),
        ("a[00]=x", {"a": {"00": "x"}}),
        ("a[-1]=x&a[ 0]=y", {"a": {"-1": "x", " 0": "y"}}),
        ("a[999999999999]=x", {"a": {"999999999999": "x"}}),
        ("a[99999]=x&a[]=y", {"a": {"99999": "x", "100000": "y"}}),
        ("a[%D9%A0]=x", {"a": {"\u0660": "x"}}),
        ("0=x&1=y", {"0": "x", "1": "y"}),
        ("a[b c]=1", {"a": {"b c": "1"}}),
        ("a=é€😀", {"a": "é€😀"}),
        ("a=%C3%A9", {"a": "é"}),
        ("é[ü]=1", {"é": {"ü": "1"}}),
        ("a=%00", {"a": "\x00"}),
        ("a=b=c", {"a": "b=c"}),
        ("a", {"a": ""}),
        ("a=1&b=2&", {"a": "1", "b": "2"}),
        ("a=[1]", {"a": "[1]"}),
        ("a=100%", {"a": "100%"}),
        ("a=%zz", {"a": "%zz"}),
        ("", {}),
    ],
)
async def test_brackets_nest(api: httpx.AsyncClient, form: str, value: object) -> None:
    """`a[b]` is a member, `a[]` a list's next item, `a[0]` its first.

    Raw spaces and percents are accepted.
    """
    assert await echoed(api, form) == value


@pytest.mark.parametrize(
    "form",
    [
        "a[=1",
        "a]=1",
        "a[b=1",
        "a[b]]=1",
        "a[[b]=1",
        "a[[b]]=1",
        "[a]=1",
        "[]=1",
        "=1",
        "a]b[=1",
        "]a[=1",
        "b]ody[=1",
        "a[b]c=1",
        "a[b]c[d]=1",
        "a=1&a[b]=2",
        "a[b]=1&a=2",
        "a[]=1&a=2",
        "a[b]=1&a[]=2",
        "a[]=1&a[b]=2",
        "a=1&a[]=2",
        "a[0]=1&a[0]=2",
        "a[]=1&a[0]=2",
        "a[0]=1&a=2",
        "a=1&a[0]=2",
        "a[0]=1&a[0][b]=2",
        "a[0]=1&a[]=2&a[b]=3",
        "a[999999999]=1&a[]=2&a[]=3",
        "a" + "[b]" * 100,
        "a" + "[b]" * 20_000,
        "a" + "[]" * 20_000,
        "a" + "[" * 50_000,
    ],
)
async def test_malformed_brackets_are_400(api: httpx.AsyncClient, form: str) -> None:
    """A name that is no path, or contradicts another, is refused rather than guessed at."""
    for path in ("/api/jobs", "/api/echo"):
        response = await post(api, form, path)
        assert response.status_code == 400, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert len(response.content) < 2_000


async def test_json_sent_as_a_form_gets_a_hint(api: httpx.AsyncClient) -> None:
    """curl's default content type is a form's; who posts JSON under it is told how to."""
    for text in (f'{{"url": "{URL}"}}', f'  \n{{"url": "{URL}"}}'):
        response = await post(api, text)
        assert response.status_code == 400
        assert "Content-Type: application/json" in response.json()["detail"]


@pytest.mark.parametrize("form", [b"a=\xff", b"\xff=1", b"a=%ff", b"%c0%af=1", b"a=%ed%a0%80"])
async def test_a_form_that_is_not_utf_8_is_400(api: httpx.AsyncClient, form: bytes) -> None:
    """Neither raw bytes nor percent-encoded ones may be anything but UTF-8."""
    for path in ("/api/jobs", "/api/echo"):
        assert (await post(api, form, path)).status_code == 400


async def test_too_many_form_fields_are_400(api: httpx.AsyncClient) -> None:
    """A form of 100,000 fields is refused before it is taken apart."""
    for form in ("a=1&" * 100_000, "&".join(f"a{index}=1" for index in range(100_000))):
        assert (await post(api, form)).status_code == 400


@pytest.mark.parametrize("kind", [f"{FORM}; charset=utf-8", FORM.upper(), f"{FORM};charset=UTF-8"])
async def test_the_content_type_of_a_form_may_have_parameters(
    api: httpx.AsyncClient, kind: str
) -> None:
    """Letter case and a charset do not make another type of it."""
    assert (await post(api, f"url={URL}", kind=kind)).status_code == 201


@pytest.mark.parametrize(
    ("form", "pointers"),
    [
        ("", ["/url"]),
        ("method=post", ["/url"]),
        (f"url={URL}&schedule_in=soon", ["/schedule_in"]),
        (f"url={URL}&schedule_in[]=30&schedule_in[]=parsecs", ["/schedule_in/1"]),
        (f"url={URL}&schedule_in[]=soon&schedule_in[]=seconds", ["/schedule_in/0"]),
        (f"url={URL}&schedule_in[]=30", ["/schedule_in"]),
        (f"url={URL}&schedule_in[n]=30", ["/schedule_in"]),
        (f"url={URL}&schedule_in[0]=30", ["/schedule_in"]),
        (f"url={URL}&schedule_in[0]=30&schedule_in[1]=parsecs", ["/schedule_in/1"]),
        (f"url={URL}&schedule_in[0]=30&schedule_in[2]=seconds", ["/schedule_in"]),
        (f"url={URL}&headers[]=x", ["/headers"]),
        (f"url={URL}&headers=x", ["/headers"]),
        (f"url={URL}&headers[X-A][]=x", ["/headers/X-A"]),
        (f"url[a]={URL}", ["/url"]),
        (f"url={URL}&shedule_in=30", ["/shedule_in"]),
        (f"url={URL}&max_attempts=99999999999999999999", ["/max_attempts"]),
        (f"url={URL}&cron=0 9 * *", ["/cron"]),
        (f"url={URL}&repeat_every=often", ["/repeat_every"]),
        (f"url={URL}&repeat_every=60&max_runs=some", ["/max_runs"]),
        (f"url={URL}&metadata=maybe", ["/metadata"]),
        (f"url={URL}&follow_redirects=1", ["/follow_redirects"]),
        (f"url={URL}&tags=a", ["/tags"]),
        (f"url={URL}&idempotency_key=", ["/idempotency_key"]),
        (f"url={URL}&headers[X-A]=a%0d%0aX-B: c", ["/headers/X-A"]),
        ("url=x&max_attempts=0&timeout=-1", ["/max_attempts", "/timeout", "/url"]),
    ],
)
async def test_a_forms_wrong_fields_are_pointed_at(
    api: httpx.AsyncClient, form: str, pointers: list[str]
) -> None:
    """A form is checked as JSON is: 422 with a pointer for each wrong field."""
    response = await post(api, form)
    assert response.status_code == 422, response.text
    assert sorted(error["pointer"] for error in response.json()["errors"]) == pointers

"""The form of a new job: what it creates, checks, keeps, and offers as a program."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from booper.api.bodies import JSON
from booper.api.intake import read_args
from booper.api.pointers import Findings
from booper.app import Booper
from booper.dashboard.code import codes_of
from booper.dashboard.new_form import blank, read, write
from booper.dashboard.static import static_files
from booper.model import exact
from booper.model.args import Args, decode_args
from booper.model.fields import CREATE_FIELDS
from tests.conftest import KEY
from tests.support.api import URL, Api
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

FULL: Mapping[str, Any] = {
    "method": "put",
    "url": "https://target.test/a?b=c&d='e'",
    "query": {"n": ["1", "2"], "q": "a b=c"},
    "headers": {"X-Shop": "it's one", "X-Two": "a: b"},
    "body": {"text": "Ünïcode 'quoted' \"twice\" $HOME `x`\n\\", "deep": [1, {"a": None}, True]},
    "schedule_in": [90, "seconds"],
    "idempotency_key": " key ",
    "callback_url": "https://target.test/callback",
    "webhook_url": "https://target.test/webhook",
    "cron": "0 9 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "starts_at": "2030-02-01T00:00:00Z",
    "ends_at": 1_922_000_000,
    "max_runs": 10,
    "jitter": 30,
    "overlap": "queue",
    "misfire": "all",
    "on_conflict": "reject",
    "idempotency_ttl": "1h",
    "keep_for": [7, "days"],
    "metadata": False,
    "tags": ["nightly", "b"],
    "name": "Nightly",
    "description": "In two\nlines",
    "max_attempts": 3,
    "backoff": [10, "1m", [5, "minutes"]],
    "timeout": 2.5,
    "follow_redirects": True,
    "expect_status": [200, "3xx"],
}
BODIES = (
    "null",
    "0",
    "-0",
    "1.10",
    "123456789012345678901234567890",
    "0.1234567890123456789",
    "1e400000".replace("400000", "300"),
    '"text"',
    '"\\u202e"',
    '"\\u0000"',
    '"\\udb40\\udc41"',
    '"  spaces  "',
    '""',
    "[]",
    "{}",
    '{"__proto__": {"a": 1}}',
    '{"a": [1, 2.50, "x", null, true, false, {"b": []}]}',
    '{"</textarea><script>": "\'; rm -rf / #"}',
    '"line\\r\\nline"',
    '"\\nfirst"',
    '"\\u2028"',
)
"""Bodies as JSON, each of which has lost something in some form or program."""


@pytest.fixture
async def page(browser: Browser) -> Browser:
    """Return a browser that is signed in with the first key."""
    await browser.sign_in(KEY)
    return browser


def form(**typed: str) -> dict[str, str]:
    """Return what a browser sends of the form: all of its fields."""
    return {**blank(), "method": "post", "url": URL, **typed}


def shown(seen: Seen, text: str) -> dict[str, str]:
    """Return what stands in the fields of a page's form, as a browser would send it again."""
    found = dict[str, str]()
    choosing = ""
    for name, attributes in seen.elements:
        field, value = attributes.get("name") or "", attributes.get("value") or ""
        if name == "input" and (attributes.get("type") != "radio" or "checked" in attributes):
            found[field] = value
        elif name == "select":
            choosing, found[field] = field, ""
        elif name == "option" and "selected" in attributes:
            found[choosing] = value
        elif name == "textarea" and field and field != "curl":  # of a form of its own
            found[field] = seen.inside(f"f-{field}")
    return found


def meaning(fields: Mapping[str, Any]) -> Args:
    """Return the args that the API reads from the fields of a create."""
    findings = Findings()
    args = read_args(msgspec.json.encode(fields), JSON, findings)
    assert not findings.errors
    return args


# --- creating ---


async def test_a_job_is_created_as_it_is_typed(page: Browser, api: Api) -> None:
    """By the API's own operation; the page of the job says so."""
    response = await page.submit(
        "/new",
        form(
            query="a=1\r\nb=x y\r\nb=z",
            headers="X-Shop: one\r\n\r\nX-Two: a: b",
            body='{"n": 1.10}',
            when="in",
            schedule_in="30 minutes",
            tags="nightly, b",
        ),
    )
    assert response.status_code == 303
    [job] = await api.read("/api/jobs")
    assert response.headers["location"] == f"/jobs/{job['job_id']}?notice=created"
    assert "The job is created." in (await page.see(response.headers["location"])).text
    assert job["job"]["scheduled_at"] == "2030-01-01T12:30:00.000000Z"
    assert job["args"] == {
        "method": "post",
        "url": URL,
        "query": {"a": "1", "b": ["x y", "z"]},
        "headers": {"X-Shop": "one", "X-Two": "a: b"},
        "body": {"n": 1.1},
        "schedule_in": "30 minutes",
        "tags": ["nightly", "b"],
    }


async def test_a_schedule_is_created(page: Browser, api: Api) -> None:
    """With its zone; what says when in another way does not count."""
    typed = form(when="cron", cron="0 9 * * *", timezone="Europe/Berlin", repeat_every="5 minutes")
    response = await page.submit("/new", typed)
    assert response.headers["location"].endswith("?notice=schedule-created")
    [schedule] = await api.read("/api/schedules")
    assert schedule["frequency"] == {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}


async def test_a_key_that_is_taken_leads_to_its_job(page: Browser, api: Api) -> None:
    """Which stays the only one."""
    typed = form(idempotency_key="once", when="in", schedule_in="1h")
    first, second = [await page.submit("/new", typed) for _ in range(2)]
    assert second.headers["location"] == first.headers["location"].replace("created", "exists")
    assert len(await api.read("/api/jobs")) == 1


async def test_a_key_that_is_taken_may_refuse(page: Browser, api: Api) -> None:
    """The API's words stand on the form, which keeps what was typed."""
    typed = form(idempotency_key="once", on_conflict="reject", when="in", schedule_in="1h")
    await page.submit("/new", typed)
    response = await page.submit("/new", typed)
    told = await api.post(
        "/api/jobs", json={"url": URL, "idempotency_key": "once", "on_conflict": "reject"}
    )
    assert response.status_code == told.status_code == 409
    seen = Seen(response.text)
    assert told.json()["detail"] in seen.text
    assert shown(seen, response.text) == typed


async def test_errors_stand_at_their_fields_and_what_was_typed_is_kept(
    page: Browser, api: Api
) -> None:
    """Those of the API, and what cannot be sent to it, all at once."""
    typed = form(
        url="ftp://x",
        query="no sign",
        headers="no colon",
        body='{\n  "a": 1,}',
        when="at",
        scheduled_at="soon",
        timezone="Mars/Base",
        max_attempts="many",
        expect_status="200, 9xx",
        description=" <b>kept</b>\n",
    )
    response = await page.submit("/new", typed)
    assert response.status_code == 422
    seen = Seen(response.text)
    wrong = [found["name"] for _, found in seen.elements if "aria-invalid" in found]
    names = {"url", "query", "headers", "body", "scheduled_at", "timezone", "max_attempts"}
    assert set(wrong) == names | {"expect_status"}
    for said in (
        "line 1: expected name=value, got 'no sign'",
        "line 1: expected Name: value, got 'no colon'",
        "in line 2 at character",
        "Mars/Base",
    ):
        assert said in seen.text
    assert shown(seen, response.text) == typed
    assert await api.read("/api/jobs") == []


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ({"url": " "}, "url"),
        ({"when": "in"}, "schedule_in"),
        ({"when": "at"}, "scheduled_at"),
        ({"when": "every"}, "repeat_every"),
        ({"when": "cron", "timezone": "UTC"}, "cron"),
        ({"when": "later"}, "when"),
        ({"headers": '{"a": '}, "headers"),
        ({"headers": "A: 1\nA: 2"}, "headers"),
        ({"headers": "Authorization: [redacted]"}, "headers"),
        ({"body": "["}, "body"),
        ({"body": "[" * 5_000}, "body"),
        ({"body": "[" * 900 + "]" * 900}, "body"),
        ({"body": "1e999"}, "body"),
        ({"tags": "[1"}, "tags"),
        ({"method": "brew"}, "method"),
        ({"overlap": "skip", "when": "every", "repeat_every": "1m", "jitter": "2m"}, "jitter"),
    ],
)
async def test_what_is_missing_or_wrong_is_said(
    page: Browser, api: Api, typed: dict[str, str], name: str
) -> None:
    """At its field; nothing is created."""
    response = await page.submit("/new", form(**typed))
    assert response.status_code == 422
    assert f'href="#f-{name}"' in response.text
    assert await api.read("/api/jobs") == []


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"{}", "application/json", 415, "expected a form, application/x-www-form-urlencoded, got"),
        (b"url=\xff", "application/x-www-form-urlencoded", 400, "expected a form in UTF-8"),
        (b"a&" * 2_001, "application/x-www-form-urlencoded", 400, "of at most 2,000 fields"),
    ],
)
async def test_what_is_no_form_is_refused_with_what_would_be_one(
    page: Browser, content: bytes, kind: str, status: int, said: str
) -> None:
    """Whoever writes a program against the pages is told what they take."""
    response = await page.submit("/new", content=content, headers={"Content-Type": kind})
    assert response.status_code == status
    assert said in response.text


@pytest.mark.parametrize("when", ["in", "at", "every", "cron"])
async def test_the_example_of_what_is_missing_is_taken(page: Browser, when: str) -> None:
    """Whoever types what an error proposes has a job."""
    name = {"in": "schedule_in", "at": "scheduled_at", "every": "repeat_every"}.get(when, when)
    seen = Seen((await page.submit("/new", form(when=when))).text)
    said, _, example = seen.inside(f"e-{name}-1").partition(" for example ")
    assert said == "is required; write"
    response = await page.submit("/new", form(**{"when": when, name: example}))
    assert response.status_code == 303, example


async def test_a_form_that_lacks_fields_is_one_with_empty_fields(page: Browser, api: Api) -> None:
    """As programs send it."""
    response = await page.submit("/new", {"url": URL})
    assert response.status_code == 303
    [job] = await api.read("/api/jobs")
    assert job["args"] == {"url": URL}


# --- checking ---


async def test_check_shows_what_the_dry_run_says_and_creates_nothing(
    page: Browser, api: Api
) -> None:
    """The next times and the request."""
    typed = form(when="cron", cron="30 8 * * *", timezone="Asia/Kathmandu", body='{"a": 1}')
    response = await page.submit("/new/check", typed)
    fields = {"method": "post", "url": URL, "cron": "30 8 * * *", "timezone": "Asia/Kathmandu"}
    told = (await api.post("/api/jobs?dry_run=true", json={**fields, "body": {"a": 1}})).json()
    seen = Seen(response.text)
    assert response.status_code == 200
    times = [at for at in seen.values("time", "datetime") if at in told["data"]["next_runs"]]
    # Half past eight in Kathmandu, which is 5:45 ahead of UTC.
    assert times[:5] == [f"2030-01-0{day}T02:45:00.000000Z" for day in range(2, 7)]
    assert "Wed 2030-01-02 08:30:00" in seen.text
    assert f"POST {URL}" in seen.text
    assert shown(seen, response.text) == typed
    assert await api.read("/api/jobs") == []


async def test_check_shows_times_while_the_rest_is_not_there_yet(page: Browser) -> None:
    """As one begins with a cron, a URL is not typed yet."""
    response = await page.submit("/new/check", form(url="", when="cron", cron="0 0 1 * *"))
    seen = Seen(response.text)
    assert "2030-02-01T00:00:00.000000Z" in seen.values("time", "datetime")
    assert "Not yet: url: is required; it begins with https://" in seen.text
    assert "example.com/" not in seen.inside("result")


async def test_check_shows_no_times_of_a_wrong_cron(page: Browser) -> None:
    """Other times would be worse than none."""
    response = await page.submit("/new/check", form(when="cron", cron="61 * * * *"))
    seen = Seen(response.text)
    assert seen.inside("result").count(":00") == 0
    assert 'href="#f-cron"' in response.text


async def test_check_tells_which_job_has_the_key(page: Browser, api: Api) -> None:
    """With a link."""
    job_id = await api.create_id(idempotency_key="once", schedule_in=60)
    response = await page.submit("/new/check", form(idempotency_key="once"))
    assert f"/jobs/{job_id}" in Seen(response.text).links


# --- like another job ---


async def test_a_form_is_filled_from_a_job(page: Browser, api: Api) -> None:
    """To be sent once, now; its key is left out, and the page says so."""
    job_id = await api.create_id(**FULL)
    assert f"/new?from={job_id}" in (await page.see(f"/jobs/{job_id}")).links
    response = await page.get(f"/new?from={job_id}")
    seen = Seen(response.text)
    typed = shown(seen, response.text)
    assert (typed["when"], typed["from"]) == ("now", str(job_id))
    assert typed["idempotency_key"] == typed["on_conflict"] == ""
    assert "idempotency key is left out" in seen.text
    again = await page.submit("/new", typed)
    assert again.status_code == 303, again.text
    created = (await api.read("/api/jobs"))[0]
    expected = {
        name: value
        for name, value in FULL.items()
        if name in ("method", "url", "query", "headers", "body", "tags", "timeout", "backoff")
    }
    found = {name: created["args"][name] for name in expected}
    assert found == {**expected, "backoff": [10, "1m", "5 minutes"]}


@pytest.mark.parametrize("name", ["999", "x", "../keys", "%2e%2e", "1?a=b"])
async def test_a_job_that_is_not_there_fills_no_form(page: Browser, name: str) -> None:
    """As on its own page."""
    assert (await page.get("/new", params={"from": name})).status_code == 404


@pytest.mark.parametrize("when", ["cron", "every", "at"])
def test_a_form_of_args_means_the_same_args(when: str) -> None:
    """All fields of them, if their way is chosen; the key's fields are the user's to give."""
    times = {"cron": "0 9 * * MON-FRI", "every": [5, "minutes"], "at": "2030-02-01 09:00"}
    fields = {name: value for name, value in FULL.items() if name != "cron"}
    if when == "at":
        of_schedules = ("schedule_in", "starts_at", "ends_at", "max_runs", "jitter")
        for name in (*of_schedules, "overlap", "misfire"):
            del fields[name]
    names = {"cron": "cron", "every": "repeat_every", "at": "scheduled_at"}
    fields[names[when]] = times[when]
    typed = {**write(exact.decode(msgspec.json.encode(fields))), "when": when}
    typed |= {"idempotency_key": " key ", "on_conflict": "reject", "idempotency_ttl": "1h"}
    meant = read(typed)
    assert meant.errors == []
    assert same(meaning(meant.fields)) == same(meaning(fields))


def same(args: Args) -> dict[str, Any]:
    """Return args with each duration as text of one form."""
    return {
        name: [said(each) for each in value] if name == "backoff" else said(value)
        for name in CREATE_FIELDS
        if (value := getattr(args, name)) is not None
    }


def said(value: Any) -> Any:
    """Return a duration of two parts as text."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def test_every_field_of_a_create_has_one_in_the_form() -> None:
    """And the test of all fields has it, too."""
    assert set(FULL) | {"repeat_every", "scheduled_at"} == set(CREATE_FIELDS)
    assert set(blank()) == {*CREATE_FIELDS, "when", "body_kind", "from"}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_typed_and_read_as_it_was(body: str) -> None:
    """With the digits of its numbers, and each character; what hides is written as an escape."""
    args = {"url": URL, "body": exact.decode(body)}
    typed = write(args)
    # A browser sends line feeds as CR LF, of which the dashboard makes line feeds again.
    sent = typed["body"].replace("\r\n", "\n").replace("\r", "\n")
    meant = read({**typed, "body": sent}).fields
    assert exact.decode(msgspec.json.encode(meant)).get("body") == args["body"]


# --- what stands beside it ---


async def test_the_page_has_the_programs_of_what_is_typed(page: Browser) -> None:
    """For the address where the browser is; no key is in them."""
    response = await page.submit("/new/check", form(body='{"a": "it\'s"}', tags="x"))
    seen = Seen(response.text)
    expected = codes_of(
        {"method": "post", "url": URL, "body": {"a": "it's"}, "tags": ["x"]},
        "http://127.0.0.1:2667",
    )
    assert seen.inside("codes").count("/api/jobs") == 2
    for code in (expected.curl, expected.python, expected.javascript):
        assert code in seen.inside("codes")
    assert KEY not in response.text


async def test_a_long_body_is_not_written_as_programs(page: Browser) -> None:
    """The page has what was typed, once, and the first part of what is sent."""
    body = f"[{','.join(['1.5'] * 50_000)}]"
    response = await page.submit("/new/check", form(body=body))
    assert body in response.text
    assert "The body is too long to be written as a program." in response.text
    assert len(response.text) < len(body) + 60_000


def test_style_script_and_icons_are_small() -> None:
    """Together at most 60 KB, of which one page loads all."""
    assert sum(len(each.content) for each in static_files().values()) <= 60 << 10


def test_decoded_args_are_those_that_are_stored() -> None:
    """The form reads them as the API shows them."""
    assert decode_args('{"url":"https://a.test"}') == Args(url="https://a.test")


# --- where it is, and who may send it ---


OTHERS: Sequence[Mapping[str, str]] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.test"},
    {"Origin": "http://127.0.0.1:8080"},
    {"Origin": "null"},
    {},
)


@pytest.mark.parametrize("path", ["/new", "/new/check", "/new/curl"])
@pytest.mark.parametrize("headers", OTHERS, ids=str)
async def test_a_page_of_another_origin_creates_nothing(
    page: Browser, api: Api, path: str, headers: Mapping[str, str]
) -> None:
    """Though the browser sends the cookie along; nor does it learn anything."""
    response = await page.post(path, data=form(curl="curl x"), headers=dict(headers))
    assert response.status_code == 403
    assert URL not in response.text
    assert await api.read("/api/jobs") == []


async def test_a_form_of_a_reader_is_refused(
    booper: Booper, api: Api, keys: dict[str, str]
) -> None:
    """There is no link to it, and it creates nothing."""
    async with Browser(booper.asgi) as browser:
        await browser.sign_in(keys["read"])
        job_id = await api.create_id(schedule_in=3600)
        for path in ("/", "/jobs", f"/jobs/{job_id}"):
            assert not [link for link in (await browser.see(path)).links if "/new" in link]
        for path in ("/new", "/new/check", "/new/curl"):
            assert (await browser.submit(path, form(curl="curl x"))).status_code == 403
    assert len(await api.read("/api/jobs")) == 1


async def test_links_and_programs_stay_under_a_mount(booper: Booper, api: Api) -> None:
    """The form's own, and where the programs post to."""
    program = Starlette(routes=[Mount("/tools/booper", booper.asgi)])
    async with Browser(program, "/tools/booper") as browser:
        await browser.sign_in(KEY)
        response = await browser.submit("/new/check", form())
        seen = Seen(response.text)
        assert {link for link in seen.links if link.startswith("/")} == {
            link for link in seen.links if link.startswith("/tools/booper/")
        }
        assert seen.values("button", "formaction") == ["/tools/booper/new/check#result"]
        assert "curl -X POST http://127.0.0.1:2667/tools/booper/api/jobs" in seen.inside("codes")
        created = await browser.submit("/new", form())
    assert created.headers["location"].startswith("/tools/booper/jobs/")


async def test_a_page_is_small(page: Browser, api: Api) -> None:
    """At most 60 KB, bodies apart."""
    job_id = await api.create_id(**FULL)
    response = await page.get(f"/new?from={job_id}")
    typed = shown(Seen(response.text), response.text)
    checked = await page.submit("/new/check", {**typed, "when": "cron"})
    assert checked.status_code == 200
    assert len(checked.content) <= 60 << 10


# --- hidden headers of a job ---


async def test_a_hidden_header_is_sent_again_and_never_shown(
    page: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """While the origin is the same; what the browser gets is that it is hidden."""
    job_id = await api.create_id(headers={"Authorization": "Bearer s3cr3t"}, schedule_in=3600)
    response = await page.get(f"/new?from={job_id}")
    typed = shown(Seen(response.text), response.text)
    assert typed["headers"] == "Authorization: [redacted]"
    assert "Put in the values of Authorization" in Seen(response.text).text
    checked = await page.submit("/new/check", typed)
    assert checked.status_code == 200
    created = await page.submit("/new", {**typed, "url": f"{URL}/other"})
    assert created.status_code == 303
    await booper.wait_idle()
    assert target.received[-1].headers["authorization"] == "Bearer s3cr3t"
    for each in (response, checked, await page.get(created.headers["location"])):
        assert "s3cr3t" not in each.text


async def test_a_hidden_header_is_not_sent_to_another_origin(page: Browser, api: Api) -> None:
    """The server decides; the form says so at the headers."""
    job_id = await api.create_id(headers={"Authorization": "Bearer s3cr3t"}, schedule_in=3600)
    response = await page.get(f"/new?from={job_id}")
    typed = {**shown(Seen(response.text), response.text), "url": "https://evil.test/"}
    for path in ("/new", "/new/check"):
        refused = await page.submit(path, typed)
        assert "Authorization: its hidden value is sent to https://target.test alone" in Seen(
            refused.text
        ).inside("e-headers-1")
        assert "s3cr3t" not in refused.text
    assert len(await api.read("/api/jobs")) == 1

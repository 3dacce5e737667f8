"""Hostile input: whatever is posted or read, the response is the client's fault, never a 5xx."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booper.app import Booper
from tests.support.jobs import CREATE_FIELDS
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"
JSON = {"Content-Type": "application/json"}
MIB = 1 << 20  # the default limit of a request's body (§12)

# What some fields need beside them to mean something.
BESIDE: dict[str, dict[str, object]] = {
    **{
        field: {"repeat_every": 60}
        for field in ("starts_at", "ends_at", "max_runs", "jitter", "overlap", "misfire")
    },
    "on_conflict": {"idempotency_key": "k"},
    "idempotency_ttl": {"idempotency_key": "k"},
}


async def post(api: httpx.AsyncClient, **fields: object) -> httpx.Response:
    """Post a job with these fields."""
    return await api.post("/api/jobs", content=json.dumps({"url": URL, **fields}), headers=JSON)


def problem(response: httpx.Response, status: int) -> Any:
    """Return the problem details of a response."""
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    return response.json()


def pointers(response: httpx.Response) -> list[str]:
    """Return where the errors of a 422 point."""
    errors = problem(response, 422)["errors"]
    assert all(set(error) == {"pointer", "detail"} for error in errors)
    return [error["pointer"] for error in errors]


# JSON texts (RFC 8259) that are none, or that no value of ours can hold.
MALFORMED = {
    "NaN": b"NaN",
    "infinity": b"Infinity",
    "minus infinity": b"-Infinity",
    "1e999": b"1e999",
    "leading zero": b"01",
    "plus": b"+1",
    "hexadecimal": b"0x1F",
    "bare point": b"1.",
    "comma at the end": b"[1,]",
    "comma at the end of an object": b'{"a":1,}',
    "single quotes": b"'a'",
    "unquoted key": b"{a:1}",
    "number as key": b"{1:1}",
    "comment": b"1 // one",
    "undefined": b"undefined",
    "capital": b"True",
    "control character": b'"a\x01b"',
    "raw NUL": b'"a\x00b"',
    "raw newline": b'"a\nb"',
    "bad escape": b'"\\x41"',
    "short escape": b'"\\u12"',
    "lone high surrogate": b'"\\ud800"',
    "high surrogate before text": b'"\\ud800abcdefgh"',
    "lone low surrogate": b'"\\udc00"',
    "two high surrogates": b'"\\ud800\\ud800"',
    "invalid UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "cut UTF-8": b'"\xe2\x82"',
    "cut text": b'"a',
    "cut list": b"[1",
    "cut object": b'{"a":',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and cut": b"[" * 500_000,
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_json_is_400_wherever_it_stands(
    api: httpx.AsyncClient, text: bytes
) -> None:
    """As the whole body, in `body`, in `query`, and for `echo`: 400, and nothing is stored."""
    start = b'{"url": "https://target.test/", '
    whole = [
        text,
        start + b'"body": ' + text + b"}",
        start + b'"query": {"q": ' + text + b"}}",
        start + b'"body": {"deeper": [' + text + b"]}}",
    ]
    for body in whole:
        response = await api.post("/api/jobs", content=body, headers=JSON)
        # As the whole body, what begins as another type than an object may be told as that.
        if body is text and response.status_code == 422:
            assert pointers(response) == [""]
        else:
            problem(response, 400)
        assert len(response.content) < 2_000
    problem(await api.post("/api/echo", content=text, headers=JSON), 400)
    assert (await api.get("/api/jobs")).json() == {"data": []}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b'\xef\xbb\xbf{"url": "https://target.test/"}',
        b'{"url": "https://target.test/"} x',
        b'{"url": "https://target.test/"}{}',
        b'{"url": "https://target.test/"',
        b'{"url": "https://target.test/\xff"}',
        b'{"\xff": 1, "url": "https://target.test/"}',
        b'{"unknown": NaN, "url": "https://target.test/"}',
        '{"url": "https://target.test/"}'.encode("utf-16"),
        '{"url": "https://target.test/"}'.encode("utf-32"),
        b"url=https://target.test/",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"\x00" * 1_000,
    ],
)
async def test_a_malformed_create_is_400(api: httpx.AsyncClient, body: bytes) -> None:
    """An empty body, a byte order mark, trailing text, another encoding: 400."""
    problem(await api.post("/api/jobs", content=body, headers=JSON), 400)


@pytest.mark.parametrize("body", ["null", "true", "5", "-1.5", '"text"', "[]", '[{"url": "x"}]'])
async def test_a_create_that_is_no_object_is_422(api: httpx.AsyncClient, body: str) -> None:
    """JSON of another type is told at the root, whose pointer is empty (RFC 6901 §5)."""
    assert pointers(await api.post("/api/jobs", content=body, headers=JSON)) == [""]


@pytest.mark.parametrize("depth", [10, 100, *range(150, 1_100, 50), 5_000, 50_000])
async def test_nesting_of_any_depth_is_taken_or_refused(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget, depth: int
) -> None:
    """What is accepted at some depth is also stored, sent and read back; the rest is 400."""
    for nested in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        for name, value in (("body", nested), ("query", f'{{"q": {nested}}}')):
            text = f'{{"url": "{URL}", "method": "post", "{name}": {value}}}'
            response = await api.post("/api/jobs", content=text, headers=JSON)
            assert response.status_code in (201, 400, 422), response.text[:500]
            if response.status_code == 201 and name == "body":
                await booper.wait_idle()
                assert target.received[-1].read().decode() == value
                number = response.json()["data"]["job_id"]
                assert value in (await api.get(f"/api/jobs/{number}")).text


async def test_of_duplicate_keys_the_last_counts(api: httpx.AsyncClient) -> None:
    """RFC 8259 §4 leaves it open; what is checked, stored and echoed is the same one."""
    body = '{"url": "ftp://first.test/", "name": "a", "url": "https://last.test/", "name": "b"}'
    response = await api.post("/api/jobs", content=body, headers=JSON)
    assert response.status_code == 201
    assert response.json()["data"]["args"] == {"url": "https://last.test/", "name": "b"}


HUGE = 10**400  # past what a float can hold
LONG = "x" * 1_000_000


def each(*values: object) -> tuple[object, ...]:
    """Return values of any types as values of any type."""
    return values


# (field, wrong value, where the error points)
WRONG: list[tuple[str, object, str]] = [
    *[("url", value, "/url") for value in each(None, 5, True, [], {}, [URL], HUGE)],
    *[("url", value, "/url") for value in each("", " ", "/", "target.test", "//target.test/")],
    *[
        ("url", value, "/url")
        for value in each("ftp://target.test/", "javascript:alert(1)", "https:")
    ],
    *[
        ("url", value, "/url")
        for value in each("https://", "https:///x", "https://a b/", "https://a/ ")
    ],
    *[
        ("url", value, "/url")
        for value in each("https://a/\x00", "https://a/\r\nX-A: b", "https://a\\b")
    ],
    *[
        ("url", value, "/url")
        for value in each("https://u:p@a/", "https://a:0/", "https://a:65536/")
    ],
    *[
        ("url", value, "/url")
        for value in each("https://[::1", "https://[x]/", "https://é..test/", LONG)
    ],
    *[
        ("method", value, "/method")
        for value in each(5, True, [], {}, "", "fetch", "head", "options")
    ],
    *[
        ("method", value, "/method")
        for value in each("get ", "GET\r\n", "g\x00et", "\uff27\uff25\uff34", LONG)
    ],
    *[("query", value, "/query") for value in each(5, True, "a=1", [], [["a", 1]])],
    *[("headers", value, "/headers") for value in each(5, True, "X-A: b", [], [["X-A", "b"]])],
    *[("headers", {"X-A": value}, "/headers/X-A") for value in each(None, [], ["a"], {})],
    *[("headers", {"X-A": value}, "/headers/X-A") for value in each("a\r\nX-B: c", "a\nb", "a\rb")],
    *[
        ("headers", {"X-A": value}, "/headers/X-A")
        for value in each("\x00", "a\x7f", " a", "€", LONG)
    ],
    ("headers", {"": "a"}, "/headers/"),
    ("headers", {"X A": "a"}, "/headers/X A"),
    ("headers", {"X-A:": "a"}, "/headers/X-A:"),
    ("headers", {"X-A\r\nX-B": "a"}, "/headers/X-A\r\nX-B"),
    ("headers", {"a/b~c": "a"}, "/headers/a~1b~0c"),
    ("headers", {"a/b~c": None}, "/headers/a~1b~0c"),
    ("headers", {"a.b": None}, "/headers/a.b"),
    ("headers", {"é": "a"}, "/headers/é"),
    ("headers", {f"X-{n}": "a" for n in range(101)}, "/headers"),
    *[
        ("headers", {name: "a"}, f"/headers/{name}")
        for name in ("Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "TE")
    ],
    *[
        ("schedule_in", value, "/schedule_in")
        for value in each(True, "30", "30 months", {}, -1, -0.1)
    ],
    *[
        ("schedule_in", value, "/schedule_in")
        for value in each([], [1], [1, "second", 2], 1e300, HUGE)
    ],
    *[
        ("schedule_in", [value, "hours"], "/schedule_in/0")
        for value in each("1", None, True, [], {})
    ],
    *[
        ("schedule_in", [value, "weeks"], "/schedule_in/0")
        for value in each(-1, 1e300, HUGE, -HUGE)
    ],
    *[
        ("schedule_in", [1, value], "/schedule_in/1")
        for value in each(1, None, True, [], "", "s", "ss")
    ],
    *[
        ("schedule_in", [1, value], "/schedule_in/1")
        for value in each("fortnight", "second\x00", LONG)
    ],
    *[
        ("scheduled_at", value, "/scheduled_at")
        for value in each(True, [], {}, "", "now", "tomorrow")
    ],
    *[("scheduled_at", value, "/scheduled_at") for value in each(-1, -0.5, 1e300, HUGE, -HUGE)],
    *[
        ("scheduled_at", value, "/scheduled_at")
        for value in each("2030-13-01", "2030-02-30T00:00:00Z")
    ],
    *[
        ("scheduled_at", value, "/scheduled_at")
        for value in each("9999-12-31T23:59:59Z", "25:00", LONG)
    ],
    *[
        ("scheduled_at", value, "/scheduled_at")
        for value in each("2030-01-01T00:00:00+25:00", "\x00")
    ],
    ("scheduled_at", "9999-12-31T23:59:59-23:59", "/scheduled_at"),
    ("scheduled_at", "2030-01-01T00:00:00Z\x00", "/scheduled_at"),
    *[
        (name, value, f"/{name}")
        for name in ("idempotency_key", "name", "description")
        for value in each(5, True, [], {}, ["a"], "", LONG)
    ],
    *[
        ("max_attempts", value, "/max_attempts")
        for value in each(0, -1, 1.5, "3", True, [], {}, HUGE)
    ],
    *[("timeout", value, "/timeout") for value in each(0, -1, 900.1, True, "30", {}, [1], HUGE)],
    ("timeout", [16, "minutes"], "/timeout"),
    ("timeout", ["1", "minute"], "/timeout/0"),
    ("timeout", [1, "moment"], "/timeout/1"),
    *[("backoff", value, "/backoff") for value in each(5, True, {}, [], "", "linear", LONG)],
    ("backoff", [-1], "/backoff/0"),
    ("backoff", [1, HUGE], "/backoff/1"),
    ("backoff", [1, 2, "3"], "/backoff/2"),
    ("backoff", [None], "/backoff/0"),
    ("backoff", [[1]], "/backoff/0"),
    ("backoff", [5, [1, "moment"]], "/backoff/1/1"),
    ("backoff", [5, [-1, "minute"]], "/backoff/1/0"),
    ("backoff", [5, ["1", "minute"]], "/backoff/1/0"),
    *[("expect_status", value, "/expect_status") for value in each(5, 200, True, "2xx", {})],
    *[
        ("expect_status", [value], "/expect_status/0")
        for value in each(0, 99, 600, -200, HUGE, "200")
    ],
    *[("expect_status", [value], "/expect_status/0") for value in each("", "6xx", "2xx ", LONG)],
    *[
        ("expect_status", [200, value], "/expect_status/1")
        for value in each(None, True, 2.5, [], {})
    ],
    *[
        (name, value, f"/{name}")
        for name in ("callback_url", "webhook_url")
        for value in each(5, [], "", "target.test", "ftp://target.test/", "https://u:p@a/", LONG)
    ],
    *[("repeat_every", value, "/repeat_every") for value in each(0, 0.999, -1, True, "60", {})],
    *[("repeat_every", value, "/repeat_every") for value in each([], [5], 1e300, HUGE)],
    ("repeat_every", [999, "milliseconds"], "/repeat_every/1"),
    ("repeat_every", ["5", "minutes"], "/repeat_every/0"),
    ("repeat_every", [0, "minutes"], "/repeat_every"),
    *[("cron", value, "/cron") for value in each(5, True, [], {}, "", " ", "x", "* * * *", LONG)],
    *[("cron", value, "/cron") for value in each("60 * * * *", "* 24 * * *", "* * 0 * *")],
    *[("cron", value, "/cron") for value in each("* * * 13 *", "* * * * 8", "* * 32 * *")],
    *[("cron", value, "/cron") for value in each("*/0 * * * *", "1,,2 * * * *", "-1 * * * *")],
    *[("timezone", value, "/timezone") for value in each(5, True, [], "", "Berlin", "Mars/X")],
    *[("timezone", value, "/timezone") for value in each("../etc/passwd", "UTC\x00", "/", LONG)],
    *[
        (name, value, f"/{name}")
        for name in ("starts_at", "ends_at")
        for value in each(True, [], {}, "", "now", -1, HUGE, "2030-13-01", "\x00", LONG)
    ],
    *[("max_runs", value, "/max_runs") for value in each(0, -1, 1.5, "3", True, [], HUGE)],
    *[("jitter", value, "/jitter") for value in each(-1, True, "5", {}, [], 1e300, 60, 61)],
    ("jitter", [5, "moments"], "/jitter/1"),
    ("jitter", [-5, "seconds"], "/jitter/0"),
    *[
        (name, value, f"/{name}")
        for name in ("overlap", "misfire", "on_conflict")
        for value in each(5, True, [], {}, "", "never", "Skip", "skip ", LONG)
    ],
    *[
        (name, value, f"/{name}")
        for name in ("idempotency_ttl", "keep_for")
        for value in each(-1, True, "60", {}, [], HUGE)
    ],
    ("idempotency_ttl", [1, "moment"], "/idempotency_ttl/1"),
    ("keep_for", [1, "moment"], "/keep_for/1"),
    *[
        (name, value, f"/{name}")
        for name in ("metadata", "follow_redirects")
        for value in each(0, 1, "true", "", [], {})
    ],
    *[("tags", value, "/tags") for value in each(5, True, "a", {}, ["a"] * 21)],
    *[("tags", ["a", value], "/tags/1") for value in each(5, None, True, [], "", LONG)],
]

# Each stands alone with a one-off: fields that would have no effect are refused (§3).
WITHOUT_MEANING: dict[str, object] = {
    "starts_at": "2030-01-02T00:00:00Z",
    "ends_at": "2030-01-02T00:00:00Z",
    "max_runs": 3,
    "jitter": 5,
    "overlap": "skip",
    "misfire": "latest",
    "on_conflict": "ignore",
    "idempotency_ttl": 60,
}

# A right value of each field beyond the first issue's, with all that it needs.
ACCEPTED: list[dict[str, object]] = [
    {"timezone": "Europe/Berlin"},
    {"timezone": "UTC"},
    {"follow_redirects": True},
    {"metadata": False},
    {"tags": []},
    {"tags": ["x" * 64] + ["a"] * 19},
    {"idempotency_key": "a", "on_conflict": "ignore"},
    {"idempotency_key": "b", "on_conflict": "replace"},
    {"idempotency_key": "c", "on_conflict": "reject"},
    {"idempotency_key": "d", "idempotency_ttl": [1, "day"]},
    {"callback_url": "https://target.test/callback"},
    {"webhook_url": "https://target.test/events"},
    {"repeat_every": 1},
    {"repeat_every": [1.5, "hours"]},
    {"repeat_every": 60, "starts_at": "2030-01-02", "ends_at": 1893628800, "max_runs": 1},
    {"repeat_every": 60, "jitter": 59.9, "overlap": "skip", "misfire": "skip"},
    {"repeat_every": 60, "overlap": "queue", "misfire": "latest"},
    {"cron": "0 9 * * 1-5", "overlap": "allow", "misfire": "all", "jitter": [2, "hours"]},
    {"cron": "@daily", "timezone": "America/New_York"},
]


def test_every_field_has_wrong_values() -> None:
    """The table of wrong values knows every field but `body`, which takes any JSON."""
    assert {field for field, _, _ in WRONG} == set(CREATE_FIELDS) - {"body"}


@pytest.mark.parametrize("field", sorted({field for field, _, _ in WRONG}))
async def test_a_wrong_value_is_422_at_its_pointer(api: httpx.AsyncClient, field: str) -> None:
    """Each wrong value is told by itself, at its JSON Pointer, in few words."""
    misses = []
    for _, value, pointer in [row for row in WRONG if row[0] == field]:
        try:
            response = await post(api, **BESIDE.get(field, {}), **{field: value})
        except Exception as error:  # a fault of booper's comes through the client as it is
            misses.append((repr(value)[:40], pointer, repr(error)[:100]))
            continue
        found = pointers(response) if response.status_code == 422 else response.status_code
        if found != [pointer] or len(response.content) > 2_000:
            misses.append((repr(value)[:40], pointer, f"{found}, {len(response.content)} bytes"))
    assert misses == []
    assert (await api.get("/api/jobs")).json() == {"data": []}


@pytest.mark.parametrize("fields", ACCEPTED, ids=lambda fields: "-".join(fields))
async def test_every_field_has_right_values(
    api: httpx.AsyncClient, fields: dict[str, object]
) -> None:
    """The additions of §3 are accepted and echoed as they were sent."""
    response = await post(api, schedule_in=3_600, **fields)
    assert response.status_code == 201, response.text
    assert response.json()["data"]["args"] == {"url": URL, "schedule_in": 3_600, **fields}


@pytest.mark.parametrize(("field", "value"), WITHOUT_MEANING.items())
async def test_a_field_without_effect_is_refused(
    api: httpx.AsyncClient, field: str, value: object
) -> None:
    """A bound of a recurrence on a one-off, or a rule for a key that is not there, is 422."""
    assert pointers(await post(api, **{field: value})) == [f"/{field}"]


@pytest.mark.parametrize(
    "fields",
    [{"repeat_every": 60, "cron": "* * * * *"}, {"cron": "@daily", "repeat_every": [1, "day"]}],
)
async def test_two_recurrences_are_refused(
    api: httpx.AsyncClient, fields: dict[str, object]
) -> None:
    """`cron` with `repeat_every` is 422 (§3)."""
    [pointer] = pointers(await post(api, **fields))
    assert pointer in ("/cron", "/repeat_every")


@pytest.mark.parametrize(
    "fields",
    [
        {"repeat_every": 60, "ends_at": "2029-12-31T00:00:00Z"},
        {"repeat_every": 60, "starts_at": "2030-01-03", "ends_at": "2030-01-02"},
        {"cron": "0 9 * * *", "ends_at": "2030-01-02T08:59:59Z"},
    ],
)
async def test_a_window_without_a_run_is_refused(
    api: httpx.AsyncClient, fields: dict[str, object]
) -> None:
    """A schedule that could never run is told so at once; the clock stands at 2030-01-01 noon."""
    assert pointers(await post(api, **fields)) == ["/ends_at"]


@pytest.mark.parametrize(
    ("typo", "near"),
    [
        ("shedule_in", "schedule_in"),
        ("schedule_at", "scheduled_at"),
        ("URL", "url"),
        ("header", "headers"),
        ("idempotencyKey", "idempotency_key"),
        ("max_attempt", "max_attempts"),
        ("repeat_evry", "repeat_every"),
        ("time_zone", "timezone"),
        ("onConflict", "on_conflict"),
        ("callback", "callback_url"),
    ],
)
async def test_a_typo_is_answered_with_the_near_field(
    api: httpx.AsyncClient, typo: str, near: str
) -> None:
    """Unknown fields are 422 with a did-you-mean (§3)."""
    response = await post(api, **{typo: 1})
    assert pointers(response) == [f"/{typo}"]
    if near != "url":  # "URL" shares no letter with "url"
        assert f"'{near}'" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize("name", ["", "a/b~c", "\x00", "é", "__proto__", "x" * 100_000])
async def test_an_unknown_field_is_pointed_at_whatever_its_name(
    api: httpx.AsyncClient, name: str
) -> None:
    """The pointer escapes the name (RFC 6901 §3), and a long one is cut."""
    response = await post(api, **{name: 1})
    escaped = name.replace("~", "~0").replace("/", "~1")
    [pointer] = pointers(response)
    assert f"/{escaped}".startswith(pointer)
    assert len(pointer) > min(len(name), 50)
    assert len(response.content) < 2_000


async def test_conflicting_times_are_refused(api: httpx.AsyncClient) -> None:
    """`schedule_in` with `scheduled_at` is 422 (§3)."""
    response = await post(api, schedule_in=5, scheduled_at="2030-01-02T00:00:00Z")
    [pointer] = pointers(response)
    assert pointer in ("/schedule_in", "/scheduled_at")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"url": 5, "method": 5, "headers": {"X-A": []}, "timeout": "x", "nonsense": 1},
            ["/headers/X-A", "/method", "/nonsense", "/timeout", "/url"],
        ),
        (
            {
                "url": "ftp://a/",
                "method": "fetch",
                "headers": {"Host": "a", "X A": "b"},
                "schedule_in": [-1, "second"],
                "max_attempts": 0,
                "expect_status": [99, 200, 600],
            },
            [
                "/expect_status/0",
                "/expect_status/2",
                "/headers/Host",
                "/headers/X A",
                "/max_attempts",
                "/method",
                "/schedule_in/0",
                "/url",
            ],
        ),
        # A wrong type beside a wrong value.
        ({"url": "ftp://a/", "max_attempts": "3"}, ["/max_attempts", "/url"]),
        ({"method": "fetch", "nonsense": 1}, ["/method", "/nonsense"]),
        # Of a schedule, with its cron.
        (
            {
                "cron": "0 9 * *",
                "timezone": "Berlin",
                "starts_at": "soon",
                "ends_at": "late",
                "max_runs": 0,
                "jitter": -1,
                "overlap": "never",
                "misfire": "never",
                "callback_url": "x",
                "webhook_url": "x",
                "tags": [""],
                "on_conflict": "never",
                "idempotency_ttl": -1,
                "idempotency_key": "k",
            },
            [
                "/callback_url",
                "/cron",
                "/ends_at",
                "/idempotency_ttl",
                "/jitter",
                "/max_runs",
                "/misfire",
                "/on_conflict",
                "/overlap",
                "/starts_at",
                "/tags/0",
                "/timezone",
                "/webhook_url",
            ],
        ),
    ],
)
async def test_all_errors_are_told_at_once(
    api: httpx.AsyncClient, fields: dict[str, object], expected: list[str]
) -> None:
    """Who fixes what one response names has nothing left to fix."""
    assert sorted(pointers(await post(api, **fields))) == expected


async def test_a_missing_url_is_told_beside_other_errors(api: httpx.AsyncClient) -> None:
    """The one required field is missed together with what else is wrong."""
    response = await api.post("/api/jobs", json={"metod": "get", "timeout": "x"})
    assert sorted(pointers(response)) == ["/metod", "/timeout", "/url"]


@pytest.mark.parametrize(
    "fields",
    [
        {f"f{index}": 0 for index in range(2_000)},
        {"expect_status": [0] * 100_000},
        {"headers": {f"bad {index}": "" for index in range(20_000)}},
    ],
    ids=["unknown fields", "statuses", "headers"],
)
async def test_very_many_errors_make_no_very_long_response(
    api: httpx.AsyncClient, fields: dict[str, object]
) -> None:
    """A body full of errors is 422, and its response is no larger than a body may be."""
    response = await post(api, **fields)
    assert pointers(response)
    assert len(response.content) < MIB


@pytest.mark.parametrize("digits", [20, 400, 4_300, 4_301, 100_000])
async def test_integers_of_any_length_are_taken_or_refused(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget, digits: int
) -> None:
    """A number that is accepted arrives digit by digit; one that cannot be read is refused."""
    number = "9" * digits
    start = f'{{"url": "{URL}", "method": "post", '
    for rest in (f'"body": {number}}}', f'"body": [{number}]}}', f'"query": {{"q": {number}}}}}'):
        response = await api.post("/api/jobs", content=start + rest, headers=JSON)
        assert response.status_code in (201, 400, 422), response.text[:500]
        if response.status_code == 201 and "body" in rest:
            await booper.wait_idle()
            assert number in target.received[-1].read().decode()
    response = await api.post("/api/echo", content=number, headers=JSON)
    assert response.status_code in (200, 400, 422)


@pytest.mark.parametrize("field", ["idempotency_key", "name", "description"])
@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\x7f\x1b[31m", "\u202e", "😀" * 60, "\ufffe"])
async def test_odd_text_comes_back_as_it_was_or_is_refused(
    api: httpx.AsyncClient, field: str, text: str
) -> None:
    """NUL, control characters and astral ones are kept whole wherever they are accepted."""
    response = await post(api, schedule_in=60, **{field: text})
    if response.status_code == 422:
        assert pointers(response) == [f"/{field}"]
        return
    data = response.json()["data"]
    assert (data[field], data["args"][field]) == (text, text)
    assert (await api.get(f"/api/jobs/{data['job_id']}")).json()["data"] == data


async def test_odd_text_in_query_and_body_arrives(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget
) -> None:
    """NUL and reserved characters are sent percent-encoded, and a body as it was."""
    query = {"a\x00&=#/?": "b\x00&=#/?+ é\r\nX-A: b"}
    response = await post(api, method="post", query=query, body="a\x00\u2028")
    assert response.status_code == 201
    await booper.wait_idle()
    [sent] = target.received
    assert dict(sent.url.params) == query
    assert "x-a" not in sent.headers
    assert json.loads(sent.read()) == "a\x00\u2028"


async def test_a_megabyte_of_body_arrives(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget
) -> None:
    """A body just under the limit of 1 MiB is accepted, echoed, sent and read back."""
    response = await post(api, method="post", body=LONG)
    assert response.status_code == 201
    await booper.wait_idle()
    [sent] = target.received
    assert sent.read() == json.dumps(LONG).encode()
    number = response.json()["data"]["job_id"]
    assert (await api.get(f"/api/jobs/{number}")).json()["data"]["args"]["body"] == LONG


@pytest.mark.parametrize("path", ["/api/jobs", "/api/echo"])
async def test_a_declared_length_over_the_limit_is_413_unread(
    api: httpx.AsyncClient, path: str
) -> None:
    """Who announces too much is refused before anything of it is read."""
    pulled = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal pulled
        pulled += 1
        yield b"x"

    headers = {"Content-Length": str(MIB + 1), **JSON}
    problem(await api.post(path, content=chunks(), headers=headers), 413)
    assert pulled == 0


@pytest.mark.parametrize("path", ["/api/jobs", "/api/echo"])
async def test_a_stream_over_the_limit_is_413_without_reading_on(
    api: httpx.AsyncClient, path: str
) -> None:
    """Chunks without a length are counted: the one that passes the limit is the last read."""
    pulled = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(1_000):
            pulled += 1
            yield b" " * 65_536

    response = await api.post(path, content=chunks(), headers=JSON)
    problem(response, 413)
    # 16 chunks of 64 KiB are just 1 MiB; the 17th is too much, and one may be on its way.
    assert pulled <= 18


async def test_a_length_that_lies_helps_nobody(api: httpx.AsyncClient) -> None:
    """What is read is counted, whatever was announced."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    headers = {"Content-Length": "10", **JSON}
    problem(await api.post("/api/jobs", content=chunks(), headers=headers), 413)


@pytest.mark.parametrize("length", [b"", b"x", b"-1", b"\xb2", b"1e9", b"0x10", b"9" * 5_000])
async def test_a_nonsensical_length_is_no_fault(api: httpx.AsyncClient, length: bytes) -> None:
    """A length that is no number is the server's to refuse; here it is never a 5xx."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"{}"

    headers = [(b"Content-Length", length), (b"Content-Type", b"application/json")]
    response = await api.post("/api/jobs", content=chunks(), headers=headers)
    assert response.status_code < 500


async def test_a_body_of_exactly_the_limit_is_read(api: httpx.AsyncClient) -> None:
    """The limit is the largest body, not the smallest refused one."""
    head = f'{{"url": "{URL}"}}'.encode()
    exact = head + b" " * (MIB - len(head))
    assert (await api.post("/api/jobs", content=exact, headers=JSON)).status_code == 201
    assert (await api.post("/api/jobs", content=exact + b" ", headers=JSON)).status_code == 413


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        " application/json ",
        "application/json; charset=utf-8; profile=x",
    ],
)
async def test_json_may_be_announced_with_parameters(api: httpx.AsyncClient, kind: str) -> None:
    """Letter case and parameters do not make another type of it (RFC 9110 §8.3.1)."""
    body = f'{{"url": "{URL}", "name": "é"}}'.encode()
    response = await api.post("/api/jobs", content=body, headers={"Content-Type": kind})
    assert response.status_code == 201
    assert response.json()["data"]["name"] == "é"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/html; charset=utf-8",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "application/octet-stream",
        "json",
        "x" * 10_000,
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/echo"])
async def test_another_content_type_is_415(api: httpx.AsyncClient, path: str, kind: str) -> None:
    """What is neither JSON nor a form is not guessed at."""
    response = await api.post(path, content=b'{"url": "x"}', headers={"Content-Type": kind})
    problem(response, 415)
    assert len(response.content) < 2_000


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
DURATIONS = st.integers(-1, 10**6) | st.tuples(
    st.integers(-1, 100) | st.floats(allow_nan=False), st.sampled_from(["seconds", "hour", "x"])
)
TEXT = st.text(max_size=20)
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "method": st.sampled_from(["get", "POST", "put", "patch", "delete", "head"]),
    "url": st.sampled_from([URL, "https://é.test/ü?ö#ä", "http://a.test:8080"]) | TEXT,
    "query": st.dictionaries(TEXT, JSON_VALUES, max_size=3),
    "headers": st.dictionaries(
        st.sampled_from(["X-A", "x-a", "Authorization", "Content-Type", "é", ""]),
        st.text(st.characters(codec="latin-1"), max_size=10) | st.integers() | st.booleans(),
        max_size=3,
    ),
    "body": JSON_VALUES,
    "schedule_in": DURATIONS,
    "scheduled_at": st.datetimes().map(str) | st.integers() | st.floats(allow_nan=False),
    "idempotency_key": TEXT,
    "name": TEXT,
    "description": TEXT,
    "max_attempts": st.integers(-1, 20),
    "backoff": st.just("exponential") | st.lists(DURATIONS, max_size=3),
    "timeout": DURATIONS,
    "expect_status": st.lists(st.integers(99, 600) | st.sampled_from(["2xx", "9xx"]), max_size=3),
    "callback_url": st.sampled_from([URL, "https://é.test/"]) | TEXT,
    "webhook_url": st.sampled_from([URL, "https://é.test/"]) | TEXT,
    "cron": st.sampled_from(["0 9 * * 1-5", "@daily", "0 0 31 2 *", "* * * *"]) | TEXT,
    "timezone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]) | TEXT,
    "follow_redirects": st.booleans(),
    "metadata": st.booleans(),
    "tags": st.lists(TEXT, max_size=3),
}
OBJECTS = st.fixed_dictionaries(
    {"url": st.just(URL)},
    optional={name: value for name, value in PLAUSIBLE.items() if name != "url"},
) | st.dictionaries(st.sampled_from(CREATE_FIELDS) | TEXT, JSON_VALUES, max_size=4)
FRAGMENTS = st.sampled_from(
    [b'{"url":"https://a.test/"', b"}", b'"body":', b",", b"[", b"]", b'"', b"\\u", b"d800", b"&"]
)
BYTES = st.binary(max_size=60) | st.lists(FRAGMENTS | st.binary(max_size=3)).map(b"".join)

bounded = settings(
    max_examples=120,
    derandomize=True,
    database=None,
    # One booper serves all examples: what it has stored before must not matter either.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def without_secrets(args: dict[str, Any]) -> dict[str, Any]:
    """Return args as they are shown after the create (§4)."""
    if "headers" not in args:
        return args
    hidden = {
        name: "[redacted]" if name.lower() == "authorization" else value
        for name, value in args["headers"].items()
    }
    return {**args, "headers": hidden}


@bounded
@given(fields=OBJECTS)
async def test_any_object_is_taken_or_refused(
    api: httpx.AsyncClient, booper: Booper, fields: dict[str, Any]
) -> None:
    """No JSON object makes a 5xx, and what was accepted is read back with the args it had."""
    text = json.dumps(fields)
    response = await api.post("/api/jobs", content=text, headers=JSON)
    assert response.status_code in (200, 201, 400, 422), response.text
    if response.status_code == 201:
        data = response.json()["data"]
        assert data["args"] == {name: v for name, v in json.loads(text).items() if v is not None}
        await booper.wait_idle()
        found = await api.get(f"/api/jobs/{data['job_id']}")
        assert found.status_code == 200
        assert found.json()["data"]["args"] == without_secrets(data["args"])
        logs = await api.get("/api/logs", params={"job_id": data["job_id"]})
        assert logs.status_code == 200
        assert "internal" not in (found.json()["data"]["job"]["last_error"] or "")


@bounded
@given(body=BYTES, kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded"]))
async def test_any_bytes_are_taken_or_refused(
    api: httpx.AsyncClient, body: bytes, kind: str
) -> None:
    """No bytes make a 5xx, as JSON or as a form, for a create or for `echo`."""
    for path in ("/api/jobs", "/api/echo"):
        response = await api.post(path, content=body, headers={"Content-Type": kind})
        assert response.status_code in (200, 201, 400, 422), response.text


@bounded
@given(
    path=st.sampled_from(["/api/jobs", "/api/logs", "/api/schedules"]),
    query=st.binary(max_size=60).map(quote_from_bytes)
    | st.lists(
        st.sampled_from(["limit=", "offset=", "order_by=", "order_by[]=", "state=", "job_id=", "&"])
        | st.sampled_from(["cursor=", "before=", "after=", "tag=", "url_prefix=", "kind=", "W10"])
        | st.sampled_from(
            ["1", "10000", "id", "desc", ",", "[", "]", "%22", "%00", "%ff", "event="]
        )
        | TEXT.map(lambda text: quote_from_bytes(text.encode()))
    ).map("".join),
)
async def test_any_query_is_answered_or_refused(
    api: httpx.AsyncClient, path: str, query: str
) -> None:
    """No query string makes a 5xx: a list comes, or 422."""
    response = await api.get(f"{path}?{query}")
    assert response.status_code in (200, 422), response.text

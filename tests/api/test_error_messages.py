"""What a wrong field, path or encoding is told: what is wrong, the value, what would be right.

No message speaks of the types of Python or of the library that reads JSON.
"""

import json
import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from booper.app import Booper
from booper.client import AsyncClient, NotFound
from booper.guard.policy import parse_entry
from booper.model.args import Args
from booper.model.suggestion import suggestions
from tests.api.test_hostile_input import BESIDE, WRONG
from tests.conftest import KEY

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"
JARGON = re.compile(
    r"\b(int|str|float|bool|array|dict|tuple|null \||NoneType|UnsetType|codec)\b|`\w"
)

WAIT = 'seconds or [n, unit], such as 90 or [30, "seconds"]'
MANY = 'post many jobs to /api/jobs/batch, as {"jobs": [{…}, {…}]}'
TIME = 'an ISO 8601 time or a Unix time, such as "2030-01-31T09:00:00Z"'

# (path, body, pointer, detail)
SHAPES: list[tuple[str, object, str, str]] = [
    ("/api/jobs", [], "", "expected a JSON object, got an empty list"),
    (
        "/api/jobs",
        [{"url": URL}, {"url": URL}],
        "",
        f"expected a JSON object, got a list of 2; {MANY}",
    ),
    ("/api/jobs", {"jobs": [{"url": URL}]}, "/jobs", f"unknown field; {MANY}"),
    ("/api/keys", [1, 2], "", "expected a JSON object, got a list of 2"),
    ("/api/jobs", "x", "", 'expected a JSON object, got "x"'),
    ("/api/jobs", None, "", "expected a JSON object, got null"),
    ("/api/jobs", {"url": 5}, "/url", "expected text, got 5"),
    ("/api/jobs", {"url": None}, "/url", "expected text, got null"),
    (
        "/api/jobs",
        {"url": URL, "headers": {"X": None}},
        "/headers/X",
        "expected text, a number, true or false, got null",
    ),
    (
        "/api/jobs",
        {"url": URL, "headers": {"X": ["secret"]}},
        "/headers/X",
        "expected text, a number, true or false, got a list of 1",
    ),
    (
        "/api/jobs",
        {"url": URL, "headers": "Authorization: Bearer secret"},
        "/headers",
        "expected an object whose values are text, a number, true or false, got text",
    ),
    ("/api/jobs", {"url": URL, "query": "a=1"}, "/query", 'expected an object, got "a=1"'),
    (
        "/api/jobs",
        {"url": URL, "schedule_in": "30"},
        "/schedule_in",
        'expected a duration such as "90s", "5m", "1h30m", "2 days" or "PT5M", got \'30\'',
    ),
    ("/api/jobs", {"url": URL, "timeout": [1]}, "/timeout", f"expected {WAIT}, got a list of 1"),
    (
        "/api/jobs",
        {"url": URL, "schedule_in": ["1", "hours"]},
        "/schedule_in/0",
        'expected a number, got "1"',
    ),
    (
        "/api/jobs",
        {"url": URL, "scheduled_at": []},
        "/scheduled_at",
        f"expected {TIME}, got an empty list",
    ),
    (
        "/api/jobs",
        {"url": URL, "max_attempts": "3"},
        "/max_attempts",
        'expected a whole number, got "3"',
    ),
    (
        "/api/jobs",
        {"url": URL, "max_attempts": 2.5},
        "/max_attempts",
        "expected a whole number, got 2.5",
    ),
    ("/api/jobs", {"url": URL, "metadata": "no"}, "/metadata", 'expected true or false, got "no"'),
    ("/api/jobs", {"url": URL, "tags": "a"}, "/tags", 'expected a list of text, got "a"'),
    ("/api/jobs", {"url": URL, "tags": ["a", 5]}, "/tags/1", "expected text, got 5"),
    (
        "/api/jobs",
        {"url": URL, "expect_status": [200, None]},
        "/expect_status/1",
        'expected a status such as 200, or a class such as "3xx", got null',
    ),
    (
        "/api/jobs",
        {"url": URL, "backoff": 5},
        "/backoff",
        'expected "exponential" or a list of waits, such as [10, [5, "minutes"]], got 5',
    ),
    (
        "/api/jobs",
        {"url": URL, "name": "x" * 300_000},
        "/name",
        "must have 1 to 255 characters, got 300000",
    ),
    ("/api/jobs", {"url": URL, "cron": {"a": 1}}, "/cron", "expected text, got an object"),
    ("/api/jobs/cancel", {"filter": 5}, "/filter", "expected an object, got 5"),
    (
        "/api/jobs/cancel",
        {"filter": {"state": 5}},
        "/filter/state",
        "expected text or a list of text, got 5",
    ),
    (
        "/api/jobs/cancel",
        {"filter": {"before": []}},
        "/filter/before",
        f"expected {TIME}, got an empty list",
    ),
    (
        "/api/jobs/cancel",
        {"filter": {"status": "x"}},
        "/filter/status",
        "unknown field; did you mean 'state'?",
    ),
    ("/api/jobs/batch", {"jobs": {}}, "/jobs", "expected a list, got an object"),
    ("/api/jobs/batch", {}, "/jobs", "this field is required"),
    ("/api/keys", {"name": 5}, "/name", "expected text, got 5"),
    ("/api/pause", {"host": 5}, "/host", "expected text, got 5"),
    ("/api/broadcast", [], "", "expected a JSON object, got an empty list"),
    ("/api/broadcast", {"content": 5}, "/content", "expected text, got 5"),
]


@pytest.mark.parametrize(("path", "body", "pointer", "detail"), SHAPES)
async def test_a_wrong_shape_is_told_in_words_of_json(
    api: httpx.AsyncClient, path: str, body: object, pointer: str, detail: str
) -> None:
    """The error names the field, what it takes, and what came."""
    response = await api.post(path, content=json.dumps(body))
    assert response.status_code == 422, response.text
    assert {"pointer": pointer, "detail": detail} in response.json()["errors"]


@pytest.mark.parametrize("field", sorted({field for field, _, _ in WRONG}))
async def test_no_error_of_a_create_speaks_of_types(api: httpx.AsyncClient, field: str) -> None:
    """Whatever is wrong with a field, its error is in words of JSON."""
    for _, value, _ in [row for row in WRONG if row[0] == field]:
        response = await api.post(
            "/api/jobs", json={"url": URL, **BESIDE.get(field, {}), field: value}
        )
        for error in response.json()["errors"]:
            own_words = error["detail"].partition(" got ")[0]
            assert not JARGON.search(own_words), (value, own_words)


# --- names of other schedulers --------------------------------------------------------------------

# As Sidekiq, Celery, Bull, QStash, Cloud Tasks, Cloud Scheduler, EventBridge, APScheduler,
# Kubernetes and HTTP clients call them.
SYNONYMS: dict[str, str] = {
    "run_at": "scheduled_at",
    "runAt": "scheduled_at",
    "at": "scheduled_at",
    "when": "scheduled_at",
    "eta": "scheduled_at",
    "notBefore": "scheduled_at",
    "not_before": "scheduled_at",
    "scheduleTime": "scheduled_at",
    "run_date": "scheduled_at",
    "send_at": "scheduled_at",
    "schedule_at": "scheduled_at",
    "delay": "schedule_in",
    "countdown": "schedule_in",
    "in": "schedule_in",
    "wait": "schedule_in",
    "scheduleIn": "schedule_in",
    "Schedule-In": "schedule_in",
    "every": "repeat_every",
    "interval": "repeat_every",
    "repeat": "repeat_every",
    "schedule": "cron",
    "crontab": "cron",
    "cronExpression": "cron",
    "ScheduleExpression": "cron",
    "payload": "body",
    "data": "body",
    "json": "body",
    "content": "body",
    "params": "query",
    "query_string": "query",
    "endpoint": "url",
    "target": "url",
    "uri": "url",
    "destination": "url",
    "URL": "url",
    "verb": "method",
    "http_method": "method",
    "requestMethod": "method",
    "authorization": "headers",
    "httpHeaders": "headers",
    "retries": "max_attempts",
    "retry": "max_attempts",
    "attempts": "max_attempts",
    "maxRetries": "max_attempts",
    "retry_delay": "backoff",
    "attemptDeadline": "timeout",
    "timeoutSeconds": "timeout",
    "tz": "timezone",
    "timeZone": "timezone",
    "start": "starts_at",
    "StartDate": "starts_at",
    "until": "ends_at",
    "expires": "ends_at",
    "limit": "max_runs",
    "concurrencyPolicy": "overlap",
    "max_instances": "overlap",
    "misfire_grace_time": "misfire",
    "coalesce": "misfire",
    "key": "idempotency_key",
    "id": "idempotency_key",
    "jobId": "idempotency_key",
    "deduplicationId": "idempotency_key",
    "replace_existing": "on_conflict",
    "label": "tags",
    "queue": "tags",
    "title": "name",
    "comment": "description",
    "callback": "callback_url",
    "on_success": "callback_url",
    "failureCallback": "callback_url",
    "webhook": "webhook_url",
    "allow_redirects": "follow_redirects",
    "success_codes": "expect_status",
    "splay": "jitter",
}


@pytest.mark.parametrize(("name", "meant"), SYNONYMS.items())
async def test_a_field_of_another_scheduler_is_answered_with_ours(
    api: httpx.AsyncClient, name: str, meant: str
) -> None:
    """What looks alike but means something else is never suggested."""
    response = await api.post("/api/jobs", json={"url": URL, name: 1})
    [error] = response.json()["errors"]
    assert error["pointer"] == f"/{name}"
    assert re.fullmatch(rf"unknown field; did you mean .*'{meant}'.*\?", error["detail"])


def test_what_is_near_nothing_is_not_guessed_at() -> None:
    """Two short names share letters by chance."""
    for name in ("nonsense", "x", "foo", "priority", "", "x" * 41, "ended_by_whom"):
        assert suggestions(name, Args.__struct_fields__) == []


def test_no_name_is_a_synonym_of_itself() -> None:
    """A known name is never unknown; its other spellings lead to it before any synonym does."""
    for name in Args.__struct_fields__:
        for spelled in (name.upper(), name.replace("_", "-"), name.replace("_", "")):
            assert suggestions(spelled, Args.__struct_fields__) == [name]


@pytest.mark.parametrize(
    ("path", "name", "meant"),
    [
        ("/api/jobs", "status", "state"),
        ("/api/jobs", "page_size", "limit"),
        ("/api/jobs", "per_page", "limit"),
        ("/api/jobs", "sort", "order_by"),
        ("/api/jobs", "since", "after"),
        ("/api/schedules", "page", "offset"),
        ("/api/logs", "job", "job_id"),
    ],
)
async def test_a_parameter_of_another_api_is_answered_with_ours(
    api: httpx.AsyncClient, path: str, name: str, meant: str
) -> None:
    """The same names for the parameters of lists."""
    [error] = (await api.get(path, params={name: "1"})).json()["errors"]
    assert f"'{meant}'" in error["detail"]


# --- bodies that are not read ---------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP", "identity, gzip", "zstd"])
@pytest.mark.parametrize(
    "path", ["/api/jobs", "/api/jobs?dry_run=true", "/api/jobs/batch", "/api/echo"]
)
async def test_a_compressed_body_is_415(api: httpx.AsyncClient, path: str, encoding: str) -> None:
    """RFC 9110 §15.5.16: the response says which encodings are taken."""
    response = await api.post(path, content=b"\x1f\x8b", headers={"Content-Encoding": encoding})
    assert (response.status_code, response.headers.get("accept-encoding")) == (415, "identity")
    assert (
        f"Content-Encoding must not be set, got '{encoding.lower()}'" in response.json()["detail"]
    )


async def test_identity_is_no_encoding(api: httpx.AsyncClient) -> None:
    """RFC 9110 §8.4.1: it is what a body has without one."""
    response = await api.post(
        "/api/jobs", json={"url": URL}, headers={"Content-Encoding": "identity"}
    )
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is empty; expected JSON"),
        (b" \n", "the body is empty; expected JSON"),
        (b"\xef\xbb\xbf{}", "the body begins with a byte order mark, which JSON must not"),
        (b'{"name": "\xff"}', "the body is not UTF-8: byte 10 is wrong"),
        (b"{'url': 1}", "the body is not JSON: object keys must be strings (byte 1)"),
        (b'{"a": 1e999}', "the body holds a number that is out of range"),
    ],
)
async def test_a_body_that_is_no_json_is_told_why(
    api: httpx.AsyncClient, body: bytes, detail: str
) -> None:
    """RFC 8259 §8.1: JSON is UTF-8 without a byte order mark."""
    response = await api.post(
        "/api/jobs", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["detail"].startswith(detail)


# --- paths ----------------------------------------------------------------------------------------

PATHS: dict[str, str] = {
    "/api/jobs/": "/api/jobs",
    "/api/jobs/3/": "/api/jobs/3",
    "/api/jobs//3": "/api/jobs/3",
    "//api/jobs": "/api/jobs",
    "/jobs": "/api/jobs",
    "/jobs/3/cancel": "/api/jobs/3/cancel",
    "/API/Jobs": "/api/jobs",
    "/api/job": "/api/jobs",
    "/api/schedule": "/api/schedules",
    "/v1/jobs": "/api/jobs",
    "/api/v1/jobs": "/api/jobs",
    "/api/jobs/3/cancle": "/api/jobs/3/cancel",
    "/api/healthz": "/healthz",
    "/health": "/healthz",
    "/api/openapi.json": "/openapi.json",
}


@pytest.mark.parametrize(("path", "meant"), PATHS.items())
async def test_a_path_that_is_not_there_is_answered_with_the_near_one(
    api: httpx.AsyncClient, path: str, meant: str
) -> None:
    """A slash at the end, a missing or doubled prefix, a typo."""
    response = await api.get(httpx.URL(f"http://booper.test{path}"))
    assert response.status_code == 404
    assert response.json()["detail"].endswith(f"did you mean {meant}?")


@pytest.mark.parametrize("path", ["/", "/api", "/nothing", "/api/nothing/at/all", "/a" * 100])
async def test_a_path_near_nothing_is_answered_with_where_all_are(
    api: httpx.AsyncClient, path: str
) -> None:
    """What is near nothing gets no guess."""
    response = await api.get(path)
    assert response.status_code == 404
    assert response.json()["detail"].endswith("all paths are in /openapi.json")


async def test_a_wrong_method_is_answered_with_the_right_ones(api: httpx.AsyncClient) -> None:
    """In words as in the header `Allow`."""
    response = await api.put("/api/jobs", json={})
    assert response.status_code == 405
    assert response.json()["detail"].endswith(f"; expected {response.headers['allow']}")
    assert response.headers["allow"] == "POST, GET, HEAD"


async def test_a_base_url_that_ends_in_api_is_told_so(booper: Booper) -> None:
    """The client's error names the path that it made, and what is wrong with the base URL."""
    transport = httpx.ASGITransport(booper.asgi)
    for base in ("http://booper.test/api", "http://booper.test/api/"):
        async with AsyncClient(base, KEY, transport=transport) as client:
            with pytest.raises(NotFound, match="A base URL must not end in /api"):
                await client.jobs.list()
            with pytest.raises(NotFound, match="A base URL must not end in /api"):
                await client.jobs.create(url=URL)


async def test_a_mounted_api_names_its_own_paths(booper: Booper) -> None:
    """Where booper is a part of another program, paths begin with where it is mounted."""
    program = Starlette(routes=[Mount("/booper", booper.asgi)])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(program),
        base_url="http://program.test",
        headers={"Authorization": f"Bearer {KEY}"},
    ) as client:
        detail = (await client.get("/booper/jobs")).json()["detail"]
    assert detail.endswith("did you mean /booper/api/jobs?")


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "advice"),
    [
        ("http://localhost:3000", "write 'localhost:3000'"),
        ("https://hooks.example/path?q", "write 'hooks.example'"),
        ("http://[::1]:3000/", "write '[::1]:3000'"),
        ("//hooks.example", "write 'hooks.example'"),
        ("*.example.com", "it takes no patterns"),
        ("10.1.2.3/8", "write '10.0.0.0/8' for the whole network"),
        ("[::1", "host must be a name or an IP address"),
    ],
)
def test_an_allowed_target_that_is_none_is_answered_with_one(entry: str, advice: str) -> None:
    """A URL, a pattern, or a network with host bits."""
    with pytest.raises(ValueError, match="an entry of allow must be") as caught:
        parse_entry(entry)
    assert advice in str(caught.value)

"""Jobs over HTTP: creating, reading, idempotency, cancelling (contract §2 to §5 and §11)."""

import asyncio
import json
import re
from datetime import timedelta
from random import Random
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database
from tests.support.api import URL, Api
from tests.support.jobs import CREATE_FIELDS
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


# Written from the example resource of the contract's §4.
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
BARE = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}"
PRECISE = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z"

OUTER_KEYS = {
    "id",
    "idempotency_key",
    "inserted_at",
    "name",
    "description",
    "user_id",
    "schedule_id",
    "job_id",
    "job",
    "args",
}
DOCUMENTED_INNER_KEYS = {
    "attempted_at",
    "cancelled_at",
    "completed_at",
    "discarded_at",
    "has_confict",
    "id",
    "inserted_at",
    "scheduled_at",
    "state",
}
INNER_KEYS = DOCUMENTED_INNER_KEYS | {"attempt", "max_attempts", "last_error"}
ENDS = ("completed_at", "discarded_at", "cancelled_at")

PUBLISHED_KEY = "sk_public_20230921"
PUBLISHED_REQUEST = """{"method": "post", "url": "https://scheduler.booper.dev/api/broadcast",
 "body": {"content": "Testing 123", "channel": "discord"}, "schedule_in": [30, "seconds"]}"""


async def other_user(api: Api, admin: Api) -> dict[str, str]:
    """Return the headers of another user."""
    response = await admin.post("/api/keys", json={"name": "second", "user": "somebody else"})
    return {"Authorization": f"Bearer {response.json()['data']['key']}"}


async def arrivals(target: FakeTarget, count: int) -> None:
    """Return when that many requests have reached the target."""
    while len(target.received) < count:
        target.arrived.clear()
        await target.arrived.wait()


async def reach(state: str, api: Api, booper: Booper, target: FakeTarget, **fields: object) -> Any:
    """Move a job to a state and return its resource."""
    match state:
        case "scheduled":
            return await api.create(schedule_in=[1, "hour"], **fields)
        case "executing":
            target.hold()
            job = await api.create(**fields)
            await arrivals(target, 1)
            return await api.read(f"/api/jobs/{job['job_id']}")
        case "retryable":
            target.respond(httpx.Response(500))
        case "completed":
            target.respond(httpx.Response(200))
        case "discarded":
            target.respond(httpx.Response(410))
        case "cancelled":
            job = await api.create(schedule_in=[1, "hour"], **fields)
            return (await api.post(f"/api/jobs/{job['job_id']}/cancel")).json()["data"]
    job = await api.create(**fields)
    await booper.wait_idle()
    found = await api.read(f"/api/jobs/{job['job_id']}")
    assert found["job"]["state"] == state
    return found


async def test_the_published_request_makes_the_published_resource(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """The create page's request, unchanged, gets every documented key in its documented form."""
    plain = Config(database=Database(path=config.database.path))
    async with (
        Booper(
            plain, api_key=PUBLISHED_KEY, clock=clock, random=Random(1), transport=target
        ) as booper,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(booper.asgi), base_url="http://127.0.0.1:2667"
        ) as client,
    ):
        response = await client.post(
            "/api/jobs",
            content=PUBLISHED_REQUEST,
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {PUBLISHED_KEY}",
            },
        )
        clock.advance(timedelta(seconds=30))
        await booper.wait_idle()
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"data"}
    data = response.json()["data"]
    assert response.headers["location"] == f"/api/jobs/{data['job_id']}"
    assert set(data) == OUTER_KEYS
    assert re.fullmatch(UUID, data["id"])
    assert re.fullmatch(UUID, data["user_id"])
    assert re.fullmatch(BARE, data["inserted_at"])
    assert type(data["job_id"]) is int
    for absent in ("idempotency_key", "name", "description", "schedule_id"):
        assert data[absent] is None
    assert data["args"] == json.loads(PUBLISHED_REQUEST)
    inner = data["job"]
    assert set(inner) == INNER_KEYS
    assert inner["id"] == data["job_id"]
    assert inner["state"] == "scheduled"
    assert inner["has_confict"] is False
    for at in ("attempted_at", *ENDS):
        assert inner[at] is None
    assert re.fullmatch(PRECISE, inner["inserted_at"])
    assert re.fullmatch(PRECISE, inner["scheduled_at"])
    assert (inner["attempt"], inner["max_attempts"], inner["last_error"]) == (0, 15, None)
    # The clock stands at 2030-01-01T12:00:00Z.
    assert data["inserted_at"] == "2030-01-01T12:00:00"
    assert inner["inserted_at"] == "2030-01-01T12:00:00.000000Z"
    assert inner["scheduled_at"] == "2030-01-01T12:00:30.000000Z"
    [sent] = target.received
    assert (sent.method, str(sent.url)) == ("POST", "https://scheduler.booper.dev/api/broadcast")
    assert sent.headers["content-type"] == "application/json"
    assert json.loads(sent.read()) == {"content": "Testing 123", "channel": "discord"}


async def test_the_welcome_mail_arrives_once_with_exactly_its_body_and_header(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """The one-off example of §11: after 45 minutes, once however often it was posted."""
    mail = {
        "method": "post",
        "url": "https://mail.test/send",
        "headers": {"Authorization": "Bearer secret"},
        "body": {"to": "jane@example.com", "subject": "Welcome", "text": "Hello Jane"},
        "schedule_in": [45, "minutes"],
        "idempotency_key": "jane@example.com:welcome",
    }
    statuses = [(await api.post("/api/jobs", json=mail)).status_code for _ in range(3)]
    clock.advance(timedelta(minutes=44, seconds=59))
    await booper.wait_idle()
    assert target.received == []
    clock.advance(timedelta(seconds=1))
    await booper.wait_idle()
    assert statuses == [201, 200, 200]
    [sent] = target.received
    assert sent.headers["authorization"] == "Bearer secret"
    assert json.loads(sent.read()) == mail["body"]


@pytest.mark.parametrize(
    "text",
    [
        '{"b": 1, "a": 2, "b": 3}',
        "[1.0, 1e2, -0.0, 123456789012345678901234567890]",
        '"text with \\u00e9, \\ud83d\\ude00, \\u0000 and \\/"',
        '{"": {"$job": "x", "$state": []}, "nested": [[], {}, [null, true, false]]}',
        '"été"',
        "0",
        "false",
        "[]",
        "{}",
    ],
)
async def test_a_body_arrives_as_the_json_that_was_posted(
    api: Api, booper: Booper, target: FakeTarget, text: str
) -> None:
    """A target receives the very JSON text of the body, and the responses echo it."""
    content = f'{{"url": "{URL}", "method": "post", "body": {text}}}'.encode()
    response = await api.post(
        "/api/jobs", content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 201, response.text
    await booper.wait_idle()
    [sent] = target.received
    assert sent.read() == text.encode()
    assert sent.headers["content-type"] == "application/json"
    found = await api.read(f"/api/jobs/{response.json()['data']['job_id']}")
    assert found["args"]["body"] == json.loads(text)


async def test_a_null_body_is_no_body(api: Api, booper: Booper, target: FakeTarget) -> None:
    """`null` means absent for every optional field (§3), the body included."""
    data = await api.create(**dict.fromkeys(set(CREATE_FIELDS) - {"url"}))
    await booper.wait_idle()
    assert data["args"] == {"url": URL}
    [sent] = target.received
    assert (sent.method, sent.read()) == ("GET", b"")
    assert "content-type" not in sent.headers


async def test_args_echo_the_fields_that_were_sent(api: Api) -> None:
    """Every field that was sent is echoed with its JSON types, and no other (§4)."""
    fields: dict[str, object] = {
        "method": "PATCH",
        "query": {"q": [1, 2], "deep": {"a": None}},
        "headers": {"X-Text": "a", "X-Number": 5, "X-Flag": True},
        "body": {"content": "Hello world!"},
        "schedule_in": [1.5, "hours"],
        "idempotency_key": "k",
        "name": "name",
        "description": "text",
        "max_attempts": 3,
        "backoff": [1, [2, "minutes"]],
        "timeout": [20, "seconds"],
        "expect_status": [200, "3xx"],
        "callback_url": "https://target.test/callback",
        "webhook_url": "https://target.test/events",
        "timezone": "Europe/Berlin",
        "on_conflict": "reject",
        "idempotency_ttl": [1, "day"],
        "keep_for": [12, "hours"],
        "metadata": False,
        "follow_redirects": True,
        "tags": ["a", "b"],
    }
    data = await api.create(**fields)
    assert data["args"] == {"url": URL, **fields}
    assert (await api.read(f"/api/jobs/{data['job_id']}"))["args"] == {"url": URL, **fields}
    assert (data["name"], data["description"], data["idempotency_key"]) == ("name", "text", "k")
    assert data["job"]["max_attempts"] == 3


WAITS: list[tuple[object, str]] = [
    (0, "2030-01-01T12:00:00.000000Z"),
    (90, "2030-01-01T12:01:30.000000Z"),
    (1.5, "2030-01-01T12:00:01.500000Z"),
    ([1, "second"], "2030-01-01T12:00:01.000000Z"),
    ([30, "seconds"], "2030-01-01T12:00:30.000000Z"),
    ([1, "minute"], "2030-01-01T12:01:00.000000Z"),
    ([90, "minutes"], "2030-01-01T13:30:00.000000Z"),
    ([1, "hour"], "2030-01-01T13:00:00.000000Z"),
    ([36, "hours"], "2030-01-03T00:00:00.000000Z"),
    ([1, "day"], "2030-01-02T12:00:00.000000Z"),
    ([2.5, "days"], "2030-01-04T00:00:00.000000Z"),
    ([1, "week"], "2030-01-08T12:00:00.000000Z"),
    ([2, "weeks"], "2030-01-15T12:00:00.000000Z"),
]


async def test_schedule_in_counts_from_the_create(api: Api) -> None:
    """`schedule_in` is seconds or an amount and a unit, singular or plural (§3)."""
    for wait, due in WAITS:
        assert (await api.create(schedule_in=wait))["job"]["scheduled_at"] == due, wait


MOMENTS: list[tuple[object, str]] = [
    ("2030-01-01T13:00:00Z", "2030-01-01T13:00:00.000000Z"),
    ("2030-01-01T13:00:00.123456Z", "2030-01-01T13:00:00.123456Z"),
    ("2030-01-01T13:00:00", "2030-01-01T13:00:00.000000Z"),  # no zone: UTC
    ("2030-01-01T15:00:00+02:00", "2030-01-01T13:00:00.000000Z"),
    ("2030-01-02", "2030-01-02T00:00:00.000000Z"),
    # 2030-01-01T00:00:00Z is 1893456000; 13 hours are 46800 s.
    (1893502800, "2030-01-01T13:00:00.000000Z"),
    (1893502800.5, "2030-01-01T13:00:00.500000Z"),
    (1893502800000, "2030-01-01T13:00:00.000000Z"),  # 10^11 and above: milliseconds
    # What is past is due now.
    ("2029-12-31T23:59:59Z", "2030-01-01T12:00:00.000000Z"),
    ("0001-01-01T00:00:00Z", "2030-01-01T12:00:00.000000Z"),
    (0, "2030-01-01T12:00:00.000000Z"),
    (10**11, "2030-01-01T12:00:00.000000Z"),  # milliseconds: in 1973
]


async def test_scheduled_at_is_iso_text_or_a_unix_time(api: Api) -> None:
    """Text without a zone is UTC, large numbers are milliseconds, the past is now (§3)."""
    for at, due in MOMENTS:
        assert (await api.create(scheduled_at=at))["job"]["scheduled_at"] == due, at


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "GET", "Post", "pUT"])
async def test_methods_are_taken_in_any_letter_case(
    api: Api, booper: Booper, target: FakeTarget, method: str
) -> None:
    """The five methods arrive as the upper-case tokens that HTTP knows."""
    await api.create(method=method)
    await booper.wait_idle()
    assert [request.method for request in target.received] == [method.upper()]


async def test_a_job_answers_to_its_number_and_to_its_uuid(api: Api) -> None:
    """Both references read and cancel the same job (§2)."""
    data = await api.create(schedule_in=60)
    by_number = await api.read(f"/api/jobs/{data['job_id']}")
    assert by_number == data
    assert await api.read(f"/api/jobs/{data['id']}") == by_number
    assert await api.read(f"/api/jobs/{data['id'].upper()}") == by_number
    cancelled = await api.post(f"/api/jobs/{data['id']}/cancel")
    assert cancelled.json()["data"] == await api.read(f"/api/jobs/{data['job_id']}")


async def test_a_job_of_another_user_is_not_there(api: Api, admin: Api) -> None:
    """Another user gets 404 for reading and cancelling, and the job stays as it was."""
    data = await api.create(schedule_in=60)
    theirs = await other_user(api, admin)
    for reference in (data["job_id"], data["id"]):
        for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/cancel")]:
            response = await api.request(method, f"/api/jobs/{reference}{path}", headers=theirs)
            assert response.status_code == 404
            assert response.headers["content-type"] == "application/problem+json"
    assert await api.read(f"/api/jobs/{data['job_id']}") == data


async def test_a_missing_job_of_somebody_and_of_nobody_look_alike(api: Api, admin: Api) -> None:
    """The response for another user's job tells no more than that for a job that never was."""
    data = await api.create(schedule_in=60)
    theirs = await other_user(api, admin)
    existing = await api.get(f"/api/jobs/{data['job_id']}", headers=theirs)
    missing = await api.get("/api/jobs/999999", headers=theirs)
    assert existing.text.replace(str(data["job_id"]), "N") == missing.text.replace("999999", "N")


async def test_a_duplicate_gets_the_first_jobs_resource(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """A second create with the key is ignored: 200, the first job, `has_confict` true (§5)."""
    first = await api.create(idempotency_key="k", schedule_in=60, body={"first": True})
    response = await api.post(
        "/api/jobs", json={"url": "https://other.test/", "idempotency_key": "k", "schedule_in": 5}
    )
    assert response.status_code == 200
    data = response.json()["data"]
    assert data["job"].pop("has_confict") is True
    assert first["job"].pop("has_confict") is False
    assert data == first
    clock.advance(timedelta(seconds=60))
    await booper.wait_idle()
    assert [str(request.url) for request in target.received] == [URL]


@pytest.mark.parametrize("state", ["scheduled", "executing", "retryable"])
async def test_an_unfinished_job_holds_its_key(
    api: Api, booper: Booper, target: FakeTarget, state: str
) -> None:
    """The key stays taken while its job waits, runs or is to be retried (§5)."""
    first = await reach(state, api, booper, target, idempotency_key="k")
    response = await api.post("/api/jobs", json={"url": URL, "idempotency_key": "k"})
    target.release()
    assert response.status_code == 200
    data = response.json()["data"]
    assert (data["id"], data["job"]["state"], data["job"]["has_confict"]) == (
        first["id"],
        state,
        True,
    )


async def test_a_job_waiting_for_a_slot_holds_its_key(api: Api, target: FakeTarget) -> None:
    """An available job has not finished: with 16 of its host in flight, the 17th is a duplicate."""
    target.hold()
    for _ in range(16):
        await api.create()
    first = await api.create(idempotency_key="k")
    await arrivals(target, 16)
    response = await api.post("/api/jobs", json={"url": URL, "idempotency_key": "k"})
    target.release()
    assert response.status_code == 200
    assert response.json()["data"]["id"] == first["id"]
    assert response.json()["data"]["job"]["state"] == "available"


@pytest.mark.parametrize("state", ["completed", "discarded", "cancelled"])
async def test_a_finished_job_frees_its_key(
    api: Api, booper: Booper, target: FakeTarget, state: str
) -> None:
    """After its job finished or was cancelled the key makes a new job (§5)."""
    first = await reach(state, api, booper, target, idempotency_key="k")
    second = await api.create(idempotency_key="k", schedule_in=60)
    assert second["id"] != first["id"]
    assert second["job"]["has_confict"] is False


async def test_cancelling_an_executing_job_frees_its_key(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """The key is free at once, though the request is still on its way."""
    first = await reach("executing", api, booper, target, idempotency_key="k")
    await api.delete(f"/api/jobs/{first['job_id']}")
    second = await api.create(idempotency_key="k", schedule_in=60)
    target.release()
    assert second["id"] != first["id"]


async def test_users_do_not_share_idempotency_keys(api: Api, admin: Api) -> None:
    """The same key of another user makes that user's own job (§5)."""
    first = await api.create(idempotency_key="k", schedule_in=60)
    theirs = await other_user(api, admin)
    response = await api.post(
        "/api/jobs", json={"url": URL, "idempotency_key": "k", "schedule_in": 60}, headers=theirs
    )
    assert response.status_code == 201
    assert response.json()["data"]["id"] != first["id"]
    assert response.json()["data"]["user_id"] != first["user_id"]


@pytest.mark.parametrize("pair", [("k", "K"), ("k", "k "), ("é", "e\u0301"), ("a", "a\u0000")])
async def test_idempotency_keys_are_compared_exactly(api: Api, pair: tuple[str, str]) -> None:
    """Keys that differ in case, space, normal form or a NUL are different keys, or refused."""
    first = await api.create(idempotency_key=pair[0], schedule_in=60)
    response = await api.post(
        "/api/jobs", json={"url": URL, "idempotency_key": pair[1], "schedule_in": 60}
    )
    assert response.status_code in (201, 422)
    if response.status_code == 201:
        assert response.json()["data"]["id"] != first["id"]


async def test_jobs_without_a_key_are_never_duplicates(api: Api) -> None:
    """Equal creates without a key make a job each."""
    ids = {(await api.create(schedule_in=60))["job_id"] for _ in range(3)}
    assert len(ids) == 3


async def test_fifty_simultaneous_creates_make_one_job(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Fifty equal creates at once: one 201, the others get the same job with 200 (§5)."""
    body = {"url": URL, "idempotency_key": "k", "schedule_in": 60}
    responses = await asyncio.gather(*(api.post("/api/jobs", json=body) for _ in range(50)))
    assert sorted(response.status_code for response in responses) == [200] * 49 + [201]
    assert len({response.json()["data"]["id"] for response in responses}) == 1
    for response in responses:
        is_duplicate = response.status_code == 200
        assert response.json()["data"]["job"]["has_confict"] is is_duplicate
    clock.advance(timedelta(seconds=60))
    await booper.wait_idle()
    assert len(target.received) == 1


@pytest.mark.parametrize("spelling", ["post", "delete"])
@pytest.mark.parametrize("state", ["scheduled", "retryable"])
async def test_a_cancelled_waiting_job_is_never_sent(
    api: Api,
    booper: Booper,
    clock: VirtualClock,
    target: FakeTarget,
    state: str,
    spelling: str,
) -> None:
    """Cancelling, in either spelling, ends a job that waits for its time or its next attempt."""
    job = await reach(state, api, booper, target)
    before = len(target.received)
    response = await cancel(api, job["job_id"], spelling)
    assert response.status_code == 200
    data = response.json()["data"]
    assert set(data) == OUTER_KEYS
    assert data["job"]["state"] == "cancelled"
    assert data["job"]["cancelled_at"] == "2030-01-01T12:00:00.000000Z"
    assert [at for at in ENDS if data["job"][at] is not None] == ["cancelled_at"]
    clock.advance(timedelta(days=2))
    await booper.wait_idle()
    assert len(target.received) == before
    assert await api.read(f"/api/jobs/{job['job_id']}") == data


@pytest.mark.parametrize("spelling", ["post", "delete"])
async def test_cancelling_an_executing_job_holds_at_once(
    api: Api, booper: Booper, target: FakeTarget, spelling: str
) -> None:
    """The state is `cancelled` at once; what the request still brings is only logged (§4)."""
    job = await reach("executing", api, booper, target)
    assert job["job"]["state"] == "executing"
    assert job["job"]["attempted_at"] == "2030-01-01T12:00:00.000000Z"
    data = (await cancel(api, job["job_id"], spelling)).json()["data"]
    assert data["job"]["state"] == "cancelled"
    target.release()
    await booper.wait_idle()
    assert await api.read(f"/api/jobs/{job['job_id']}") == data
    logs = await api.get("/api/logs", params={"job_id": job["job_id"]})
    assert [entry["event"] for entry in logs.json()["data"]] == [
        "worker.http.response",
        "worker.http.request",
    ]


@pytest.mark.parametrize("spelling", ["post", "delete"])
@pytest.mark.parametrize("state", ["completed", "discarded", "cancelled"])
async def test_cancelling_a_finished_job_returns_it_unchanged(
    api: Api,
    booper: Booper,
    clock: VirtualClock,
    target: FakeTarget,
    state: str,
    spelling: str,
) -> None:
    """What has ended stays as it ended: 200 and the same resource, now and later (§2)."""
    job = await reach(state, api, booper, target)
    assert [at for at in ENDS if job["job"][at] is not None] == [f"{state}_at"]
    clock.advance(timedelta(hours=1))
    response = await cancel(api, job["job_id"], spelling)
    assert response.status_code == 200
    assert response.json()["data"] == job
    assert await api.read(f"/api/jobs/{job['job_id']}") == job


async def cancel(api: Api, reference: object, spelling: str) -> httpx.Response:
    """Cancel a job in one of the two spellings."""
    if spelling == "delete":
        return await api.delete(f"/api/jobs/{reference}")
    return await api.post(f"/api/jobs/{reference}/cancel")


async def test_a_failed_attempt_moves_scheduled_at(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """A retry moves `scheduled_at`; `attempted_at` and `attempt` tell the attempt made (§4)."""
    job = await reach("retryable", api, booper, target, backoff=[[7, "minutes"]])
    inner = job["job"]
    assert inner["scheduled_at"] == "2030-01-01T12:07:00.000000Z"
    assert inner["attempted_at"] == "2030-01-01T12:00:00.000000Z"
    assert inner["attempt"] == 1
    assert "500" in inner["last_error"]
    assert [at for at in ENDS if inner[at] is not None] == []


SECRETS: dict[str, object] = {
    "Authorization": "Bearer hidden-1",
    "COOKIE": "session=hidden-2",
    "X-Plain": "shown",
}
REDACTED = {"Authorization": "[redacted]", "COOKIE": "[redacted]", "X-Plain": "shown"}


async def test_secret_headers_are_hidden_after_the_create(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Only the create's own response shows `Authorization` and `Cookie`; the target gets them."""
    fields = {"headers": SECRETS, "schedule_in": 60, "idempotency_key": "k"}
    first = await api.create(**fields)
    assert first["args"]["headers"] == SECRETS
    number = first["job_id"]
    later = [
        await api.get(f"/api/jobs/{number}"),
        await api.get(f"/api/jobs/{first['id']}"),
        await api.post("/api/jobs", json={"url": URL, **fields}),
    ]
    clock.advance(timedelta(seconds=60))
    await booper.wait_idle()
    later.append(await api.post(f"/api/jobs/{number}/cancel"))
    for response in later:
        assert response.json()["data"]["args"] == {"url": URL, **fields, "headers": REDACTED}
    [listed] = (await api.get("/api/jobs")).json()["data"]
    assert listed["args"]["headers"] == REDACTED
    logs = await api.get("/api/logs")
    assert "hidden" not in logs.text
    assert logs.json()["data"][-1]["payload"]["headers"] == REDACTED
    [sent] = target.received
    assert sent.headers["authorization"] == "Bearer hidden-1"
    assert sent.headers["cookie"] == "session=hidden-2"

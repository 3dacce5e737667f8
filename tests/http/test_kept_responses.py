"""What becomes of odd responses in a whole booper: states, log entries, callbacks and schedules."""

import gzip
from typing import Any

import httpx
import pytest

from booper.app import Booper
from tests.support.programs import content_of
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"
SET = b'{"$set": {"seen": 1}}'


def response(content: bytes, **headers: str) -> httpx.Response:
    """Return a response whose body travels as it is."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=named, stream=httpx.ByteStream(content))


async def ran(api: httpx.AsyncClient, booper: Booper, **fields: object) -> dict[str, Any]:
    """Post a job, let it be sent, and return its inner state."""
    created = await api.post("/api/jobs", json={"url": URL, **fields})
    assert created.status_code == 201, created.text
    await booper.wait_idle()
    shown = await api.get(f"/api/jobs/{created.json()['data']['job_id']}")
    job: dict[str, Any] = shown.json()["data"]["job"]
    return job


async def response_entry(api: httpx.AsyncClient) -> dict[str, Any]:
    """Return the payload of the only response that was logged."""
    logged = await api.get("/api/logs", params={"event": "worker.http.response"})
    [entry] = logged.json()["data"]
    payload: dict[str, Any] = entry["payload"]
    return payload


async def next_bodies(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget, first: httpx.Response
) -> list[bytes]:
    """Run a schedule twice, the first time with this response; return the bodies it sent."""
    target.respond(first)
    body = {"previous": "$previous", "seen": "$state.seen"}
    created = await api.post(
        "/api/jobs",
        json={"url": URL, "method": "post", "body": body, "metadata": False, "repeat_every": 60},
    )
    await booper.wait_idle()
    schedule = created.json()["data"]["schedule_id"]
    assert (await api.post(f"/api/schedules/{schedule}/run")).status_code in (200, 201, 202)
    await booper.wait_idle()
    return [content_of(request) for request in target.received]


async def test_a_gzip_response_feeds_the_next_run(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget
) -> None:
    """`$previous` and `$set` are read from what was decoded."""
    first = response(gzip.compress(SET), content_encoding="gzip", content_type="application/json")
    bodies = await next_bodies(api, booper, target, first)
    assert bodies[1] == b'{"previous":{"$set":{"seen":1}},"seen":1}'


async def test_a_response_in_another_charset_feeds_the_next_run(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget
) -> None:
    """JSON is read by the charset that it declares."""
    content = '{"$set": {"seen": "café"}}'.encode("latin-1")
    first = response(content, content_type="application/json; charset=iso-8859-1")
    bodies = await next_bodies(api, booper, target, first)
    assert bodies[1] == '{"previous":{"$set":{"seen":"café"}},"seen":"café"}'.encode()


async def test_a_response_that_cannot_be_decoded_says_why(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget
) -> None:
    """The job is completed, its bytes are kept, and the log entry has the reason."""
    target.respond(response(b"\xff\x00\xfe", content_encoding="br"))
    job = await ran(api, booper)
    entry = await response_entry(api)
    assert job["state"] == "completed"
    assert (entry["body"], entry["body_encoding"]) == ("/wD+", "base64")
    assert entry["fault"] == "the body has Content-Encoding 'br', which booper cannot decode"


async def test_callbacks_and_webhooks_have_the_same_body(
    api: httpx.AsyncClient, booper: Booper, target: FakeTarget
) -> None:
    """Bytes are in base64 wherever a response is shown."""
    by_path: dict[str, list[Any]] = {"/hook": [], "/called": [], "/event": []}

    def answer(request: httpx.Request) -> httpx.Response:
        by_path[request.url.path].append(request)
        binary = response(b"\xff\x00\xfe", content_type="image/png")
        return binary if request.url.path == "/hook" else httpx.Response(200)

    target.respond(*[answer] * 10)
    await ran(
        api,
        booper,
        callback_url="https://target.test/called",
        webhook_url="https://target.test/event",
    )
    called = httpx.Response(200, content=content_of(by_path["/called"][0])).json()["response"]
    events = [httpx.Response(200, content=content_of(each)).json() for each in by_path["/event"]]
    [event] = [each["data"] for each in events if each["type"] == "job.response"]
    for shown in (called, event):
        assert (shown["body"], shown["body_encoding"]) == ("/wD+", "base64")

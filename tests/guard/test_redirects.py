"""Redirects: followed where a job asks for it, vetted hop by hop, and nothing told to strangers."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.config import Config, Database, Delivery, Targets
from tests.support.programs import content_of
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

URL = "https://first.test/jobs?page=1"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Return settings with the guard as it is by default, and one more header that is secret."""
    return Config(
        database=Database(path=str(tmp_path / "booper.db")),
        targets=Targets(),
        delivery=Delivery(redact_headers=("X-Api-Key",)),
    )


async def send(booper: Booper, api: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    """Post a job that follows redirects, let it be sent, and return its inner state."""
    job = {"url": URL, "follow_redirects": True, "max_attempts": 1, **fields}
    response = await api.post("/api/jobs", json=job)
    assert response.status_code == 201, response.text
    await booper.wait_idle()
    shown = await api.get(f"/api/jobs/{response.json()['data']['job_id']}")
    inner: dict[str, Any] = shown.json()["data"]["job"]
    return inner


def to(location: str, status: int = 302) -> httpx.Response:
    """Return a redirect."""
    return httpx.Response(status, headers={"Location": location})


def sent(target: FakeTarget) -> list[tuple[str, str]]:
    """Return the method and URL of each request."""
    return [(request.method, str(request.url)) for request in target.received]


async def test_a_redirect_is_not_followed_unless_asked_for(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget
) -> None:
    """By default a 302 is a response that is not 2xx: the attempt has failed."""
    target.respond(to("https://second.test/"))
    job = await send(booper, api, follow_redirects=False)
    assert sent(target) == [("GET", URL)]
    assert (job["state"], job["last_error"]) == ("discarded", "the target responded 302")


async def test_a_job_may_expect_a_redirect(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget
) -> None:
    """With `expect_status` of 3xx it is a success, and not followed."""
    target.respond(to("https://second.test/"))
    job = await send(booper, api, follow_redirects=False, expect_status=["3xx"])
    assert (len(target.received), job["state"]) == (1, "completed")


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://second.test/here", "https://second.test/here"),
        ("/there?x=1", "https://first.test/there?x=1"),
        ("there", "https://first.test/there"),
        ("//second.test/here#part", "https://second.test/here"),
        ("?page=2", "https://first.test/jobs?page=2"),
        # as the URL Standard has it, and every client
        ("/my file", "https://first.test/my%20file"),
        ("https://second.test/my file?a b#c d", "https://second.test/my%20file?a%20b"),
        (" /there ", "https://first.test/there"),
        ("/a/b/..", "https://first.test/a/"),
        ("/%2e%2e/a^b", "https://first.test/a%5Eb"),
        ("/caf\u00e9", "https://first.test/caf%C3%A9"),
        ("/100%", "https://first.test/100%"),
        ("#part", URL),
        ("https:there", "https://first.test/there"),
        ("https://my_app.xn--p1ai/", "https://my_app.xn--p1ai/"),
    ],
)
async def test_a_location_is_read_from_where_it_was_answered(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, location: str, url: str
) -> None:
    """A relative reference is resolved against the URL that was asked (RFC 9110 §10.2.2)."""
    target.respond(httpx.Response(302, headers=[(b"Location", location.encode())]))
    job = await send(booper, api)
    assert sent(target) == [("GET", URL), ("GET", url)]
    assert job["state"] == "completed"


@pytest.mark.parametrize(
    ("status", "method", "following"),
    [
        # RFC 9110 §15.4.2 and §15.4.3: POST may become GET, and does everywhere.
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (301, "PUT", "PUT"),
        (302, "PUT", "PUT"),
        (301, "DELETE", "DELETE"),
        (302, "DELETE", "DELETE"),
        # §15.4.4: see another resource.
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        # §15.4.8 and §15.4.9: the method must not change.
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (307, "PUT", "PUT"),
        (308, "DELETE", "DELETE"),
    ],
)
async def test_the_method_changes_as_clients_have_it(
    booper: Booper,
    api: httpx.AsyncClient,
    target: FakeTarget,
    status: int,
    method: str,
    following: str,
) -> None:
    """What becomes a GET loses its body and what describes that; the others keep both."""
    target.respond(to("/there", status))
    await send(booper, api, method=method, body={"a": 1})
    first, second = target.received
    assert (first.method, content_of(first)) == (method, b'{"a":1}')
    assert second.method == following
    if following == "GET":
        assert content_of(second) == b""
        assert "content-type" not in second.headers
    else:
        assert content_of(second) == b'{"a":1}'
        assert second.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "location",
    ["https://second.test/", "https://sub.first.test/", "https://first.test:8443/"],
)
async def test_credentials_stay_with_their_origin(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, location: str
) -> None:
    """Another host or port sees no header that is redacted, not even on the way back."""
    target.respond(to(location), to(URL))
    secret = {"Authorization": "Bearer abc", "cookie": "session=1", "X-API-Key": "abc"}
    await send(booper, api, headers={**secret, "X-Other": "kept"})
    first, second, third = target.received
    assert all(first.headers[name] == value for name, value in secret.items())
    for request in (second, third):
        assert not any(name in request.headers for name in secret)
        assert request.headers["x-other"] == "kept"
    assert second.headers["host"] == httpx.URL(location).netloc.decode()


async def test_credentials_go_along_within_an_origin(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget
) -> None:
    """Another path of the same host is told the same headers."""
    target.respond(to("/there"))
    await send(booper, api, headers={"Authorization": "Bearer abc", "X-Api-Key": "abc"})
    assert [request.headers["authorization"] for request in target.received] == ["Bearer abc"] * 2
    assert [request.headers["x-api-key"] for request in target.received] == ["abc"] * 2


@pytest.mark.parametrize(
    "location",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://2130706433/",
        "http://second.test/",
        "https://user:password@second.test/",
        "ftp://second.test/",
        "app:/tasks",
        "/a\\b",
        "https:\\\\second.test\\",
    ],
)
async def test_a_redirect_to_where_no_job_may_go_discards(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, location: str
) -> None:
    """Each hop passes the guard; one that does not is never sent, and not tried again."""
    target.respond(to("https://second.test/"), to(location))
    job = await send(booper, api, max_attempts=15)
    assert sent(target) == [("GET", URL), ("GET", "https://second.test/")]
    assert (job["state"], job["attempt"]) == ("discarded", 1)
    shown = location.replace("user:password@", "")
    assert job["last_error"].startswith(f"refused: redirected to {shown!r}: ")


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://second.test:99999/", "port must be a number from 1 to 65535"),
        ("https:///", "url must name a host"),
        ("https://second..test/", "an empty label"),
        ("https://second test/", "a space"),
        ("https://xn--a.test/", "IDNA 2008"),
        ("https://[::1/", "host must be a name or an IP address"),
        ("/" + "a" * 8192, "at most 8192 characters"),
    ],
)
async def test_a_redirect_to_no_url_fails_the_attempt(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, location: str, reason: str
) -> None:
    """The target may mend it, so the job is tried again; the error names the redirect."""
    target.respond(to(location), httpx.Response(200))
    job = await send(booper, api, max_attempts=2)
    assert (job["state"], job["attempt"]) == ("retryable", 1)
    assert job["last_error"].startswith("redirect: redirected to '")
    assert reason in job["last_error"]
    assert len(job["last_error"]) < 400


async def test_an_error_about_a_redirect_does_not_repeat_its_secrets(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget
) -> None:
    """Reasons are stored and shown; a token in a URL's query or a password stays out of them."""
    target.respond(to("https://jane:hunter2@second.test/?token=hunter2#hunter2"))
    job = await send(booper, api)
    assert "second.test" in job["last_error"]
    assert "hunter2" not in job["last_error"]


async def test_five_redirects_are_followed(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget
) -> None:
    """The sixth request may be answered by what the job is for."""
    target.respond(*[to(f"/{hop}") for hop in range(5)])
    job = await send(booper, api)
    assert (len(target.received), job["state"]) == (6, "completed")


async def test_a_sixth_redirect_is_a_response_like_any_other(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget
) -> None:
    """A loop ends after five hops, and the attempt has failed with the last redirect."""
    target.respond(*[to(URL)] * 10)
    job = await send(booper, api)
    assert len(target.received) == 6
    assert (job["state"], job["last_error"]) == ("discarded", "the target responded 302")


@pytest.mark.parametrize(
    "response",
    [httpx.Response(302), httpx.Response(304, headers={"Location": "/x"}), to("/x", 300)],
    ids=["no location", "304", "300"],
)
async def test_what_is_no_redirect_is_not_followed(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, response: httpx.Response
) -> None:
    """Without a Location, or with another status, there is nowhere to go."""
    target.respond(response)
    job = await send(booper, api)
    assert (len(target.received), job["state"]) == (1, "discarded")


async def test_the_log_shows_the_request_as_asked_and_the_last_response(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget
) -> None:
    """One attempt, two entries, however many hops lay between them."""
    target.respond(to("/there"), httpx.Response(201, text="made"))
    await send(booper, api)
    entries = (await api.get("/api/logs?order_by=inserted_at,asc")).json()["data"]
    assert [entry["event"] for entry in entries] == ["worker.http.request", "worker.http.response"]
    assert entries[0]["payload"]["url"] == URL
    assert (entries[1]["payload"]["status"], entries[1]["payload"]["body"]) == (201, "made")

"""A header's name has no letter case (RFC 9110 §5.1): one job cannot have it twice.

Two lines of most headers are no message that a receiver must understand (RFC 9110 §5.3).
"""

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from click.testing import CliRunner

from booper.app import Booper
from booper.cli import main
from booper.client import AsyncClient, Invalid
from tests.conftest import KEY
from tests.wire.test_request import request_of

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"

# (headers, the names that are refused)
TWICE: list[tuple[dict[str, Any], list[str]]] = [
    ({"Content-Type": "text/plain", "content-type": "text/html"}, ["content-type"]),
    ({"X-A": "1", "x-a": "1"}, ["x-a"]),
    ({"x-a": 1, "X-A": 2, "X-a": True}, ["X-A", "X-a"]),
    ({"authorization": "Bearer a", "X-B": "b", "AUTHORIZATION": "Bearer b"}, ["AUTHORIZATION"]),
]
ONCE: list[dict[str, Any]] = [
    {"Content-Type": "text/plain", "Content-Types": "x"},
    {"X-A": "1", "X_A": "2", "XA": "3"},
]


def refused(errors: Any) -> list[str]:
    """Return the headers that errors point at, each told as the same as another."""
    assert all(error["detail"].startswith("is the same header as '") for error in errors), errors
    return [error["pointer"].removeprefix("/headers/") for error in errors]


@pytest.mark.parametrize(("headers", "names"), TWICE)
async def test_a_create_with_one_header_twice_is_422(
    api: httpx.AsyncClient, headers: dict[str, Any], names: list[str]
) -> None:
    """As JSON, as a form, as a dry run, as a schedule, and in a batch."""
    job = {"url": URL, "headers": headers}
    form = urlencode({"url": URL} | {f"headers[{name}]": text for name, text in headers.items()})
    responses = [
        await api.post("/api/jobs", json=job),
        await api.post("/api/jobs?dry_run=true", json=job),
        await api.post("/api/jobs", json={**job, "repeat_every": 60}),
        await api.post(
            "/api/jobs",
            content=form,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
    ]
    for response in responses:
        assert response.status_code == 422, response.text
        assert refused(response.json()["errors"]) == names
    [one] = (await api.post("/api/jobs/batch", json={"jobs": [job]})).json()["data"]
    assert (one["status"], refused(one["error"]["errors"])) == (422, names)
    assert (await api.get("/api/jobs")).json()["data"] == []


@pytest.mark.parametrize(("headers", "names"), TWICE)
async def test_a_change_to_one_header_twice_is_422(
    api: httpx.AsyncClient, headers: dict[str, Any], names: list[str]
) -> None:
    """A change is judged as a create is."""
    made = await api.post("/api/jobs", json={"url": URL, "repeat_every": 60, "schedule_in": 60})
    path = f"/api/schedules/{made.json()['data']['schedule_id']}"
    response = await api.patch(path, json={"headers": headers})
    assert response.status_code == 422, response.text
    assert refused(response.json()["errors"]) == names


async def test_a_program_is_refused_one_header_twice(booper: Booper) -> None:
    """By the client over HTTP and by the library alike."""
    headers = {"X-A": "1", "x-a": "2"}
    transport = httpx.ASGITransport(booper.asgi)
    async with AsyncClient("http://booper.test", KEY, transport=transport) as client:
        for jobs in (client.jobs, booper.jobs):
            with pytest.raises(Invalid, match="/headers/x-a: is the same header as 'X-A'"):
                await jobs.create(url=URL, headers=headers)


def test_the_command_line_refuses_one_header_twice() -> None:
    """It is told before anything is sent: there is no booper here."""
    options = ("-H", "X-A: 1", "-H", "x-a: 2", "--url", "http://127.0.0.1:9", "--key", KEY)
    result = CliRunner().invoke(main, ("run", "get", URL, *options))
    assert result.exit_code == 2
    assert "--header: 'x-a' is given twice, in different letter case" in result.stderr


@pytest.mark.parametrize("headers", ONCE)
async def test_names_that_differ_otherwise_are_different_headers(
    api: httpx.AsyncClient, headers: dict[str, Any]
) -> None:
    """Nothing but letter case makes two names the same."""
    assert (await api.post("/api/jobs", json={"url": URL, "headers": headers})).status_code == 201


def test_a_job_of_an_older_version_sends_the_last_of_them() -> None:
    """What was accepted before names were compared is sent as one header, the last one."""
    sent = request_of(method="post", body=1, headers={"Content-Type": "a", "content-type": "b"})
    assert {
        name: text for name, text in sent.headers.items() if name.lower() == "content-type"
    } == {"content-type": "b"}
    assert sent.user_headers == {"content-type": "b"}

"""Hidden headers that a schedule or a job keeps: whatever changes, no other origin gets them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Delivery
from tests.support.api import URL, Api
from tests.support.configs import fresh_config
from tests.support.schedules import noon, pass_through
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

SECRETS: Final = {"authorization": "Bearer s3cr3t", "X-Api-Key": "s3cr3t too"}
HEADERS: Final = {**SECRETS, "X-Shop": "one"}
OTHER: Final = "https://other.test/hook"
KEY: Final = "nightly"

OTHER_ORIGINS = (
    OTHER,
    "http://target.test/hook",
    "https://target.test:8443/hook",
    "https://target.test.other.test/hook",
    "https://www.target.test/hook",
)
SAME_ORIGIN = (
    URL,
    "https://target.test/elsewhere?a=1",
    "HTTPS://Target.TEST:443/hook",
    "https://target.test./hook",
)

# Each is tried on a schedule with hidden headers that has this key, and on the path of it.
WAYS: Mapping[str, tuple[str, str, Any]] = {
    "a change": ("PATCH", "{schedule}", {"url": OTHER}),
    "a change of more": ("PATCH", "{schedule}", {"url": OTHER, "method": "post", "body": {}}),
    "no headers": ("PATCH", "{schedule}", {"url": OTHER, "headers": None}),
    "other headers": ("PATCH", "{schedule}", {"url": OTHER, "headers": {"X-Shop": "two"}}),
    "their mark": ("PATCH", "{schedule}", {"url": OTHER, "headers": {"X-Api-Key": "[redacted]"}}),
    "a run": ("POST", "{schedule}/run", {"url": OTHER}),
    "a run with a body": ("POST", "{schedule}/run", {"body": {"url": OTHER}}),
    "a replacement": ("POST", "/api/jobs", {"url": OTHER, "on_conflict": "replace"}),
    "a replacement with their mark": (
        "POST",
        "/api/jobs",
        {"url": OTHER, "on_conflict": "replace", "headers": {"X-Api-Key": "[redacted]"}},
    ),
    "a replacement with hidden headers": (
        "POST",
        "/api/jobs?headers_from={job}",
        {"url": OTHER, "on_conflict": "replace", "headers": {"X-Api-Key": "[redacted]"}},
    ),
    "a retry": ("POST", "/api/jobs/{job}/retry", {"url": OTHER}),
    "a run of the job": ("POST", "/api/jobs/{job}/run", {"url": OTHER}),
    "reports": ("PATCH", "{schedule}", {"callback_url": OTHER, "webhook_url": OTHER}),
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Return settings that hide one header more."""
    config = fresh_config(tmp_path / "booper.db")
    return replace(config, delivery=Delivery(redact_headers=("x-api-key",)))


@pytest.fixture
async def schedule(api: Api) -> str:
    """Return the path of a schedule with hidden headers; it runs each hour, first in an hour."""
    return await api.create_schedule(
        headers=HEADERS, repeat_every=3600, schedule_in=3600, idempotency_key=KEY
    )


def secrets_elsewhere(target: FakeTarget) -> list[str]:
    """Return the URLs of other origins that got a secret, in a header or in the body."""
    return [
        str(request.url)
        for request in target.received
        if (request.url.scheme, request.url.netloc) != ("https", b"target.test")
        and "s3cr3t" in f"{request.headers.raw!r} {request.content!r}"
    ]


async def test_what_is_sent_elsewhere_is_seen(booper: Booper, api: Api, target: FakeTarget) -> None:
    """So that the tests below can fail."""
    await api.create(url=OTHER, headers=HEADERS)
    await booper.wait_idle()
    assert secrets_elsewhere(target) == [OTHER]


@pytest.mark.parametrize("way", WAYS)
async def test_no_other_origin_gets_a_hidden_value(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget, schedule: str, way: str
) -> None:
    """Whether the request is refused or not."""
    [job] = await api.read("/api/jobs")
    method, path, fields = WAYS[way]
    if path.startswith("/api/jobs?") or path == "/api/jobs":
        fields = {"repeat_every": 3600, "idempotency_key": KEY, **fields}
    path = path.format(schedule=schedule, job=job["job_id"])
    response = await api.request(method, path, json=fields)
    assert "s3cr3t" not in response.text
    await pass_through(booper, clock, [noon(minutes) for minutes in (60, 120)])
    assert target.received
    assert secrets_elsewhere(target) == []


@pytest.mark.parametrize("url", OTHER_ORIGINS)
async def test_a_change_to_another_origin_needs_the_hidden_headers_again(
    api: Api, schedule: str, url: str
) -> None:
    """An error for each of them has its name and what would be right; nothing is changed."""
    before = await api.read(schedule)
    response = await api.patch(schedule, json={"url": url, "name": "Elsewhere"})
    assert response.status_code == 422
    assert [each["pointer"] for each in response.json()["errors"]] == [
        "/headers/authorization",
        "/headers/X-Api-Key",
    ]
    assert {each["detail"] for each in response.json()["errors"]} == {
        "hidden values are not sent to another origin, and this one is for https://target.test; "
        "give headers again, with its value or without it"
    }
    assert await api.read(schedule) == before


@pytest.mark.parametrize("url", SAME_ORIGIN)
async def test_a_change_within_the_origin_keeps_them(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget, schedule: str, url: str
) -> None:
    """However the origin is spelled."""
    response = await api.patch(schedule, json={"url": url})
    assert response.status_code == 200
    await pass_through(booper, clock, [noon(60)])
    [request] = target.received
    assert {name: request.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("headers", [None, {}, {"X-Shop": "two"}, {"Authorization": "Bearer new"}])
async def test_headers_that_are_given_go_along(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: FakeTarget,
    schedule: str,
    headers: Mapping[str, str] | None,
) -> None:
    """They take the place of all that there were, as in every change."""
    response = await api.patch(schedule, json={"url": OTHER, "headers": headers})
    assert response.status_code == 200
    await pass_through(booper, clock, [noon(60)])
    [request] = target.received
    assert str(request.url) == OTHER
    sent = {name: request.headers.get(name) for name in HEADERS}
    given = {name.lower(): value for name, value in (headers or {}).items()}
    assert sent == {name: given.get(name.lower()) for name in HEADERS}


async def test_headers_that_everybody_reads_go_along(api: Api) -> None:
    """Only hidden ones stay where they are."""
    path = await api.create_schedule(headers={"X-Shop": "one"})
    response = await api.patch(path, json={"url": OTHER})
    assert response.status_code == 200
    assert response.json()["data"]["args"]["headers"] == {"X-Shop": "one"}


async def test_a_url_that_is_none_is_the_only_error(api: Api, schedule: str) -> None:
    """It has no origin with which to compare."""
    response = await api.patch(schedule, json={"url": "ftp://other.test/"})
    assert response.status_code == 422
    assert [each["pointer"] for each in response.json()["errors"]] == ["/url"]

"""`[server] cors_origins`: which web pages may call the API from a browser (Fetch Standard)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.config import Config, Server
from tests.conftest import KEY

pytestmark = pytest.mark.anyio

PAGE = "https://app.example.com"
ASKED = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
ASKED_WITH_KEY = {**ASKED, "Access-Control-Request-Headers": "authorization,content-type"}


@asynccontextmanager
async def serving(config: Config, *origins: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the API for pages of these origins."""
    settings = replace(config, server=Server(cors_origins=origins))
    async with (
        Booper(settings, api_key=KEY) as booper,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(booper.asgi), base_url="http://booper.test"
        ) as client,
    ):
        yield client


def allowed(response: httpx.Response) -> str | None:
    """Return whose pages may read a response."""
    assert "access-control-allow-credentials" not in response.headers
    origin: str | None = response.headers.get("access-control-allow-origin")
    return origin


async def test_no_page_may_call_by_default(config: Config) -> None:
    """A preflight is a request like any other, and nothing is said about origins."""
    async with serving(config) as client:
        assert allowed(await client.options("/api/jobs", headers=ASKED_WITH_KEY)) is None
        assert allowed(await client.get("/api/ping", headers={"Origin": PAGE})) is None


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_listed_page_may_call_with_a_key(config: Config, method: str) -> None:
    """The preflight allows the method, and the headers that carry a key and JSON."""
    asked = {**ASKED_WITH_KEY, "Access-Control-Request-Method": method}
    async with serving(config, "https://other.example.com", PAGE) as client:
        response = await client.options("/api/jobs", headers=asked)
    assert (response.status_code, allowed(response)) == (200, PAGE)
    assert method in response.headers["access-control-allow-methods"].split(", ")
    names = response.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type"} <= set(names)
    assert "Origin" in response.headers["vary"]


async def test_a_listed_page_reads_every_response(config: Config) -> None:
    """Errors as well, and the headers that a client needs."""
    key = {"Origin": PAGE, "Authorization": f"Bearer {KEY}"}
    async with serving(config, PAGE) as client:
        made = await client.post("/api/jobs", json={"url": "https://8.8.8.8/"}, headers=key)
        wrong = await client.post("/api/jobs", json={}, headers=key)
        nowhere = await client.get("/nowhere", headers=key)
        keyless = await client.get("/api/jobs", headers={"Origin": PAGE})
    for response, status in ((made, 201), (wrong, 422), (nowhere, 404), (keyless, 401)):
        assert (response.status_code, allowed(response)) == (status, PAGE)
        assert "Location" in response.headers["access-control-expose-headers"]
        assert "Origin" in response.headers["vary"]


async def test_other_pages_stay_outside(config: Config) -> None:
    """Their preflight fails, and what they get they may not read; other clients are untouched."""
    async with serving(config, PAGE) as client:
        for other in ("https://evil.example.com", "http://app.example.com", "null", PAGE + ":8443"):
            response = await client.options("/api/jobs", headers={**ASKED, "Origin": other})
            assert (response.status_code, allowed(response)) == (400, None)
            assert allowed(await client.get("/api/ping", headers={"Origin": other})) is None
        plain = await client.get("/api/ping")
        assert (plain.status_code, allowed(plain)) == (200, None)


async def test_all_pages_may_be_let_in(config: Config) -> None:
    """`*` is told as such: cookies of a browser are never sent with it."""
    async with serving(config, "*") as client:
        assert allowed(await client.options("/api/jobs", headers=ASKED_WITH_KEY)) == "*"
        assert allowed(await client.get("/api/ping", headers={"Origin": PAGE})) == "*"


async def test_a_page_needs_a_key_like_anyone(config: Config) -> None:
    """Being listed lets nobody in."""
    async with serving(config, PAGE) as client:
        response = await client.post("/api/jobs", json={}, headers={"Origin": PAGE})
    assert response.status_code == 401

"""Proxies in front of booper: whose headers count, and under which path booper is."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Server
from booper.model.public_url import PublicURL
from booper.server.forwarded import proxied
from tests.conftest import KEY
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

TRUSTED = ("10.0.0.0/8", "127.0.0.1", "fd00::/8")

# peer, X-Forwarded-For (a list is several headers) -> who sent the request
SENDERS = [
    ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    # Anybody can send the header; what a proxy adds stands behind that.
    ("10.0.0.1", ["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
    ("10.0.0.1", ["192.0.2.1", "203.0.113.9"], "203.0.113.9"),
    # Of several trusted proxies each has added the one before it.
    ("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    ("127.0.0.1", ["203.0.113.9, 10.0.0.2", "10.0.0.3"], "203.0.113.9"),
    ("10.0.0.1", ["192.0.2.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    # All are trusted: the first one.
    ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    # From nobody else.
    ("192.0.2.7", ["203.0.113.9"], "192.0.2.7"),
    ("10.0.0.1", [], "10.0.0.1"),
    # IPv6, IPv4 in IPv6, ports, what is no address.
    ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
    ("fd00::1", ["2001:db8::9"], "2001:db8::9"),
    ("10.0.0.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
    ("10.0.0.1", ['"[2001:db8::9]"'], "2001:db8::9"),
    ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
    ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
    ("10.0.0.1", [""], "10.0.0.1"),
    ("10.0.0.1", ["\xff"], "10.0.0.1"),
]


async def seen(
    peer: str | None, headers: Sequence[tuple[str, str]], trusted: Sequence[str] = TRUSTED
) -> Scope:
    """Return the scope of such a request as an application behind proxies sees it."""
    scopes = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    scope: Scope = {
        "type": "http",
        "scheme": "http",
        "path": "/",
        "client": None if peer is None else (peer, 4711),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    await proxied(application, None, trusted)(scope, _receive, _send)
    return scopes[0]


async def _receive() -> dict[str, object]:
    raise AssertionError("nothing is read")


async def _send(message: object) -> None:
    raise AssertionError("nothing is sent")


@pytest.mark.parametrize(("peer", "forwarded", "sender"), SENDERS)
async def test_a_sender_is_the_last_address_that_no_trusted_proxy_has(
    peer: str, forwarded: list[str], sender: str
) -> None:
    """By X-Forwarded-For, to which each proxy adds the address that it was called from."""
    scope = await seen(peer, [("x-forwarded-for", value) for value in forwarded])
    assert scope["client"][0] == sender


@pytest.mark.parametrize(
    ("peer", "protocol", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "HTTPS", "https"),
        ("10.0.0.1", "gopher", "http"),
        ("192.0.2.7", "https", "http"),
    ],
)
async def test_the_scheme_is_what_a_trusted_proxy_says(
    peer: str, protocol: str, scheme: str
) -> None:
    """One of the two that there are."""
    assert (await seen(peer, [("x-forwarded-proto", protocol)]))["scheme"] == scheme


async def test_by_default_nobody_is_trusted() -> None:
    """Not even this machine; nor is a caller of a socket that has no addresses."""
    headers = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")]
    scope = await seen("127.0.0.1", headers, ())
    assert (scope["client"], scope["scheme"]) == (("127.0.0.1", 4711), "http")
    assert (await seen(None, headers))["client"] is None


# --- a public URL ---------------------------------------------------------------------------------

PUBLIC = "https://x.example/tools/booper"


@asynccontextmanager
async def reached(
    config: Config, clock: VirtualClock, target: FakeTarget, **settings: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a booper with settings of its server and call it."""
    config = replace(config, server=Server(**settings))  # type: ignore[arg-type]  # a few are text
    async with (
        Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(booper.asgi),
            base_url="http://127.0.0.1:2667",
            headers={"Authorization": f"Bearer {KEY}"},
        ) as client,
    ):
        yield client


@pytest.mark.parametrize("prefix", ["/tools/booper", ""], ids=["kept", "removed"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_what_is_made_is_at_the_public_url(
    config: Config, clock: VirtualClock, target: FakeTarget, prefix: str, slash: str
) -> None:
    """Whether the proxy keeps the path of it or removes it."""
    async with reached(config, clock, target, public_url=PUBLIC + slash) as api:
        made = await api.post(f"{prefix}/api/jobs", json={"url": "https://target.test/"})
        number = made.json()["data"]["job_id"]
        assert made.headers["location"] == f"{PUBLIC}/api/jobs/{number}"
        assert (await api.get(f"{prefix}/api/jobs/{number}")).status_code == 200
        document = (await api.get(f"{prefix}/openapi.json")).json()
        assert document["servers"] == [{"url": PUBLIC}]
        unknown = await api.get(f"{prefix}/api/job")
        assert f"GET {prefix}/api/job: not found; " in unknown.json()["detail"]


async def test_another_prefix_is_none(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """A path that only begins alike is not there."""
    async with reached(config, clock, target, public_url=PUBLIC) as api:
        for path in ("/tools/booper2/api/ping", "/tools/api/ping", "/tools/booperapi/ping"):
            assert (await api.get(path)).status_code == 404


async def test_without_a_public_url_a_location_is_a_path(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """Which is right wherever the caller has reached booper."""
    async with reached(config, clock, target) as api:
        made = await api.post("/api/jobs", json={"url": "https://target.test/"})
        assert made.headers["location"] == f"/api/jobs/{made.json()['data']['job_id']}"
        assert (await api.get("/openapi.json")).json()["servers"] == [{"url": "/"}]


@pytest.mark.parametrize(
    ("url", "shown", "host", "prefix"),
    [
        ("https://x.example", "https://x.example", "x.example", ""),
        ("https://X.example:8443/", "https://x.example:8443", "x.example:8443", ""),
        ("http://[::1]:80/a.b/c", "http://[::1]:80/a.b/c", "[::1]:80", "/a.b/c"),
    ],
)
async def test_a_public_url_is_read(url: str, shown: str, host: str, prefix: str) -> None:
    """Its host in small letters, its path without the last slash."""
    read = PublicURL.parse(url)
    assert (str(read), read.host, read.prefix) == (shown, host, prefix)


async def test_a_refused_key_is_logged_with_its_sender(
    config: Config,
    clock: VirtualClock,
    target: FakeTarget,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """So that whoever tries keys can be shut out, also behind a proxy."""
    caplog.set_level("INFO", "booper.access")
    config = replace(config, server=Server(trusted_proxies=("127.0.0.1",)))
    async with (
        Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(booper.asgi), base_url="http://booper.test"
        ) as api,
    ):
        headers = {"Authorization": "Bearer sk_wrong", "X-Forwarded-For": "203.0.113.9"}
        assert (await api.get("/api/jobs", headers=headers)).status_code == 401
    assert caplog.messages[-1] == (
        "GET /api/jobs from 203.0.113.9 is refused: this API key is unknown or revoked"
    )

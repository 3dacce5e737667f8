"""Sign-in with an API key, what the browser keeps of it, and sign-out."""

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from hashlib import sha256

import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Server
from booper.model.session import NOTED_EVERY
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.dashboard import Browser
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


def token_of(cookie: str) -> str:
    """Return the token in a `Set-Cookie`."""
    return cookie.partition(";")[0].removeprefix("booper_session=")


async def test_a_session_is_a_random_token_of_which_the_store_has_the_hash(
    browser: Browser, config: Config
) -> None:
    """Of 256 bits, in a cookie that no script reads and no other site's form carries."""
    response = await browser.submit("/sign-in", {"key": KEY})
    name, *attributes = response.headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Lax"}
    token = name.removeprefix("booper_session=")
    assert len(token) == 43  # 32 bytes in base64url (RFC 4648 §5)
    with closing(sqlite3.connect(config.database.path)) as opened:
        digests = opened.execute("SELECT digest FROM sessions").fetchall()
    assert digests == [(sha256(token.encode()).digest(),)]


@pytest.mark.parametrize(
    ("origin", "headers", "is_secure"),
    [
        ("https://127.0.0.1", {}, True),
        ("http://127.0.0.1", {"Origin": "https://booper.example"}, True),  # TLS ends at a proxy
        ("http://127.0.0.1", {"Origin": "http://127.0.0.1"}, False),
        ("http://127.0.0.1", {}, False),
    ],
)
async def test_behind_tls_the_cookie_is_secure(
    booper: Booper, origin: str, headers: dict[str, str], is_secure: bool
) -> None:
    """So it never goes out in the clear; without TLS a browser would not keep such a cookie."""
    async with Browser(booper.asgi, origin=origin) as browser:
        response = await browser.submit("/sign-in", {"key": KEY}, headers=headers)
    assert ("; Secure" in response.headers["set-cookie"]) is is_secure


async def test_each_sign_in_has_a_new_token_and_ends_the_old_session(
    booper: Booper, browser: Browser
) -> None:
    """What somebody knew of the session before is worth nothing."""
    first = token_of((await browser.submit("/sign-in", {"key": KEY})).headers["set-cookie"])
    second = token_of((await browser.submit("/sign-in", {"key": KEY})).headers["set-cookie"])
    assert first != second
    async with Browser(booper.asgi) as other:
        headers = {"Cookie": f"booper_session={first}"}
        assert (await other.get("/jobs", headers=headers)).status_code == 303
    assert (await browser.get("/jobs")).status_code == 200


async def test_pages_can_be_read_while_nothing_can_be_written(
    browser: Browser, config: Config, clock: VirtualClock
) -> None:
    """With a full disk too, they show what is wrong: when a session was used is noted later."""
    await browser.sign_in(KEY)
    with closing(sqlite3.connect(config.database.path)) as opened:
        opened.execute(
            "CREATE TRIGGER failing BEFORE UPDATE ON sessions "
            "BEGIN INSERT INTO nowhere VALUES (1); END"
        )
    clock.set(START + NOTED_EVERY)
    assert (await browser.get("/status")).status_code == 200


@pytest.mark.parametrize("key", ["", "sk_unknown_0123456789", "nonsense", "\x00", "sk_ä"])
async def test_a_wrong_key_opens_nothing(
    browser: Browser, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The form says so, without the key, and the log has who tried, as for the API."""
    with caplog.at_level(logging.INFO, "booper.access"):
        response = await browser.submit("/sign-in", {"key": key, "next": "/jobs?state=x"})
    assert response.status_code == 403
    assert "set-cookie" not in response.headers
    assert "unknown or revoked" in response.text
    assert 'value="/jobs?state=x"' in response.text
    assert "POST /sign-in from" in caplog.text
    assert "sk_unknown" not in response.text + caplog.text


async def test_a_revoked_key_opens_nothing(
    browser: Browser, admin: Api, keys: dict[str, str]
) -> None:
    """From the moment on at which it is revoked."""
    found = next(key for key in await admin.read("/api/keys") if key["name"] == "write")
    await admin.delete(f"/api/keys/{found['id']}")
    assert (await browser.submit("/sign-in", {"key": keys["write"]})).status_code == 403


@pytest.mark.parametrize(
    ("following", "expected"),
    [
        ("", "/"),
        ("/", "/"),
        ("/jobs?state=discarded&tag=a%20b", "/jobs?state=discarded&tag=a%20b"),
        ("/jobs?tag=ä", "/jobs?tag=%C3%A4"),
        ("//evil.test/", "/"),
        ("/\\evil.test/", "/"),
        ("/jobs\\..", "/"),
        ("https://evil.test/", "/"),
        ("javascript:alert(1)", "/"),
        ("jobs", "/"),
        ("/\t/evil.test", "/"),
        ("/jobs\r\nSet-Cookie: x=1", "/"),
        (" //evil.test", "/"),
    ],
)
async def test_sign_in_leads_back_within_the_dashboard(
    browser: Browser, following: str, expected: str
) -> None:
    """A link may name any page of it, and nothing else (no open redirect)."""
    response = await browser.submit("/sign-in", {"key": KEY, "next": following})
    assert (response.status_code, response.headers["location"]) == (303, expected)
    assert (await browser.get("/sign-in", params={"next": following})).headers[
        "location"
    ] == expected


async def test_a_link_from_outside_comes_back_after_signing_in(browser: Browser, api: Api) -> None:
    """With its query, and the filter that it names."""
    asked = await browser.get("/jobs?state=discarded&tag=a+b")
    form = await browser.see(asked.headers["location"])
    [following] = [
        attributes["value"] for _, attributes in form.elements if attributes.get("name") == "next"
    ]
    assert following is not None
    response = await browser.submit("/sign-in", {"key": KEY, "next": following})
    assert response.headers["location"] == "/jobs?state=discarded&tag=a+b"


async def test_sign_out_ends_the_session_and_the_cookie(booper: Booper, browser: Browser) -> None:
    """Also for whoever kept the token."""
    token = token_of((await browser.submit("/sign-in", {"key": KEY})).headers["set-cookie"])
    response = await browser.submit("/sign-out")
    assert response.headers["location"] == "/sign-in?notice=signed-out"
    assert "booper_session=; Path=/; Max-Age=0" in response.headers["set-cookie"]
    async with Browser(booper.asgi) as other:
        headers = {"Cookie": f"booper_session={token}"}
        assert (await other.get("/jobs", headers=headers)).status_code == 303


@pytest.fixture
async def open_booper(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> AsyncIterator[Booper]:
    """Run a booper as `booper dev` does, which listens for everybody."""
    settings = replace(config, server=Server(public_url="https://booper.example"))
    async with Booper(
        settings,
        api_key=KEY,
        address=("0.0.0.0", 2667),
        clock=clock,
        transport=target,
        open_pages=True,
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:2667", 200),
        ("localhost:2667", 200),
        ("[::1]:2667", 200),
        ("192.0.2.7:2667", 303),
        ("booper.example", 303),
    ],
)
async def test_for_development_nobody_signs_in_on_this_machine(
    open_booper: Booper, host: str, status: int
) -> None:
    """Where `Host` is this machine; by any other name a key is asked for."""
    async with Browser(open_booper.asgi) as browser:
        response = await browser.get("/jobs", headers={"Host": host})
    assert response.status_code == status


async def test_elsewhere_everybody_signs_in(browser: Browser) -> None:
    """Also on this machine."""
    assert (await browser.get("/jobs")).status_code == 303

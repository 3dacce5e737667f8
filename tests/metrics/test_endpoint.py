"""Who may read `/metrics`, in which format, and what it does where the database is stuck."""

import logging
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families as prometheus

from booper.app import Booper
from booper.config import Config, Server
from booper.errors import StartError
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.scrape import families
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def running(config: Config, metrics: str) -> Booper:
    """Return a booper with this setting that is not started yet."""
    server = replace(config.server, metrics=metrics)
    return Booper(replace(config, server=server), api_key=KEY, transport=FakeTarget())


async def status(
    booper: Booper,
    *,
    client: str = "127.0.0.1",
    host: str = "127.0.0.1:2667",
    headers: dict[str, str] | None = None,
) -> int:
    """Return the status of a scrape that comes from this address and asks for this host."""
    transport = httpx.ASGITransport(booper.asgi, client=(client, 5))
    async with httpx.AsyncClient(transport=transport, base_url="http://any") as caller:
        response = await caller.get("/metrics", headers={"Host": host, **(headers or {})})
    return response.status_code


@pytest.mark.parametrize(
    ("client", "host", "headers", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:2667", {}, 200),
        ("127.0.0.1", "LocalHost:2667", {}, 200),
        ("127.9.9.9", "127.9.9.9", {}, 200),
        ("::1", "[::1]:2667", {}, 200),
        ("::ffff:127.0.0.1", "localhost", {}, 200),
        ("192.0.2.1", "localhost", {}, 401),
        ("::ffff:192.0.2.1", "localhost", {}, 401),
        # By a proxy on this machine, for somebody else.
        ("127.0.0.1", "localhost", {"X-Forwarded-For": "192.0.2.1"}, 401),
        ("127.0.0.1", "localhost", {"Forwarded": "for=192.0.2.1"}, 401),
        ("127.0.0.1", "localhost", {"X-Real-IP": "127.0.0.1"}, 401),
        ("127.0.0.1", "localhost", {"Via": "1.1 proxy"}, 401),
        # By a page whose name leads to this machine.
        ("127.0.0.1", "evil.example:2667", {}, 401),
        ("127.0.0.1", "localhost.evil.example", {}, 401),
        ("127.0.0.1", "[::1", {}, 401),
        ("127.0.0.1", "", {}, 401),
    ],
)
async def test_local_means_this_machine_and_no_proxy(
    booper: Booper, client: str, host: str, headers: dict[str, str], expected: int
) -> None:
    """Without a key; whatever was passed on for somebody else is not from here."""
    assert await status(booper, client=client, host=host, headers=headers) == expected


async def test_others_need_a_key_that_administers(booper: Booper, admin: Api) -> None:
    """As for pauses and breakers."""
    expected = {"read": 403, "write": 403, "admin": 200}
    for scope, code in expected.items():
        made = await admin.post("/api/keys", json={"name": scope, "scope": scope})
        headers = {"Authorization": f"Bearer {made.json()['data']['key']}"}
        assert await status(booper, client="192.0.2.1", headers=headers) == code, scope


async def test_open_is_for_everybody_and_off_for_nobody(config: Config, tmp_path: Path) -> None:
    """Off is as if there was no such path."""
    async with running(config, "open") as booper:
        assert await status(booper, client="192.0.2.1", host="booper.example") == 200
    async with running(config, "off") as booper:
        assert await status(booper) == 404


async def test_an_address_of_its_own_serves_metrics_alone(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """Beside the API there are none then, and the API is not beside them."""
    caplog.set_level(logging.INFO, "booper")
    async with running(config, "127.0.0.1:0") as booper:
        [url] = [line.split()[-1] for line in caplog.messages if line.startswith("metrics are at")]
        async with httpx.AsyncClient(trust_env=False) as client:
            assert "booper_slots 64.0\n" in (await client.get(url)).text
            for path in ("/api/jobs", "/readyz", "/openapi.json"):
                elsewhere = url.replace("/metrics", path)
                assert (await client.get(elsewhere)).status_code == 404
        assert await status(booper) == 404
    async with running(config, "127.0.0.1:0"):
        pass  # the port is free again, and nothing is left


async def test_an_address_that_is_taken_is_an_error_that_names_the_setting(config: Config) -> None:
    """At the start: an operator who never sees metrics would notice too late."""
    async with running(config, "127.0.0.1:0"):
        pass
    with pytest.raises(StartError, match=r"\[server\] metrics: cannot listen on 192\.0\.2\.1:9"):
        async with running(config, "192.0.2.1:9"):
            pass


async def test_both_formats_can_be_parsed(booper: Booper, api: Api) -> None:
    """By the parsers of Prometheus's own library; no series tells when it was created."""
    await api.create()
    await booper.wait_idle()
    headers = {"Host": "localhost"}
    old = await api.get("/metrics", headers=headers)
    new = await api.get("/metrics", headers=headers | {"Accept": OPENMETRICS})
    assert old.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert new.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {each.name for each in prometheus(old.text)} == {
        each.name for each in families(new.text)
    }
    assert "_created" not in old.text + new.text


async def test_head_has_no_body(booper: Booper, api: Api) -> None:
    """As any other path."""
    assert (await api.head("/metrics", headers={"Host": "localhost"})).status_code == 200


def test_the_default_is_local() -> None:
    """Nothing is open that nobody has opened."""
    assert Server().metrics == "local"

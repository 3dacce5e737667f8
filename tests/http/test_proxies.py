"""`proxy` and `proxy_resolves`: which requests go through which proxy, and what it is told."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from random import Random

import httpx
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Delivery, Origin, Targets
from booper.engine.delivery import Delivery as Sending
from booper.guard.policy import Guard
from booper.http.client import SocketClient
from booper.model.job import Failed, Outcome, Refused, Request, Responded
from booper.model.proxy import ProxyURL
from booper.origins import ways_of
from tests.conftest import KEY
from tests.support.http_server import answering_then_waiting, serve
from tests.support.loops import both_loops
from tests.support.proxy import FakeProxy, proxying

pytestmark = pytest.mark.anyio

anyio_backend = both_loops

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    """A running proxy."""
    async with proxying() as running:
        yield running


async def send(
    url: str,
    settings: Delivery,
    responses: Sequence[str] = ("127.0.0.1",),
    *,
    allow: Sequence[str] = ("127.0.0.0/8",),
    asked: list[str] | None = None,
) -> Outcome:
    """Send one request while every name has these addresses."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        if asked is not None:
            asked.append(host)
        return responses

    ways = ways_of(Config(delivery=settings), ())
    guard = Guard(
        require_https=False,
        allow_private_networks=False,
        allow=allow,
        own=(),
        resolve=resolve,
        is_left_to_proxy=ways.is_resolved_by_proxy,
    )
    client = SocketClient(routes=ways.route)
    try:
        return await Sending(client, guard, 1000).send(
            Request("GET", url, {}, b"", {}, {}), timedelta(seconds=20)
        )
    finally:
        await client.aclose()


def status(outcome: Outcome) -> int:
    """Return the status of a response."""
    assert isinstance(outcome, Responded), outcome
    return outcome.response.status


async def test_a_plain_request_goes_through_a_tunnel_to_the_vetted_address(
    proxy: FakeProxy,
) -> None:
    """The proxy sees an address and no name; the target sees the name it was asked by."""
    async with serve(answering_then_waiting(OK)) as server:
        outcome = await send(f"http://api.example:{server.port}/a?b", Delivery(proxy=proxy.url))
    assert status(outcome) == 200
    there = f"127.0.0.1:{server.port}"
    assert proxy.asked == [f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n\r\n".encode()]
    [request] = server.requests
    assert request.startswith(b"GET /a?b HTTP/1.1\r\nHost: api.example:%d\r\n" % server.port)


async def test_a_name_with_a_forbidden_address_never_reaches_the_proxy(proxy: FakeProxy) -> None:
    """What is vetted without a proxy is vetted with one."""
    outcome = await send("http://api.example/", Delivery(proxy=proxy.url), ["8.8.8.8", "10.0.0.1"])
    assert isinstance(outcome, Failed)
    assert outcome.error == "guard"
    assert proxy.asked == []


async def test_a_proxy_that_resolves_gets_the_name(proxy: FakeProxy) -> None:
    """booper asks no name server, and cannot know the address."""
    asked: list[str] = []
    async with serve(answering_then_waiting(OK)) as server:
        proxy.names = {f"api.example:{server.port}": ("127.0.0.1", server.port)}
        settings = Delivery(proxy=proxy.url, proxy_resolves=True)
        outcome = await send(f"http://api.example:{server.port}/", settings, asked=asked)
    assert status(outcome) == 200
    assert proxy.lines == [f"CONNECT api.example:{server.port} HTTP/1.1"]
    assert asked == []


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://169.254.169.254/", "http://localhost/"]
)
async def test_what_a_url_shows_is_judged_even_where_the_proxy_resolves(
    proxy: FakeProxy, url: str
) -> None:
    """Only names are given up, and `localhost` is no name that may mean another machine."""
    outcome = await send(url, Delivery(proxy=proxy.url, proxy_resolves=True), allow=[])
    assert isinstance(outcome, Refused)
    assert proxy.asked == []


async def test_a_user_of_the_proxy_is_named_to_it_alone(proxy: FakeProxy) -> None:
    """RFC 7617: base64 of "jane:a@b", which is amFuZTphQGI=."""
    url = proxy.url.replace("//", "//jane:a%40b@")
    async with serve(answering_then_waiting(OK)) as server:
        settings = Delivery(proxy=url)
        assert status(await send(f"http://127.0.0.1:{server.port}/", settings)) == 200
    assert b"\r\nProxy-Authorization: Basic amFuZTphQGI=\r\n" in proxy.asked[0]
    assert b"proxy-authorization" not in server.requests[0].lower()


async def test_a_tunnel_is_used_again(
    proxy: FakeProxy, config: Config, clock: VirtualClock
) -> None:
    """A connection that was kept alive needs no second CONNECT."""
    settings = replace(config, delivery=Delivery(proxy=proxy.url))
    async with serve(answering_then_waiting(OK, OK, OK)) as server:
        await post(settings, clock, *[server.url()] * 3)
    assert len(server.requests) == 3
    assert len(proxy.asked) == 1


async def post(config: Config, clock: VirtualClock, *urls: str) -> list[str]:
    """Send a job to each URL, one after the other, and return their last states or errors."""
    async with (
        Booper(config, api_key=KEY, clock=clock, random=Random()) as booper,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(booper.asgi),
            base_url="http://booper.test",
            headers={"Authorization": f"Bearer {KEY}"},
        ) as api,
    ):
        states = []
        for url in urls:
            made = await api.post("/api/jobs", json={"url": url, "max_attempts": 1})
            assert made.status_code == 201, made.text
            await booper.wait_idle()
            shown = await api.get(f"/api/jobs/{made.json()['data']['job_id']}")
            job = shown.json()["data"]["job"]
            states.append(job["last_error"] or job["state"])
    return states


async def test_an_origin_has_a_proxy_of_its_own_or_none(
    proxy: FakeProxy, config: Config, clock: VirtualClock
) -> None:
    """A table of an origin goes before that of its host, and both before [delivery]."""
    script = answering_then_waiting(OK)
    async with (
        proxying() as other,
        serve(script) as first,
        serve(script) as second,
        serve(script) as third,
    ):
        settings = replace(
            config,
            delivery=Delivery(proxy="http://127.0.0.1:1"),
            origins={
                f"http://127.0.0.1:{first.port}": Origin(proxy=other.url),
                f"127.0.0.1:{second.port}": Origin(proxy=""),
                "127.0.0.1": Origin(proxy=proxy.url),
            },
        )
        urls = [server.url() for server in (first, second, third)]
        states = await post(settings, clock, *urls, "http://127.0.0.2:9/")
    assert states[:3] == ["completed"] * 3
    assert "the proxy cannot be reached" in states[3]
    assert other.lines == [f"CONNECT 127.0.0.1:{first.port} HTTP/1.1"]
    assert proxy.lines == [f"CONNECT 127.0.0.1:{third.port} HTTP/1.1"]


async def test_booper_itself_is_never_reached_through_a_proxy(
    proxy: FakeProxy, config: Config, clock: VirtualClock
) -> None:
    """What goes to its helper paths has a secret that no proxy may see."""
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with serve(answering_then_waiting(response)) as server:
        settings = replace(
            config, targets=Targets(), delivery=Delivery(proxy=proxy.url, proxy_resolves=True)
        )
        async with (
            Booper(
                settings, api_key=KEY, clock=clock, address=("127.0.0.1", server.port)
            ) as booper,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(booper.asgi),
                base_url="http://booper.test",
                headers={"Authorization": f"Bearer {KEY}"},
            ) as api,
        ):
            await api.post("/api/jobs", json={"url": server.url("/api/ping")})
            await booper.wait_idle()
    [request] = server.requests
    assert b"\r\nBooper-Own: " in request
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.example:3128", ProxyURL("proxy.example", 3128)),
        ("HTTP://proxy.example", ProxyURL("proxy.example", 80)),
        ("http://proxy.example:3128/", ProxyURL("proxy.example", 3128)),
        ("http://[::1]:3128", ProxyURL("::1", 3128)),
        # RFC 7617 §2: Aladdin, open sesame
        (
            "http://Aladdin:open%20sesame@proxy.example",
            ProxyURL("proxy.example", 80, b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, proxy: ProxyURL) -> None:
    """Host, port, and what authenticates its user."""
    assert ProxyURL.parse(url) == proxy
    assert "QWxh" not in repr(proxy)

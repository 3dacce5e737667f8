"""Requests through a proxy: it is told the vetted address, and TLS goes through it untouched."""

import asyncio
import ssl
from collections.abc import Sequence

import pytest
import trustme

from booper.guard.target import parse_target
from booper.http.body import read_body
from booper.http.client import SocketClient
from booper.http.connecting import Route
from booper.http.errors import ConnectError
from booper.http.tunnel import Proxy
from tests.support.http_server import answering, answering_then_waiting, serve
from tests.support.loops import both_loops
from tests.support.proxy import proxying

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

pytestmark = pytest.mark.anyio

anyio_backend = both_loops


async def loopback() -> Sequence[str]:
    """The address of every server here."""
    return ["127.0.0.1"]


def client_through(
    port: int, authorization: bytes | None = None, context: ssl.SSLContext | None = None
) -> SocketClient:
    """Return a client that sends everything through a proxy."""
    route = Route(Proxy(port, loopback, authorization), context)
    return SocketClient(routes=lambda target: route)


async def fetch(client: SocketClient, url: str) -> bytes:
    """Send a GET and read the body of the response."""
    async with asyncio.timeout(5):
        response = await client.send("GET", parse_target(url), (), b"", loopback)
        return (await read_body(response.stream, 1000)).content


@pytest.mark.parametrize(
    ("authorization", "line"),
    [(None, b""), (b"Basic dTpw", b"Proxy-Authorization: Basic dTpw\r\n")],
    ids=["open", "with a password"],
)
async def test_a_proxy_connects_to_the_vetted_address(
    authorization: bytes | None, line: bytes
) -> None:
    """CONNECT names the address and no name (RFC 9110 §9.3.6); the target sees the request alone.

    The connection serves a second request.
    """
    async with serve(answering_then_waiting(OK, OK)) as server, proxying() as proxy:
        client = client_through(proxy.port, authorization)
        url = server.url("/a", host="target.example")
        assert [await fetch(client, url) for _ in "12"] == [b"ok", b"ok"]
        await client.aclose()
        place = b"127.0.0.1:%d" % server.port
        assert proxy.asked == [b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (place, place, line)]
        assert (
            server.requests
            == [b"GET /a HTTP/1.1\r\nHost: target.example:%d\r\n\r\n" % server.port] * 2
        )


async def test_tls_goes_through_the_proxy() -> None:
    """The certificate is checked for the target's name, and so is a wrong one."""
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("target.example").configure_cert(server_tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with serve(answering(OK), ssl_context=server_tls) as server, proxying() as proxy:
        client = client_through(proxy.port, context=trust)
        assert await fetch(client, server.url(scheme="https", host="target.example")) == b"ok"
        with pytest.raises(ConnectError, match="certificate was refused"):
            await fetch(client, server.url(scheme="https", host="other.example"))
        await client.aclose()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy responded 407"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "the proxy responded 403"),
        (b"HTTP/1.1 200 OK\r\n\r\nspeaks first", "the proxy responded 200 and more"),
        (b"SSH-2.0\r\n\r\n", "the proxy did not speak HTTP"),
        (b"", "the proxy closed the connection"),
    ],
    ids=["407", "403", "more", "no HTTP", "closed"],
)
async def test_a_proxy_that_refuses_is_a_connect_error(reply: bytes, reason: str) -> None:
    """Nothing was sent to the target; the reason is the proxy's."""
    async with proxying(reply) as proxy:
        client = client_through(proxy.port)
        with pytest.raises(ConnectError, match=rf"^cannot connect to target\.example: {reason}$"):
            await fetch(client, "http://target.example/")
        await client.aclose()


async def test_a_proxy_that_is_not_there_is_a_connect_error() -> None:
    """It is the proxy that cannot be reached, not the target."""
    client = client_through(1)
    with pytest.raises(ConnectError, match="the proxy cannot be reached"):
        await fetch(client, "https://target.example/")


async def test_a_proxys_password_is_not_shown() -> None:
    """Neither by `repr` nor by whatever prints a route."""
    assert "dTpw" not in repr(Route(Proxy(1, loopback, b"Basic dTpw")))

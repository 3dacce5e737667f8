"""Any transport of httpx can send booper's requests: what it is given, and what comes of it."""

from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from booper.guard.target import parse_target
from booper.http.adapter import HttpxClient
from booper.http.body import Body, read_body
from booper.http.errors import (
    ConnectError,
    ProtocolError,
    ReadError,
    SendError,
    UnsendableRequest,
    WriteError,
)

pytestmark = pytest.mark.anyio


async def no_address() -> Sequence[str]:
    """Return no address."""
    return []


class Recorder(httpx.AsyncBaseTransport):
    """A transport that keeps the request and returns, or raises, what it was made with."""

    def __init__(self, result: httpx.Response | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self._result = result

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Keep the request."""
        self.requests.append(request)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


class Broken(httpx.AsyncByteStream):
    """A body that breaks off after its first piece."""

    def __init__(self) -> None:
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"half"
        raise httpx.ReadError("gone")

    async def aclose(self) -> None:
        """Note it."""
        self.is_closed = True


async def test_the_transport_gets_exactly_what_is_sent() -> None:
    """Method, URL, headers in their order and letters, and body; httpx adds nothing.

    The addresses stand in the request's extensions.
    """
    transport = Recorder(httpx.Response(200))
    headers = [(b"Host", b"a.example"), (b"X-Name", b"J\xc3\xbcrgen"), (b"x-b", b"2")]
    await HttpxClient(transport).send(
        "POST", parse_target("https://a.example/b?c=d"), headers, b"body", no_address
    )
    [request] = transport.requests
    assert (request.method, str(request.url)) == ("POST", "https://a.example/b?c=d")
    assert request.headers.raw == headers
    assert await request.aread() == b"body"
    assert request.extensions == {"addresses": no_address}


async def test_a_response_is_status_headers_and_body() -> None:
    """Repeated headers stay apart, and the body is read once."""
    headers = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")]
    transport = Recorder(httpx.Response(201, headers=headers, stream=httpx.ByteStream(b"done")))
    response = await HttpxClient(transport).send(
        "GET", parse_target("https://a.example/"), (), b"", no_address
    )
    assert (response.status, list(response.headers)) == (201, headers)
    assert await read_body(response.stream, 100) == Body(b"done", is_cut=False, fault="")


@pytest.mark.parametrize(
    ("raised", "expected", "kind"),
    [
        (httpx.ConnectError("refused"), ConnectError, "connect"),
        (httpx.ReadError("reset"), ReadError, "read"),
        (httpx.WriteError("reset"), WriteError, "write"),
        (httpx.RemoteProtocolError("nonsense"), ProtocolError, "protocol"),
        (httpx.LocalProtocolError("nonsense"), UnsendableRequest, "request"),
        (httpx.ReadTimeout("slow"), SendError, "network"),
        (httpx.ProxyError("refused"), SendError, "network"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_an_error_of_httpx_is_one_of_ours(
    raised: httpx.TransportError, expected: type[SendError], kind: str
) -> None:
    """Each keeps its text, and has the word that log entries have."""
    with pytest.raises(expected, match=str(raised)) as caught:
        await HttpxClient(Recorder(raised)).send(
            "GET", parse_target("https://a.example/"), (), b"", no_address
        )
    assert (type(caught.value), caught.value.kind) == (expected, kind)


async def test_other_errors_pass_through() -> None:
    """What the transport lacks, such as descriptors, is for the caller to judge."""
    with pytest.raises(OSError, match="none left"):
        await HttpxClient(Recorder(OSError("none left"))).send(
            "GET", parse_target("https://a.example/"), (), b"", no_address
        )


async def test_a_body_that_breaks_off_is_an_error_of_ours() -> None:
    """It is closed nevertheless."""
    body = Broken()
    response = await HttpxClient(Recorder(httpx.Response(200, stream=body))).send(
        "GET", parse_target("https://a.example/"), (), b"", no_address
    )
    with pytest.raises(ReadError, match="gone"):
        await read_body(response.stream, 100)
    assert body.is_closed

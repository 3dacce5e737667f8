"""The client over sockets against real servers, on asyncio's own loop and on uvloop."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
import trustme

from booper.fence import Fence
from booper.guard.target import parse_target
from booper.http.base import Addresses, Endpoint, Target
from booper.http.client import SocketClient, may_send_again
from booper.http.connection import MAX_BUFFERED_BYTES, Connection, Exchange
from booper.http.errors import (
    ConnectError,
    ProtocolError,
    ReadError,
    SendError,
    UnsendableRequest,
    WriteError,
)
from booper.http.request import encode_request
from booper.http.response import ResponseReader
from tests.support.http_server import (
    RawServer,
    answering,
    answering_then_waiting,
    read_request,
    serve,
    wait_for_eof,
)
from tests.support.loops import both_loops

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
READ_BYTES = 256 * 1024
"""The most that either loop reads from a socket at once."""

pytestmark = pytest.mark.anyio

anyio_backend = both_loops


@pytest.fixture
async def client() -> AsyncIterator[SocketClient]:
    """A client with the defaults."""
    client = SocketClient()
    yield client
    await client.aclose()


async def loopback() -> Sequence[str]:
    """The address of every test server."""
    return ["127.0.0.1"]


@dataclass(frozen=True)
class Request:
    """What a caller gives to `send`."""

    method: str
    target: Target
    headers: list[tuple[bytes, bytes]]
    body: bytes
    addresses: Addresses


def request_to(
    server: RawServer,
    method: str = "GET",
    content: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    url: str | None = None,
    addresses: Addresses = loopback,
) -> Request:
    """Build a request to `server` as a caller does."""
    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request(method, parse_target(url or server.url()), pairs, content, addresses)


async def begin(client: SocketClient, request: Request) -> tuple[int, Exchange]:
    """Send a request; return the status and the body that is still to be read."""
    response = await client.send(
        request.method, request.target, request.headers, request.body, request.addresses
    )
    assert isinstance(response.stream, Exchange)
    return response.status, response.stream


async def read(stream: Exchange) -> bytes:
    """Read a body to its end."""
    return b"".join([piece async for piece in stream])


async def fetch(client: SocketClient, request: Request, *, seconds: float = 5) -> tuple[int, bytes]:
    """Send and read to the end, as a caller with a deadline does."""
    async with asyncio.timeout(seconds):
        status, stream = await begin(client, request)
        return status, await read(stream)


# Requests


async def test_a_get_is_spelled_exactly(client: SocketClient) -> None:
    """A GET has the target, the caller's headers in order, Host, and no framing."""
    async with serve(answering(OK)) as server:
        url = server.url("/a%20b?c=d&e=%C3%A9")
        request = request_to(server, url=url, headers={"Host": "h", "X-A": "1"})
        assert await fetch(client, request) == (200, b"ok")
    assert server.requests == [b"GET /a%20b?c=d&e=%C3%A9 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n"]


@pytest.mark.parametrize(
    ("method", "content", "framing"),
    [
        ("GET", b"", b""),
        ("HEAD", b"", b""),
        ("DELETE", b"", b""),
        ("POST", b"", b"Content-Length: 0\r\n"),
        ("PUT", b"", b"Content-Length: 0\r\n"),
        ("PATCH", b"", b"Content-Length: 0\r\n"),
        ("POST", b"12345", b"Content-Length: 5\r\n"),
        ("DELETE", b"1", b"Content-Length: 1\r\n"),
    ],
)
async def test_the_length_is_the_clients_own(method: str, content: bytes, framing: bytes) -> None:
    """Content-Length follows the body (RFC 9110 §8.6), whatever framing the caller set."""
    claims = [(b"Content-Length", b"99"), (b"Transfer-Encoding", b"chunked")]
    for claimed in ([], claims[:1], claims[1:]):
        data, _ = encode_request(method, "/", "h", [(b"Host", b"h"), *claimed], content)
        expected = b"%b / HTTP/1.1\r\nHost: h\r\n%b\r\n%b"
        assert data == expected % (method.encode(), framing, content)


async def test_a_missing_host_is_added() -> None:
    """Host comes from the target, with its port, where the caller set none."""
    assert encode_request("GET", "/", "h:81", [], b"")[0] == (
        b"GET / HTTP/1.1\r\nHost: h:81\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"X", b"1\r\nEvil: 1"),
        (b"X", b"1\n2"),
        (b"X", b"1\r2"),
        (b"X", b"1\0"),
        (b"X\r\nEvil", b"1"),
        (b"X:", b"1"),
        (b"X ", b"1"),
        (b"", b"1"),
        (b"Host", b"second"),
    ],
)
async def test_a_header_that_breaks_out_is_refused(name: bytes, value: bytes) -> None:
    """Nothing in a header may end it, nor may there be two hosts (RFC 9112 §11.2)."""
    headers = [(b"Host", b"h"), (name, value)]
    with pytest.raises(UnsendableRequest):
        encode_request("GET", "/", "h", headers, b"")


@pytest.mark.parametrize("text", ["\r", "\n", "\r\n", "\n\r", "\r\r", "\0"])
@pytest.mark.parametrize("around", ["{}", "{}v", "v{}", "v{}v", "v{}X: y", "{}{}", "v{}X: y{}"])
@pytest.mark.parametrize("content", [b"", b"body"])
@pytest.mark.parametrize("is_last", [True, False])
def test_no_break_is_sent_wherever_a_value_has_it(
    text: str, around: str, content: bytes, is_last: bool
) -> None:
    """A break is seen at each end of a value, and where the head ends with it."""
    header = (b"X-A", around.format(text, text).encode())
    headers = [(b"X-B", b"b"), header] if is_last else [header, (b"X-B", b"b")]
    with pytest.raises(UnsendableRequest, match="X-A"):
        encode_request("GET", "/", "h", headers, content)


@pytest.mark.parametrize("method", ["GET / HTTP/1.1\r\nX: y", "A B", "", "É"])
async def test_a_method_that_breaks_out_is_refused(method: str) -> None:
    """A method is a token (RFC 9110 §9.1)."""
    with pytest.raises(UnsendableRequest):
        encode_request(method, "/", "h", [], b"")


@pytest.mark.parametrize("target", ["/ HTTP/1.1\r\nX: y", "/a b", "/\x7f", "/\0"])
async def test_a_target_that_breaks_out_is_refused(target: str) -> None:
    """A request target has no white space and no control characters (RFC 9112 §3.2)."""
    with pytest.raises(UnsendableRequest):
        encode_request("GET", target, "h", [], b"")


# Answers


@pytest.mark.parametrize(
    ("method", "response", "expected"),
    [
        ("GET", b"HTTP/1.1 204 N\r\nContent-Length: 9\r\n\r\n", (204, b"")),
        ("GET", b"HTTP/1.1 304 N\r\nTransfer-Encoding: chunked\r\n\r\n", (304, b"")),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", (200, b"")),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\nuntil the end", (200, b"until the end")),
        ("GET", b"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + OK, (200, b"ok")),
        (
            "GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 1\r\n\r\n",
            (200, b"abcd"),
        ),
    ],
    ids=["204", "304", "HEAD", "until close", "interim", "chunked"],
)
async def test_a_response_ends_where_it_should(
    client: SocketClient, method: str, response: bytes, expected: tuple[int, bytes]
) -> None:
    """The body's length follows RFC 9112 §6.3."""
    async with serve(answering(response)) as server:
        assert await fetch(client, request_to(server, method)) == expected


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 S\r\n\r\n",
        b"HTTP/1.1 100 C\r\n\r\n" * 10_000,
        b"HTTP/1.1 099 X\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=lambda answer: repr(answer[:60]),
)
async def test_what_is_no_whole_response_is_a_protocol_error(
    client: SocketClient, response: bytes
) -> None:
    """Without a final status line, or cut off behind it, it fails; never a short body."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(response)
        writer.write_eof()
        await wait_for_eof(reader)

    async with serve(script) as server:
        with pytest.raises((ProtocolError, ReadError)):
            await fetch(client, request_to(server))
        async with asyncio.timeout(5):
            await server.saw_eof.wait()


async def test_an_early_response_wins_over_a_large_upload(client: SocketClient) -> None:
    """The server responds after the head and closes, the body unread: that response counts."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()

    async with serve(script) as server:
        request = request_to(server, "POST", bytes(16_000_000))
        assert await fetch(client, request) == (413, b"big")


async def test_a_large_upload_arrives_whole(client: SocketClient) -> None:
    """16 MB are sent through the socket's back-pressure, and the connection is used again."""
    async with serve(answering_then_waiting(OK, OK)) as server:
        for _ in range(2):
            request = request_to(server, "POST", bytes(16_000_000))
            assert await fetch(client, request) == (200, b"ok")
    assert [len(r.partition(b"\r\n\r\n")[2]) for r in server.requests] == [16_000_000] * 2
    assert server.connections == 1


async def test_an_upload_cut_short_is_a_write_error(client: SocketClient) -> None:
    """The server resets the connection while most of the body is unsent."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()  # with bytes unread, which the kernel answers by a reset

    async with serve(script) as server:
        with pytest.raises(WriteError):
            await fetch(client, request_to(server, "POST", bytes(16_000_000)))


async def test_an_unread_body_stops_the_server(client: SocketClient) -> None:
    """Of 50 MB nobody reads, 64 KiB and one read are held; read on, and all of it comes."""
    size, piece = 50_000_000, bytes(100_000)
    stalled, sent = asyncio.Event(), 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            writer.write(piece)
            sent += len(piece)
            try:
                async with asyncio.timeout(0.2):  # flow control shows only as no progress
                    await writer.drain()
            except TimeoutError:
                stalled.set()
                await writer.drain()

    async with serve(script) as server, asyncio.timeout(8):
        _, stream = await begin(client, request_to(server))
        await stalled.wait()
        assert stream.response.buffered <= MAX_BUFFERED_BYTES + READ_BYTES
        assert sent < size / 2  # the rest is in the kernel's socket buffers, a few MB
        assert sum([len(chunk) async for chunk in stream]) == size


# Giving up


@pytest.mark.parametrize(
    "response",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["no response", "in the head", "in the body"],
)
async def test_cancelling_closes_the_connection(client: SocketClient, response: bytes) -> None:
    """A deadline anywhere in an exchange ends its connection: the server sees the end."""
    async with serve(answering_then_waiting(response)) as server:
        with pytest.raises(TimeoutError):
            await fetch(client, request_to(server), seconds=0.05)
        async with asyncio.timeout(5):
            await server.saw_eof.wait()


@pytest.mark.parametrize("is_open", [True, False])
async def test_what_the_system_has_not_sent_is_forgotten_once_the_fence_is_closed(
    is_open: bool,
) -> None:
    """Otherwise it goes on to send what it has, also where others have sent the request again."""
    has_begun, is_over, end = asyncio.Event(), asyncio.Event(), asyncio.Queue[str]()

    async def read_late(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        has_begun.set()
        await is_over.wait()
        try:
            await reader.read()
        except ConnectionResetError:
            end.put_nowait("reset")
        else:
            end.put_nowait("end of file")

    fence = Fence()
    client = SocketClient(fence=fence)
    async with serve(read_late) as server, asyncio.timeout(5):
        sending = asyncio.create_task(fetch(client, request_to(server, "POST", bytes(32 << 20))))
        await has_begun.wait()
        if not is_open:
            fence.move(0.0)
        sending.cancel()
        await asyncio.wait([sending])
        is_over.set()
        assert await end.get() == ("end of file" if is_open else "reset")
    await client.aclose()


async def test_cancelling_a_tls_handshake_closes_the_connection(client: SocketClient) -> None:
    """The deadline holds while a server that never speaks TLS is being connected to."""
    async with serve(lambda reader, _: wait_for_eof(reader)) as server:
        request = request_to(server, url=server.url(scheme="https"))
        with pytest.raises(TimeoutError):
            await fetch(client, request, seconds=0.1)
        async with asyncio.timeout(5):
            await server.saw_eof.wait()


async def test_closing_a_body_early_closes_the_connection(client: SocketClient) -> None:
    """The rest of a body that was given up is not waited for, and reading on fails."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    async with serve(answering_then_waiting(head), answering(OK)) as server:
        _, stream = await begin(client, request_to(server))
        await stream.aclose()
        async with asyncio.timeout(5):
            await server.saw_eof.wait()
            with pytest.raises(ReadError):
                await anext(aiter(stream))
        assert await fetch(client, request_to(server)) == (200, b"ok")
        assert server.connections == 2


async def test_closing_the_client_fails_what_is_running(client: SocketClient) -> None:
    """A request in flight and a body half read end with ReadError."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    reached = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        reached.set()
        await wait_for_eof(reader)

    async with serve(answering_then_waiting(half), silent) as server, asyncio.timeout(5):
        _, stream = await begin(client, request_to(server))
        waiting = asyncio.create_task(begin(client, request_to(server)))
        await reached.wait()
        await client.aclose()
        with pytest.raises(ReadError):
            await waiting
        with pytest.raises(ReadError):
            await read(stream)


# Keeping connections


async def test_a_connection_serves_many_requests(client: SocketClient) -> None:
    """The second request goes over the first one's connection and asks for no address."""
    asked = 0

    async def addresses() -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"]

    async with serve(answering_then_waiting(OK, OK, OK)) as server:
        for _ in range(3):
            await fetch(client, request_to(server, addresses=addresses))
    assert (server.connections, asked) == (1, 1)


@pytest.mark.parametrize(
    ("response", "headers"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", {}),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", {}),
        (OK + b"surplus", {}),
        (OK + OK, {}),
        (b"HTTP/1.1 204 N\r\nContent-Length: 2\r\n\r\nok", {}),
        (OK, {"Connection": "close"}),
    ],
    ids=["close", "1.0", "surplus", "second response", "204 with a body", "we close"],
)
async def test_some_answers_end_their_connection(
    client: SocketClient, response: bytes, headers: dict[str, str]
) -> None:
    """A connection is used again only if both sides keep it and nothing else is on it."""
    first = answering_then_waiting(response)
    async with serve(first, answering_then_waiting(OK)) as server:
        await fetch(client, request_to(server, headers=headers))
        assert await fetch(client, request_to(server)) == (200, b"ok")
        assert server.connections == 2


async def test_http_1_0_keeps_alive_when_it_says_so(client: SocketClient) -> None:
    """RFC 9112 §9.3: a 1.0 answer with `Connection: keep-alive` persists."""
    response = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
    async with serve(answering_then_waiting(response, response)) as server:
        await fetch(client, request_to(server))
        await fetch(client, request_to(server))
        assert server.connections == 1


async def test_a_connection_that_its_server_soon_closes_is_not_used_again(
    client: SocketClient,
) -> None:
    """A server that keeps connections for a second might close this one at any moment."""
    response = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok"
    async with serve(answering_then_waiting(response), answering_then_waiting(OK)) as server:
        await fetch(client, request_to(server))
        assert await fetch(client, request_to(server, "POST")) == (200, b"ok")
        assert server.connections == 2


async def read_then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer once; take a second request, and close without a byte of a response."""
    await answering(OK)(reader, writer)
    await read_request(reader)


async def test_a_stale_connection_is_replaced_once(client: SocketClient) -> None:
    """A reused connection that ends before any response costs one more try, on a new one."""
    async with serve(read_then_close, answering(OK)) as server:
        await fetch(client, request_to(server))
        assert await fetch(client, request_to(server)) == (200, b"ok")
        assert server.connections == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_an_idempotent_request_is_sent_again(client: SocketClient, method: str) -> None:
    """Two of them intend the same as one (RFC 9110 §9.2.2)."""
    async with serve(read_then_close, answering(OK)) as server:
        await fetch(client, request_to(server))
        assert (await fetch(client, request_to(server, method)))[0] == 200
        assert [each.split(b" ")[0] for each in server.requests[1:]] == [method.encode()] * 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_request_that_may_have_been_carried_out_is_not_sent_again(
    client: SocketClient, method: str
) -> None:
    """Whether to try again is for the next attempt; a job with one attempt is sent once."""
    async with serve(read_then_close, answering(OK)) as server:
        await fetch(client, request_to(server))
        with pytest.raises(SendError, match="closed the connection without a response"):
            await fetch(client, request_to(server, method, b"work"))
        assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize(
    ("method", "is_sent", "has_begun", "expected"),
    [
        ("GET", True, False, True),
        ("GET", True, True, False),
        ("POST", True, False, False),
        ("POST", False, False, True),
        ("PATCH", False, False, True),
        ("POST", True, True, False),
    ],
)
async def test_what_was_not_written_may_be_sent_by_any_method(
    method: str, is_sent: bool, has_begun: bool, expected: bool
) -> None:
    """A request of which nothing left cannot have been carried out."""
    assert may_send_again(method, is_sent=is_sent, has_begun=has_begun) is expected


async def test_a_new_connection_is_not_tried_again(client: SocketClient) -> None:
    """The second try is the last, and a first connection has only one."""
    async with serve(read_then_close, answering(b""), answering(OK)) as server:
        await fetch(client, request_to(server))
        with pytest.raises(SendError):
            await fetch(client, request_to(server))
        assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_begun_answer_is_not_asked_for_again(client: SocketClient) -> None:
    """Once a byte has come, the failure is the outcome, on a reused connection too."""
    async with serve(answering(OK, b"H"), answering(OK)) as server:
        await fetch(client, request_to(server))
        with pytest.raises(SendError):
            await fetch(client, request_to(server))
        assert server.connections == 1


async def test_an_idle_connection_that_the_server_closes_is_dropped_at_once() -> None:
    """The end of an idle connection is noticed when it happens, not at the next request."""
    dropped = asyncio.Event()
    async with serve(answering(OK)) as server, asyncio.timeout(5):
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(lambda _: None, lambda _: dropped.set()), "127.0.0.1", server.port
        )
        reader = ResponseReader(is_head=False, max_header_bytes=1000)
        exchange = connection.start(b"GET / HTTP/1.1\r\n\r\n", reader, keep_alive=True)
        await exchange.head()
        assert reader.status == 200
        await dropped.wait()


class Socket(asyncio.Transport):
    """A client that notes what is written and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[object] = []
        self.is_aborted = False

    def write(self, data: object) -> None:
        """Note it."""
        self.written.append(data)

    def abort(self) -> None:
        """Note it."""
        self.is_aborted = True

    def get_write_buffer_size(self) -> int:
        """Return that all of it has left."""
        return 0


async def started(socket: Socket) -> tuple[Connection, Exchange]:
    """Return a connection over a socket and an exchange that has just begun on it."""
    connection = Connection(lambda _: None, lambda _: None)
    connection.connection_made(socket)
    reader = ResponseReader(is_head=False, max_header_bytes=1000)
    return connection, connection.start(b"GET / HTTP/1.1\r\n\r\n", reader, keep_alive=True)


async def turn() -> None:
    """Run the loop once."""
    gone = asyncio.Event()
    asyncio.get_running_loop().call_soon(gone.set)
    await gone.wait()


async def test_requests_of_one_turn_leave_together() -> None:
    """Nothing leaves while the loop still begins others; each request leaves in the next turn."""
    sockets = [Socket(), Socket()]
    for socket in sockets:
        await started(socket)
    assert [socket.written for socket in sockets] == [[], []]
    await turn()
    assert [socket.written for socket in sockets] == [[b"GET / HTTP/1.1\r\n\r\n"]] * 2


async def test_a_response_before_the_request_is_none() -> None:
    """Bytes that came before a request has left cannot answer it, and it does not leave then."""
    socket = Socket()
    connection, exchange = await started(socket)
    connection.data_received(OK)
    await turn()
    with pytest.raises(ProtocolError, match="before the request was sent"):
        await exchange.head()
    assert (socket.written, socket.is_aborted, exchange.response.has_begun) == ([], True, False)


async def test_a_request_that_was_given_up_does_not_leave() -> None:
    """Closed in the turn in which it began, an exchange writes to its closed socket no more."""
    socket = Socket()
    _, exchange = await started(socket)
    await exchange.aclose()
    await turn()
    assert (socket.written, socket.is_aborted) == ([], True)


async def test_an_idle_connection_expires(anyio_backend: object) -> None:
    """After `max_idle_seconds` the connection is closed, with no request to notice it."""
    client = SocketClient(max_idle_seconds=0.01)
    async with serve(answering_then_waiting(OK)) as server, asyncio.timeout(5):
        await fetch(client, request_to(server))
        await server.saw_eof.wait()
    await client.aclose()


@pytest.mark.parametrize("bound", ["max_idle_per_origin", "max_idle"])
async def test_idle_connections_are_bounded(bound: str) -> None:
    """With room for one idle connection the older of two is closed."""
    client = SocketClient(**{bound: 1})  # type: ignore[arg-type]  # the two integers only
    head, body = OK[:-2], OK[-2:]
    go = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head)
        await go.wait()
        writer.write(body)
        await wait_for_eof(reader)

    async with serve(script) as server, asyncio.timeout(5):
        streams = [(await begin(client, request_to(server)))[1] for _ in "12"]
        go.set()
        assert [await read(stream) for stream in streams] == [b"ok", b"ok"]
        await server.saw_eof.wait()
    await client.aclose()


# Connecting


async def test_addresses_are_tried_in_order(client: SocketClient) -> None:
    """The first address that answers is used."""

    async def addresses() -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]  # the server listens on 127.0.0.1 alone

    async with serve(answering(OK)) as server:
        url = server.url(host="target.invalid")
        request = request_to(server, url=url, addresses=addresses)
        assert await fetch(client, request) == (200, b"ok")
        assert b"Host: target.invalid:%d\r\n" % server.port in server.requests[0]


@pytest.mark.parametrize("addresses", [[], ["127.0.0.1"], ["localhost"]])
async def test_no_connection_is_a_connect_error(client: SocketClient, addresses: list[str]) -> None:
    """The error names the host; a name in place of an address is not resolved."""

    async def vetted() -> Sequence[str]:
        return addresses

    async with serve(answering(OK)) as server:
        port = server.port if addresses == ["localhost"] else 1
        url = f"http://target.invalid:{port}/"
        with pytest.raises(ConnectError, match=r"target\.invalid") as raised:
            await fetch(client, request_to(server, url=url, addresses=vetted))
        assert "127.0.0.1" not in str(raised.value), "the caller may not know what a name means"


async def test_a_refused_address_passes_through(client: SocketClient) -> None:
    """What the addresses callable raises is the caller's own."""

    class Refused(Exception):
        pass

    async def addresses() -> Sequence[str]:
        raise Refused

    with pytest.raises(Refused):
        await fetch(client, request_to(RawServer(port=9), addresses=addresses))


async def test_another_scheme_is_refused(client: SocketClient) -> None:
    """Only http and https exist here."""
    target = Endpoint("ftp", "h", 21, "h", "/")
    with pytest.raises(UnsendableRequest, match="ftp"):
        await client.send("GET", target, (), b"", loopback)


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A throwaway certificate authority."""
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str, **options: object) -> ssl.SSLContext:
    """A server's TLS with a certificate for `names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)  # type: ignore[arg-type]
    return context


@pytest.fixture
async def tls_client(authority: trustme.CA) -> AsyncIterator[SocketClient]:
    """A client that trusts the throwaway authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client = SocketClient(context)
    yield client
    await client.aclose()


@pytest.mark.parametrize("host", ["target.example", "target.example.", "127.0.0.1"])
async def test_tls_checks_the_urls_host(
    tls_client: SocketClient, authority: trustme.CA, host: str
) -> None:
    """The name, or the IP literal, in the URL is what the certificate must be for; reuse works."""
    context = server_context(authority, host.rstrip("."))
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    script = answering_then_waiting(OK, OK)
    async with serve(script, ssl_context=context) as server:
        url = server.url(scheme="https", host=host)
        assert await fetch(tls_client, request_to(server, url=url)) == (200, b"ok")
        assert await fetch(tls_client, request_to(server, url=url)) == (200, b"ok")
        assert server.connections == 1
    assert names == [None if host == "127.0.0.1" else "target.example"]


async def test_large_bodies_pass_through_tls(
    tls_client: SocketClient, authority: trustme.CA
) -> None:
    """4 MB up and 4 MB down through TLS's own buffers, twice over one connection."""
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000)
    context = server_context(authority, "127.0.0.1")
    async with serve(answering_then_waiting(response, response), ssl_context=context) as server:
        for _ in range(2):
            url = server.url(scheme="https")
            request = request_to(server, "POST", bytes(4_000_000), url=url)
            assert await fetch(tls_client, request) == (200, bytes(4_000_000))
        assert server.connections == 1


PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("names", "options", "is_trusted", "reason"),
    [
        (["other.example"], {}, True, "Hostname mismatch"),
        (["target.example"], {"not_before": PAST, "not_after": PAST}, True, "expired"),
        (["target.example"], {}, False, "certificate was refused"),
    ],
    ids=["bad name", "expired", "unknown authority"],
)
async def test_a_bad_certificate_is_a_connect_error(
    authority: trustme.CA,
    names: list[str],
    options: dict[str, object],
    is_trusted: bool,
    reason: str,
) -> None:
    """The message says what is wrong with the certificate."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client = SocketClient(context if is_trusted else None)
    server_tls = server_context(authority, *names, **options)
    async with serve(answering(OK), ssl_context=server_tls) as server:
        url = server.url(scheme="https", host="target.example")
        with pytest.raises(ConnectError, match=reason) as raised:
            await fetch(client, request_to(server, url=url))
        assert "target.example" in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", ".leading", "a" * 64 + ".example"])
async def test_a_failed_handshake_is_a_connect_error(tls_client: SocketClient, host: str) -> None:
    """A server that speaks no TLS, or a name no certificate can have, is no surprise."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK)

    async with serve(plain) as server:
        target = Endpoint("https", host, server.port, host, "/")
        with pytest.raises(ConnectError):
            await tls_client.send("GET", target, (), b"", loopback)

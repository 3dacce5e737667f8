"""The protocol that listeners speak: what leaves together, and what leaves at once."""

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from booper.server.gathering import MAX_HELD_BYTES
from booper.server.protocol import MAX_PIPELINED, HTTPProtocol

DEADLINE_SECONDS = 5.0

pytestmark = pytest.mark.anyio


# What the protocol and its limits take from uvicorn, which promises none of it.
PROTOCOL_PARTS = [
    "_start_asgi_task",
    "access_log",
    "access_logger",
    "app",
    "app_state",
    "asgi_version",
    "connection_lost",
    "connection_made",
    "connections",
    "cycle",
    "flow",
    "headers",
    "logger",
    "loop",
    "on_body",
    "on_message_complete",
    "on_response_complete",
    "pipeline",
    "root_path",
    "scheme",
    "send_400_response",
    "server_state",
    "shutdown",
    "timeout_keep_alive",
    "transport",
]
CYCLE_PARTS = [
    "chunked_encoding",
    "disconnected",
    "keep_alive",
    "message_event",
    "more_body",
    "response_complete",
    "response_started",
]

FLOW_PARTS = ("pause_reading", "resume_reading")


class Wire(asyncio.Transport):
    """A transport that hands over each write, and None once it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.put_nowait(bytes(data))

    def close(self) -> None:
        self._is_closed = True
        self.writes.put_nowait(None)

    def is_closing(self) -> bool:
        return self._is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    async def next(self) -> bytes | None:
        """Return the next write, waiting for it."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.writes.get()


def connected(app: ASGIApp) -> tuple[HTTPProtocol, Wire]:
    """Return a connection to an application, and its wire."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    protocol, wire = HTTPProtocol(config, ServerState(), {}), Wire()
    protocol.connection_made(wire)
    return protocol, wire


def head(length: int | None) -> Message:
    """Return the message that begins a response; None is a stream of no known length."""
    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def body(content: bytes, *, more: bool = False) -> Message:
    """Return the message of a piece of a response."""
    return {"type": "http.response.body", "body": content, "more_body": more}


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer shortly."""
    await send(head(5))
    await send(body(b"hello"))


async def test_uvicorn_still_has_what_the_protocol_uses() -> None:
    """uvicorn's own protocol has these names once it has read a request.

    If this fails with a newer uvicorn, `protocol.py` must change before the bound in
    `pyproject.toml` does.
    """
    config = uvicorn.Config(hello, ws="none", lifespan="off", log_config=None)
    protocol, wire = HttpToolsProtocol(config, ServerState(), {}), Wire()
    protocol.connection_made(wire)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [name for name in PROTOCOL_PARTS if not hasattr(protocol, name)] == []
    assert [name for name in CYCLE_PARTS if not hasattr(protocol.cycle, name)] == []
    assert [name for name in FLOW_PARTS if not hasattr(protocol.flow, name)] == []
    assert STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"
    assert (await wire.next() or b"").startswith(STATUS_LINE[200])
    protocol.shutdown()


async def test_a_response_is_one_write() -> None:
    """Head and body leave together."""
    protocol, wire = connected(hello)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await wire.next() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert wire.writes.empty()


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"a\r\nset-cookie: b"),
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x", b"a\0b"),
        (b"x", b"a\x0bb"),
        (b"x", b"a\x7fb"),
        (b"x: y\r\nz", b"a"),
        (b"x y", b"a"),
        (b"", b"a"),
    ],
)
async def test_a_header_that_breaks_out_of_its_line_is_not_sent(
    header: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """The response is an error of the server instead (RFC 9110 §5.5, RFC 9112 §5)."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [header]})

    protocol, wire = connected(app)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    sent = await wire.next() or b""
    assert sent.startswith(b"HTTP/1.1 500 ")
    assert b"cookie" not in sent
    assert "Exception in ASGI application" in caplog.text


@pytest.mark.parametrize(
    ("request_line", "status", "headers", "expected"),
    [
        ("GET / HTTP/1.1", 200, [], b"transfer-encoding: chunked\r\n\r\n"),
        ("HEAD / HTTP/1.1", 200, [], b"\r\n"),
        ("GET / HTTP/1.1", 204, [], b"\r\n"),
        ("GET / HTTP/1.1", 304, [(b"ETag", b"a\tb")], b"etag: a\tb\r\n\r\n"),
        (
            "GET / HTTP/1.1",
            200,
            [(b"Connection", b"Close, x"), (b"Content-Length", b"0")],
            b"connection: Close, x\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "GET / HTTP/1.0",
            200,
            [(b"Content-Length", b"0")],
            b"content-length: 0\r\nconnection: close\r\n\r\n",
        ),
    ],
)
async def test_the_head_of_a_response_frames_its_body(
    request_line: str, status: int, headers: list[tuple[bytes, bytes]], expected: bytes
) -> None:
    """By a length, by chunks, or by its end (RFC 9112 §6.3)."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await receive()

    protocol, wire = connected(app)
    protocol.data_received(f"{request_line}\r\nHost: a\r\n\r\n".encode())
    assert await wire.next() == STATUS_LINE[status] + expected
    protocol.shutdown()


async def test_a_head_request_is_answered_without_a_body() -> None:
    """The head leaves though no body follows it (RFC 9110 §9.3.2)."""
    protocol, wire = connected(hello)
    protocol.data_received(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await wire.next() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    assert wire.writes.empty()


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Each has its own response."""
    protocol, wire = connected(hello)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    responses = b""
    while responses.count(b"hello") < 2:
        responses += await wire.next() or b""
    assert responses == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello" * 2


async def test_a_segment_full_of_requests_is_read_bit_by_bit() -> None:
    """Only so many wait at a time; each is answered in its turn, with its own body."""
    begun, release = list[bytes](), asyncio.Event()

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["raw_path"])
        await release.wait()
        posted = b""
        while True:
            message = await receive()
            posted += message["body"]
            if not message["more_body"]:
                break
        await send(head(len(posted)))
        await send(body(posted))

    protocol, wire = connected(echo)
    count = 5 * MAX_PIPELINED
    protocol.data_received(
        b"".join(
            b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d" % (number, number)
            for number in range(count)
        )
    )
    assert len(protocol.pipeline) == MAX_PIPELINED
    release.set()
    responses, expected = b"", [b"%04d" % number for number in range(count)]
    while responses.count(b"HTTP/1.1 200 OK") < count or not responses.endswith(expected[-1]):
        responses += await wire.next() or b""
    assert [part[-4:] for part in responses.split(b"HTTP/1.1 200 OK")[1:]] == expected
    assert begun == [b"/%d" % number for number in range(count)]


async def test_a_connection_is_closed_behind_its_response() -> None:
    """The whole response leaves before the close that the client asked for."""
    protocol, wire = connected(hello)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    response = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
    assert await wire.next() == response
    assert await wire.next() is None


async def test_each_piece_of_a_stream_leaves_when_it_is_there() -> None:
    """Neither the head nor a piece waits for the next piece."""
    produce = asyncio.Queue[bytes]()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send(head(None))
        while piece := await produce.get():
            await send(body(piece, more=True))
        await send(body(b""))

    protocol, wire = connected(stream)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await wire.next() == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    for piece, written in (
        (b"one", b"3\r\none\r\n"),
        (b"two", b"3\r\ntwo\r\n"),
        (b"", b"0\r\n\r\n"),
    ):
        produce.put_nowait(piece)
        assert await wire.next() == written


async def test_a_stream_that_never_waits_is_not_gathered() -> None:
    """Over the limit a write leaves at once, so that the transport can tell it to pause."""
    piece = b"x" * (MAX_HELD_BYTES + 1)
    written_between = []

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send(head(2 * len(piece)))
        for more in (True, False):
            await send(body(piece, more=more))
            written_between.append(wire.writes.qsize())

    protocol, wire = connected(flood)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await wire.next()
    assert await wire.next() == piece
    assert written_between == [1, 2]


async def test_a_body_is_invited_at_once() -> None:
    """`100 Continue` leaves before the body has come (RFC 9110 §10.1.1)."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        posted = (await receive())["body"]
        await send(head(len(posted)))
        await send(body(posted))

    protocol, wire = connected(echo)
    protocol.data_received(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    assert await wire.next() == b"HTTP/1.1 100 Continue\r\n\r\n"
    protocol.data_received(b"hi")
    assert await wire.next() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


async def test_nothing_is_written_to_a_client_who_has_left() -> None:
    """What was held when the connection ended is dropped, without a word in the log."""
    written = asyncio.Event()

    async def response(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        wire.close()
        written.set()

    protocol, wire = connected(response)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(DEADLINE_SECONDS):
        await written.wait()
    assert await wire.next() is None
    assert wire.writes.empty()


async def test_what_is_no_http_is_refused() -> None:
    """The refusal leaves before the close."""
    protocol, wire = connected(hello)
    protocol.data_received(b"nonsense\r\n\r\n")
    refusal = await wire.next()
    assert refusal is not None
    assert refusal.startswith(b"HTTP/1.1 400 ")
    assert await wire.next() is None

"""Responses that break the rules: what is read all the same, and what is only noted."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from booper.guard.target import parse_target
from booper.http.body import Body, read_body
from booper.http.client import SocketClient
from booper.http.errors import ProtocolError
from booper.http.response import DONE, ResponseReader
from tests.support.http_server import read_request, serve, wait_for_eof

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n\r\nok"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MAX_HEADER_BYTES = 1000


def read(data: bytes, *, step: int = 0) -> ResponseReader:
    """Read the response to a GET, in pieces of `step` bytes, then the end of the connection."""
    reader = ResponseReader(is_head=False, max_header_bytes=MAX_HEADER_BYTES)
    size = step or max(1, len(data))
    for start in range(0, len(data), size):
        if reader.phase is not DONE:
            reader.feed(data[start : start + size])
    reader.feed_eof()
    return reader


# --- what every client reads ----------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 7], ids=["at once", "by bytes", "by sevens"])
@pytest.mark.parametrize(
    ("head", "headers"),
    [
        # RFC 9112 §5.2: a user agent MUST replace each fold by one or more spaces.
        (OK + b"X-A: a\r\n b\r\n", [(b"X-A", b"a b")]),
        (OK + b"X-A: a\r\n\tb\r\n", [(b"X-A", b"a b")]),
        (OK + b"X-A: a\r\n b\r\n c\r\n", [(b"X-A", b"a b c")]),
        (OK + b"X-A:\r\n b\r\n", [(b"X-A", b"b")]),
        (OK + b"X-A: a\r\n b\r\nX-B: c\r\n", [(b"X-A", b"a b"), (b"X-B", b"c")]),
        # §2.2: a recipient MAY recognize a single LF as a line terminator.
        (b"HTTP/1.1 200 OK\nX-A: a\n", [(b"X-A", b"a")]),
        (b"HTTP/1.1 200 OK\r\nX-A: a\nX-B: b\r\n", [(b"X-A", b"a"), (b"X-B", b"b")]),
        (b"HTTP/1.1 200\nX-A: a\n", [(b"X-A", b"a")]),
        (b"HTTP/1.1 200 OK\nX-A: a\n b\n", [(b"X-A", b"a b")]),
        (b"HTTP/1.1 103 E\nLink: x\n\nHTTP/1.1 200 OK\nX-A: a\n", [(b"X-A", b"a")]),
        (b"HTTP/1.1 100 C\r\n\r\n" + OK + b"X-A: a\r\n b\r\n", [(b"X-A", b"a b")]),
    ],
    ids=lambda value: repr(value) if isinstance(value, bytes) else None,
)
def test_folded_headers_and_bare_line_feeds_are_read(
    head: bytes, headers: list[tuple[bytes, bytes]], step: int
) -> None:
    """The response is as good as any other, however its bytes arrive."""
    reader = read(head + LENGTH, step=step)
    assert (reader.status, reader.headers) == (200, [*headers, (b"Content-Length", b"2")])
    assert (reader.take(), reader.fault, reader.is_cut) == (b"ok", "", False)


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Content-Length:\r\n 2\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n",
        OK + b"X: a\nContent-Length: 2\r\n\n",
    ],
    ids=repr,
)
def test_a_length_is_read_wherever_it_stands(head: bytes) -> None:
    """A connection whose response was read leniently ends where any other does."""
    reader = read(head + b"ok")
    assert (reader.take(), reader.keeps_alive, reader.fault) == (b"ok", True, "")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"", None),
        (b"Keep-Alive: timeout=5\r\n", 4.0),
        (b"keep-alive: max=100, timeout=72\r\n", 71.0),
        (b"Keep-Alive: Timeout=1\r\n", 0.0),
        (b"Keep-Alive: max=5\r\n", None),
        (b"Keep-Alive: timeout=soon\r\n", None),
    ],
)
def test_a_connection_is_used_no_more_before_its_server_closes_it(
    header: bytes, seconds: float | None
) -> None:
    """A second less than the server keeps it idle (RFC 2068 §19.7.1.1)."""
    reader = read(OK + header + LENGTH)
    assert (reader.keeps_alive, reader.idle_seconds) == (True, seconds)


def test_folds_do_not_raise_the_limit() -> None:
    """Folded lines count as much as others."""
    reader = read(OK + b"X: a\r\n" + b" b\r\n" * 800 + LENGTH)
    assert (reader.status, reader.fault) == (200, "response headers over 1000 bytes")


# --- faults behind the status line ----------------------------------------------------------------


FAULTS: list[tuple[bytes, str, bytes]] = [
    (OK + b"X: a\0b\r\n" + LENGTH, "header value", b""),
    (OK + b"X: a\x1bb\r\n" + LENGTH, "header value", b""),
    (OK + b"X: a\r\n \x1bb\r\n" + LENGTH, "control character in header b'X'", b""),
    (OK + b"X: a\rY: b\r\n" + LENGTH, "malformed response", b""),
    (OK + b"X Y: a\r\n" + LENGTH, "header token", b""),
    (OK + b"X : a\r\n" + LENGTH, "header token", b""),
    (OK + b"no colon\r\n" + LENGTH, "header token", b""),
    # RFC 9112 §2.2: such a line would be read as a header by some.
    (OK + b" X: a\r\n" + LENGTH, "white space before the first header", b""),
    (b"HTTP/1.1 200 OK\n X: a\n" + LENGTH, "white space before the first header", b""),
    # §6.3: framing that two readers could read in two ways.
    (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "Content-Length", b""),
    (OK + b"Content-Length: -1\r\n\r\n", "Content-Length", b""),
    (OK + b"Content-Length: x\r\n\r\n", "Content-Length", b""),
    (OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer", b""),
    (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer-encoding", b""),
    (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "transfer-enc", b""),
    # §7.1: a body whose pieces cannot be told apart is kept as far as it was read.
    (CHUNKED + b"2\r\nok\r\nz\r\n", "chunk size", b"ok"),
    (CHUNKED + b"2\r\nokay\r\n0\r\n\r\n", "malformed response", b"ok"),
    (OK + b"X: " + b"x" * 2000 + b"\r\n" + LENGTH, "response headers over 1000 bytes", b""),
    (OK + b"X: " + b"x" * 5000, "response headers over 1000 bytes", b""),
]


@pytest.mark.parametrize("step", [0, 1], ids=["at once", "by bytes"])
@pytest.mark.parametrize(
    ("data", "fault", "body"), FAULTS, ids=[repr(data[15:70]) for data, _, _ in FAULTS]
)
def test_the_status_stands_in_spite_of_a_fault_behind_it(
    data: bytes, fault: str, body: bytes, step: int
) -> None:
    """What the target has done is not repeated; the fault is noted, and the connection closed."""
    reader = read(data, step=step)
    assert reader.status == 200
    assert fault in reader.fault
    assert (reader.take(), reader.is_cut, reader.keeps_alive) == (body, True, False)


@pytest.mark.parametrize(
    "end",
    [b"1;" + b"x" * 2000 + b"\r\na\r\n0\r\n\r\n", b"0\r\nX: " + b"x" * 2000 + b"\r\n\r\n"],
    ids=["extensions", "trailers"],
)
def test_framing_without_end_is_a_fault(end: bytes) -> None:
    """Chunk extensions and trailers could go on for ever without a byte of body."""
    reader = read(CHUNKED + b"2\r\nok\r\n" + end, step=7)
    assert (reader.status, reader.take()) == (200, b"ok")
    assert reader.fault == "chunk extensions or trailers over 1000 bytes"


@pytest.mark.parametrize("status", [b"200", b"204", b"302", b"404", b"500", b"599"])
def test_every_final_status_stands(status: bytes) -> None:
    """A failure stays one, and keeps its number."""
    reader = read(b"HTTP/1.1 " + status + b" X\r\nX Y: a\r\n\r\n")
    assert reader.status == int(status)
    assert reader.fault != ""


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 101 S\r\nX Y: a\r\n\r\n",
        b"HTTP/1.1 103 E\r\nX Y: a\r\n\r\n",
        b"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 103 E\r\nX Y: a\r\n\r\n" + OK + LENGTH,
        b"HTTP/1.0 100 C\r\n\r\n" + OK + LENGTH,
        b"HTTP/1.1 099 X\r\nX Y: a\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nX Y: a\r\n\r\n",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"X: HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=repr,
)
def test_without_a_final_status_line_there_is_no_response(data: bytes) -> None:
    """Interim responses, other versions and half a line say nothing about the work."""
    for step in (0, 1):
        with pytest.raises(ProtocolError):
            read(data, step=step)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (OK + b"X: a", "before the end of the headers"),
        (OK + b"Content-Length: 3\r\n\r\nab", "before the end of the body"),
        (CHUNKED + b"2\r\nok\r\n", "before the end of the body"),
        (b"", "without a response"),
    ],
    ids=["head", "length", "chunks", "nothing"],
)
def test_what_is_cut_off_fails(data: bytes, where: str) -> None:
    """Its rest may carry the meaning of the status (RFC 9112 §8)."""
    with pytest.raises(ProtocolError, match=where):
        read(data)


@pytest.fixture
async def client() -> AsyncIterator[SocketClient]:
    """A client with the defaults."""
    client = SocketClient()
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (OK + b"X-A: a\r\n b\r\n" + LENGTH, b"ok"),
        (OK + b"X Y: a\r\n" + LENGTH, b""),
        (CHUNKED + b"2\r\nok\r\nz\r\n", b"ok"),
    ],
    ids=["folded", "fault in the head", "fault in the body"],
)
async def test_a_response_with_a_fault_comes_through_the_client(
    client: SocketClient, data: bytes, content: bytes
) -> None:
    """Its fault is known once the body was read, and its connection is closed."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(data)
        await wait_for_eof(reader)

    async def addresses() -> Sequence[str]:
        return ["127.0.0.1"]

    async with serve(script) as server, asyncio.timeout(5):
        target = parse_target(server.url())
        response = await client.send("GET", target, (), b"", addresses)
        body = await read_body(response.stream, 100)
        assert (response.status, body.content) == (200, content)
        assert body.is_cut == (body.fault != "")
        if body.fault:
            await server.saw_eof.wait()
        assert isinstance(body, Body)

"""Handing calls to the holder: what is asked again, what is given up, and how streams pass.

The holder is a script on a real Unix socket; the calls are made as an ASGI server makes them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import Message, Scope

from booper.server.relay import Bounds, Relay

pytestmark = pytest.mark.anyio

MAX_BYTES = 100_000
DEADLINE_SECONDS = 10.0
# A test that shows how a call is given up waits this long for it.
SHORT = Bounds(holder_seconds=0.1, response_seconds=0.1)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: then\r\nX-Own: 1\r\n\r\nok"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf of it"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Holder:
    """A process behind a socket, as a script for each connection; the last one repeats."""

    scripts: list[Answering]
    requests: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Follow the next script; its connection ends with it, or with the holder."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
                await self._follow(reader, writer)
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        self.requests.append(await request_on(reader))
        self.asked.set()
        await script(reader, writer)
        if not writer.is_closing():
            while await reader.read(65536):
                pass
            self.left.set()


async def request_on(reader: asyncio.StreamReader) -> bytes:
    """Read one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


def response(data: bytes) -> Answering:
    """Write this, and wait."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return script


async def oblige(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection."""
    writer.write(OK)
    while True:
        await request_on(reader)
        writer.write(OK)


def die(data: bytes = b"") -> Answering:
    """Write this, and close, as a process that ends does."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return script


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the holder listens."""
    return tmp_path / "holder.sock"


@asynccontextmanager
async def holding(path: Path, *scripts: Answering) -> AsyncIterator[Holder]:
    """Run a holder at a path."""
    holder = Holder(list(scripts))
    server = await asyncio.start_unix_server(holder.serve, path)
    try:
        yield holder
    finally:
        server.close()
        for task in tuple(holder.tasks):
            task.cancel()
        await asyncio.gather(*holder.tasks)


@asynccontextmanager
async def calling(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    """Call a relay, mounted in another program."""
    program = Starlette(routes=[Mount("/booper", relay)])
    transport = httpx.ASGITransport(program)
    try:
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://program.test") as client,
            asyncio.timeout(DEADLINE_SECONDS),
        ):
            yield client
    finally:
        relay.close()


async def called(
    relay: Relay, disconnect: asyncio.Event, **different: object
) -> tuple["asyncio.Task[None]", "asyncio.Queue[Message]"]:
    """Call a relay as a server does; the queue has what comes of it."""
    sent: asyncio.Queue[Message] = asyncio.Queue()
    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await disconnect.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.put_nowait(message)

    usual = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": []}
    scope: Scope = {**usual, **different}
    return asyncio.create_task(relay(scope, receive, send)), sent


def relay_to(path: Path, bounds: Bounds | None = None) -> Relay:
    """Make a relay to whoever listens at a path."""
    return Relay(lambda: path, MAX_BYTES, bounds)


async def told(request: Request) -> PlainTextResponse:
    """Answer, as this process's own application, what was asked."""
    body = (await request.body()).decode()
    return PlainTextResponse(f"here: {request.method} {body}")


HERE = Starlette(routes=[Route("/x", told, methods=["GET", "POST"])])


async def test_a_call_is_handed_on(path: Path) -> None:
    """Method, path, query, headers and body arrive; the prefix of the mount does not."""
    async with holding(path, response(OK)) as holder, calling(relay_to(path)) as client:
        answered = await client.post(
            "/booper/a%20b/%C3%BC?q=1&r=%20", content=b"body", headers={"X-Mine": "2"}
        )
    assert (answered.status_code, answered.text, answered.headers["x-own"]) == (200, "ok", "1")
    assert "date" not in answered.headers  # whoever listens adds one
    head, _, body = holder.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert first == b"POST /a%20b/%C3%BC?q=1&r=%20 HTTP/1.1"
    assert b"x-mine: 2" in headers
    assert b"Content-Length: 4" in headers
    assert body == b"body"


async def test_connections_are_used_again(path: Path) -> None:
    """A second call shortly after the first one needs no connection of its own."""

    async with holding(path, oblige) as holder, calling(relay_to(path)) as client:
        for _ in range(2):
            assert (await client.get("/booper/x")).text == "ok"
    assert len(holder.requests) == 1  # it notes the first of a connection


async def test_headers_of_the_connection_are_not_handed_on(path: Path) -> None:
    """Where a body ends is said by the relay alone, whatever the caller says (RFC 9112 §11.2)."""
    lies = {
        "Content-Length": "3",
        "Transfer-Encoding": "chunked",
        "Connection": "close, x-mine",
        "Expect": "100-continue",
    }
    body = b"0\r\n\r\nPOST /api/keys HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n"
    async with holding(path, response(OK)) as holder, calling(relay_to(path)) as client:
        assert (await client.post("/booper/x", content=body, headers=lies)).text == "ok"
    head, _, sent = holder.requests[0].partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert names.count(b"content-length") == 1
    assert not {b"transfer-encoding", b"connection", b"expect"} & set(names)
    assert b"Content-Length: %d" % len(body) in head
    assert sent == body


@pytest.mark.parametrize(
    "broken",
    [
        {"headers": [(b"x", b"1\r\nContent-Length: 9")]},
        {"headers": [(b"x\r\nhost", b"y")]},
        {"headers": [(b"host", b"a"), (b"host", b"b")]},
        {"query_string": b"a HTTP/1.1\r\nX: y"},
        {"method": "GET / HTTP/1.1\r\nX: y"},
    ],
)
async def test_nothing_breaks_out_of_its_place(path: Path, broken: dict[str, object]) -> None:
    """What would be another request once it is spelled is refused, whoever has let it in."""
    async with holding(path, response(OK)) as holder:
        task, sent = await called(relay_to(path), asyncio.Event(), **broken)
        await task
    assert sent.get_nowait()["status"] == 400
    assert holder.requests == []


async def test_a_path_is_spelled_anew(path: Path) -> None:
    """Whatever characters a path has, the holder reads the same path, and nothing behind it."""
    async with holding(path, die(OK)) as holder:
        task, sent = await called(relay_to(path), asyncio.Event(), path="/x HTTP/1.1\r\nY: %z")
        await task
    assert sent.get_nowait()["status"] == 200
    assert holder.requests[0].startswith(b"GET /x%20HTTP/1.1%0D%0AY:%20%25z HTTP/1.1\r\n")


async def test_a_body_over_the_limit_is_refused_here(path: Path) -> None:
    """The holder does not see a body that it would not take."""
    async with holding(path, response(OK)) as holder, calling(relay_to(path)) as client:
        answered = await client.post("/booper/x", content=b"x" * (MAX_BYTES + 1))
    assert answered.status_code == 413
    assert holder.requests == []


async def test_large_bodies_may_not_take_all_memory(path: Path) -> None:
    """Once too many bytes wait for their ends, a large body is refused; a small one is not."""
    relay = relay_to(path, Bounds(small_bytes=10, waiting_bytes=1000))
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 995
        begun.set()
        await gate.wait()

    async with holding(path, oblige), calling(relay) as client:
        waiting = asyncio.create_task(client.post("/booper/x", content=slow()))
        await begun.wait()
        assert (await client.post("/booper/x", content=b"y" * 11)).status_code == 503
        assert (await client.post("/booper/x", content=b"y" * 9)).status_code == 200
        gate.set()
        assert (await waiting).status_code == 200
        assert (await client.post("/booper/x", content=b"y" * 11)).status_code == 200


@pytest.mark.parametrize("left", ["nothing", "the socket of a dead process"])
async def test_a_call_waits_for_a_holder(path: Path, left: str) -> None:
    """While nobody listens nothing was sent, so even a create waits, and arrives once."""
    if left != "nothing":
        async with holding(path, response(OK)):
            pass
    async with calling(relay_to(path)) as client:
        waiting = asyncio.create_task(client.post("/booper/x", content=b"create"))
        await asyncio.wait({waiting}, timeout=0.02)
        async with holding(path, response(OK)) as holder:
            assert (await waiting).text == "ok"
    assert len(holder.requests) == 1


async def test_a_call_is_given_up_if_no_holder_comes(path: Path) -> None:
    """After a while it is answered 503, with when to come again."""
    async with calling(relay_to(path, SHORT)) as client:
        answered = await client.post("/booper/x", content=b"create")
    assert answered.status_code == 503
    assert int(answered.headers["retry-after"]) >= 1
    assert "nothing was done" in answered.json()["detail"]


@pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 200 O", CUT])
async def test_what_only_reads_is_asked_again(path: Path, cut: bytes) -> None:
    """A GET that a dying holder has not answered to the end is answered by the next one."""
    async with (
        holding(path, die(cut), response(OK)) as holder,
        calling(relay_to(path)) as client,
    ):
        answered = await client.get("/booper/x")
    assert (answered.status_code, answered.text) == (200, "ok")
    assert len(holder.requests) == 2


@pytest.mark.parametrize("cut", [b"", CUT])
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_what_changes_is_never_sent_twice(path: Path, method: str, cut: bytes) -> None:
    """A create that a dying holder may have carried out is answered 503, which says so."""
    async with (
        holding(path, die(cut), response(OK)) as holder,
        calling(relay_to(path)) as client,
    ):
        answered = await client.request(method, "/booper/x")
    assert answered.status_code == 503
    assert "retry-after" in answered.headers
    assert "may have been carried out" in answered.json()["detail"]
    assert len(holder.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_holder_that_hangs_is_given_up(path: Path, method: str) -> None:
    """A call that is not answered in time is answered 503, and its connection closed."""
    async with (
        holding(path, response(b"")) as holder,
        calling(relay_to(path, SHORT)) as client,
    ):
        assert (await client.request(method, "/booper/x")).status_code == 503
        await holder.left.wait()


async def test_who_waits_is_answered_by_the_successor(path: Path) -> None:
    """A create that was never sent is this process's own, once it has taken over."""
    relay = relay_to(path)
    async with calling(relay) as client:
        waiting = asyncio.create_task(client.post("/booper/x", content=b"body"))
        await asyncio.wait({waiting}, timeout=0.02)
        relay.hand_over(HERE)
        assert (await waiting).text == "here: POST body"
        assert (await client.get("/booper/x")).text == "here: GET "


async def test_the_connections_of_a_dead_holder_end_with_the_takeover(path: Path) -> None:
    """Even if its sockets stay open, as in a process forked from it: a GET is asked again here."""
    relay = relay_to(path)
    async with holding(path, response(b"")) as holder, calling(relay) as client:
        reading = asyncio.create_task(client.get("/booper/x"))
        await holder.asked.wait()
        holder.asked.clear()
        creating = asyncio.create_task(client.post("/booper/x", content=b"body"))
        await holder.asked.wait()
        relay.hand_over(HERE)
        assert (await reading).text == "here: GET "
        assert (await creating).status_code == 503


async def test_a_stream_passes_piece_by_piece(path: Path) -> None:
    """Each piece leaves when it has come, and the end is the holder's, even if it dies."""
    step = asyncio.Queue[bytes]()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM)
        while piece := await step.get():
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.close()

    async with asyncio.timeout(DEADLINE_SECONDS), holding(path, script):
        task, sent = await called(relay_to(path), asyncio.Event())
        assert (await sent.get())["status"] == 200
        for piece in (b"data: 1\n\n", b"data: 2\n\n"):
            step.put_nowait(piece)
            assert (await sent.get())["body"] == piece
        step.put_nowait(b"")
        last = await sent.get()
        assert not last.get("more_body", False)
        await task


async def test_a_reader_that_goes_ends_its_stream(path: Path) -> None:
    """When the client of a stream leaves, the holder's connection is closed."""
    disconnect = asyncio.Event()
    async with asyncio.timeout(DEADLINE_SECONDS), holding(path, response(STREAM)) as holder:
        task, sent = await called(relay_to(path), disconnect)
        assert (await sent.get())["type"] == "http.response.start"
        disconnect.set()
        await holder.left.wait()
        await task


async def test_a_cancelled_stream_is_closed(path: Path) -> None:
    """When the server gives a stream up, the holder's connection is closed."""
    async with asyncio.timeout(DEADLINE_SECONDS), holding(path, response(STREAM)) as holder:
        task, sent = await called(relay_to(path), asyncio.Event())
        await sent.get()
        task.cancel()
        await holder.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await task

"""What a connection may ask of the listener, over real sockets; time is told, not waited for."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from booper.api.bodies import Unread, read_body
from booper.api.problems import ProblemResponse
from booper.clock import monotonic
from booper.errors import BodyTooLarge, MalformedBody
from booper.server.limits import MAX_UNWANTED_BYTES, SPARE_CONNECTIONS, Limits
from booper.server.listener import Listener
from tests.support.loops import both_loops

pytestmark = pytest.mark.anyio

anyio_backend = both_loops

DEADLINE_SECONDS = 10.0
MAX_BODY_BYTES = 1 << 20
GET = b"GET /quick HTTP/1.1\r\nHost: booper.test\r\n\r\n"
LIMITS = Limits(connections=600)


class Application:
    """A few ways to answer; `read` tells which bodies reached it."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.began = asyncio.Event()
        self.read: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the path."""
        request = Request(scope, receive, send)
        self.began.set()
        match request.url.path:
            case "/body":
                response = await self._body(request)
            case "/feed":
                response = StreamingResponse(self._feed())
            case "/flood":
                response = StreamingResponse(_flood())
            case "/slow":
                await self.release.wait()
                response = PlainTextResponse("slow")
            case _:
                response = PlainTextResponse("quick")
        await response(scope, receive, send)

    async def _body(self, request: Request) -> Any:
        try:
            unread = Unread(dict(request.headers.raw), request.receive)
            self.read.append(await read_body(unread, MAX_BODY_BYTES))
        except (BodyTooLarge, MalformedBody) as error:
            return ProblemResponse(error)
        return PlainTextResponse(str(len(self.read[-1])))

    async def _feed(self) -> AsyncIterator[bytes]:
        yield b"first"
        await self.release.wait()
        yield b"last"


FLOOD_BYTES = 1_000 * 65_536


async def _flood() -> AsyncIterator[bytes]:
    for _ in range(1_000):
        yield b"x" * 65_536


@dataclass
class Answer:
    """What came back on a raw connection."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def response(self) -> Answer:
        """Read one response that has a length."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(head[0].split()[1]), headers, body)

    async def end(self) -> bytes:
        """Wait until the other side writes no more, and return what it still wrote."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.read()


@dataclass
class House:
    """A listener and its clients."""

    listener: Listener
    application: Application
    address: tuple[str, int]
    stack: AsyncExitStack

    async def connect(self, data: bytes = b"") -> Client:
        """Open a connection and send bytes on it."""
        reader, writer = await asyncio.open_connection(*self.address)
        self.stack.callback(writer.close)
        client = Client(reader, writer)
        await client.send(data)
        return client

    async def settle(self, count: int) -> None:
        """Return once the listener has this many connections, and all they sent so far."""
        client = await self.connect(GET)
        await client.response()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.listener.server_state.connections) != count + 1:
                await client.send(GET)
                await client.response()
        # When it sees its own end, the listener has let go of it.
        await client.send(request(b"GET /quick", b"Connection: close"))
        await client.response()
        await client.end()

    async def exactly(self, count: int) -> None:
        """Return once the listener has this many connections and no request half read."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.listener.server_state.connections) != count:
                await turn()
        await turn()

    async def under_way(self, count: int) -> None:
        """Return once this many requests are being answered."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.listener.server_state.tasks) != count:
                await turn()

    def expire(self, seconds: float) -> None:
        """Move the listener's clock on by this much."""
        self.listener.expire(monotonic() + seconds)


async def turn() -> None:
    """Run the event loop until it has looked at its sockets once."""
    turned = asyncio.Event()
    asyncio.get_running_loop().call_later(0, turned.set)
    await turned.wait()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Run a listener on a free port."""
    async with opened(LIMITS) as running:
        yield running


@asynccontextmanager
async def opened(limits: Limits, is_crowded: Callable[[], bool] = bool) -> AsyncIterator[House]:
    """Run a listener with these limits on a free port."""
    application = Application()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        address = listening.getsockname()[:2]
        listener = Listener(application, 1.0, [listening], limits, is_crowded)
        async with AsyncExitStack() as stack:
            task = asyncio.create_task(listener.listen())
            yield House(listener, application, address, stack)
            application.release.set()
            await stack.aclose()
            listener.close()
            await task


def assert_problem(response: Answer, status: int) -> None:
    """Check that a response is problem details of this status, and the connection's last."""
    assert response.status == status, response
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["connection"] == "close"
    assert "date" in response.headers
    problem = json.loads(response.body)
    assert problem["status"] == status
    assert {"type", "title", "detail"} <= set(problem)


def request(line: bytes, *headers: bytes) -> bytes:
    """Return a request's head."""
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: booper.test", *headers, b"", b""])


SLOW = request(b"GET /slow")
HALF_A_BODY = request(b"POST /body", b"Content-Length: 10") + b"12345"
MANY_HEADERS = [b"X-%d: y" % number for number in range(LIMITS.headers)]
CHUNKED = request(b"POST /body", b"Transfer-Encoding: chunked")

# what is sent, the status of the response (RFC 9110 §15.5, RFC 6585 §5)
REFUSED = {
    "a long URL": (request(b"GET /" + b"x" * LIMITS.url_bytes), 414),
    "a URL without end": (b"GET /" + b"x" * 70_000, 414),
    "one header too many": (request(b"GET /quick", *MANY_HEADERS), 431),
    "a long header": (request(b"GET /quick", b"X: " + b"y" * LIMITS.head_bytes), 431),
    "a header without end": (b"GET /quick HTTP/1.1\r\nX: " + b"y" * 70_000, 431),
    "a name without end": (b"GET /quick HTTP/1.1\r\n" + b"y" * 70_000, 431),
    "trailers without end": (CHUNKED + b"0\r\nX: " + b"y" * 300_000, 431),
    "an extension without end": (CHUNKED + b"1;" + b"y" * 300_000, 431),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "a bad version": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "two lengths": (request(b"POST /body", b"Content-Length: 1", b"Content-Length: 2"), 400),
    "length and chunks": (
        request(b"POST /body", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        400,
    ),
    "a negative length": (request(b"POST /body", b"Content-Length: -1"), 400),
    "a huge length": (request(b"POST /body", b"Content-Length: " + b"9" * 30), 400),
    "a bare line feed in a header": (b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400),
    "space before the colon": (b"GET / HTTP/1.1\r\nX : a\r\n\r\n", 400),
    "a bad chunk": (CHUNKED + b"zz\r\n", 400),
    "a body over the limit": (request(b"POST /body", b"Content-Length: 1048577"), 413),
    "a body that is over it and comes": (
        request(b"POST /body", b"Content-Length: 4000000") + b"x" * 4_000_000,
        413,
    ),
    "chunks over the limit": (CHUNKED + b"400000\r\n" + b"x" * 0x400000 + b"\r\n0\r\n\r\n", 413),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_too_much_is_answered_and_ends_the_connection(
    house: House, case: str
) -> None:
    """The client gets the response, even if it goes on sending; nothing more is read."""
    data, status = REFUSED[case]
    client = await house.connect(data)
    assert_problem(await client.response(), status)
    assert await client.end() == b""
    assert house.application.read == []


async def test_a_head_at_its_limits_passes(house: House) -> None:
    """The limits themselves are allowed."""
    most_headers = request(b"GET /quick", *MANY_HEADERS[: LIMITS.headers - 1])
    for head in (request(b"GET /" + b"x" * (LIMITS.url_bytes - 1)), most_headers):
        client = await house.connect(head)
        assert (await client.response()).status == 200


async def test_a_refused_body_is_not_asked_for(house: House) -> None:
    """Who asks before sending (`Expect: 100-continue`) sends nothing that would be refused."""
    ask = (b"Content-Length: 2000000", b"Expect: 100-continue")
    client = await house.connect(request(b"POST /body", *ask))
    assert_problem(await client.response(), 413)


async def test_an_early_response_keeps_the_connection_unless_much_follows(house: House) -> None:
    """A short body that nobody wanted is passed over; a long one ends the connection."""
    body = b"x" * 1_000
    client = await house.connect(request(b"POST /quick", b"Content-Length: 1000"))
    assert (await client.response()).status == 200
    await client.send(body + GET)
    assert (await client.response()).status == 200
    length = b"Content-Length: %d" % (10 * MAX_UNWANTED_BYTES)
    await client.send(request(b"POST /quick", length))
    assert (await client.response()).status == 200
    await client.send(b"x" * (2 * MAX_UNWANTED_BYTES))
    assert await client.end() == b""


async def test_what_follows_garbage_does_not_cut_a_response(house: House) -> None:
    """A whole request is answered whole; only then does the connection end."""
    client = await house.connect(request(b"GET /slow"))
    await house.application.began.wait()
    await client.send(b"\x00garbage\r\n")
    await house.settle(1)
    house.application.release.set()
    response = await client.response()
    assert (response.status, response.body) == (200, b"slow")
    assert await client.end() == b""


async def test_a_client_that_goes_away_is_no_fault(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A body that ends early leaves no traceback, or anybody could fill the log with them."""
    client = await house.connect(request(b"POST /body", b"Content-Length: 10") + b"12345")
    await house.application.began.wait()
    client.writer.close()
    await house.settle(0)
    assert house.application.read == []
    assert caplog.messages == []


# what a client sends before it goes quiet, seconds it may be quiet, its response if it gets one
QUIET = {
    "nothing": (b"", 10, None),
    "half a head": (b"GET /quick HTTP/1.1\r\nHost: boo", 10, 408),
    "a line": (b"GET /quick HTTP/1.1\r\n", 10, 408),
    "empty lines": (b"\r\n\r\n\r\n", 10, None),
    "half a body": (request(b"POST /body", b"Content-Length: 10") + b"12345", 10, 408),
    "no body": (request(b"POST /body", b"Content-Length: 10"), 10, 408),
    "half a chunk": (CHUNKED + b"5\r\n12", 10, 408),
    "no trailers": (CHUNKED + b"0\r\n", 10, 408),
}


@pytest.mark.parametrize("case", QUIET)
async def test_a_client_that_keeps_booper_waiting_is_sent_away(house: House, case: str) -> None:
    """It is told why if a request was begun (RFC 9110 §15.5.9); two seconds later all is gone."""
    data, seconds, status = QUIET[case]
    client = await house.connect(data)
    await house.settle(1)
    house.expire(seconds - 1)
    assert len(house.listener.server_state.connections) == 1
    house.expire(seconds)
    if status is not None:
        assert_problem(await client.response(), status)
    assert await client.end() == b""
    house.expire(seconds + LIMITS.linger_seconds)
    await house.settle(0)


@pytest.mark.parametrize("drip", [b"", b"\r\n", b"GET /qu"])
async def test_an_idle_connection_is_closed(house: House, drip: bytes) -> None:
    """After a response the next request has to begin soon, and to be there soon after that."""
    client = await house.connect(GET)
    await client.response()
    await client.send(drip)
    await house.settle(1)
    house.expire(10.1)
    await client.end()
    house.expire(13)
    await house.settle(0)


async def test_a_byte_at_a_time_buys_no_time(house: House) -> None:
    """The deadline is the head's and the body's, however often something of it comes."""
    client = await house.connect(b"GET /quick HTTP/1.1\r\n")
    for byte in b"X-Drip: y":
        await client.send(bytes([byte]))
        await house.settle(1)
    house.expire(10)
    assert_problem(await client.response(), 408)


async def test_a_body_that_flows_has_the_time_it_needs(house: House) -> None:
    """Each 16 KiB buys a second: a large body over a slow line arrives whole."""
    length = 10 * LIMITS.bytes_per_second
    client = await house.connect(request(b"POST /body", b"Content-Length: %d" % (length + 1)))
    await client.send(b"x" * length)
    await house.settle(1)
    house.expire(19)
    await client.send(b"x")
    assert (await client.response()).body == b"%d" % (length + 1)


async def test_a_feed_lives_on(house: House) -> None:
    """Nobody waits for the client of an endless response; a day later it still gets it."""
    client = await house.connect(request(b"GET /feed"))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await client.reader.readuntil(b"first\r\n")
    house.expire(86_400)
    house.application.release.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await client.reader.readuntil(b"last\r\n")


async def test_a_long_response_is_waited_for(house: House) -> None:
    """A request that is there is never cut off, however long its response takes."""
    client = await house.connect(request(b"GET /slow"))
    await house.application.began.wait()
    await house.settle(1)
    house.expire(86_400)
    house.application.release.set()
    assert (await client.response()).body == b"slow"


async def test_a_body_behind_a_slow_response_has_its_own_time(house: House) -> None:
    """It is not read before its turn, so nobody waits for it before that."""
    client = await house.connect(SLOW + HALF_A_BODY)
    await house.application.began.wait()
    await house.settle(1)
    house.expire(86_400)
    house.application.release.set()
    assert (await client.response()).body == b"slow"
    await house.settle(1)
    house.expire(LIMITS.body_seconds - 1)
    await client.send(b"67890")
    assert (await client.response()).body == b"10"


async def test_half_a_request_behind_a_slow_response_does_not_cut_it(house: House) -> None:
    """A head that does not come is given up; what came before it is answered."""
    client = await house.connect(SLOW + b"GET /quick HT")
    await house.application.began.wait()
    await house.settle(1)
    house.expire(LIMITS.head_seconds + 1)
    house.application.release.set()
    assert (await client.response()).body == b"slow"
    assert await client.end() == b""


async def test_a_client_that_does_not_read_is_cut_off(house: House) -> None:
    """A response that nobody takes does not hold its connection and its buffers for ever."""
    with socket.create_connection(house.address) as client:
        client.sendall(request(b"GET /flood"))
        await house.application.began.wait()
        await house.settle(1)
        house.expire(0)
        await house.settle(1)
        house.expire(LIMITS.stall_seconds - 1)
        assert len(house.listener.server_state.connections) == 1
        house.expire(2 * LIMITS.stall_seconds)
        await house.settle(0)


async def test_a_client_that_reads_slowly_gets_all(house: House) -> None:
    """As long as some of a response is taken now and then it goes on, however long it takes."""
    loop, received = asyncio.get_running_loop(), bytearray()
    with socket.create_connection(house.address) as client:
        client.sendall(request(b"GET /flood"))
        client.setblocking(False)
        async with asyncio.timeout(DEADLINE_SECONDS):
            for hours in range(8):
                received += await loop.sock_recv(client, 4 << 20)
                await house.settle(1)
                house.expire(hours * 3_600)
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += await loop.sock_recv(client, 4 << 20)
    assert received.count(b"x") == FLOOD_BYTES


@pytest.mark.parametrize("is_crowded", [False, True])
async def test_a_slow_reader_is_cut_where_others_wait_for_its_memory(is_crowded: bool) -> None:
    """Alone it may take its time; else it is to read 256 KiB a second, after ten seconds."""
    async with opened(LIMITS, lambda: is_crowded) as house:
        reader, writer = await asyncio.open_connection(*house.address, limit=1 << 16)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        house.stack.callback(writer.close)
        writer.write(request(b"GET /flood"))
        await reader.readexactly(1)
        for second in range(30):
            await house.settle(1)
            house.expire(second)
            await reader.readexactly(LIMITS.crowded_bytes_per_second)
        await house.settle(1)
        # 30 * 256 KiB were read, and 48 * 256 KiB should have been
        house.expire(58)
        await house.settle(0 if is_crowded else 1)


async def test_the_listener_looks_at_its_deadlines_by_itself() -> None:
    """It wakes once a second for that; here everything is late at once."""
    async with opened(Limits(head_seconds=0, linger_seconds=0)) as house:
        client = await house.connect(b"GET /quick HT")
        assert_problem(await client.response(), 408)
        assert await client.end() == b""


async def test_too_many_connections_are_told_so(house: House) -> None:
    """One over the bound is answered 503; as soon as a place is free it is given."""
    held = [await house.connect(SLOW) for _ in range(LIMITS.connections)]
    await house.under_way(LIMITS.connections)
    over = [await house.connect(GET) for _ in range(8)]
    for client in over:
        response = await client.response()
        assert_problem(response, 503)
        assert response.headers["retry-after"] == "1"
    for client in [*over, *held[:5]]:
        client.writer.close()
    house.application.release.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await (await house.connect(GET)).response()).status != 200:
            pass  # until the listener has seen that they are gone


async def test_very_many_connections_are_cut_off() -> None:
    """Even the responses to those over the bound are bounded."""
    # Those over the bound stay for as long as it takes to make them all.
    async with opened(replace(LIMITS, linger_seconds=60.0)) as house:
        for _ in range(LIMITS.connections):
            await house.connect(SLOW)
        await house.under_way(LIMITS.connections)
        for _ in range(SPARE_CONNECTIONS):
            await house.connect()
        client = await house.connect()
        with suppress(ConnectionError):
            assert await client.end() == b""


# what each of very many clients has sent when it goes quiet
WAITS = {
    "nothing": b"",
    "empty lines": b"\r\n\r\n",
    "half a head": b"POST /body HTTP/1.1\r\nHost: boo",
    "a request that was answered": GET,
    "half a second head": GET + b"POST /body HT",
    "half a body": HALF_A_BODY,
    "half a chunk": request(b"POST /body", b"Transfer-Encoding: chunked") + b"5\r\n12",
}


@pytest.mark.parametrize("case", WAITS)
async def test_who_sends_a_request_goes_before_who_does_not(house: House, case: str) -> None:
    """However many connections wait for their clients, a request that comes is answered."""
    lazy = [await house.connect(WAITS[case]) for _ in range(LIMITS.connections + 80)]
    for _ in range(20):
        client = await house.connect(GET)
        assert (await client.response()).status == 200
    assert len(house.listener.server_state.connections) <= LIMITS.connections
    for client in lazy:
        client.writer.close()


async def test_the_longest_idle_connection_makes_room_and_none_that_is_served() -> None:
    """First one that never asked anything, then one between requests, then half a body."""
    async with opened(Limits(connections=4)) as house:
        served = await house.connect(SLOW)
        await house.application.began.wait()
        sending = await house.connect(HALF_A_BODY)
        idle = await house.connect(GET)
        assert (await idle.response()).status == 200
        new = await house.connect()
        await house.exactly(4)
        for first_gone in (new, idle, sending):
            another = await house.connect(SLOW)
            assert await first_gone.end() == b""
            await house.exactly(4)
            assert not another.reader.at_eof()
        assert_problem(await (await house.connect(GET)).response(), 503)
        house.application.release.set()
        assert (await served.response()).body == b"slow"


async def test_five_hundred_idle_and_dripping_connections_hinder_nobody(house: House) -> None:
    """Beside them the 99th percentile of healthy answers is under 100 ms; then they are closed."""
    starts = (b"", b"GET /quick HTTP/1.1\r\nX: ", CHUNKED + b"400\r\n", GET)
    lazy = [await house.connect(starts[number % 4]) for number in range(500)]
    healthy = await house.connect()
    took = list[float]()
    for number in range(300):
        lazy[4 * (number % 125) + 1].writer.write(b"y")
        lazy[4 * (number % 125) + 2].writer.write(b"y")
        began = monotonic()
        await healthy.send(GET)
        assert (await healthy.response()).status == 200
        took.append(monotonic() - began)
    assert sorted(took)[int(len(took) * 0.99)] < 0.1
    healthy.writer.close()
    house.expire(10.1)
    for client in lazy:
        await client.end()
    house.expire(12.2)
    await house.settle(0)

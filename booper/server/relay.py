"""Handing calls to the process that holds the database, over a Unix socket beside it.

It decides what may be sent again and when a call is given up, not who holds the database.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from booper.api.bodies import Unread, read_body
from booper.api.problems import ProblemResponse
from booper.clock import monotonic
from booper.errors import BooperError, HolderUnreachable, MalformedRequest, Shortage
from booper.http.base import Endpoint, Headers, Response, Stream
from booper.http.client import SocketClient
from booper.http.errors import ConnectError, SendError, UnsendableRequest
from booper.server.forwarded import with_mount

RETRY_SECONDS = 0.05
# Less than a listener keeps them: none is closed just when it is used again.
IDLE_SECONDS = 2.0
MAX_IDLE = 64
MAX_HEADER_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of waiting calls: how long each waits, and how much memory all may take.

    `holder_seconds` is for somebody to be there: a takeover is over well before. A response takes
    milliseconds; where it takes `response_seconds` the holder hangs, or its disk does. Bodies are
    read to their ends before they are handed on; a large one is refused where all of them together
    have `waiting_bytes`.
    """

    holder_seconds: float = 5.0
    response_seconds: float = 30.0
    small_bytes: int = 64 << 10
    waiting_bytes: int = 64 << 20


_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""What only reads, and so may be sent twice (RFC 9110 §9.2.1)."""

_OF_ONE_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect"}
)
"""Headers that are not handed on (RFC 9110 §7.6.1)."""

_LEFT_OUT: Final = _OF_ONE_CONNECTION | {b"date"}  # the listener writes these

_PATH_CHARACTERS: Final = "/:@!$&'()*+,;=~"

_nothing = Router()


class Relay:
    """An ASGI application that is another process's, until this one has it itself.

    `find` names the socket, by the spelling that fits just now.
    """

    def __init__(
        self, find: Callable[[], Path], max_body_bytes: int, bounds: Bounds | None = None
    ) -> None:
        self._find = find
        self._max_body_bytes = max_body_bytes
        self._bounds = bounds or Bounds()
        self._waiting_bytes = 0
        self._client = SocketClient(
            max_header_bytes=MAX_HEADER_BYTES,
            max_idle_per_origin=MAX_IDLE,
            max_idle=MAX_IDLE,
            max_idle_seconds=IDLE_SECONDS,
            sends_again=False,
        )
        self._successor: ASGIApp | None = None
        self._succeeded = asyncio.Event()

    def hand_over(self, successor: ASGIApp) -> None:
        """Pass what comes and what waits to this process's own application.

        A process forked from the dead one may keep its connections open: nobody responds there.
        """
        self._successor = successor
        self._succeeded.set()
        self.close()

    def close(self) -> None:
        """Close all connections; calls that wait for a response fail."""
        self._client.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond as the holder does, or with an error if there is none."""
        if self._successor is not None:
            await self._successor(scope, receive, send)
            return
        if scope["type"] != "http":
            await _nothing(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            async with self._body(request) as body:
                response = await self._ask(request, body)
        except BooperError as error:
            await ProblemResponse(error)(scope, receive, send)
            return
        match response:
            case WholeResponse():
                await _pass_on(response, send)
            case Response():
                await _stream_on(response, receive, send)
            case successor:
                await successor(scope, _again(body, receive), send)

    @asynccontextmanager
    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        """Read a body; all of them together may not take all the memory.

        Raises:
            BodyTooLarge, MalformedBody: as `read_body`.
            HolderUnreachable: too many others are being read.
        """
        size = 0

        async def receive() -> Message:
            nonlocal size
            message = await request.receive()
            more = len(message.get("body", b""))
            size += more
            self._waiting_bytes += more
            is_large = size > self._bounds.small_bytes
            if is_large and self._waiting_bytes > self._bounds.waiting_bytes:
                raise HolderUnreachable("too many large bodies at once; try again")
            return message

        try:
            unread = Unread(dict(reversed(request.headers.raw)), receive)
            yield await read_body(unread, self._max_body_bytes)
        finally:
            self._waiting_bytes -= size

    async def _ask(self, request: Request, body: bytes) -> "WholeResponse | Response | ASGIApp":
        """Return a whole response, a stream, or the application that serves here by now.

        What may have been carried out is not sent again, unless it only reads.

        Raises:
            HolderUnreachable: nobody holds the database, or who does has not responded.
            MalformedRequest: the request cannot be handed on.
        """
        deadline = monotonic() + self._bounds.holder_seconds
        while self._successor is None:
            try:
                async with asyncio.timeout(self._bounds.response_seconds):
                    return await self._exchange(request, body)
            except (ConnectError, Shortage):  # nothing was sent
                if monotonic() > deadline:
                    raise HolderUnreachable(
                        "no process serves the database now; nothing was done, try again"
                    ) from None
            except UnsendableRequest as error:
                raise MalformedRequest(f"this request cannot be passed on: {error}") from error
            except (TimeoutError, SendError):
                if request.method not in _SAFE_METHODS or monotonic() > deadline:
                    raise HolderUnreachable(
                        "the process that serves the database has not responded; this may have "
                        "been carried out or not"
                    ) from None
            await self._nap()
        return self._successor

    async def _exchange(self, request: Request, body: bytes) -> "WholeResponse | Response":
        """Wait for the holder: for all of a response that has a length, of a stream for the head.

        Raises:
            SendError: it did not come.
            Shortage: nothing was sent.
        """
        path = str(self._find())

        async def addresses() -> list[str]:
            return [path]

        response = await self._client.send(
            request.method,
            Endpoint.unix(path, _target(request), "booper"),
            [
                item
                for item in with_mount(request.scope)
                if item[0].lower() not in _OF_ONE_CONNECTION
            ],
            body,
            addresses,
        )
        headers = _passed_on(response.headers)
        if not any(name == b"content-length" for name, _ in headers):
            return Response(response.status, headers, response.stream)
        content = b"".join([piece async for piece in response.stream])
        return WholeResponse(response.status, headers, content)

    async def _nap(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self._succeeded.wait()


@dataclass(frozen=True, slots=True)
class WholeResponse:
    """A response that is all there."""

    status: int
    headers: Headers
    body: bytes


async def _pass_on(response: WholeResponse, send: Send) -> None:
    await send(_start(response.status, response.headers))
    await send({"type": "http.response.body", "body": response.body})


async def _stream_on(response: Response, receive: Receive, send: Send) -> None:
    """Send a stream on as it comes; when its reader goes, its connection is closed."""
    stream = response.stream
    watching = asyncio.create_task(_watch(receive, stream), name="reader of a stream")
    try:
        await send(_start(response.status, response.headers))
        with suppress(SendError):  # a stream has no end that could be missed
            async for piece in stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        watching.cancel()
        await stream.aclose()


async def _watch(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    await stream.aclose()


def _target(request: Request) -> str:
    """Return path and query, spelled as this process has understood them."""
    path = quote(_path(request.scope) or "/", _PATH_CHARACTERS, errors="replace")
    query: str = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _path(scope: Scope) -> str:
    """Return a call's path without the prefix where this application is mounted."""
    path: str = scope["path"]
    rest = path.removeprefix(scope.get("root_path", ""))
    return rest if rest[:1] in ("", "/") else path


def _passed_on(headers: Headers) -> Headers:
    lowered = ((name.lower(), value) for name, value in headers)
    return [item for item in lowered if item[0] not in _LEFT_OUT]


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body which was read already."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received

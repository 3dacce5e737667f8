"""Requests to an ASGI application in this very process: no socket, and no HTTP.

It owns the calls of the application, from the request to the end of any work after the response.
Deadlines and sizes are kept by the caller, as for any other target.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from booper.http.base import Addresses, Headers, Response, Stream, Target, WholeBody
from booper.http.errors import ReadError
from booper.model.args import METHODS_WITH_BODY
from booper.model.origin import APP_ORIGIN

log = logging.getLogger("booper")

DELIVERED: Final = "booper.delivered"
"""The key in the scope of a delivered job's call; nothing from outside can bring it."""

_NO_MARKS: Final[Mapping[str, object]] = {}
_ERROR_HEADERS: Final = [(b"content-type", b"text/plain; charset=utf-8")]
# How long a call may take to end once it was cut off; a call in a thread may never end.
_CUT_OFF_SECONDS: Final = 1.0


class AppTransport:
    """A `Client` that sends to `app`, each request with these headers and `marks` in its scope.

    `host` is the Host header of all of them, None if each has its own. `origin` is that of targets
    in the application.

    An application that raises counts as a response 500, as with any server. A call whose caller has
    gone is cut off. A call whose response is not read to its end is told so, and goes on. Work
    after a response has `grace_seconds` when this is closed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        headers: Headers = (),
        marks: Mapping[str, object] = _NO_MARKS,
        host: str | None = None,
        grace_seconds: float = 0,
        origin: str = APP_ORIGIN,
    ) -> None:
        self.origin = origin
        self._app = app
        self._headers = headers
        self._host = None if host is None else host.encode("ascii")
        self._marks = marks
        self._grace_seconds = grace_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(
        self,
        method: str,
        target: Target,
        headers: Headers,
        body: bytes,
        addresses: Addresses | None = None,
        *,
        label: str = "",
    ) -> Response:
        """Call the application; return its response as soon as that has begun.

        `label` is what the log calls the request: `job 7`. There is no address to look up.
        """
        scope = {**self._scope(method, target, headers, body), **self._marks}
        exchange = _Exchange(body)
        call = self._app(scope, exchange.receive, exchange.send)
        task = asyncio.create_task(_called(call), name="call of the app")
        self._tasks.add(task)
        what = f"{method} {scope['path']}"
        task.add_done_callback(partial(self._ended, exchange, label, what))
        start = await exchange.begin(task)
        if start is None:
            return Response(500, _ERROR_HEADERS, WholeBody(b"Internal Server Error"))
        return Response(start["status"], list(start.get("headers", ())), exchange)

    async def aclose(self) -> None:
        """Wait for calls that have a response to end, and cut off those that take too long."""
        await _wait(self._tasks, self._grace_seconds)
        for task in self._tasks:
            task.cancel()
        await _wait(self._tasks, _CUT_OFF_SECONDS)

    def _scope(self, method: str, target: Target, headers: Headers, body: bytes) -> Scope:
        pairs = [*((name.lower(), value) for name, value in headers), *self._headers]
        if (body or method in METHODS_WITH_BODY) and not _has(pairs, b"content-length"):
            pairs.append((b"content-length", b"%d" % len(body)))
        if self._host is not None:
            pairs = [(b"host", self._host), *(pair for pair in pairs if pair[0] != b"host")]
        return _scope(method, target.request_target, pairs)

    def _ended(
        self, exchange: "_Exchange", label: str, what: str, task: "asyncio.Task[None]"
    ) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not exchange.is_given_up:
            whose = f"{label}: " if label else ""
            log.error("%sthe app raised while it handled %s", whose, what, exc_info=error)


class _Exchange(Stream):
    """One call: what the application receives, and its response, piece by piece."""

    def __init__(self, body: bytes) -> None:
        self._request: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._start: Message | None = None
        self._pieces: deque[bytes] = deque()
        self._is_complete = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None]

    @property
    def is_given_up(self) -> bool:
        """Return whether its caller has gone before the response was complete."""
        return self._gone.is_set() and not self._is_complete

    async def receive(self) -> Message:
        """Return the request to the application, and later that nobody reads its response."""
        if self._request:
            return self._request.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Receive a piece of the response; for all but the last, wait until it is read.

        Raises:
            OSError: nobody reads it any more (ASGI, HTTP spec 2.4).
        """
        if self._gone.is_set():
            raise OSError("nobody reads this response any more")
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._pieces.append(message.get("body", b""))
            self._is_complete = not message.get("more_body", False)
        self._news.set()
        if self._is_complete:
            self._gone.set()
        elif self._pieces:
            self._room.clear()
            await self._room.wait()

    async def begin(self, task: "asyncio.Task[None]") -> Message | None:
        """Return the beginning of the response, None if the call has ended without any."""
        self._task = task
        task.add_done_callback(lambda _: self._news.set())
        while self._start is None and not task.done():
            await self._wait()
        return self._start

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body of the response. Raises: ReadError, it breaks off."""
        while True:
            while self._pieces:
                yield self._pieces.popleft()
                self._room.set()
            if self._is_complete:
                return
            if self._task.done():
                raise ReadError("the app ended before its response did")
            await self._wait()

    async def aclose(self) -> None:
        """Read no further."""
        self._gone.set()
        self._room.set()

    async def _wait(self) -> None:
        """Wait for the application to send more, or to end; cut it off if that takes too long."""
        self._news.clear()
        try:
            await self._news.wait()
        except asyncio.CancelledError:
            self._gone.set()
            # Not awaited: a call in a thread cannot be cut off, and would block this one.
            self._task.cancel()
            raise


async def _called(call: Awaitable[None]) -> None:
    await call


def _scope(method: str, request_target: str, headers: Headers) -> Scope:
    path, _, query = request_target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        # A call that stays in the process needs no redirect to https.
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": list(headers),
        "client": None,
        "server": None,
    }


def _has(headers: Headers, name: bytes) -> bool:
    return any(each == name for each, _ in headers)


async def _wait(tasks: "set[asyncio.Task[None]]", seconds: float) -> None:
    if tasks:
        await asyncio.wait(set(tasks), timeout=seconds)

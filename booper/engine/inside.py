"""Requests to an ASGI application in this very process, behind httpx's transport interface.

Owns the calls of the application, from their requests to the end of what they do after their
answers. There is no socket and no HTTP; deadlines and sizes are kept by the caller, as for any
other target.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import unquote

import httpx
from starlette.types import ASGIApp, Message, Scope

log = logging.getLogger("booper")

DELIVERED: Final = "booper.delivered"
"""The key in the scope of a delivered job's call; nothing from outside can bring it."""

JOB_ID: Final = "booper.job_id"
"""The key in the extensions of a request: which job it delivers."""

_NO_MARKS: Final[Mapping[str, object]] = {}
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
# How long a call may take to end once it was cut off; one in a thread may take for ever.
_CUT_OFF_SECONDS: Final = 1.0


class InsideTransport(httpx.AsyncBaseTransport):
    """Send requests to `app`, each with these headers as well, and with `marks` in its scope.

    `host` is the Host header of all of them, None if each has its own.

    An application that raises has answered 500, as with any server. One whose caller does not wait
    for it any more is cut off; one whose answer is not read to its end is told so, and goes on.
    What it does after its answer has `grace_seconds` at the close.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        marks: Mapping[str, object] = _NO_MARKS,
        host: str | None = None,
        grace_seconds: float = 0,
    ) -> None:
        self._app = app
        self._headers = headers
        self._host = None if host is None else host.encode("ascii")
        self._marks = marks
        self._grace_seconds = grace_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Call the application; return its answer as soon as that has begun."""
        stream = request.stream
        body = b"".join(stream if isinstance(stream, httpx.ByteStream) else [await request.aread()])
        exchange = _Exchange(body)
        call = self._app(
            {**self._scope(request, body), **self._marks}, exchange.receive, exchange.send
        )
        task = asyncio.create_task(_called(call), name="call of the app")
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, exchange, request))
        start = await exchange.begin(task)
        if start is None:
            return httpx.Response(500, text="Internal Server Error")
        return httpx.Response(start["status"], headers=start.get("headers", ()), stream=exchange)

    async def aclose(self) -> None:
        """Let the calls end that have been answered, and cut off those that take too long."""
        await _wait(self._tasks, self._grace_seconds)
        for task in self._tasks:
            task.cancel()
        await _wait(self._tasks, _CUT_OFF_SECONDS)

    def _scope(self, request: httpx.Request, body: bytes) -> Scope:
        scope = _scope(request, body, self._headers)
        if self._host is not None:
            others = (pair for pair in scope["headers"] if pair[0] != b"host")
            scope["headers"] = [(b"host", self._host), *others]
        return scope

    def _ended(
        self, exchange: "_Exchange", request: httpx.Request, task: "asyncio.Task[None]"
    ) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not exchange.is_given_up:
            job_id = request.extensions.get(JOB_ID)
            whose = "" if job_id is None else f"job {job_id}: "
            what = f"{request.method} {request.url.path}"
            log.error("%sthe app raised while it handled %s", whose, what, exc_info=error)


class _Exchange(httpx.AsyncByteStream):
    """One call: what the application receives, and its answer, piece by piece."""

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
        """Say whether its caller has gone before the answer was complete."""
        return self._gone.is_set() and not self._is_complete

    async def receive(self) -> Message:
        """Give the application its request, and later that nobody reads its answer any more."""
        if self._request:
            return self._request.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a piece of the answer; all but the last are waited for until they are read.

        Raises:
            OSError: nobody reads it any more (ASGI, HTTP spec 2.4).
        """
        if self._gone.is_set():
            raise OSError("nobody reads this answer any more")
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
        """Return the answer's beginning, None if the call has ended without any."""
        self._task = task
        task.add_done_callback(lambda _: self._news.set())
        while self._start is None and not task.done():
            await self._wait()
        return self._start

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the answer's body. Raises: httpx.ReadError, it breaks off."""
        while True:
            while self._pieces:
                yield self._pieces.popleft()
                self._room.set()
            if self._is_complete:
                return
            if self._task.done():
                raise httpx.ReadError("the app ended before its answer did")
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
            # Not awaited: what it does in a thread cannot be cut off, and would keep us waiting.
            self._task.cancel()
            raise


async def _called(call: Awaitable[None]) -> None:
    await call


def _scope(request: httpx.Request, body: bytes, more: Sequence[tuple[bytes, bytes]]) -> Scope:
    path, _, query = request.url.raw_path.partition(b"?")
    headers = [*((name.lower(), value) for name, value in request.headers.raw), *more]
    if (body or request.method in _METHODS_WITH_BODY) and "content-length" not in request.headers:
        headers.append((b"content-length", b"%d" % len(body)))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        # What never leaves the process needs no redirect to something safer.
        "scheme": "https",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
    }


async def _wait(tasks: "set[asyncio.Task[None]]", seconds: float) -> None:
    if tasks:
        await asyncio.wait(set(tasks), timeout=seconds)

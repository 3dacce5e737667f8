"""A client of an event stream over ASGI, who reads piece by piece and can go away."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp
from starlette.types import Message as Event

from tests.conftest import KEY

PATIENCE_SECONDS = 5.0  # a bound, never waited for: everything here answers at once


class Stream:
    """A client of an event stream, who reads what the server has sent and can go away."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[Event] = asyncio.Queue()
        self.leave = asyncio.Event()
        self._is_asked = False

    async def receive(self) -> Event:
        """Return a request without a body; then that the client has left, once it has."""
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def start(self) -> tuple[int, dict[str, str]]:
        """Return the response's status and headers."""
        event = await self._next("http.response.start")
        headers = {name.decode(): value.decode() for name, value in event["headers"]}
        return event["status"], headers

    async def block(self) -> str:
        """Return the next piece of the body; "" at its end."""
        event = await self._next("http.response.body")
        body: str = event.get("body", b"").decode()
        assert bool(body) == event.get("more_body", False)
        return body

    async def _next(self, kind: str) -> Event:
        async with asyncio.timeout(PATIENCE_SECONDS):
            event = await self.sent.get()
        assert event["type"] == kind
        return event


@asynccontextmanager
async def connected(
    app: ASGIApp, path: str = "/", *, spec: str = "2.3", key: str = KEY, cookie: str = ""
) -> AsyncIterator[Stream]:
    """Open a stream; at the end the client leaves, and the application must return."""
    path, _, query = path.partition("?")
    stream = Stream()
    authorization = (b"authorization", f"Bearer {key}".encode())
    sender = (b"cookie", cookie.encode()) if cookie else authorization
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1:2667"), sender],
    }
    served = asyncio.create_task(_served(app, scope, stream))
    try:
        yield stream
    finally:
        stream.leave.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await served


async def _served(app: ASGIApp, scope: dict[str, Any], stream: Stream) -> None:
    await app(scope, stream.receive, stream.sent.put)


def data_of(block: str) -> Any:
    """Return the JSON of a block's one data line."""
    [data] = [line for line in block.splitlines() if line.startswith("data: ")]
    return json.loads(data.removeprefix("data: "))

"""A target to send requests to, behind httpx's transport interface: no socket, no time."""

import asyncio
from collections import deque
from collections.abc import Callable

import httpx

Script = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class FakeTarget(httpx.AsyncBaseTransport):
    """Record what arrives and answer by a script; 200 and an empty body once that is used up.

    A script's item is a response, an exception to raise, or a function of the request.
    While `hold()` is in force, requests arrive but are not answered, or those to one path are not.
    """

    def __init__(self) -> None:
        self.received: list[httpx.Request] = []
        self.arrived = asyncio.Event()
        self._script: deque[Script] = deque()
        self._open = asyncio.Event()
        self._open.set()
        self._held: str | None = None

    def respond(self, *items: Script) -> None:
        """Answer the next requests with these, in order."""
        self._script.extend(items)

    def clear(self) -> None:
        """Answer 200 from now on, whatever is left of the script."""
        self._script.clear()

    def hold(self, path: str | None = None) -> None:
        """Answer nothing until `release`, or nothing to this path."""
        self._open.clear()
        self._held = path

    def release(self) -> None:
        """Answer what was held and what follows."""
        self._open.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record a request and answer it."""
        await request.aread()
        self.received.append(request)
        self.arrived.set()
        if self._held in (None, request.url.path):
            await self._open.wait()
        item = self._script.popleft() if self._script else httpx.Response(200)
        if isinstance(item, Exception):
            raise item
        return item if isinstance(item, httpx.Response) else item(request)

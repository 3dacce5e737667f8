"""Streams of server-sent events (HTML standard §9.2): a feed, written while it is being read."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing
from typing import Final, Generic, TypeVar

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from booper.api.call import Call

KEEP_ALIVE_SECONDS: Final = 15.0
"""Of real time, as the HTML standard advises (§9.2.7): proxies cut connections that look dead."""

MEDIA_TYPE: Final = "text/event-stream"

_HEADERS: Final = {
    "content-type": MEDIA_TYPE,
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",  # or nginx holds messages back
}

T = TypeVar("T")


class EventStream(StreamingResponse, Generic[T]):
    """A feed as server-sent events, subscribed to while it is being sent.

    There is no replay: `Last-Event-ID` is ignored, since nothing is kept. `write` makes a block of
    an item.
    """

    def __init__(
        self,
        subscription: AbstractContextManager[AsyncIterator[T]],
        write: Callable[[T], bytes],
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        super().__init__((), headers=_HEADERS)
        self._subscription = subscription
        self._write = write
        self._keep_alive_seconds = keep_alive_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client leaves or the feed ends, and release the subscription."""
        with self._subscription as feed:
            async with aclosing(self._blocks(feed)) as self.body_iterator:
                await super().__call__(scope, receive, send)

    async def _blocks(self, feed: AsyncIterator[T]) -> AsyncGenerator[bytes, None]:
        """Write a feed as blocks of the event stream format, the first one at once."""
        yield b": connected\n\n"
        while True:
            try:
                async with asyncio.timeout(self._keep_alive_seconds):
                    item = await anext(feed)
            except TimeoutError:
                yield b": keep-alive\n\n"
            except StopAsyncIteration:
                return
            else:
                yield self._write(item)


def stream(
    call: Call, subscription: AbstractContextManager[AsyncIterator[T]], write: Callable[[T], bytes]
) -> Response:
    """Return a stream of events; of HEAD its headers alone."""
    return head() if call.scope["method"] == "HEAD" else EventStream(subscription, write)


def head() -> Response:
    """Return the headers of a stream, without one."""
    response = Response(headers=_HEADERS)
    del response.headers["content-length"]  # a stream has none (RFC 9110 §8.6)
    return response

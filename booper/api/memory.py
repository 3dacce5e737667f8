"""The memory that responses take together, from before they are built until they are read.

A large response stays in memory until its client has taken it. What reads much therefore waits
for its share before it reads; small responses pass.
"""

import asyncio
from collections import deque
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from booper.errors import TooManyResponses

MAX_BYTES: Final = 64 << 20
"""How much all responses hold together: sixteen pages of the largest size."""

ITEM_BYTES: Final = 1 << 20
"""What the response about one job is expected to need at most."""

SMALL_BYTES: Final = 64 << 10
"""Up to this size a response is not counted: it fits into the buffers of its socket."""

WAIT_SECONDS: Final = 30.0


class ResponseMemory:
    """A number of bytes, given to responses in the order in which they ask."""

    def __init__(self, size: int = MAX_BYTES, wait_seconds: float = WAIT_SECONDS) -> None:
        self._size = size
        self._free = size
        self._wait_seconds = wait_seconds
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def is_short(self) -> bool:
        """Return whether a response waits for others to be read."""
        return bool(self._queue)

    async def take(self, size: int) -> int:
        """Reserve this much, after all that wait already; return the amount.

        More than there is altogether counts as all of it.

        Raises:
            TooManyResponses: others did not free as much in time.
        """
        size = min(size, self._size)
        if not self._queue and size <= self._free:
            self._free -= size
            return size
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except BaseException as error:
            self._give_up(size, turn)
            if isinstance(error, TimeoutError):
                raise TooManyResponses(
                    "too many large responses are being read; try again later"
                ) from None
            raise
        return size

    def free(self, size: int) -> None:
        """Return this much; a negative size takes it, even where there is too little."""
        self._free += size
        while self._queue and self._queue[0][0] <= self._free:
            wanted, turn = self._queue.popleft()
            if not turn.done():
                self._free -= wanted
                turn.set_result(None)

    def _give_up(self, size: int, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self.free(size)
            return
        turn.cancel()
        self._queue = deque(item for item in self._queue if item[1] is not turn)
        self.free(0)


class Share(msgspec.Struct, gc=False):
    """The memory that one response holds until it is released: `size` bytes, mostly none."""

    memory: ResponseMemory
    size: int = 0

    async def reserve(self, size: int) -> None:
        """Wait for the memory that a response may need. Raises: TooManyResponses."""
        self.size = await self.memory.take(size)

    async def send(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a response; a large one is counted by its size until the client has read it."""
        body = getattr(response, "body", b"")  # a stream has none
        if len(body) <= SMALL_BYTES:
            self.release()
            await response(scope, receive, send)
            return
        head = {"status": response.status_code, "headers": response.raw_headers}
        await send({"type": "http.response.start", **head})
        response.body = b""  # the server has its own copy, and only that is counted
        self._resize(len(body))
        # A server takes no further message before little of the body waits for the client
        # (ASGI has no other sign of it).
        await send({"type": "http.response.body", "body": body, "more_body": True})
        del body
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def release(self) -> None:
        """Return the share."""
        self._resize(0)

    def _resize(self, size: int) -> None:
        if size != self.size:
            self.memory.free(self.size - size)
            self.size = size

"""One connection to a server, and the one exchange that may be running on it.

Owns the socket's life: when it is paused, when it is free again, when it is dropped. It must not
know about pools, addresses or how a request is spelled.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import httpx

from booper.engine.answer import DONE, HEAD, Answer
from booper.errors import Shortage
from booper.shortage import shortage_of

MAX_BUFFERED_BYTES = 64 * 1024
"""Body that may wait unread before reading stops; one read (up to 256 KiB) can exceed it."""


class Connection(asyncio.Protocol):
    """An open connection: idle, or in one exchange, or closed.

    `on_free` is called when an exchange ended and left the connection usable, `on_closed` when it
    stopped being usable (at least once, possibly again).
    """

    def __init__(
        self,
        on_free: Callable[["Connection"], None],
        on_closed: Callable[["Connection"], None],
    ) -> None:
        self._on_free = on_free
        self._on_closed = on_closed
        self._transport: asyncio.Transport
        # Asking for the running loop is a system call (getpid), which an exchange need not make.
        self.loop = asyncio.get_running_loop()
        self._exchange: Exchange | None = None
        self._is_sending = False

    def start(self, request: bytes, answer: Answer, *, keep_alive: bool) -> "Exchange":
        """Send a whole request and return the exchange that awaits its answer.

        Head and body go out in one write, in the loop's next turn: a write that wakes its receiver
        costs several times one that finds it awake, so those of a turn go together. Nothing is
        ever written after it, so there is no back-pressure to obey, and the loop sees an early
        answer before it sees that the server no longer reads.
        """
        self._exchange = exchange = Exchange(self, answer, keep_alive=keep_alive)
        self.loop.call_soon(self._send, exchange, request)
        return exchange

    def end(self, exchange: "Exchange") -> None:
        """Close at once if `exchange` still runs here; a later one is not touched."""
        if self._exchange is exchange:
            self.fail(httpx.ReadError("the exchange was given up"))

    def fail(self, error: httpx.TransportError | Shortage) -> None:
        """Close at once; a running exchange gets `error`."""
        exchange = self._exchange
        self.close()
        if exchange is not None:
            exchange.failure = error
            exchange.wake()

    def close(self) -> None:
        """Close at once, whatever is unsent or unread."""
        self._exchange = None
        self._transport.abort()
        self._on_closed(self)

    def resume_reading(self, exchange: "Exchange") -> None:
        """Go on reading the body of `exchange`."""
        if self._exchange is exchange:
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:  # nobody asked: bytes behind a complete answer
            self.close()
            return
        if not exchange.is_sent:  # bytes behind the answer before, or a server that speaks first
            self.fail(httpx.RemoteProtocolError("the server answered before it was asked"))
            return
        answer = exchange.answer
        try:
            answer.feed(data)
        except httpx.RemoteProtocolError as error:
            self.fail(error)
            return
        if answer.phase is DONE:
            self._finish(exchange)
        elif answer.buffered > MAX_BUFFERED_BYTES:
            self._transport.pause_reading()
            exchange.is_paused = True
        exchange.wake()

    def pause_writing(self) -> None:
        self._is_sending = True

    def resume_writing(self) -> None:
        self._is_sending = False

    def eof_received(self) -> None:
        self._lose(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc)

    def _send(self, exchange: "Exchange", request: bytes) -> None:
        if self._exchange is exchange:  # it has not been given up meanwhile
            exchange.is_sent = True
            self._transport.write(request)

    def _finish(self, exchange: "Exchange") -> None:
        self._exchange = None
        is_sent = self._transport.get_write_buffer_size() == 0
        if exchange.keep_alive and exchange.answer.keeps_alive and is_sent:
            self._on_free(self)
        else:
            self.close()

    def _lose(self, exc: Exception | None) -> None:
        exchange = self._exchange
        if exchange is None:
            self.close()
        elif exc is not None:
            kind = httpx.WriteError if self._is_sending else httpx.ReadError
            lost = kind(f"the connection was lost: {exc or type(exc).__name__}")
            self.fail(shortage_of(exc) or lost)
        else:
            self._end_of_file(exchange)

    def _end_of_file(self, exchange: "Exchange") -> None:
        try:
            exchange.answer.feed_eof()
        except httpx.RemoteProtocolError as error:
            self.fail(error)
        else:
            self.close()
            exchange.wake()


class Exchange(httpx.AsyncByteStream):
    """One request and its answer; iterate it for the answer's body, once.

    Cancelling a wait, or closing before the body was read to its end, closes the connection.
    """

    def __init__(self, connection: Connection, answer: Answer, *, keep_alive: bool) -> None:
        self.answer = answer
        self.keep_alive = keep_alive
        self.failure: httpx.TransportError | Shortage | None = None
        self.is_sent = False
        self.is_paused = False
        self._connection = connection
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> Answer:
        """Wait until status and headers are there.

        Raises:
            httpx.TransportError, Shortage: the connection failed before.
        """
        while self.answer.phase is HEAD:
            if self.failure is not None:
                raise self.failure
            await self._news()
        return self.answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        answer = self.answer
        while not answer.chunks:
            if self.failure is not None:
                raise self.failure
            if answer.phase is DONE:
                raise StopAsyncIteration
            await self._news()
        data = answer.take()
        if self.is_paused:
            self.is_paused = False
            self._connection.resume_reading(self)
        return data

    async def aclose(self) -> None:
        """Give up the rest of the body."""
        self._connection.end(self)

    def wake(self) -> None:
        """Tell the waiting reader that something changed."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _news(self) -> None:
        self._waiter = self._connection.loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self._connection.end(self)
            raise
        finally:
            self._waiter = None

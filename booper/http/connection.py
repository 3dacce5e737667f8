"""One connection to a server, and the one exchange that may be running on it.

It owns the socket's state: when it is paused, when it is free again, when it is dropped. It must
not know about pools, addresses or how a request is spelled.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, cast

from booper.errors import Shortage
from booper.fence import HAS_ENDED, OPEN, Fence
from booper.http.base import Stream
from booper.http.errors import ProtocolError, ReadError, SendError, WriteError
from booper.http.response import DONE, HEAD, ResponseReader

MAX_BUFFERED_BYTES = 64 * 1024
"""Body that may wait unread before reading stops; one read (up to 256 KiB) can exceed it."""

FORGET_UNSENT: Final = struct.pack("ii", 1, 0)
"""A linger of no time: what a closed socket has not sent is forgotten (socket(7))."""


class Connection(asyncio.Protocol):
    """An open connection: idle, or in one exchange, or closed.

    `on_free` is called when an exchange ended and left the connection usable, `on_closed` when it
    stopped being usable (at least once, possibly again). Nothing is written once `fence` is closed.
    """

    def __init__(
        self,
        on_free: Callable[["Connection"], None],
        on_closed: Callable[["Connection"], None],
        fence: Fence = OPEN,
    ) -> None:
        self._fence = fence
        self._on_free = on_free
        self._on_closed = on_closed
        self._transport: asyncio.Transport
        # Getting the running loop is a system call (getpid); it is made once, not per exchange.
        self.loop = asyncio.get_running_loop()
        self._exchange: Exchange | None = None
        self._is_sending = False
        self.idle_seconds: float | None = None
        """How long it may be idle, None if the server does not say it."""

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """Return the server's certificate as `getpeercert` does: None without TLS.

        It is empty if it was not verified.
        """
        found: Mapping[str, Any] | None = self._transport.get_extra_info("peercert")
        return found

    def start(self, request: bytes, response: ResponseReader, *, keep_alive: bool) -> "Exchange":
        """Send a whole request and return the exchange that awaits its response.

        Head and body go out in one write, in the loop's next turn: a write that wakes its receiver
        costs several times one that finds it awake, so those of a turn go together. Nothing is
        ever written after it, so there is no back-pressure to obey, and the loop sees an early
        response before it sees that the server no longer reads.
        """
        self._exchange = exchange = Exchange(self, response, keep_alive=keep_alive)
        self.loop.call_soon(self._send, exchange, request)
        return exchange

    def end(self, exchange: "Exchange") -> None:
        """Close at once if `exchange` still runs here; a later one is not touched."""
        if self._exchange is exchange:
            self.fail(ReadError("the exchange was given up"))

    def fail(self, error: SendError | Shortage) -> None:
        """Close at once; a running exchange gets `error`."""
        exchange = self._exchange
        self.close()
        if exchange is not None:
            exchange.failure = error
            exchange.wake()

    def close(self) -> None:
        """Close at once, even if bytes are unsent or unread.

        Others may have sent the request by now if the fence is closed: the system then sends no
        more of it either, which it would go on to do where the network has been away.
        """
        if self._exchange is not None and not self._fence.is_open():
            socket_ = self._transport.get_extra_info("socket")
            socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, FORGET_UNSENT)
        self._exchange = None
        self._transport.abort()
        self._on_closed(self)

    def resume_reading(self, exchange: "Exchange") -> None:
        """Resume reading the body of `exchange`."""
        if self._exchange is exchange:
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:  # nobody asked: bytes behind a complete response
            self.close()
            return
        if not exchange.is_sent:  # bytes behind the response before, or a server that speaks first
            self.fail(ProtocolError("the server sent a response before the request was sent"))
            return
        response = exchange.response
        try:
            response.feed(data)
        except ProtocolError as error:
            self.fail(error)
            return
        if response.phase is DONE:
            self._finish(exchange)
        elif response.buffered > MAX_BUFFERED_BYTES:
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
        if self._exchange is not exchange:  # it has been given up meanwhile
            return
        if not self._fence.is_open():
            self.fail(Shortage(HAS_ENDED))
            return
        exchange.is_sent = True
        self._transport.write(request)

    def _finish(self, exchange: "Exchange") -> None:
        self._exchange = None
        is_sent = self._transport.get_write_buffer_size() == 0
        if exchange.keep_alive and exchange.response.keeps_alive and is_sent:
            self.idle_seconds = exchange.response.idle_seconds
            self._on_free(self)
        else:
            self.close()

    def _lose(self, exc: Exception | None) -> None:
        exchange = self._exchange
        if exchange is None:
            self.close()
        elif exc is not None:
            kind = WriteError if self._is_sending else ReadError
            lost = kind(f"the connection was lost: {exc or type(exc).__name__}")
            lost.__cause__ = exc
            self.fail(lost)
        else:
            self._end_of_file(exchange)

    def _end_of_file(self, exchange: "Exchange") -> None:
        tls = self._transport.get_extra_info("ssl_object")
        try:
            exchange.response.feed_eof(is_closed_properly=tls is None or _is_notified(tls))
        except ProtocolError as error:
            self.fail(error)
        else:
            self.close()
            exchange.wake()


class Exchange(Stream):
    """One request and its response; iterate it for the response's body, once.

    Cancelling a wait, or closing before the body was read to its end, closes the connection.
    """

    def __init__(
        self, connection: Connection, response: ResponseReader, *, keep_alive: bool
    ) -> None:
        self.response = response
        self.keep_alive = keep_alive
        self.failure: SendError | Shortage | None = None
        self.is_sent = False
        self.is_paused = False
        self._connection = connection
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Wait until status and headers are there.

        Raises:
            SendError: the connection failed before.
            Shortage: this process may not send any more.
        """
        while self.response.phase is HEAD:
            if self.failure is not None:
                raise self.failure
            await self._news()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        response = self.response
        while not response.chunks:
            if self.failure is not None:
                raise self.failure
            if response.phase is DONE:
                raise StopAsyncIteration
            await self._news()
        data = response.take()
        if self.is_paused:
            self.is_paused = False
            self._connection.resume_reading(self)
        return data

    @property
    def is_cut(self) -> bool:
        """Return whether more body would have come, or may have; known at the end."""
        return self.response.is_cut

    @property
    def fault(self) -> str:
        """Return what was wrong behind the status line; known at the end."""
        return self.response.fault

    async def aclose(self) -> None:
        """Discard the rest of the body."""
        self._connection.end(self)

    def wake(self) -> None:
        """Wake the task that waits for the exchange."""
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


def _is_notified(tls: ssl.SSLObject) -> bool:
    """Return whether the end of a TLS connection was announced by close_notify (RFC 8446 §6.1)."""
    try:
        return tls.read(1) == b""
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False

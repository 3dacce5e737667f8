"""What a connection may ask of the API's listener: how much, how fast, and how many at once.

Deadlines are fields that `expire` compares with the time, once a second for all connections: a
timer for each, let alone for each byte that drips in, would cost more than the requests do.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import msgspec

from booper.api.problems import MEDIA_TYPE, headers_of, problem_of
from booper.clock import monotonic
from booper.errors import BooperError, MalformedRequest, RequestTimeout, TooManyConnections
from booper.server.ending import EndingTransport
from booper.server.head import Head
from booper.server.protocol import HTTPProtocol
from booper.server.reader import MAX_HEAD_BYTES, MAX_HEADERS, MAX_URL_BYTES
from booper.server.waiting import Waiting

# Refused connections that may still be reading why; one more is cut off without a response.
SPARE_CONNECTIONS = 64

# Most bytes of a body that are discarded to keep a connection whose response is already sent.
MAX_UNWANTED_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of what comes in.

    A body may take `body_seconds`, and a second more for each `bytes_per_second` it has brought.
    `stall_seconds` is how long nothing may be taken of a response: a slow client that reads
    steadily takes some of it more often, in steps of up to 64 KiB. While responses wait for memory
    that others hold, a client must read at `crowded_bytes_per_second` after `crowded_seconds`.
    `linger_seconds` is how long a
    connection that is to end is still read, or its peer might lose the response (RFC 9112 §9.6).
    """

    connections: int = 1_000
    url_bytes: int = MAX_URL_BYTES
    head_bytes: int = MAX_HEAD_BYTES
    headers: int = MAX_HEADERS
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    bytes_per_second: int = 16 << 10
    stall_seconds: float = 30.0
    crowded_seconds: float = 10.0
    crowded_bytes_per_second: int = 256 << 10
    linger_seconds: float = 2.0

    @property
    def of_reader(self) -> dict[str, int]:
        """Return the bounds of a `RequestReader`."""
        return {
            "url_bytes": self.url_bytes,
            "head_bytes": self.head_bytes,
            "headers": self.headers,
        }


class LimitedProtocol(HTTPProtocol):
    """HTTP with one client, within limits; `waiting` is shared by the listener's connections."""

    def __init__(
        self,
        limits: Limits,
        waiting: "Waiting[LimitedProtocol]",
        is_crowded: Callable[[], bool],
        **options: Any,
    ) -> None:
        super().__init__(bounds=limits.of_reader, **options)
        self.access_log = False  # whoever runs this process decides what is logged
        self._limits: Final = limits
        self._waiting: Final = waiting
        self._is_crowded: Final = is_crowded
        self._deadline = inf
        self._stalled_until = inf
        self._taken_bytes = 0
        self._took_since = (0.0, 0)
        self._unwanted_bytes = 0
        self._is_receiving = False
        self._ending: EndingTransport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin a connection, unless there are too many and none can make room."""
        self._ending = EndingTransport(transport, self._linger)
        super().connection_made(self._ending)
        self._deadline = monotonic() + self._limits.head_seconds
        excess = len(self.connections) - self._limits.connections
        if excess > 0 and (other := self._waiting.pop()) is not None:
            other.make_room()
        elif excess > SPARE_CONNECTIONS:
            transport.abort()
            return
        elif excess > 0:
            self._respond(TooManyConnections("too many connections; try again later"))
            return
        self._waiting.begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._waiting.leave(self)
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Close at once, to make room for a more active connection."""
        self.connections.discard(self)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read a segment; those of a connection that is to end are dropped."""
        if self._ending.is_closing():
            return
        super().data_received(data)
        if self._is_in_body and self.cycle is self._running:
            self._waiting.receive(self)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always closes
        """Return whether the connection stays open, as it does for requests that came whole."""
        if self._ending.is_closing():
            return False
        self._ending.lingers = False  # nothing more comes
        if self._is_receiving and self._may_respond():
            self._respond(MalformedRequest("the connection ended before the request did"))
            return False
        self._is_receiving = False
        self._deadline = inf
        return super().eof_received()

    def expire(self, now: float) -> None:
        """End the connection if its client has kept booper waiting for too long."""
        if self._has_stalled(now):
            self.transport.abort()
        elif now < self._deadline or (self._is_in_body and self.pipeline):
            return  # a body behind other requests is not read before they have a response
        elif self._ending.is_closing():
            if not self._ending.get_write_buffer_size():
                self.transport.abort()
        elif self._is_receiving:
            self.refuse(RequestTimeout("the request did not arrive in time"))
        else:
            self.transport.close()
            self._deadline = now + self._limits.linger_seconds

    def shutdown(self) -> None:
        """Finish what runs; do not wait for clients that were refused."""
        self._ending.lingers = False
        if self._ending.is_closing():
            self.transport.abort()
        else:
            super().shutdown()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_receiving = True
        self._unwanted_bytes = 0
        self._deadline = monotonic() + self._limits.head_seconds

    def on_head(self, head: Head) -> None:
        """Begin a response: the body is the operation's to read."""
        self._waiting.leave(self)
        super().on_head(head)
        self._deadline = monotonic() + self._limits.body_seconds

    def on_body(self, body: bytes) -> None:
        """Receive a piece of the body."""
        self._deadline += len(body) / self._limits.bytes_per_second
        if self.cycle.response_complete:
            self._unwanted_bytes += len(body)
            if self._unwanted_bytes > MAX_UNWANTED_BYTES:
                self.stop_reading()
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the response, however long it takes."""
        self._waiting.leave(self)
        self._is_receiving = False
        self._deadline = inf
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_next()

    def on_response_complete(self) -> None:
        """Wait for the next request, or go on with it."""
        super().on_response_complete()
        if not self.cycle.response_complete:
            if self._is_in_body and not self.pipeline:
                self._deadline = monotonic() + self._limits.body_seconds
            return
        if not self._is_receiving:
            self._await_next()
        elif not self._is_in_body:
            self._waiting.idle(self)

    def refuse(self, error: BooperError) -> None:
        """Respond to what cannot be read as a request, after what came before it."""
        self.stop_reading()
        if self._may_respond():
            self._respond(error)
            return
        self.drop_incomplete()
        self._deadline = inf
        if self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False  # what is on its way goes out first

    def _may_respond(self) -> bool:
        """Return whether the next response on this connection is that of what is being received."""
        if self.cycle is None or self.cycle.response_complete:
            return not self._is_in_body
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _await_next(self) -> None:
        self._deadline = monotonic() + self.timeout_keep_alive
        self._waiting.idle(self)

    def _has_stalled(self, now: float) -> bool:
        """Return whether the client has taken nothing of a response for too long."""
        if not self._ending.get_write_buffer_size():
            self._stalled_until = inf
            return False
        taken = self._ending.taken_bytes()
        if self._stalled_until == inf:
            self._took_since = (now, taken)
        if taken > self._taken_bytes or self._stalled_until == inf:
            self._taken_bytes = taken
            self._stalled_until = now + self._limits.stall_seconds
        return now >= self._stalled_until or (self._is_crowded() and self._is_slow(now, taken))

    def _is_slow(self, now: float, taken: int) -> bool:
        """Return whether the client reads too slowly for others to wait for it."""
        since, taken_then = self._took_since
        seconds = now - since - self._limits.crowded_seconds
        return taken - taken_then < seconds * self._limits.crowded_bytes_per_second

    def _respond(self, error: BooperError) -> None:
        """Respond outside of the API, and end the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the API can respond no more
            self.cycle.message_event.set()
        body = msgspec.json.encode(problem_of(error))
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body))}
        headers |= {"connection": "close", **headers_of(error)}
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        lines += [f"{name}: {value}\r\n".encode() for name, value in headers.items()]
        self._is_receiving = True  # whatever follows is not wanted, but must be read to its end
        self.transport.write(b"".join([self.status_line(error.status), *lines, b"\r\n", body]))
        self.transport.close()

    def _linger(self) -> bool:
        """Return whether to read on for a while: closing on unread bytes loses the response."""
        if not self._is_receiving:
            return False
        self._deadline = monotonic() + self._limits.linger_seconds
        self.flow.resume_reading()
        return True

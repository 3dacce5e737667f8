"""What a connection may ask of the API's listener: how much, how fast, and how many at once.

Deadlines are fields that `expire` compares with the time, once a second for all connections: a
timer for each, let alone for each byte that drips in, would cost more than the requests do.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from booper.api.problems import MEDIA_TYPE, headers_of, problem_of
from booper.clock import monotonic
from booper.errors import (
    BooperError,
    HeadersTooLarge,
    MalformedRequest,
    RequestTimeout,
    TooManyConnections,
    URLTooLong,
)
from booper.server.protocol import HTTPProtocol

# Refused connections that may still be reading why; one more is cut off without an answer.
SPARE_CONNECTIONS = 64

# How much of a body is thrown away to keep a connection whose request has its answer already.
MOST_UNWANTED_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of what comes in.

    A body may take `body_seconds`, and a second more for each `bytes_per_second` it has brought.
    `stall_seconds` is how long nothing may be taken of an answer. `linger_seconds` is how long a
    connection that is to end is still read, or its peer might lose the answer (RFC 9112 §9.6).
    """

    connections: int = 1_000
    url_bytes: int = 16 << 10
    head_bytes: int = 32 << 10
    headers: int = 100
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    bytes_per_second: int = 16 << 10
    stall_seconds: float = 10.0
    linger_seconds: float = 2.0


class EndingTransport(asyncio.Transport):
    """Close a connection in two steps where its protocol asks for it: write no more, then end."""

    def __init__(self, transport: asyncio.Transport, wants_to_linger: Callable[[], bool]) -> None:
        super().__init__()
        self.lingers = True
        self._transport = transport
        self._wants_to_linger = wants_to_linger
        self._is_ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write bytes."""
        self._transport.write(data)

    def close(self) -> None:
        """Close, at once or after a while of reading."""
        is_first, self._is_ended = not self._is_ended, True
        if (
            is_first
            and self.lingers
            and self._wants_to_linger()
            and self._transport.can_write_eof()
        ):
            self._transport.write_eof()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; what is not written is lost."""
        self._is_ended = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Say whether nothing can be written any more."""
        return self._is_ended or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell about the socket."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()


class Door(HTTPProtocol):
    """Speak HTTP with one client, within limits."""

    def __init__(self, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self.access_log = False  # whoever runs this process decides what is logged
        self._limits: Final = limits
        self._deadline = inf
        self._stalled_until = inf
        self._silent_bytes = 0
        self._unwanted_bytes = 0
        self._is_receiving = False
        self._is_in_body = False
        self._refusal: BooperError | None = None
        self._ending: EndingTransport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin a connection, unless there are too many."""
        self._ending = EndingTransport(transport, self._linger)
        super().connection_made(self._ending)
        self._deadline = monotonic() + self._limits.head_seconds
        excess = len(self.connections) - self._limits.connections
        if excess > SPARE_CONNECTIONS:
            transport.abort()
        elif excess > 0:
            self._answer(TooManyConnections("too many connections; try again later"))

    def data_received(self, data: bytes) -> None:
        """Take in bytes; those of a connection that is to end are dropped."""
        if self._ending.is_closing():
            return
        # What the parser holds back and no callback has told of yet: a head or trailers.
        self._silent_bytes += len(data)
        super().data_received(data)
        if self._silent_bytes > self._limits.head_bytes and not self._ending.is_closing():
            self._answer(self._too_large_head())

    def expire(self, now: float) -> None:
        """End the connection if its client has kept booper waiting for too long."""
        if now < min(self._deadline, self._stalled_until):
            return
        if self._ending.is_closing() or now >= self._stalled_until:
            self.transport.abort()
        elif self._is_receiving and self._may_answer():
            self._answer(RequestTimeout("the request did not arrive in time"))
        else:
            self.transport.close()
            self._deadline = now + self._limits.linger_seconds

    def shutdown(self) -> None:
        """Finish what runs; wait for no client that only had to read why it was refused."""
        self._ending.lingers = False
        if self._ending.is_closing():
            self.transport.abort()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """Begin to wait until the client reads."""
        self._stalled_until = monotonic() + self._limits.stall_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._stalled_until = inf
        super().resume_writing()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_receiving = True
        self._unwanted_bytes = 0
        self._deadline = monotonic() + self._limits.head_seconds

    def on_url(self, url: bytes) -> None:
        """Take in the URL, or a piece of it."""
        super().on_url(url)
        if len(self.url) > self._limits.url_bytes:
            self._refuse(URLTooLong(f"the URL must have at most {self._limits.url_bytes} bytes"))

    def on_headers_complete(self) -> None:
        """Begin to answer: the body is the operation's to read."""
        self._silent_bytes = 0
        size = len(self.url) + sum(map(len, chain.from_iterable(self.headers)))
        if len(self.headers) > self._limits.headers or size > self._limits.head_bytes:
            self._refuse(self._too_large_head())
        super().on_headers_complete()
        self._is_in_body = True
        self._deadline = monotonic() + self._limits.body_seconds

    def on_body(self, body: bytes) -> None:
        """Take in a piece of the body."""
        self._silent_bytes = 0
        self._deadline += len(body) / self._limits.bytes_per_second
        if self.cycle.response_complete:
            self._unwanted_bytes += len(body)
            if self._unwanted_bytes > MOST_UNWANTED_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the answer, however long it takes."""
        self._silent_bytes = 0
        self._is_receiving = self._is_in_body = False
        self._deadline = inf
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_next()

    def on_response_complete(self) -> None:
        """Wait for the next request, or go on with it."""
        super().on_response_complete()
        if self.cycle.response_complete and not self._is_receiving:
            self._await_next()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser cannot read, or what a callback has refused."""
        if self._may_answer():
            self._answer(self._refusal or MalformedRequest("this is not an HTTP/1.1 request"))
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False  # what is on its way goes out first

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that was idle for long enough; what is still to be read has its time."""
        super().timeout_keep_alive_handler()
        self._deadline = monotonic() + self._limits.stall_seconds

    def _may_answer(self) -> bool:
        """Say whether the next answer on this connection is that of what is being received."""
        if self.cycle is None or self.cycle.response_complete:
            return not self._is_in_body
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _await_next(self) -> None:
        self._deadline = monotonic() + self.timeout_keep_alive

    def _too_large_head(self) -> HeadersTooLarge:
        most = self._limits
        return HeadersTooLarge(
            f"a request has at most {most.headers} headers, with at most {most.head_bytes} bytes"
        )

    def _refuse(self, error: BooperError) -> None:
        """Stop the parser, which then asks for the answer. Raises: the error."""
        self._refusal = error
        raise error

    def _answer(self, error: BooperError) -> None:
        """Answer outside of the API, and end the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the API can answer no more
            self.cycle.message_event.set()
        body = msgspec.json.encode(problem_of(error))
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body))}
        headers |= {"connection": "close", **headers_of(error)}
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        lines += [f"{name}: {value}\r\n".encode() for name, value in headers.items()]
        self._is_receiving = True  # whatever follows is not wanted, but must be read to its end
        self.transport.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body]))
        self.transport.close()

    def _linger(self) -> bool:
        """Say whether to read on for a while: closing on unread bytes takes the answer back."""
        if not self._is_receiving:
            return False
        self._deadline = monotonic() + self._limits.linger_seconds
        self.flow.resume_reading()
        return True

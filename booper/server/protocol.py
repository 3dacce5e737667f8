"""uvicorn's HTTP protocol: with requests read by `RequestReader`, and one write for a response.

uvicorn writes the head of a response and each piece of its body by itself. A write is a system call
and a packet: the most expensive part of a short response.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import starmap
from operator import add
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn._types import HTTPScope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from booper.errors import BooperError
from booper.server.gathering import GatheringTransport
from booper.server.head import Head
from booper.server.reader import RequestReader

# Requests that wait behind one that has no response yet; the bytes of more are not read yet. One
# segment may hold thousands.
MAX_PIPELINED = 32


class HTTPProtocol(HttpToolsProtocol):
    """HTTP with one client, over a transport that gathers what is written.

    `bounds` are those of a `RequestReader`.
    """

    def __init__(
        self, *options: Any, bounds: Mapping[str, int] | None = None, **more_options: Any
    ) -> None:
        super().__init__(*options, **more_options)
        self._reader = RequestReader(self, **bounds or {})
        self._is_in_body = False
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin a connection."""
        super().connection_made(GatheringTransport(transport, self.loop))

    def connection_lost(self, exc: Exception | None) -> None:
        """End; whoever writes a response is told, even if other requests wait behind it."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a segment."""
        try:
            self._reader.feed(data)
        except BooperError as error:
            self.refuse(error)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always closes
        """Return whether the connection stays open: for the responses to what has come whole.

        A client that has ended its side may still read. A response that streams ends: nothing
        else would show that its reader has left.
        """
        self.drop_incomplete()
        running = self._running
        if (
            running is None
            or self._is_in_body
            or self.cycle.response_complete
            or (running.response_started and running.chunked_encoding)
        ):
            self.transport.close()  # after what is held
            return False
        self.cycle.keep_alive = False
        return True

    def drop_incomplete(self) -> None:
        """Drop a request that waits behind others and will never be complete."""
        if self._is_in_body and self._running is not None and self.cycle is not self._running:
            self._is_in_body = False
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running

    def stop_reading(self) -> None:
        """Stop reading: no further request, and nothing more of one that has begun."""
        self._reader.stop()

    def refuse(self, error: BooperError) -> None:
        """Respond to what cannot be read as a request."""
        self.send_400_response(str(error))

    def on_message_begin(self) -> None:
        """Wait until the head is there."""

    def status_line(self, status: int) -> bytes:
        """Return the first line of a response, with its end."""
        return STATUS_LINE[status]

    def on_head(self, head: Head) -> None:
        """Begin a response; the body of the request may still have to come."""
        self._is_in_body = True
        app: Any = _closing_unless_read(self.app) if head.expects_continue else self.app
        previous, self.cycle = self.cycle, self._cycle(head)
        if previous is None or previous.response_complete:
            self._running = self.cycle
            self._start_asgi_task(self.cycle, app)
            return
        self.flow.pause_reading()
        self.pipeline.appendleft((self.cycle, app))
        if len(self.pipeline) >= MAX_PIPELINED:
            self._reader.pause()

    def on_body(self, body: bytes) -> None:
        """Receive a piece of the body, unless the response has ended before it."""
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """End a request."""
        self._is_in_body = False
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Begin the next request, if it has come already.

        No timer is set for one that has not: a subclass looks after idle connections.
        """
        self.server_state.total_requests += 1
        if not self.pipeline:
            if not self.transport.is_closing():
                self.flow.resume_reading()
        elif self.transport.is_closing():
            self._running = self.pipeline[-1][0]
        else:
            self.flow.resume_reading()
            self._running, app = self.pipeline.pop()
            self._start_asgi_task(self._running, app)
        if self._reader.is_paused and not self.transport.is_closing():
            self._read_on()

    def _cycle(self, head: Head) -> RequestResponseCycle:
        return ResponseCycle(
            scope=self._scope(head),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=head.expects_continue,
            keep_alive=head.keep_alive,
            on_response=self.on_response_complete,
        )

    def _scope(self, head: Head) -> HTTPScope:
        raw_path, _, query = head.target.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": head.method,
            "root_path": self.root_path,
            "path": self.root_path + (unquote(path) if "%" in path else path),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": list(head.headers),
            "state": self.app_state.copy(),
        }

    def _read_on(self) -> None:
        """Read what was kept, once most of the requests before it have a response."""
        if len(self.pipeline) > MAX_PIPELINED // 2:
            self.flow.pause_reading()
            return
        try:
            self._reader.resume()
        except BooperError as error:
            self.refuse(error)


class ResponseCycle(RequestResponseCycle):
    """uvicorn's way from a request to its response, with a head that is checked as a whole.

    uvicorn checks each name and each value of a header by itself, which takes longer than all else
    of a short response.
    """

    async def send(self, message: Message) -> None:  # type: ignore[override]  # Starlette's type
        """Send a part of the response."""
        if self.response_started or message["type"] != "http.response.start":
            await super().send(message)  # type: ignore[arg-type]
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self._send_head(message["status"], message.get("headers", ()))

    def _send_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the first line and the headers. Raises: RuntimeError, one breaks out of its line."""
        sent = [(_begin_of(name), value) for name, value in (*self.default_headers, *headers)]
        lines = [STATUS_LINE[status][:-2], *starmap(add, sent)]
        of_name = dict(sent)
        length, is_chunked = 0, None
        if (encoding := of_name.get(b"transfer-encoding: ")) and encoding.lower() == b"chunked":
            is_chunked = True
        elif (stated := of_name.get(b"content-length: ")) is not None:
            length, is_chunked = int(stated), False
        if b"close" in _tokens(of_name.get(b"connection: ")):
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close")
        if is_chunked is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            is_chunked = True
            lines.append(b"transfer-encoding: chunked")
        head = b"\r\n".join(lines)
        if _BREAKS.search(head) or not head.count(b"\r") == head.count(b"\n") == len(lines) - 1:
            raise RuntimeError("a header of the response would break out of its line")
        self.response_started, self.waiting_for_100_continue = True, False
        self.expected_content_length, self.chunked_encoding = length, is_chunked
        self.transport.write(head + b"\r\n\r\n")


@lru_cache(maxsize=256)  # the same few names in every response
def _begin_of(name: bytes) -> bytes:
    """Return the begin of a header's line. Raises: RuntimeError, it has no such name."""
    if not _TOKEN.fullmatch(name):
        raise RuntimeError(f"invalid name of a response's header: {name[:80]!r}")
    return name.lower() + b": "


def _tokens(value: bytes | None) -> Sequence[bytes]:
    """Return what a list in a header names, in lower case."""
    return () if value is None else [token.strip().lower() for token in value.split(b",")]


_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _closing_unless_read(app: ASGIApp) -> ASGIApp:
    """Return an application whose responses end the connection if it did not ask for the body.

    A client that waits to be asked may then never send it, or may have sent it already: nothing
    says whether the next bytes are its body (RFC 9110 §10.1.1).
    """

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = False

        async def receive_body() -> Message:
            nonlocal is_asked
            is_asked = True
            return await receive()

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_asked:
                headers = [item for item in message.get("headers", ()) if item[0] != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            await send(message)

        await app(scope, receive_body, send_closing)

    return respond

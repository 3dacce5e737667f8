"""Requests out of the bytes of a connection: where each begins and ends (RFC 9112).

How the bytes are cut into segments changes nothing. An offered upgrade changes nothing either
(RFC 9110 §7.8), and trailers are checked and dropped (§6.5.1). llhttp, which uvicorn uses, reads
both another way, and cannot be told not to.
"""

import re
from typing import Final, Protocol

from booper.errors import HeadersTooLarge, MalformedRequest, URLTooLong
from booper.server.head import (
    FIELDS,
    TOKEN,
    Head,
    Model,
    RequestLine,
    model_of,
    parse_head,
    parse_request_line,
    shown,
)

MAX_URL_BYTES: Final = 16 << 10
MAX_HEAD_BYTES: Final = 32 << 10
MAX_HEADERS: Final = 100

# Of a request line, beside its URL: a method, a version, and spaces.
MAX_LINE_EXTRA: Final = 64

# A chunk's size and its extensions (RFC 9112 §7.1.1), without the spaces around ";" that a
# recipient may accept: other readers do not.
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;%b++(?:=(?:%b++|%b))?+)*+" % (TOKEN, TOKEN, _QUOTED))

# What no head, chunk line or trailer may contain, wherever it ends.
_BROKEN = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Receiver(Protocol):
    """The receiver of requests; a body comes in pieces, at most one per segment."""

    def on_message_begin(self) -> None: ...
    def on_head(self, head: Head) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class RequestReader:
    """A reader of requests, one after the other, that calls a receiver for each.

    A target has at most `url_bytes`, a head (also the trailers, or a chunk's extensions) at most
    `head_bytes` and so many `headers`.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        url_bytes: int = MAX_URL_BYTES,
        head_bytes: int = MAX_HEAD_BYTES,
        headers: int = MAX_HEADERS,
    ) -> None:
        self._receiver = receiver
        self._url_bytes = url_bytes
        self._head_bytes = head_bytes
        self._max_headers = headers
        self._step = RequestReader._read_head
        self._held = b""
        self._searched = 0  # how much of what is held has been looked at
        self._has_begun = False
        self._line: RequestLine | None = None
        self._keep_alive = True
        self._remaining = 0  # of the body or the chunk
        self._pieces: list[bytes] = []
        self.is_paused = False
        self._model: Model | None = None

    def feed(self, data: bytes) -> None:
        """Read a segment.

        Raises:
            BooperError: what came is not valid, or too much; nothing is read after it.
        """
        if self._held:
            data = self._held + data
        at, size = 0, len(data)
        try:
            while at < size and not self.is_paused:
                if (after := self._step(self, data, at)) == at:
                    break
                at, self._searched = after, 0
            self._flush()
        except BaseException:
            self.stop()
            raise
        self._held = data[at:] if self._step is not RequestReader._drop else b""
        self._searched = 0 if self.is_paused else len(self._held)

    def pause(self) -> None:
        """Keep what comes from here on until `resume`."""
        self.is_paused = True

    def resume(self) -> None:
        """Read what was kept. Raises: BooperError, as `feed`."""
        self.is_paused = False
        self.feed(b"")

    def stop(self) -> None:
        """Read nothing more: what still comes is dropped."""
        self._step = RequestReader._drop
        self._held = b""
        self._pieces.clear()

    # Each of the following reads one thing and returns where the next one begins, or where it
    # begins itself if more of it must come first.

    def _drop(self, data: bytes, at: int) -> int:
        return len(data)

    def _read_head(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            return at + 2  # empty lines before a request mean nothing (RFC 9112 §2.2)
        if len(data) - at == 1 and data[at] == 13:
            return at
        if not self._has_begun:
            self._has_begun = True
            self._receiver.on_message_begin()
        end = self._find(data, b"\r\n\r\n", at)
        lines = data[at : end + 2] if end >= 0 else b""
        head = self._model.read(lines) if self._model is not None and lines else None
        if head is None:
            self._read_line(data, at)
        if (len(data) if end < 0 else end) - at > self._head_bytes:
            raise self._too_large()
        if end < 0:
            self._check_part(data, at)
            return at
        self._begin(head or self._parse(lines))
        return end + 4

    def _parse(self, lines: bytes) -> Head:
        assert self._line is not None, "a head that has an end has a first line"
        head = parse_head(lines, self._line)
        if len(head.headers) > self._max_headers:
            raise self._too_large()
        self._model = model_of(lines, head)
        return head

    def _read_line(self, data: bytes, at: int) -> None:
        """Read the first line of a head as soon as it is there."""
        if self._line is not None:
            return
        end = data.find(b"\r\n", at, at + self._url_bytes + MAX_LINE_EXTRA)
        if end < 0:
            if len(data) - at > self._url_bytes + MAX_LINE_EXTRA:
                raise self._too_long()
            return
        self._line = parse_request_line(data[at : end + 2])
        if len(self._line.target) > self._url_bytes:
            raise self._too_long()

    def _begin(self, head: Head) -> None:
        self._keep_alive = head.keep_alive
        self._remaining = head.length or 0
        self._step = RequestReader._read_body if head.length else RequestReader._read_chunk_line
        self._receiver.on_head(head)
        if head.length == 0:
            self._complete()

    def _read_body(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._remaining]
        self._remaining -= len(piece)
        self._receiver.on_body(piece)
        if self._remaining == 0:
            self._complete()
        return at + len(piece)

    def _read_chunk_line(self, data: bytes, at: int) -> int:
        end = self._find(data, b"\r\n", at)
        if (len(data) if end < 0 else end) - at > self._head_bytes:
            raise self._too_large()
        if end < 0:
            self._check_part(data, at)
            return at
        found = _CHUNK.fullmatch(data, at, end)
        if found is None:
            raise MalformedRequest(
                "each chunk must begin with a line that has its size in hexadecimal digits, got "
                f"{shown(data[at : min(end, at + 40)])}"
            )
        self._remaining = int(found[1], 16)
        self._step = RequestReader._read_chunk if self._remaining else RequestReader._read_trailers
        return end + 2

    def _read_chunk(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._remaining]
        self._remaining -= len(piece)
        self._pieces.append(piece)
        if self._remaining == 0:
            self._step = RequestReader._read_chunk_end
        return at + len(piece)

    def _read_chunk_end(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self._step = RequestReader._read_chunk_line
            return at + 2
        if data[at:] == b"\r":
            return at
        raise MalformedRequest(f"a chunk must end with CR LF, got {shown(data[at : at + 2])}")

    def _read_trailers(self, data: bytes, at: int) -> int:
        """Read what follows the last chunk. None of it becomes a header (RFC 9110 §6.5.1)."""
        if data.startswith(b"\r\n", at):
            self._complete()
            return at + 2
        end = self._find(data, b"\r\n\r\n", at)
        if (len(data) if end < 0 else end) - at > self._head_bytes:
            raise self._too_large()
        if end < 0:
            self._check_part(data, at)
            return at
        if not FIELDS.fullmatch(data, at, end + 2):
            raise MalformedRequest("each trailer must be a line 'Name: value' that ends with CR LF")
        self._complete()
        return end + 4

    def _complete(self) -> None:
        """End a request, and read the next one if there may be one."""
        self._flush()
        if self._step is RequestReader._drop:
            return  # the receiver has stopped it
        self._has_begun, self._line = False, None
        self._step = RequestReader._read_head if self._keep_alive else RequestReader._drop
        self._receiver.on_message_complete()

    def _flush(self) -> None:
        """Pass on the pieces of a body that have come."""
        if self._pieces:
            body = b"".join(self._pieces)
            self._pieces.clear()
            self._receiver.on_body(body)

    def _find(self, data: bytes, end: bytes, at: int) -> int:
        """Return where a part that begins here ends, -1 if that has yet to come."""
        return data.find(end, max(at, at + self._searched - len(end) + 1))

    def _check_part(self, data: bytes, at: int) -> None:
        """Check a part whose end has yet to come.

        Raises:
            MalformedRequest: whatever comes, it is not valid.
        """
        part = data[at:]  # by itself: what stands before it is not its beginning
        broken = _BROKEN.search(part, max(0, self._searched - 1))
        if broken is not None:
            near = shown(part[max(0, broken.start() - 20) : broken.end()])
            raise MalformedRequest(
                f"lines must end with CR LF and have no control characters, got {near}"
            )

    def _too_long(self) -> URLTooLong:
        return URLTooLong(f"the URL must have at most {self._url_bytes} bytes")

    def _too_large(self) -> HeadersTooLarge:
        return HeadersTooLarge(
            f"a request has at most {self._max_headers} headers, "
            f"with at most {self._head_bytes} bytes"
        )

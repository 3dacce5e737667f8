"""Reading one HTTP/1.1 response: bytes in, a status, headers and body out.

Owns framing and what is refused in it (RFC 9112). It must not touch a socket, a loop or a clock.
httptools (llhttp in strict mode) reads the syntax; what llhttp tolerates and a client must not,
is refused here.
"""

from enum import Enum

import httptools

from booper.errors import ProtocolError

MAX_INTERIM = 64
"""Interim (1xx) responses before the final one: a 102 every 15 s for 15 minutes is 60."""

FRAMING_BYTES_PER_BODY_BYTE = 8
"""Chunk framing that a body byte pays for: `1\\r\\nx\\r\\n` spends 5 on one; 3 are left over."""


class Phase(Enum):
    """Where the reading of a response is.

    ===== =============================== =====
    from  event                           to
    ===== =============================== =====
    HEAD  an interim (1xx) head           HEAD
    HEAD  the final head, a body follows  BODY
    HEAD  the final head, no body         DONE
    BODY  last byte of length or chunks   DONE
    BODY  end of file, if that is framing DONE
    DONE  more bytes: never reusable      DONE
    ===== =============================== =====

    Whatever is not in the table raises and is final for the connection.
    """

    HEAD = "head"
    BODY = "body"
    DONE = "done"


HEAD, BODY, DONE = Phase
"""Its members: a response asks for twenty, and a class takes ten times as long to name one."""


class ResponseReader:
    """The response to one request, as far as it has come.

    `is_head` says that the request was a HEAD; `max_header_bytes` bounds all heads together
    (interim ones included) and, apart from that, the framing of a chunked body.
    """

    def __init__(self, *, is_head: bool, max_header_bytes: int) -> None:
        self.phase = HEAD
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.http_version = ""
        self.chunks: list[bytes] = []
        """Body that was read and not yet taken; `buffered` is its size in bytes."""
        self.buffered = 0
        self.has_begun = False
        """Whether any byte of it has come."""
        self.keeps_alive = False
        """Whether the connection may serve another request once this is DONE."""
        self._is_head = is_head
        self._max_header_bytes = max_header_bytes
        self._head_bytes = 0
        self._framing_bytes = 0
        self._interim = 0
        self._ends_at_eof = False
        self._refusal = ""
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; not allowed once it is DONE.

        Raises:
            ProtocolError: they break the protocol or a limit.
        """
        self.has_begun = True
        was_head, buffered = self.phase is HEAD, self.buffered
        if was_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.phase is not DONE:
                reason = self._refusal or f"malformed response: {error}"
                raise ProtocolError(reason) from None
            self.keeps_alive = False
        if self.phase is HEAD:
            self._check_head_size(self._head_bytes)
        elif self.phase is BODY and not was_head:
            self._check_framing(len(data), self.buffered - buffered)
        elif self.phase is DONE:
            del self._parser  # it refers back to this object: a cycle for the collector

    def feed_eof(self) -> None:
        """Take the end of the connection: DONE where it ends the body (RFC 9112 §6.3, rule 8).

        Raises:
            ProtocolError: the response is cut short.
        """
        if self.phase is DONE:
            return
        if self.phase is BODY and self._ends_at_eof:
            self.phase = DONE
            return
        where = "before the end of the body" if self.phase is BODY else "without a response"
        raise ProtocolError(f"the server closed the connection {where}")

    def take(self) -> bytes:
        """Return what is buffered of the body, and forget it."""
        data = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        self.chunks.clear()
        self.buffered = 0
        return data

    # Called by the parser. What they raise, it turns into an HttpParserError.

    def on_message_begin(self) -> None:
        if self.phase is DONE:
            self.keeps_alive = False  # bytes behind a complete response

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase is HEAD:
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.phase is not HEAD:
            return
        status = self._parser.get_status_code()
        if self._head_bytes > self._max_header_bytes:
            # The same read may have brought body: count the head alone ("name: value\r\n").
            self._check_head_size(sum(len(name) + len(value) + 4 for name, value in self.headers))
        if status < 200:
            self._refuse_interim(status)
            return
        self.status, self.http_version = status, self._parser.get_http_version()
        self.keeps_alive = self._parser.should_keep_alive()
        self._frame()
        self.phase = DONE if self._is_head else BODY

    def on_chunk_header(self) -> None:
        if self.phase is DONE:
            self.keeps_alive = False  # a body behind the response to a HEAD

    def on_body(self, data: bytes) -> None:
        if self.phase is DONE:
            self.keeps_alive = False
            return
        self.chunks.append(data)
        self.buffered += len(data)

    def on_message_complete(self) -> None:
        if self.phase is BODY:
            self.phase = DONE
        elif self.phase is HEAD:
            self.headers.clear()

    def _frame(self) -> None:
        """Refuse framing that llhttp lets pass, and note whether end of file is the framing."""
        if self.http_version not in ("1.1", "1.0"):
            self._refuse(f"unsupported version HTTP/{self.http_version}")
        self._ends_at_eof = True
        for name, value in self.headers:
            match name.lower():
                case b"content-length":
                    self._ends_at_eof = False
                case b"transfer-encoding":
                    # No coding was asked for (TE), and HTTP/1.0 has none (RFC 9112 §6.1).
                    if (
                        value.lower() != b"chunked"
                        or self.http_version == "1.0"
                        or (not self._ends_at_eof)
                    ):
                        self._refuse(f"unsupported transfer-encoding {value[:40]!r}")
                    self._ends_at_eof = False

    def _refuse_interim(self, status: int) -> None:
        self._interim += 1
        if status < 100:
            self._refuse(f"invalid status code {status:03}")
        if status == 101:
            self._refuse("the server switched protocols unasked (101)")
        if self._interim > MAX_INTERIM:
            self._refuse(f"more than {MAX_INTERIM} interim responses")

    def _check_head_size(self, size: int) -> None:
        if size > self._max_header_bytes:
            self._refuse(f"response headers over {self._max_header_bytes} bytes")

    def _check_framing(self, read: int, body: int) -> None:
        """Bound chunk extensions and trailers, which could go on for ever without any body."""
        spent = read - body - FRAMING_BYTES_PER_BODY_BYTE * body
        self._framing_bytes = max(0, self._framing_bytes + spent)
        if self._framing_bytes > self._max_header_bytes:
            self._refuse(f"chunk extensions or trailers over {self._max_header_bytes} bytes")

    def _refuse(self, reason: str) -> None:
        self._refusal = reason
        raise ProtocolError(reason)

"""Reading one HTTP/1.1 response: bytes in, a status, headers and body out.

It owns framing and what is refused in it (RFC 9112). It must not touch a socket, a loop or a clock.
httptools (llhttp) reads the syntax, strictly at first; what llhttp tolerates and a client must not,
is refused here. Once a final status line has come, what is wrong behind it is a `fault` beside the
status and no error: the target has done its work.
"""

import re
from enum import Enum

import httptools

from booper.http.errors import ProtocolError

MAX_INTERIM = 64
"""Interim (1xx) responses before the final one: a 102 every 15 s for 15 minutes is 60."""

FRAMING_BYTES_PER_BODY_BYTE = 8
"""Chunk framing that a body byte pays for: `1\\r\\nx\\r\\n` spends 5 on one; 3 are left over."""

MARGIN_SECONDS = 1.0
"""How long before the end of `Keep-Alive: timeout=5` a connection is no longer used."""

_TIMEOUT = re.compile(rb"\btimeout=([0-9]{1,6})\b", re.IGNORECASE)  # RFC 2068 §19.7.1.1

# What every client reads though RFC 9112 forbids to send it: folded headers (§5.2), lines that end
# in LF alone (§2.2).
_IS_LAX = re.compile(rb"\n[ \t]|(?<!\r)\n")
# §2.2: white space before the first header is refused, or it would be read as a header.
_SPACE_FIRST = re.compile(rb"^HTTP/[^\n]*\n[ \t]", re.MULTILINE)
# RFC 9110 §5.5: dangerous in a value. llhttp lets them pass where it reads folded headers.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FINAL_STATUS = re.compile(rb"^HTTP/1\.[01] ([2-9][0-9]{2})(?: [^\r\n]*)?\r?\n", re.MULTILINE)


class Phase(Enum):
    """Where the reading of a response is.

    ===== ==================================== =====
    from  event                                to
    ===== ==================================== =====
    HEAD  an interim (1xx) head                HEAD
    HEAD  the final head, a body follows       BODY
    HEAD  the final head, no body              DONE
    HEAD  a fault behind the final status line DONE
    BODY  last byte of length or chunks        DONE
    BODY  end of file, if that is framing      DONE
    BODY  a fault in the framing               DONE
    DONE  more bytes: never reusable           DONE
    ===== ==================================== =====

    Whatever is not in the table raises and is final for the connection.
    """

    HEAD = "head"
    BODY = "body"
    DONE = "done"


HEAD, BODY, DONE = Phase
"""Its members: a response asks for twenty, and a class takes ten times as long to name one."""


class ResponseReader:
    """The response to one request, as far as it has been received.

    `is_head` says that the request was a HEAD; `max_header_bytes` bounds all heads together
    (interim ones included) and, apart from that, the framing of a chunked body.
    """

    def __init__(self, *, is_head: bool, max_header_bytes: int) -> None:
        self.phase = HEAD
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []
        """Body that was read and not yet taken; `buffered` is its size in bytes."""
        self.buffered = 0
        self.has_begun = False
        """Whether any byte of it has come."""
        self.keeps_alive = False
        """Whether the connection may serve another request once this is DONE."""
        self.idle_seconds: float | None = None
        """How long the connection may be idle then, None if the server does not say it."""
        self.fault = ""
        """What is wrong behind the status line; the body then ends where that was found."""
        self.is_cut = False
        """Whether more body would have come, or may have."""
        self._is_head = is_head
        self._max_header_bytes = max_header_bytes
        self._head: list[bytes] = []
        self._head_bytes = 0
        self._framing_bytes = 0
        self._interim = 0
        self._ends_at_eof = False
        self._is_lax = False
        self._refusal = ""
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse the next bytes; not allowed once it is DONE.

        Raises:
            ProtocolError: they are no response of HTTP/1.1.
        """
        self.has_begun = True
        was_head, buffered = self.phase is HEAD, self.buffered
        if was_head:
            self._head_bytes += len(data)
            self._head.append(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._misread(error)
        if self.phase is HEAD:
            if self._head_bytes > self._max_header_bytes:
                self._fail(self._too_long())
        elif self.phase is BODY and not was_head:
            self._check_framing(len(data), self.buffered - buffered)
        if self.phase is DONE:
            del self._parser  # it refers back to this object: a cycle for the collector

    def feed_eof(self, *, is_closed_properly: bool = True) -> None:
        """Handle the end of the connection: DONE where it ends the body (RFC 9112 §6.3, rule 8).

        `is_closed_properly` is unset for the end of a TLS connection that nobody has announced:
        whoever can cut a connection could cut the body (§9.8).

        Raises:
            ProtocolError: the response is cut short. In its head too: the meaning of the status
                may depend on headers that have not come (§8).
        """
        if self.phase is DONE:
            return
        if self.phase is BODY and self._ends_at_eof:
            self.phase = DONE
            if not is_closed_properly:
                self.is_cut = True
                self.fault = "the TLS connection ended without close_notify: the body may be cut"
            return
        places = {HEAD: "before the end of the headers", BODY: "before the end of the body"}
        where = places[self.phase] if self.has_begun else "without a response"
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
        if self.phase is not HEAD:
            return
        if self._is_lax:
            value = value.replace(b"\t", b" ")  # which a fold becomes (RFC 9112 §5.2)
            if _CONTROL.search(value):
                self._refuse(f"control character in header {name[:40]!r}")
        self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.phase is not HEAD:
            return
        status = self._parser.get_status_code()
        if self._head_bytes > self._max_header_bytes:
            # The same read may have brought body: count the head alone ("name: value\r\n").
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._max_header_bytes:
                self._refuse(self._too_long())
        if self._is_lax and _SPACE_FIRST.search(b"".join(self._head)):
            self._refuse("white space before the first header")
        if status < 200:
            self._refuse_interim(status)
            return
        self._frame()
        self.status = status
        self.keeps_alive = self._parser.should_keep_alive()
        self.phase = DONE if self._is_head else BODY
        self._head.clear()

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
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(f"unsupported version HTTP/{version}")
        self._ends_at_eof = True
        for name, value in self.headers:
            match name.lower():
                case b"content-length":
                    self._ends_at_eof = False
                case b"transfer-encoding":
                    # No coding was asked for (TE), and HTTP/1.0 has none (RFC 9112 §6.1).
                    if value.lower() != b"chunked" or version == "1.0" or (not self._ends_at_eof):
                        self._refuse(f"unsupported transfer-encoding {value[:40]!r}")
                    self._ends_at_eof = False
                case b"keep-alive" if (timeout := _TIMEOUT.search(value)) is not None:
                    self.idle_seconds = int(timeout[1]) - MARGIN_SECONDS

    def _refuse_interim(self, status: int) -> None:
        self._interim += 1
        if status < 100:
            self._refuse(f"invalid status code {status:03}")
        if status == 101:
            self._refuse("the server switched protocols unasked (101)")
        if self._interim > MAX_INTERIM:
            self._refuse(f"more than {MAX_INTERIM} interim responses")

    def _refuse(self, reason: str) -> None:
        """Stop the parser, whose caller then finds the reason. Raises: ProtocolError."""
        self._refusal = reason
        raise ProtocolError(reason)

    # Faults

    def _misread(self, error: Exception) -> None:
        """Read on where other clients do; elsewhere end here. Raises: ProtocolError."""
        if self.phase is DONE:
            self.keeps_alive = False
            return
        if self.phase is HEAD and not self._is_lax and not self._refusal:
            head = b"".join(self._head)
            if _IS_LAX.search(head):
                self._read_again(head)
                return
        self._fail(self._refusal or f"malformed response: {error}")

    def _read_again(self, head: bytes) -> None:
        """Read what has come with a parser that takes folded headers and bare line feeds."""
        self._is_lax = True
        self.headers.clear()
        self._interim = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True
        )
        try:
            self._parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._misread(error)

    def _check_framing(self, read: int, body: int) -> None:
        """Bound chunk extensions and trailers, which could go on forever without any body."""
        spent = read - body - FRAMING_BYTES_PER_BODY_BYTE * body
        self._framing_bytes = max(0, self._framing_bytes + spent)
        if self._framing_bytes > self._max_header_bytes:
            self._fail(f"chunk extensions or trailers over {self._max_header_bytes} bytes")

    def _too_long(self) -> str:
        return f"response headers over {self._max_header_bytes} bytes"

    def _fail(self, reason: str) -> None:
        """End the response here; its status stands once it has come. Raises: ProtocolError."""
        if self.phase is HEAD:
            status = self._parser.get_status_code()
            if b"%d" % status not in _FINAL_STATUS.findall(b"".join(self._head)):
                raise ProtocolError(reason) from None
            self.status = status
            self._head.clear()
        self.phase = DONE
        self.keeps_alive = False
        self.is_cut = True
        self.fault = reason

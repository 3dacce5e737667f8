"""The head of a request: its grammar, and what it says about the message (RFC 9110, RFC 9112).

Nothing here is lenient: two readers that understand a request differently are how one request is
smuggled inside another (RFC 9112 §11.2).
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

import msgspec
from msgspec.structs import replace

from booper.errors import MalformedRequest, Unimplemented

METHODS: Final = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE"}
)
"""Methods that the API knows; those that a path does not allow get 405."""

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"

FIELDS = re.compile(rb"(?:%b++:[\t -~\x80-\xff]*+\r\n)*+" % TOKEN)
"""Field lines (RFC 9112 §5); one that is folded (§5.2) is none."""

_REQUEST_LINE = re.compile(rb"(%b++) ([!-~]++) HTTP/1\.([0-9])\r\n" % TOKEN)

# uri-host [ ":" port ] (RFC 9110 §7.2, RFC 3986 §3.2.2).
_HOST = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)(?::[0-9]*)?"
)
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?]+)(.*)", re.IGNORECASE)

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*+([0-9]++)[ \t]*+\r\n", re.IGNORECASE)

# Enough for any body, and little enough to count with.
_MAX_LENGTH_DIGITS: Final = 18

_FRAMING: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"}
)


class Head(msgspec.Struct, frozen=True, gc=False):
    """A request without its body; `target` is in origin-form or `*`, names are in lower case.

    `length` is that of the body, None if it comes in chunks. `expects_continue` is whether the
    client may wait with the body until it is asked for (RFC 9110 §10.1.1).
    """

    method: str
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    length: int | None
    keep_alive: bool
    expects_continue: bool


class Model(msgspec.Struct, frozen=True, gc=False):
    """A parsed head with its bytes before and after the digits of Content-Length.

    Most clients send the same head again and again, with another length.
    """

    head: Head
    before: bytes
    after: bytes
    index: int

    def read(self, head: bytes) -> Head | None:
        """Return the head of bytes that differ from the model in these digits only, else None."""
        begin, end = len(self.before), len(head) - len(self.after)
        if not head.startswith(self.before) or not head.endswith(self.after) or begin > end:
            return None
        if begin == end:  # neither has a length
            return self.head if self.index < 0 else None
        digits = head[begin:end]
        if self.index < 0 or not digits.isdigit() or len(digits) > _MAX_LENGTH_DIGITS:
            return None
        if (length := int(digits)) == 0:
            return None  # then nothing is expected either
        headers = list(self.head.headers)
        headers[self.index] = (b"content-length", digits)
        return replace(self.head, length=length, headers=tuple(headers))


class RequestLine(msgspec.Struct, frozen=True, gc=False):
    """The first line of a request, as it was sent; `minor` is the version's second number."""

    method: bytes
    target: bytes
    minor: int
    size: int


def parse_request_line(head: bytes) -> RequestLine:
    """Parse the line at the beginning of a head.

    Raises:
        MalformedRequest: it is none.
        Unimplemented: nothing here has such a method (RFC 9110 §9.1).
    """
    found = _REQUEST_LINE.match(head)
    if found is None:
        line = head.partition(b"\r\n")[0][:80]
        raise MalformedRequest(
            f"the request line must read 'METHOD /path HTTP/1.1', got {shown(line)}"
        )
    method, target, minor = found.groups()
    if method not in METHODS:
        known = ", ".join(sorted(name.decode() for name in METHODS))
        raise Unimplemented(f"the method must be one of {known}, got {shown(method[:80])}")
    return RequestLine(method, target, int(minor), found.end())


def parse_head(head: bytes, line: RequestLine) -> Head:
    """Parse a head whose request line is known; it ends with its last field line.

    Raises:
        MalformedRequest: it is not a valid one.
        Unimplemented: it has a transfer coding that is not supported.
    """
    fields = head[line.size :]
    if not FIELDS.fullmatch(fields):
        raise MalformedRequest(
            "each header must be a line 'Name: value' that ends with CR LF, without "
            "control characters"
        )
    headers = [
        (name.lower(), value.strip(b" \t"))
        for name, _, value in [field.partition(b":") for field in fields.split(b"\r\n")[:-1]]
    ]
    framing: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _FRAMING:
            framing.setdefault(name, []).append(value)
    _check_host(framing.get(b"host", ()), line.minor)
    target = _target(line, headers)
    length = _length(framing, line.minor)
    # A client of HTTP/1.0 would have to ask for it, and none is asked to wait (RFC 9112 §C.2.2).
    is_persistent = line.minor > 0 and not _closes(framing.get(b"connection", ()))
    return Head(
        method=line.method.decode(),
        target=target,
        version="1.1" if line.minor else "1.0",
        headers=tuple(headers),
        length=length,
        keep_alive=is_persistent,
        expects_continue=line.minor > 0 and length != 0 and _expects(framing.get(b"expect", ())),
    )


def model_of(lines: bytes, head: Head) -> Model:
    """Return the model of a head and its bytes."""
    found = _CONTENT_LENGTH.search(lines) if head.length else None
    if found is None:
        return Model(head, lines, b"", -1)
    index = [name for name, _ in head.headers].index(b"content-length")
    return Model(head, lines[: found.start(1)], lines[found.end(1) :], index)


def _check_host(hosts: list[bytes] | tuple[()], minor: int) -> None:
    """Check that there is one valid Host (RFC 9112 §3.2). Raises: MalformedRequest."""
    if len(hosts) > 1 or (minor > 0 and not hosts):
        raise MalformedRequest(f"a request must have one Host header, got {len(hosts)}")
    if hosts and not is_host(hosts[0]):
        raise MalformedRequest(f"Host must be 'name' or 'name:port', got {shown(hosts[0][:80])}")


@lru_cache(maxsize=256)
def is_host(value: bytes) -> bool:
    """Return whether this can be the value of a Host header."""
    found = _HOST.fullmatch(value)
    if found is None:
        return False
    try:
        return found[1] is None or bool(IPv6Address(found[1].decode()).packed)
    except ValueError:
        return False


def _target(line: RequestLine, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the target in origin-form or as `*` (RFC 9112 §3.2).

    Of a target in absolute-form the host replaces that of the Host header (§3.2.2).

    Raises:
        MalformedRequest: it is in no form that this method may have.
    """
    target = line.target
    if b"#" not in target:
        if target.startswith(b"/"):
            return target
        if target == b"*" and line.method == b"OPTIONS":
            return target
        found = _ABSOLUTE_FORM.fullmatch(target)
        if found is not None and is_host(found[1]) and not found[1].startswith(b":"):
            headers[:] = [item for item in headers if item[0] != b"host"]
            headers.append((b"host", found[1]))
            if line.method == b"OPTIONS" and not found[2]:
                return b"*"  # §3.2.4
            return found[2] if found[2].startswith(b"/") else b"/" + found[2]
    raise MalformedRequest(
        f"the request target must be a path such as /api/jobs, got {shown(target[:80])}"
    )


def _length(framing: dict[bytes, list[bytes]], minor: int) -> int | None:
    """Return how long the body is, None if it comes in chunks (RFC 9112 §6).

    Raises:
        MalformedRequest: that cannot be known for certain.
        Unimplemented: it has a transfer coding beside `chunked`.
    """
    lengths = framing.get(b"content-length", [])
    if codings := framing.get(b"transfer-encoding"):
        _check_codings([each.strip(b" \t").lower() for each in b",".join(codings).split(b",")])
        if lengths:
            raise MalformedRequest("Content-Length and Transfer-Encoding exclude each other")
        if minor == 0:
            raise MalformedRequest("Transfer-Encoding needs HTTP/1.1, got HTTP/1.0")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > _MAX_LENGTH_DIGITS:
        got = shown(b", ".join(lengths)[:80])
        raise MalformedRequest(f"Content-Length must be one whole number, got {got}")
    return int(lengths[0])


def _check_codings(codings: list[bytes]) -> None:
    """Check that a body is chunked and nothing else (RFC 9112 §6.1, §6.3).

    Raises:
        MalformedRequest: nothing says where it ends.
        Unimplemented: it is encoded in another way before that.
    """
    if codings == [b"chunked"]:
        return
    got = shown(b", ".join(codings)[:80])
    if codings[-1] != b"chunked" or b"chunked" in codings[:-1]:
        raise MalformedRequest(f"Transfer-Encoding must be chunked, got {got}")
    raise Unimplemented(f"Transfer-Encoding must be chunked alone, got {got}")


def _closes(values: list[bytes] | tuple[()]) -> bool:
    """Return whether the client wants no further request on this connection."""
    for value in values:
        if value != b"keep-alive" and b"close" in [
            option.strip(b" \t") for option in value.lower().split(b",")
        ]:
            return True
    return False


def _expects(values: list[bytes] | tuple[()]) -> bool:
    return any(value.lower() == b"100-continue" for value in values)


def shown(value: bytes) -> str:
    """Return a value as an error shows it: what is not printable ASCII is escaped."""
    return repr(value)[1:]

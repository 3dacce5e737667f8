"""Spelling one HTTP/1.1 request; a part that would break out of its place is refused (RFC 9112)."""

import re
from functools import lru_cache

from booper.http.base import Headers
from booper.http.errors import UnsendableRequest
from booper.model.args import METHODS_WITH_BODY

_OWN_HEADERS = frozenset({b"content-length", b"transfer-encoding"})
_SPECIAL = _OWN_HEADERS | {b"connection", b"host"}
_INVALID = b""
_NOT_TOKEN = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_BREAKS_VALUE = re.compile(rb"[\r\n\0]")
_BREAKS_TARGET = re.compile(rb"[\x00-\x20\x7f]")


def encode_request(
    method: str, request_target: str, host: str, headers: Headers, body: bytes
) -> tuple[bytes, bool]:
    """Return a request's bytes, and whether it keeps the connection alive.

    `host` stands in where no header names one. Framing is decided here alone: `Content-Length` and
    `Transfer-Encoding` of the caller are replaced. GET, HEAD and DELETE without a body have neither
    (RFC 9110 §8.6).

    Raises:
        UnsendableRequest: a method, target or header would break out of its place
            (RFC 9112 §11.2).
    """
    verb, place = method.encode(), request_target.encode("latin-1")
    if _NOT_TOKEN.search(verb) or _BREAKS_TARGET.search(place) or not verb:
        raise UnsendableRequest(f"invalid request line: {verb!r} {place!r}")
    lines = [b"%b %b HTTP/1.1" % (verb, place)]
    hosts, keep_alive = 0, True
    for name, value in headers:
        special = _special(name)
        if special is not None:
            if special == _INVALID:
                raise _invalid(name, value)
            if special in _OWN_HEADERS:
                continue
            if special == b"connection":
                keep_alive = keep_alive and b"close" not in value.lower()
            hosts += special == b"host"
        lines.append(name + b": " + value)
    if hosts > 1:
        raise UnsendableRequest("more than one Host header")
    if hosts == 0:
        lines.insert(1, b"Host: " + host.encode())
    if body or method in METHODS_WITH_BODY:
        lines.append(b"Content-Length: %d" % len(body))
    head = b"\r\n".join((*lines, b"", b""))
    # All at once: a CR or LF too many shows in how many lines there are.
    if len(head.splitlines()) != len(lines) + 1 or b"\0" in head:
        raise _broken(headers, host)
    return head + body, keep_alive


def _broken(headers: Headers, host: str) -> UnsendableRequest:
    """Return the error for the first header whose value breaks out of its line."""
    broken = (header for header in headers if _BREAKS_VALUE.search(header[1]))
    return _invalid(*next(broken, (b"Host", host.encode())))


def _invalid(name: bytes, value: bytes) -> UnsendableRequest:
    return UnsendableRequest(f"invalid header {name[:80]!r}: {value[:80]!r}")


@lru_cache(maxsize=512)  # the same few names in every request
def _special(name: bytes) -> bytes | None:
    """Return the name, in lower case, of a header that means something here; else None."""
    if not name or _NOT_TOKEN.search(name):
        return _INVALID
    return lowered if (lowered := name.lower()) in _SPECIAL else None

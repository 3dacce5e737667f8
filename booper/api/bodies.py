"""Request bodies: read within the limit, as JSON or as a form (contract §1)."""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.types import Receive

from booper.errors import BodyTooLarge, MalformedBody, UnsupportedEncoding, UnsupportedMediaType
from booper.model import json_text
from booper.wire.urlencoded import parse_form

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_JSON = JSON.encode()
_MAX_FORM_FIELDS = 1_000
_MAX_FORM_DEPTH = 16
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_FORM_FIELD = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")


class Incoming(Protocol):
    """A request whose body has yet to be read: headers by lower-case name, and messages."""

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...
    @property
    def receive(self) -> Receive: ...


class Unread(NamedTuple):
    """The body of a request that is no call of an operation."""

    headers: Mapping[bytes, bytes]
    receive: Receive


async def read_body(request: Incoming, max_bytes: int) -> bytes:
    """Read a request's body, giving up as soon as it is over the limit.

    Raises:
        BodyTooLarge: it has, or says it has, more than `max_bytes`.
        MalformedBody: it ended before its end.
        UnsupportedEncoding: it is compressed.
    """
    headers = request.headers
    if b"content-encoding" in headers:
        _check_encoding(headers[b"content-encoding"].decode("latin-1"))
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared[:20]) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    room = max_bytes
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            # Nobody reads the response, and it is no fault of booper's.
            raise MalformedBody("the connection closed before the end of the body")
        chunk = message.get("body", b"")
        room -= len(chunk)
        if room < 0:
            raise _too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body must have at most {max_bytes} bytes")


def _check_encoding(given: str) -> None:
    """Refuse a body that must be decoded first (RFC 9110 §8.4): a small one can be of any size."""
    encoding = given.strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedEncoding(
            f"Content-Encoding must not be set, got {encoding[:40]!r}; send the body as it is"
        )


def media_type(request: Incoming) -> str:
    """Return `JSON` or `FORM`; a body without a content type is taken as JSON.

    Raises:
        UnsupportedMediaType: it is another one.
    """
    given = request.headers.get(b"content-type")
    if given is None or given == _JSON:
        return JSON
    kind = given.decode("latin-1").partition(";")[0].strip().lower()
    if kind == JSON or kind.endswith("+json"):
        return JSON
    if kind == FORM:
        return FORM
    raise UnsupportedMediaType(f"expected {JSON} or {FORM}, got {kind[:80]!r}")


def check_json_type(request: Incoming) -> None:
    """Check that a body is said to be JSON. Raises: UnsupportedMediaType."""
    if media_type(request) != JSON:
        raise UnsupportedMediaType(f"expected {JSON}")


def decode_json(body: bytes, kind: Any) -> Any:
    """Read JSON text as a type.

    Raises:
        MalformedBody: it is not JSON.
        msgspec.ValidationError: it is JSON of another shape.
    """
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError:
        raise
    except _UNREADABLE as error:
        raise _malformed(body, error) from error


def check_json(body: bytes) -> None:
    """Check that a body is JSON, of any shape. Raises: MalformedBody."""
    try:
        json_text.check(body)
    except msgspec.ValidationError as error:  # its shape is free, so it can only be a number
        raise MalformedBody("the body holds a number that is out of range") from error
    except _UNREADABLE as error:
        raise _malformed(body, error) from error


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _malformed(body: bytes, error: Exception) -> MalformedBody:
    """Return as a MalformedBody what the codec raises for what is no JSON it can read."""
    if isinstance(error, RecursionError):
        return MalformedBody("the body is nested too deeply")
    return MalformedBody(_why_not_json(body, error))


def _why_not_json(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "the body is empty; expected JSON"
    if body.startswith(BOM_UTF8):
        return "the body begins with a byte order mark, which JSON must not have (RFC 8259 §8.1)"
    try:
        body.decode()
    except UnicodeDecodeError as found:
        return f"the body is not UTF-8: byte {found.start} is wrong"
    return f"the body is not JSON: {str(error).removeprefix('JSON is malformed: ')}"


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode_form(body: bytes, objects: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Read a form with bracket nesting; values are text.

    `a[b]=1` is an object. `a[]=1` is a list, and so are `a[0]=1&a[1]=2` in any order, which PHP and
    JavaScript's qs write. Other numbers are names, as to PHP: `a[1]=1` alone is `{"1": "1"}`.
    `objects` are the fields that are never lists by their numbers.

    Raises:
        MalformedBody: it is no such form.
    """
    if body.lstrip()[:1] == b"{":
        raise MalformedBody(f"the body looks like JSON; send it with `Content-Type: {JSON}`")
    try:
        pairs = parse_form(body, _MAX_FORM_FIELDS)
    except ValueError as error:
        raise MalformedBody(f"the body is not a form: {error}") from error
    form = _Branch()
    for name, value in pairs:
        _insert(form, name, value)
    return {name: _plain(value, is_object=name in objects) for name, value in form.members.items()}


class _Branch:
    """An object or a list in a form; which of the two it is, only the whole form shows."""

    def __init__(self) -> None:
        self.members: dict[str, _Branch | str] = {}
        self.is_appended = False
        self._has_names = False
        self._next = 0

    def key_of(self, step: str) -> str | None:
        """Return the key that a step leads to, None if the steps contradict each other.

        An empty step is the next item of a list, after the highest number so far.
        """
        if step == "":
            self.is_appended, step = True, str(self._next)
        if _INDEX.fullmatch(step):
            self._next = max(self._next, int(step) + 1)
        else:
            self._has_names = True
        return None if self.is_appended and self._has_names else step


def _insert(form: _Branch, name: str, value: str) -> None:
    """Put a value where its bracketed name says: `body[tags][]`."""
    head, *rest = name.replace("]", "").split("[")
    if not _FORM_FIELD.fullmatch(name) or len(rest) > _MAX_FORM_DEPTH:
        raise MalformedBody(f"expected a field name such as 'body[content]', got {name[:80]!r}")
    place, key = form, head
    for step in rest:
        branch = place.members.setdefault(key, _Branch())
        following = branch.key_of(step) if isinstance(branch, _Branch) else None
        if not isinstance(branch, _Branch) or following is None:
            raise _contradicted(name)
        place, key = branch, following
    if key in place.members:
        raise _contradicted(name)
    place.members[key] = value


def _contradicted(name: str) -> MalformedBody:
    return MalformedBody(f"field {name[:80]!r} is given twice, or both as one value and as several")


def _plain(value: _Branch | str, *, is_object: bool = False) -> Any:
    """Return a branch as the list or object that its keys make it."""
    if isinstance(value, str):
        return value
    members = {name: _plain(member) for name, member in value.members.items()}
    indexes = [str(index) for index in range(len(members))]
    if all(index in members for index in indexes) and (value.is_appended or not is_object):
        return [members[index] for index in indexes]
    return members

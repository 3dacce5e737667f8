"""A call as a value: what is sent, how its response is read, and whether it can be repeated.

Nothing here sends.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec

from booper.client.encoding import check_text, encode
from booper.client.errors import InvalidArgument, Unreadable
from booper.client.fields import written
from booper.client.models import BulkResult

T = TypeVar("T")

Query = Mapping[str, str]

MAX_ON_A_PAGE: Final = 100

_KEY_TTL: Final = [1, "hour"]


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One request to booper, and how its response is read.

    `is_repeatable` says that doing it twice is as good as once, so that it can be tried again when
    nobody knows whether it was done.
    """

    method: str
    path: str
    query: Query = {}
    body: bytes | None = None
    read: Callable[[bytes], T]
    is_repeatable: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; `next_cursor` leads to the part behind it, None if there is none."""

    data: tuple[T, ...]
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


class _Data(msgspec.Struct, Generic[T], frozen=True):
    data: T


def bare(kind: type[T]) -> Callable[[bytes], T]:
    """Return what reads a response as a type; fields that the type does not have are ignored."""

    wanted: Any = kind

    def read(body: bytes) -> T:
        try:
            value: T = _decoder(wanted, _number.get()).decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            is_json = isinstance(error, msgspec.ValidationError)
            what = "is JSON, but not what booper responds" if is_json else "is not JSON"
            raise Unreadable(f"the response {what}; is it booper that listens there?") from error
        return value

    return read


def data(kind: type[T]) -> Callable[[bytes], T]:
    """Return what reads a response `{"data": …}`."""
    read = bare(_Data[kind])  # type: ignore[valid-type]  # mypy knows no type made of a value

    return lambda body: read(body).data


def page(kind: type[T]) -> Callable[[bytes], Page[T]]:
    """Return what reads a page of a list."""
    return bare(Page[kind])  # type: ignore[valid-type]  # mypy knows no type made of a value


def nothing(body: bytes) -> None:
    """Read a response that has no body."""


def query(**parameters: Any) -> Query:
    """Write query parameters; those that are None are left out.

    Raises:
        InvalidArgument: a value has no form as text.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    texts = {name: _text(name, value) for name, value in given.items()}
    for name, text in texts.items():
        check_text(name, text)
    return texts


def reading(path: str, read: Any, parameters: Any = None) -> Call[Any]:
    """Return a call that only reads."""
    return Call(method="GET", path=path, query=parameters or {}, read=read, is_repeatable=True)


def posting(path: str, body: bytes | None, read: Any, *, is_repeatable: bool = False) -> Call[Any]:
    """Return a call that does something, once unless it is repeatable."""
    return Call(method="POST", path=path, body=body, read=read, is_repeatable=is_repeatable)


_BOUNDS: Final = ("through", "max_count")


def changing(path: str, dry_run: bool, which: dict[str, Any], *, is_repeatable: bool) -> Call[Any]:
    """Return a call that changes all jobs that a filter matches."""
    wanted = {name: value for name, value in which.items() if name not in _BOUNDS}
    bounds = {name: value for name, value in which.items() if name in _BOUNDS}
    body = encode({"filter": wanted, "dry_run": dry_run, **bounds})
    return posting(path, body, data(BulkResult), is_repeatable=is_repeatable)


def place(collection: str, item: int | UUID | str) -> str:
    """Return where a thing is. Raises: InvalidArgument, for a name that would lead elsewhere."""
    text = str(item)
    check_text(f"{collection}: id", text)
    if text.strip(".") == "":
        raise InvalidArgument(f"{collection}: expected an id, got {text!r}")
    return f"/api/{collection}/{quote(text, safe='')}"


def keyed(fields: Any) -> dict[str, Any]:
    """Write a create's fields, with a key of its own where none is given."""
    sent = written(fields)
    if sent.get("idempotency_key") is None:
        sent["idempotency_key"] = str(uuid4())
        if sent.get("idempotency_ttl") is None:
            sent["idempotency_ttl"] = _KEY_TTL
    return sent


def is_kept(sent: dict[str, Any]) -> bool:
    """Return whether the key of a create outlives its job, so that a second try finds it taken.

    A schedule keeps its key (contract §5). With `reject` a second try is refused what was done.
    """
    kept = ("idempotency_ttl", "cron", "repeat_every")
    stays = any(sent.get(name) is not None for name in kept)
    return stays and sent.get("on_conflict") != "reject"


def _text(name: str, value: Any) -> str:
    match value:
        case bytes() | bytearray() | memoryview():
            raise InvalidArgument(f"{name}: expected text, not bytes; decode it")
        case bool():
            return str(value).lower()
        case datetime():
            return value.astimezone(UTC).isoformat()
        case list() | tuple():
            return ",".join(_text(name, item) for item in value)
        case _:
            return str(value)


@contextmanager
def numbers_read_as(number: Callable[[str], float]) -> Iterator[None]:
    """Make numbers with a fraction or an exponent, whose meaning is the user's, of their text."""
    token = _number.set(number)
    try:
        yield
    finally:
        _number.reset(token)


_number: ContextVar[Callable[[str], float] | None] = ContextVar("_number", default=None)


@cache
def _decoder(kind: Any, number: Callable[[str], float] | None) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, float_hook=number)

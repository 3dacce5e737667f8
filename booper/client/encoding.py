"""Values as JSON: what JSON has no form of is refused, by its field, before anything is sent.

An encoder that writes NaN as null, or bytes as base64 text, sends something else than was meant.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Any, Final, NoReturn

import msgspec

from booper.client.errors import InvalidArgument

# The server takes bodies of 200 levels; what is deeper refers to itself, as a rule.
_MAX_DEPTH: Final = 220

_BYTES: Final = (bytes, bytearray, memoryview)


def encode(value: object) -> bytes:
    """Return a value as JSON. Decimals are numbers, with all their digits.

    Raises:
        InvalidArgument: JSON has no form of a part of it (RFC 8259); its field and path are named.
    """
    return msgspec.json.encode(_encodable(value, "", 0))


def check_text(path: str, text: str) -> None:
    """Check that text has a form in UTF-8. Raises: InvalidArgument, for a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse(path, f"expected text without lone surrogates, got {text[:80]!a}")


def _encodable(value: Any, path: str, depth: int) -> Any:
    """Return a value of which each part has a form in JSON."""
    if depth > _MAX_DEPTH:
        _refuse(
            path[:80], "expected a value that does not contain itself and is not nested this deep"
        )
    match value:
        case None | bool() | msgspec.Raw():
            return value
        case str():
            check_text(path, value)
            return value
        case int() | float() | Decimal():
            return _number(value, path)
        case Mapping():
            return {
                _key(key, path): _encodable(item, _member(path, key), depth + 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [
                _encodable(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)
            ]
        case _ if isinstance(value, msgspec.Struct) or is_dataclass(value):
            return _encodable(_parts(value, path), path, depth + 1)
        case _:
            return _other(value, path)


def _number(value: float | Decimal, path: str) -> Any:
    if isinstance(value, int):
        return value
    if not isfinite(float(value)):  # a decimal beyond what a double can hold, too
        _refuse(path, f"expected a finite number, got {value}; JSON has no NaN and no infinity")
    return msgspec.Raw(str(value).encode()) if isinstance(value, Decimal) else value


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        _refuse(path, f"expected names that are text, got {key!r:.80}")
    check_text(path, key)
    return key


def _member(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _parts(value: Any, path: str) -> Any:
    """Return the fields of a dataclass or a struct, whatever is in them left as it is."""
    try:
        return msgspec.to_builtins(value, builtin_types=(*_BYTES, Decimal))
    except (TypeError, ValueError, RecursionError) as error:
        _refuse(path, f"expected a value that JSON has: {error}")


def _other(value: object, path: str) -> object:
    """Return a value that is written as text (a time, a UUID, an enumeration's member)."""
    if isinstance(value, _BYTES):
        _refuse(path, f"expected text, not bytes; decode {bytes(value)[:40]!r} or write it as text")
    if isinstance(value, date):  # or a datetime; encoders refuse the subclasses of libraries
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, set | frozenset):
        _refuse(path, f"expected a list, got a {type(value).__name__}, which has no order")
    try:
        return _encodable(msgspec.to_builtins(value), path, 0)
    except (TypeError, ValueError, RecursionError):
        _refuse(path, f"expected a value that JSON has, got {value!r:.80}")


def _refuse(path: str, message: str) -> NoReturn:
    raise InvalidArgument(f"{path}: {message}" if path else message)

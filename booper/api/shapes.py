"""Reading a JSON object as a struct, with an error for every field of a wrong shape.

msgspec stops at the first wrong field; a person wants to hear of all at once.
"""

import re
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec.structs import fields

from booper.api.bodies import decode_json
from booper.errors import FieldError, InvalidRequest, pointer_to

T = TypeVar("T", bound=msgspec.Struct)

_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")


class Parts(NamedTuple):
    """An object's fields of a right shape, as JSON, and an error for each other one."""

    sound: dict[str, msgspec.Raw]
    errors: list[FieldError]


def read_struct(body: bytes, kind: type[T]) -> T:
    """Read a body as a struct.

    Raises:
        MalformedBody: it is not JSON.
        InvalidRequest: a field is unknown, missing or of a wrong shape.
    """
    try:
        value: T = decode_json(body, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(split(body, kind, error).errors) from error
    return value


def split(body: bytes, kind: type[msgspec.Struct], first: msgspec.ValidationError) -> Parts:
    """Tell the fields of a right shape from the others; `first` is what msgspec said."""
    try:
        sent = decode_json(body, dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return Parts({}, [FieldError("", "expected a JSON object")])
    known = {field.name: field for field in fields(kind)}
    missing = [name for name, field in known.items() if field.required and name not in sent]
    parts = Parts({}, [FieldError(f"/{name}", "this field is required") for name in missing])
    for name, raw in sent.items():
        if len(parts.errors) > InvalidRequest.MOST_ERRORS:
            break
        wrong = [unknown(name, known)] if name not in known else _wrong(name, raw, known[name].type)
        parts.errors.extend(wrong)
        if not wrong:
            parts.sound[name] = raw
    if not parts.errors:
        parts.errors.append(_located("", str(first)))
    return parts


def unknown(name: str, known: Any) -> FieldError:
    """Say that there is no such field, and which one may be meant."""
    near = get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(known)}"
    return FieldError(pointer_to("", name), f"unknown field; {hint}")


def _wrong(name: str, raw: msgspec.Raw, kind: Any) -> list[FieldError]:
    try:
        decode_json(bytes(raw), kind)
    except msgspec.ValidationError as error:
        return _members(f"/{name}", raw, str(error))
    return []


def _members(pointer: str, raw: msgspec.Raw, message: str) -> list[FieldError]:
    """Find the member of an object that msgspec only calls `[...]`."""
    match = _PATH.search(message)
    if match is None or not match["path"].startswith("[...]"):
        return [_located(pointer, message)]
    detail = _PATH.sub("", message)
    scalar = str | int | float | bool
    wrong = []
    for name, member in decode_json(bytes(raw), dict[str, msgspec.Raw]).items():
        try:
            decode_json(bytes(member), scalar)
        except msgspec.ValidationError:
            wrong.append(_located(pointer_to(pointer, name), detail))
    return wrong or [_located(pointer, message)]


# What msgspec calls our types, and what people call them.
_WORDS = {
    "int | float | array": 'seconds or [n, unit], such as [30, "seconds"]',
    "int | float | str": "an ISO 8601 time or a Unix time",
    " | null": "",
    "object": "a JSON object",
}


def _located(pointer: str, message: str) -> FieldError:
    """Turn msgspec's `Expected … - at `$[1]`` into a pointer and a sentence."""
    match = _PATH.search(message)
    path = match["path"].replace("[...]", "").replace("[", "/").replace("]", "") if match else ""
    detail = _PATH.sub("", message).replace("`", "")
    for types, words in _WORDS.items():
        detail = detail.replace(types, words)
    return FieldError(pointer + path.replace(".", "/"), detail[:1].lower() + detail[1:])

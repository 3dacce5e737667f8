"""Reading a JSON object as a struct, with an error for every field of a wrong shape.

msgspec stops at the first wrong field and speaks of its types; a person wants to hear of all at
once, and of what JSON has.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from types import NoneType
from typing import Annotated, Any, Final, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec.structs import fields

from booper.api.bodies import decode_json
from booper.api.budget import ErrorBudget
from booper.errors import FieldError, InvalidRequest, MalformedBody, pointer_to
from booper.model.duration import Duration
from booper.model.moment import Moment
from booper.model.retry import EXPONENTIAL
from booper.model.suggestion import did_you_mean

T = TypeVar("T", bound=msgspec.Struct)

_INDEX = re.compile(r" - at `\$\[(\d+)\]")
_MAX_MEMBERS: Final = 1_000
"""How many members of an object are looked at for wrong ones."""
_MAX_SHOWN: Final = 40

# What unions are to people; each is of one kind of field.
_UNIONS: Final = {
    frozenset(get_args(Duration)): 'seconds or [n, unit], such as 90 or [30, "seconds"]',
    frozenset(get_args(Moment)): 'an ISO 8601 time or a Unix time, such as "2030-01-31T09:00:00Z"',
    frozenset({int, float}): "a number",
    frozenset({int, str}): 'a status such as 200, or a class such as "3xx"',
    frozenset({str, list[Duration]}): f'"{EXPONENTIAL}" or a list of waits, '
    'such as [10, [5, "minutes"]]',
    frozenset({str, list[str]}): "text or a list of text",
    frozenset({str, int, float, bool}): "text, a number, true or false",
}
_WORDS: Final = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    tuple: "a list",
    dict: "an object",
}


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
        raise InvalidRequest(split(body, kind).errors) from error
    return value


def split(body: bytes, kind: type[msgspec.Struct], budget: ErrorBudget | None = None) -> Parts:
    """Return the fields of a right shape, and an error for each other one within the budget."""
    budget = budget or ErrorBudget()
    try:
        sent = decode_json(body, dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return Parts({}, [not_an_object(body)])
    known = {field.name: field for field in fields(kind)}
    missing = [name for name, field in known.items() if field.required and name not in sent]
    parts = Parts({}, [FieldError(f"/{name}", "this field is required") for name in missing])
    for name, raw in sent.items():
        if len(parts.errors) > budget.errors:
            break
        if name not in known:
            parts.errors.append(unknown(name, known, suggests=budget.has_hint()))
        elif wrong := list(islice(_wrong(f"/{name}", bytes(raw), known[name].type), budget.errors)):
            parts.errors.extend(wrong)
        else:
            parts.sound[name] = raw
    return parts


def not_an_object(body: bytes) -> FieldError:
    """Return the error that a body is JSON, but no object."""
    return FieldError("", f"expected a JSON object, got {_shown(body)}")


def unknown(
    name: str, known: Iterable[str], noun: str = "field", *, suggests: bool = True
) -> FieldError:
    """Return the error that there is no such field or parameter, and which one may be meant."""
    names = tuple(known)
    hint = (did_you_mean(name, names) if suggests else None) or _all_of(names, noun)
    return FieldError(pointer_to("", name), f"unknown {noun}; {hint}")


def _all_of(names: tuple[str, ...], noun: str) -> str:
    match names:
        case ():
            return f"there are no {noun}s here"
        case (only,):
            return f"the only {noun} is {only}"
        case _:
            return f"the {noun}s are {', '.join(names)}"


def _wrong(pointer: str, raw: bytes, kind: Any) -> Iterator[FieldError]:
    """Yield an error for each part of a value that its type does not take."""
    try:
        decode_json(raw, kind)
    except msgspec.ValidationError as error:
        found = list(_wrong_members(pointer, raw, kind, str(error)))
        # Headers may be secrets, also where they are written in a way that is none.
        got = "text" if pointer.startswith("/headers") and raw[:1] == b'"' else _shown(raw)
        yield from found or [FieldError(pointer, f"expected {_words(kind)}, got {got}")]


def _wrong_members(pointer: str, raw: bytes, kind: Any, message: str) -> Iterator[FieldError]:
    """Yield the errors of the members of an object, or of the first wrong item of a list."""
    for option in _options(kind):
        origin, inner = get_origin(option), get_args(option)
        match raw[:1]:
            case b"{" if isinstance(option, type) and issubclass(option, msgspec.Struct):
                for error in split(raw, option).errors:
                    yield FieldError(pointer + error.pointer, error.detail)
            case b"{" if origin is dict:
                members = decode_json(raw, dict[str, msgspec.Raw])
                for name, member in islice(members.items(), _MAX_MEMBERS):
                    yield from _wrong(pointer_to(pointer, name), bytes(member), inner[1])
            case b"[" if origin in (list, tuple) and (found := _INDEX.search(message)):
                index, items = int(found[1]), decode_json(raw, list[msgspec.Raw])
                item = inner[index] if origin is tuple else inner[0]
                yield from _wrong(f"{pointer}/{index}", bytes(items[index]), item)


def _options(kind: Any) -> tuple[Any, ...]:
    """Return the types that a union is made of, but for those that mean an absent value."""
    is_whole = get_origin(kind) in (list, tuple, dict, Annotated)
    options = (kind,) if is_whole else get_args(kind) or (kind,)
    return tuple(each for each in options if each not in (NoneType, msgspec.UnsetType))


def _words(kind: Any) -> str:
    """Return what a type takes, in words."""
    options = _options(kind)
    if len(options) > 1:
        words = _UNIONS.get(frozenset(options))
        return words or " or ".join(map(_words, options))
    [only] = options
    origin, inner = get_origin(only), get_args(only)
    if origin is list and inner[0] is not msgspec.Raw:
        return f"a list of {_words(inner[0])}"
    if origin is Annotated:
        return f"{_words(inner[0])} from {inner[1].ge} to {inner[1].le}"
    if origin is dict and inner[1] is not Any:
        return f"an object whose values are {_words(inner[1])}"
    return _WORDS.get(origin or only, "an object")


def _shown(raw: bytes) -> str:
    """Return a wrong value as it may be repeated: a text or a number, else what kind it is."""
    raw = raw.strip()
    match raw[:1]:
        case b"{":
            return "an object"
        case b"[":
            count = len(_items(raw))
            return f"a list of {count}" if count else "an empty list"
        case _:
            text = raw[: 4 * _MAX_SHOWN].decode(errors="replace")
            return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _items(raw: bytes) -> list[msgspec.Raw]:
    try:
        items: list[msgspec.Raw] = decode_json(raw, list[msgspec.Raw])
    except MalformedBody:
        return []
    return items

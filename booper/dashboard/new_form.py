"""The form of a new job: what is typed into it, the fields of a create that it means, and back.

Of the fields that say when, only those of the chosen way count: the others are not shown.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from booper.api.bodies import check_json
from booper.dashboard.lines import (
    Untypable,
    pretty_json,
    read_headers,
    read_json,
    read_list,
    read_query,
    write_headers,
    write_list,
    write_query,
)
from booper.dashboard.text import has_hidden
from booper.errors import FieldError, MalformedBody, pointer_to
from booper.model.fields import CREATE_FIELDS, FieldKind, Needs, fields_that_need
from booper.model.moment import is_unix_time
from booper.wire.redaction import REDACTED

WAYS: Final = (
    ("now", "Now"),
    ("in", "In a while"),
    ("at", "At a time"),
    ("every", "Every …"),
    ("cron", "By cron"),
)
"""When a job is sent, and the words for it."""

OF_SCHEDULES: Final = fields_that_need(Needs.RECURRENCE)
OF_KEYS: Final = ("idempotency_key", *fields_that_need(Needs.KEY))

_OF_ALL_SCHEDULES: Final = ("schedule_in", "scheduled_at", "timezone", *OF_SCHEDULES)
_OF_WAYS: Final[Mapping[str, Sequence[str]]] = {
    "now": (),
    "in": ("schedule_in",),
    "at": ("scheduled_at", "timezone"),
    "every": ("repeat_every", *_OF_ALL_SCHEDULES),
    "cron": ("cron", *_OF_ALL_SCHEDULES),
}
_NEEDED: Final[Mapping[str, tuple[str, str]]] = {
    "in": ("schedule_in", "30 minutes"),
    "at": ("scheduled_at", "2030-01-31 09:00"),
    "every": ("repeat_every", "5 minutes"),
    "cron": ("cron", "0 9 * * MON-FRI"),
}
"""The field that a way needs, and an example of it."""

OF_TIME: Final = frozenset(name for names in _OF_WAYS.values() for name in names)
"""The fields that say when."""

_NUMBER: Final = re.compile(r"-?\d{1,18}(\.\d{1,9})?")
_AS_TYPED: Final = frozenset({"body", "name", "description", "idempotency_key"})
"""What may begin or end with a space."""

Typed = Mapping[str, str]
"""What stands in each field of the form, by its name; "" is nothing."""


class Meant(msgspec.Struct, frozen=True):
    """The fields of a create that a form means, and what cannot be read."""

    fields: Mapping[str, Any]
    errors: Sequence[FieldError]


def blank() -> Typed:
    """Return the form that nobody has typed in."""
    return {**dict.fromkeys(CREATE_FIELDS, ""), "when": "now", "body_kind": "json", "from": ""}


def filled(form: Typed) -> Typed:
    """Return what was sent of a form, and of the fields that were not what stands there blank."""
    empty = blank()
    return {name: form.get(name, text) for name, text in empty.items()}


def read(typed: Typed) -> Meant:
    """Return what a form means."""
    fields, errors = dict[str, Any](), list[FieldError]()
    ignored = OF_TIME.difference(_OF_WAYS.get(typed["when"], ()))
    for name in CREATE_FIELDS:
        text = typed[name] if name in _AS_TYPED else typed[name].strip()
        if name in ignored or not text.strip():
            continue
        try:
            fields[name] = _read(name, text, typed)
        except Untypable as error:
            errors.append(FieldError(pointer_to("", name), str(error)))
    return Meant(fields, [*errors, *_missing(typed, fields), *_hidden(typed, fields)])


def write(args: Mapping[str, Any]) -> Typed:
    """Return the form of a job's args, to send the like once, now.

    The idempotency key is left out, as with it nothing would be sent.
    """
    texts = {
        name: _write(name, value)
        for name, value in args.items()
        if name in CREATE_FIELDS and name not in OF_KEYS
    }
    body = args.get("body")
    if isinstance(body, str) and body.strip() and not has_hidden(body):
        texts |= {"body_kind": "text", "body": body}
    return {**blank(), **texts}


def at_fields(errors: Sequence[FieldError]) -> Mapping[str, Sequence[str]]:
    """Return what is wrong with each field; of what lies in one, with where."""
    found = dict[str, list[str]]()
    for error in errors:
        name = error.pointer.removeprefix("/").partition("/")[0]
        place = error.pointer.removeprefix(f"/{name}").removeprefix("/")
        place = place.replace("~1", "/").replace("~0", "~")
        found.setdefault(name, []).append(f"{place}: {error.detail}" if place else error.detail)
    return found


def _read(name: str, text: str, typed: Typed) -> Any:
    match CREATE_FIELDS[name].kind:
        case FieldKind.OBJECT:
            return read_query(text)
        case FieldKind.HEADERS:
            return read_headers(text)
        case FieldKind.JSON:
            return text if typed["body_kind"] == "text" else _json(text)
        case FieldKind.DURATION | FieldKind.NUMBER:
            return _number(text)
        case FieldKind.MOMENT:
            return _number(text) if is_unix_time(text) else text
        case FieldKind.BOOLEAN:
            return {"true": True, "false": False}.get(text, text)
        case FieldKind.TAGS:
            return read_list(text)
        case FieldKind.BACKOFF:
            return text if text.isalpha() else _numbers(text)
        case FieldKind.STATUSES:
            return _numbers(text)
        case _:
            return text


def _json(text: str) -> msgspec.Raw:
    """Return JSON that was typed, without the spaces between its parts. Raises: Untypable."""
    read_json(text)
    try:
        check_json(text.encode())
    except MalformedBody as error:
        raise Untypable(str(error).removeprefix("the body ")) from error
    return msgspec.Raw(msgspec.json.format(text.encode(), indent=-1))


def _number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _numbers(text: str) -> list[Any]:
    return [_number(item) if isinstance(item, str) else item for item in read_list(text)]


def _missing(typed: Typed, fields: Mapping[str, Any]) -> Iterable[FieldError]:
    """Yield what the chosen way needs and does not have."""
    way = typed["when"]
    name, example = _NEEDED.get(way, ("", ""))
    if way != "now" and not name:
        expected = ", ".join(name for name, _ in WAYS)
        yield FieldError("/when", f"expected one of {expected}, got {way[:40]!r}")
    elif name and not typed[name].strip():
        yield FieldError(pointer_to("", name), f"is required; write for example {example}")
    if "url" not in fields:
        yield FieldError("/url", "is required; it begins with https://")


def _hidden(typed: Typed, fields: Mapping[str, Any]) -> Iterable[FieldError]:
    """Yield the headers whose values nobody has."""
    headers = fields.get("headers", {})
    for name, value in headers.items():
        if value == REDACTED and not typed["from"]:
            yield FieldError(pointer_to("/headers", name), "its value is hidden; write it again")


def _write(name: str, value: Any) -> str:
    match CREATE_FIELDS[name].kind:
        case FieldKind.OBJECT:
            return write_query(value)
        case FieldKind.HEADERS:
            return write_headers(value)
        case FieldKind.JSON:
            return pretty_json(value)
        case FieldKind.TAGS:
            return write_list(value, read_list)
        case FieldKind.BACKOFF if isinstance(value, list):
            return write_list([_duration(each) for each in value], _numbers)
        case FieldKind.STATUSES:
            return write_list(value, _numbers)
        case FieldKind.BOOLEAN:
            return "true" if value else "false"
        case _:
            return _duration(value)


def _duration(value: Any) -> str:
    """Return a number, text, or a duration such as `[30, "seconds"]` as text."""
    if isinstance(value, list):
        return " ".join(map(_duration, value))
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value)

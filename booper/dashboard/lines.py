"""Objects and lists as people type them: a line for each header, commas between tags, or JSON.

What is written here is read as the same value again; what no line can hold is written as JSON.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from booper.dashboard.text import has_hidden, visible_json
from booper.model import exact
from booper.model.dynamic import MAX_DEPTH, is_text_too_deep

_BYTE: Final = re.compile(r" \(byte (\d+)\)")


class Untypable(ValueError):
    """A description of what is wrong with what was typed, and of what would be right."""


def read_json(text: str) -> Any:
    """Read JSON; numbers keep their text. Raises: Untypable, with the line of the error."""
    if is_text_too_deep(text.encode()):
        raise Untypable(f"must nest at most {MAX_DEPTH} levels deep")
    try:
        return exact.decode(text)
    except (msgspec.DecodeError, ValueError) as error:
        raise Untypable(f"is not JSON: {_why(text, str(error))}") from error


def read_headers(text: str) -> dict[str, Any]:
    """Read `Name: value` in each line, or an object of JSON. Raises: Untypable."""
    if text.lstrip().startswith("{"):
        return dict(read_json(text))
    found = dict[str, Any]()
    for name, value in _pairs(text, ":", "Name: value"):
        if name in found:
            raise Untypable(f"{name[:80]!r} is given twice; write its values in one line")
        found[name] = value.strip()
    return found


def read_query(text: str) -> dict[str, Any]:
    """Read `name=value` in each line, or an object of JSON. Raises: Untypable.

    A name that is repeated has a list of values.
    """
    if text.lstrip().startswith("{"):
        return dict(read_json(text))
    found = dict[str, list[str]]()
    for name, value in _pairs(text, "=", "name=value"):
        found.setdefault(name, []).append(value)
    return {name: values if values[1:] else values[0] for name, values in found.items()}


def read_list(text: str) -> list[Any]:
    """Read items with commas between them, or a list of JSON. Raises: Untypable."""
    if text.lstrip().startswith("["):
        return list(read_json(text))
    return [item for each in text.split(",") if (item := each.strip())]


def write_headers(value: Mapping[str, Any]) -> str:
    """Write headers as `read_headers` reads them."""
    lines = "\n".join(f"{name}: {each}" for name, each in value.items())
    return _readable(lines, read_headers, value)


def write_query(value: Mapping[str, Any]) -> str:
    """Write a query as `read_query` reads it."""
    pairs = [
        (name, item)
        for name, each in value.items()
        for item in (each if isinstance(each, list) else [each])
    ]
    return _readable("\n".join(f"{name}={item}" for name, item in pairs), read_query, value)


def write_list(value: list[Any], read: Callable[[str], Any]) -> str:
    """Write a list as `read` reads it."""
    return _readable(", ".join(map(str, value)), read, value)


def pretty_json(value: Any) -> str:
    """Write JSON in lines, its numbers as they came, with an escape for each hidden character."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    return visible_json(text.decode())


def _readable(text: str, read: Callable[[str], Any], value: object) -> str:
    try:
        is_same = not has_hidden(text) and read(text) == value
    except Untypable:
        is_same = False
    return text if is_same else pretty_json(value)


def _pairs(text: str, separator: str, expected: str) -> list[tuple[str, str]]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        name, has_separator, value = line.partition(separator)
        if not has_separator or not name.strip():
            raise Untypable(f"line {number}: expected {expected}, got {line[:80]!r}")
        found.append((name.strip(), value))
    return found


def _why(text: str, error: str) -> str:
    """Return an error of the codec with a line and a column in place of its byte."""
    said = error.removeprefix("JSON is malformed: ")
    place = _BYTE.search(said)
    if place is None:
        return said
    before = text.encode()[: int(place[1])].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{said[: place.start()]}, in line {line} at character {column}"

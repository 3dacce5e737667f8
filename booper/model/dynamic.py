"""Dynamic fields of a schedule's request: `$job`, `$previous` and `$state` in, `$set` out.

The order of a run is `with_metadata(render(body, context), context)`: what is merged in or
substituted is a target's data and is never rendered itself, so a response that holds
`"$state.token"` stays text.

This module works on JSON values as they are decoded: dicts with string keys, lists, strings,
numbers, booleans and None. It sends nothing and stores nothing. Contract §6.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from booper.model import json_text

STATE_LIMIT_BYTES = 64 * 1024
"""How large `$state` may be as JSON (contract §12)."""

SUBSTITUTED_LIMIT_BYTES = 1024 * 1024
"""How much JSON the references of one value may bring in: as much as a request body may have
(contract §12). A short body of 80,000 `"$previous"` strings would otherwise become gigabytes."""

MAX_DEPTH = 200
"""How deep containers may nest. The JSON codec stops at Python's recursion limit
of 1,000, which a body, what is substituted in it, and the caller's stack share."""

MAX_REFERENCES = 10_000
"""How many references one value may have: each takes some microseconds of the loop."""

_BEGINNINGS = ("$$", "$job", "$previous", "$state")
_REFERENCE = re.compile(r"\$(job|previous|state)(?:\.(.+))?", re.DOTALL)
# As in JSON Pointer (RFC 6901 §4) without leading zeros. Nine digits pass any list that fits in
# memory here, and int() refuses strings of more than 4,300.
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
# RFC 9110 §5.5: a field value holds no control characters other than the tab.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class RenderError(ValueError):
    """The request cannot be built from this context; the attempt fails with this message."""


class StateRejected(ValueError):
    """The new `$state` cannot be kept; the old one stays as it was.

    StateRejected        nested too deep
     └─ StateTooLarge    more bytes than allowed
    """


class StateTooLarge(StateRejected):
    """The new `$state` has more bytes than allowed: `size_bytes`, of at most `limit_bytes`."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"$state must have at most {limit_bytes} bytes of JSON, got {size_bytes}")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class Context(msgspec.Struct, frozen=True):
    """The values that one run can refer to: `$job`, `$previous` and `$state`, all JSON.

    `previous` should come from `take_previous` and `state` from `merge_state`, which bound the
    depth.
    """

    job: dict[str, Any]
    previous: Any
    state: dict[str, Any]


def render(value: Any, context: Context) -> Any:
    """Return `value` with every reference, at any depth, replaced by what it refers to.

    A reference is a whole string: `$job`, `$previous` or `$state`, or one of these with a dotted
    path, `$previous.items.0.id`. What is found keeps its JSON type; what is not is None. A key that
    holds a dot cannot be reached. A string that begins with `$$` loses one `$` and is no reference.
    All other strings, and the keys of objects, stay as they are.

    `value` may nest arbitrarily deep (this is a loop, not a recursion) and is not changed; the
    result shares the substituted values with `context`.

    Raises:
        RenderError: There are more than `MAX_REFERENCES`, or they bring in more than
            `SUBSTITUTED_LIMIT_BYTES`.
    """
    root: list[Any] = [value]
    unvisited: list[Any] = [root]
    room, count = SUBSTITUTED_LIMIT_BYTES, 0
    while unvisited:
        container = unvisited.pop()
        for key, item in _items(container):
            # Exact types and no call for most strings: a body can hold half a million of them.
            kind = type(item)
            if kind is dict or kind is list:
                container[key] = item.copy()
                unvisited.append(container[key])
            elif kind is str and item[:1] == "$" and (found := _resolve(item, context)) is not item:
                container[key] = found
                room, count = room - len(msgspec.json.encode(found)), count + 1
                _check_size(room, count)
    return root[0]


def _check_size(room: int, count: int) -> None:
    if room < 0:
        raise RenderError(
            f"dynamic fields must add at most {SUBSTITUTED_LIMIT_BYTES} bytes of JSON"
        )
    if count > MAX_REFERENCES:
        raise RenderError(f"there must be at most {MAX_REFERENCES} dynamic fields")


def render_headers(headers: Mapping[str, Any], context: Context) -> dict[str, str]:
    """Return the header lines to send, with references in the values replaced.

    A string is sent as it is, everything else as JSON text (`3`, `true`, `["a"]`). A null drops the
    header, as a missing path means there is nothing to say.

    Raises:
        RenderError: A value holds a control character, such as the CR or LF with which a target
            could add header lines of its own (RFC 9110 §5.5), or `render` raised it.
    """
    rendered = render(dict(headers), context)
    lines = {name: _text(value) for name, value in rendered.items() if value is not None}
    for name, line in lines.items():
        # The message leaves the value out: it may be a credential.
        if found := _CONTROL.search(line):
            raise RenderError(
                f"header {name!r} must not hold control characters, "
                f"got U+{ord(found[0]):04X} at position {found.start()}"
            )
    return lines


def render_query(query: Mapping[str, Any], context: Context) -> dict[str, str | list[str]]:
    """Return the query parameters to send, with references in the values replaced.

    A string is sent as it is. A list repeats the parameter, once for each item. An object, within a
    list as well, is sent as JSON text, and so are numbers and booleans. A null drops the parameter,
    or the item of the list; a list without items drops the parameter.

    Raises:
        RenderError: As `render`.
    """
    parameters: dict[str, str | list[str]] = {}
    for name, value in render(dict(query), context).items():
        if isinstance(value, list):
            texts = [_text(item) for item in value if item is not None]
            if texts:
                parameters[name] = texts
        elif value is not None:
            parameters[name] = _text(value)
    return parameters


def with_metadata(body: Any, context: Context) -> Any:
    """Return `body` with `$job`, `$previous` and `$state` as further keys.

    The user's own keys of these names are overwritten. An absent body (None) counts as `{}`; one
    that is not an object comes back as it is, having no place for keys. `body` is already rendered.

    Whether a run has metadata at all is the caller's question: one-off jobs and a GET or DELETE
    without a body have none.
    """
    if body is None:
        body = {}
    if not isinstance(body, dict):
        return body
    return {**body, "$job": context.job, "$previous": context.previous, "$state": context.state}


def take_previous(response_json: Any) -> Any:
    """Return what the next run sees as `$previous`: the response, or `{}` if that is too deep.

    A target that echoes its body returns the `$previous` it was sent, one level deeper on every
    run. Past the codec's limit no request could be encoded, and with no run completed it stays so.
    """
    return {} if is_too_deep(response_json) else response_json


def take_set(response_json: Any) -> dict[str, Any] | None:
    """Return the top-level `$set` object of a response; None if it has none that is an object."""
    changes = response_json.get("$set") if isinstance(response_json, dict) else None
    return changes if isinstance(changes, dict) else None


def merge_state(
    state: dict[str, Any], changes: dict[str, Any], limit_bytes: int = STATE_LIMIT_BYTES
) -> dict[str, Any]:
    """Return a new state: `state` with the keys of `changes` put in their place.

    The merge is shallow: an object replaces the object of the same key. A null is stored as null.

    Raises:
        StateTooLarge: The result has more than `limit_bytes` bytes as JSON.
        StateRejected: The result nests deeper than `MAX_DEPTH`.
    """
    merged = {**state, **changes}
    if is_too_deep(merged):
        raise StateRejected(f"$state must nest at most {MAX_DEPTH} levels deep")
    size_bytes = len(msgspec.json.encode(merged))
    if size_bytes > limit_bytes:
        raise StateTooLarge(size_bytes, limit_bytes)
    return merged


def is_too_deep(value: Any) -> bool:
    """Return whether the containers of `value` nest deeper than `MAX_DEPTH`."""
    layer: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        if not layer:
            return False
        layer = [
            child
            for container in layer
            for _, child in _items(container)
            if isinstance(child, dict | list)
        ]
    return bool(layer)


def is_text_too_deep(text: bytes) -> bool:
    """Return the same of JSON text: with at most `MAX_DEPTH` brackets it need not be decoded."""
    if len(text) <= MAX_DEPTH:
        return False
    brackets = text.count(b"{") + text.count(b"[")
    return brackets > MAX_DEPTH and json_text.depth(text) > MAX_DEPTH


def _items(container: Any) -> Iterable[tuple[Any, Any]]:
    """Return the (key or index, value) pairs of a dict or list."""
    return container.items() if isinstance(container, dict) else enumerate(container)


def _resolve(text: str, context: Context) -> Any:
    """Return what `text` stands for: itself, unless it is a reference or escaped."""
    if not text.startswith(_BEGINNINGS):
        return text
    if text.startswith("$$"):
        return text[1:]
    reference = _REFERENCE.fullmatch(text)
    if reference is None:
        return text
    root, path = reference.groups()
    value = {"job": context.job, "previous": context.previous, "state": context.state}[root]
    for segment in path.split(".") if path else ():
        if value is None:
            break
        value = _step(value, segment)
    return value


def _step(value: Any, segment: str) -> Any:
    """Return the member of `value` that one path segment names, None if it has none."""
    match value:
        case dict():
            return value.get(segment)
        case list() if _INDEX.fullmatch(segment) and int(segment) < len(value):
            return value[int(segment)]
        case _:
            return None


def _text(value: Any) -> str:
    """Return a string as it is and any other value as JSON text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

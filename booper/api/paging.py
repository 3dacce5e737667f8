"""Query parameters of lists: `limit`, `offset`, `order_by` and filters (contract §2)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from booper.errors import FieldError, InvalidRequest, pointer_to
from booper.store.base import Page

DEFAULT_LIMIT = 10
MOST = 100
FARTHEST_OFFSET = 10_000
DIRECTIONS = ("asc", "desc")

_PAGING = ("limit", "offset", "order_by", "order_by[]")


def read_page(
    query: QueryParams, fields: Sequence[str], filters: Mapping[str, Callable[[str], Any]]
) -> tuple[Page, dict[str, Any]]:
    """Read which part of a list is asked for, and the values of its filters (None if absent).

    `fields` can be ordered by, the first by default. A filter's reader raises ValueError.

    Raises:
        InvalidRequest: a parameter is unknown or its value cannot be.
    """
    errors = [_unknown(name, filters) for name in query if name not in (*_PAGING, *filters)]
    limit = _number(query, "limit", DEFAULT_LIMIT, (1, MOST), "", errors)
    too_far = "; page through more with several narrower lists"
    offset = _number(query, "offset", 0, (0, FARTHEST_OFFSET), too_far, errors)
    field, direction = _order(query, fields, errors)
    values = {name: _filter(query, name, reader, errors) for name, reader in filters.items()}
    if errors:
        raise InvalidRequest(errors)
    return Page(limit, offset, field, descending=direction == "desc"), values


def _filter(
    query: QueryParams, name: str, reader: Callable[[str], Any], errors: list[FieldError]
) -> Any:
    text = query.get(name)
    try:
        return None if text is None else reader(text)
    except ValueError as error:
        errors.append(FieldError(f"/{name}", str(error)))
        return None


def _number(
    query: QueryParams,
    name: str,
    default: int,
    bounds: tuple[int, int],
    advice: str,
    errors: list[FieldError],
) -> int:
    text = query.get(name)
    if text is None:
        return default
    low, high = bounds
    if text.isascii() and text.isdigit() and len(text) <= 12 and low <= int(text) <= high:
        return int(text)
    errors.append(FieldError(f"/{name}", f"expected {low} to {high}, got {text[:40]!r}{advice}"))
    return default


def _order(query: QueryParams, fields: Sequence[str], errors: list[FieldError]) -> tuple[str, str]:
    """Read the order in any of its spellings; its encoding was never documented."""
    words = query.getlist("order_by[]") or _words(query.get("order_by"))
    field, direction = [*words, *[fields[0], "desc"][len(words) :]][:2]
    if len(words) > 2 or field not in fields or direction.lower() not in DIRECTIONS:
        expected = f"one of {', '.join(fields)}, and asc or desc"
        errors.append(FieldError("/order_by", f"expected {expected}, got {','.join(words)[:80]!r}"))
        return fields[0], "desc"
    return field, direction.lower()


def _words(text: str | None) -> list[str]:
    if not text:
        return []
    if text.startswith("["):
        try:
            return msgspec.json.decode(text, type=list[str])
        except msgspec.DecodeError:
            return [text]
    return [word.strip() for word in text.split(",")]


def _unknown(name: str, filters: Iterable[str]) -> FieldError:
    known = ["limit", "offset", "order_by", *filters]
    near = get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(known)}"
    return FieldError(pointer_to("", name), f"unknown parameter; {hint}")

"""Query parameters of lists: `limit`, `offset`, `order_by`, `cursor` and filters (contract §2)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.datastructures import QueryParams

from booper.api.call import NO_QUERY, Call
from booper.api.query import is_given_as_list, listed
from booper.clock import EPOCH
from booper.errors import FieldError, InvalidRequest
from booper.store.values import Page, Part, Place

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
MAX_OFFSET = 10_000
MAX_UUID = 2**128 - 1
DIRECTIONS = ("asc", "desc")

PAGING = ("limit", "offset", "order_by", "cursor")


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: its order, the last item's value of that order and id.

    `skip` is how many items behind it are to be left out.
    """

    order_by: str
    descending: bool
    value: int
    id: int
    skip: int = 0


def write_cursor(page: Page, part: Part[Any]) -> str | None:
    """Write where a part of a list ended, for the request of the next one; None if it is the last.

    An `offset` that a search has not come to the end of is left to the next one.
    """
    rest = part.rest
    if rest is None:
        return None
    return _encoded(Cursor(page.order_by, page.descending, rest.value, rest.id, rest.skip))


def _encoded(cursor: Cursor) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def cursor_behind(order_by: str, number: int, at: datetime, *, descending: bool) -> str:
    """Write the place behind an item in an order; `at` is what it has in an order by time."""
    value = (at - EPOCH) // timedelta(microseconds=1)
    return _encoded(Cursor(order_by, descending, value, number))


def read_page(
    query: QueryParams,
    fields: Sequence[str],
    filters: Mapping[str, Callable[[list[str]], Any]],
    *,
    max_id: int = 2**63 - 1,
) -> tuple[Page, dict[str, Any]]:
    """Read which part of a list is asked for, and the values of its filters (None if absent).

    `fields` can be ordered by, the first by default. A filter's reader takes all values given for
    it (`state=a&state=b`, `state[]=a`) and raises ValueError. `max_id` is the largest number that
    an item of the list can have; a UUID's is its 128 bits.

    Raises:
        InvalidRequest: the value of a parameter cannot be.
    """
    errors: list[FieldError] = []
    limit = _number(query, "limit", DEFAULT_LIMIT, (1, MAX_LIMIT), "", errors)
    too_far = "; go on from a page's next_cursor with `cursor`"
    offset = _number(query, "offset", 0, (0, MAX_OFFSET), too_far, errors)
    field, direction = _order(query, fields, errors)
    order = (field, direction == "desc")
    place = _place(query, order, max_id, errors)
    values = {name: read_filter(query, name, reader, errors) for name, reader in filters.items()}
    if errors:
        raise InvalidRequest(errors)
    return Page(limit, *order, replace(place, skip=place.skip + offset)), values


def _place(
    query: QueryParams, order: tuple[str, bool], max_id: int, errors: list[FieldError]
) -> Place:
    """Read the cursor, which must come from a page of the same order."""
    text = query.get("cursor")
    if text is None:
        return Place()
    try:
        padded = text[:400] + "=" * (-len(text[:400]) % 4)
        cursor = msgspec.json.decode(urlsafe_b64decode(padded), type=Cursor)
        is_number = -(2**63) <= cursor.value < 2**63 and 0 <= cursor.id <= max_id
        if not (is_number and 0 <= cursor.skip <= MAX_OFFSET):
            raise ValueError
    except (ValueError, msgspec.MsgspecError):
        errors.append(
            FieldError("/cursor", f"expected the next_cursor of a page, got {text[:40]!r}")
        )
        return Place()
    if (cursor.order_by, cursor.descending) != order:
        errors.append(
            FieldError(
                "/cursor", "belongs to a list in another order; use it with the same order_by"
            )
        )
    return Place(True, cursor.value, cursor.id, cursor.skip)


def read_filter(
    query: QueryParams,
    name: str,
    reader: Callable[[list[str]], Any],
    errors: list[FieldError],
) -> Any:
    """Return the value of a filter, None if it is absent or wrong, which is added to `errors`."""
    texts = listed(query, name)
    try:
        return reader(texts) if texts else None
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
    texts = listed(query, "order_by")
    words = texts if is_given_as_list(query, "order_by") else order_words(query.get("order_by"))
    field, direction = [*words, *[fields[0], "desc"][len(words) :]][:2]
    if len(words) > 2 or field not in fields or direction.lower() not in DIRECTIONS:
        expected = f"one of {', '.join(fields)}, and asc or desc"
        errors.append(FieldError("/order_by", f"expected {expected}, got {','.join(words)[:80]!r}"))
        return fields[0], "desc"
    return field, direction.lower()


def order_words(text: str | None) -> list[str]:
    """Return the parts of an order: the field, and the direction if it is given."""
    if not text:
        return []
    if text.startswith("["):
        try:
            return msgspec.json.decode(text, type=list[str])
        except msgspec.DecodeError:
            return [text]
    return [word.strip() for word in text.split(",")]


def flag(call: Call, name: str) -> bool:
    """Read a parameter that is true or false, and false by default. Raises: InvalidRequest."""
    if call.query is NO_QUERY:
        return False
    value: str = call.query.get(name, "false")
    if value not in ("true", "false"):
        detail = f"expected true or false, got {value[:40]!r}"
        raise InvalidRequest([FieldError(f"/{name}", detail)])
    return value == "true"

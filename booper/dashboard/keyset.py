"""Pages in both directions through a list that is newest first, without numbers of pages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from booper.dashboard.visit import Visit

LIMIT: Final = 50

CursorAt = Callable[[Any, bool], str]
"""Return the cursor behind an item, in the order of the list or else in the opposite one."""


class Place(msgspec.Struct, frozen=True):
    """Where a page is in its list: from a cursor on, or if it `is_turned` up to it.

    `rest` is the cursor where the search goes on in the direction in which it was made.
    """

    cursor: str
    is_turned: bool
    rest: str | None


class Listed(msgspec.Struct, frozen=True):
    """A page of a list: its items, and links to the page before it and to the one after it.

    A link is None where there is no such page.
    """

    items: Sequence[Any]
    before: str | None
    after: str | None


async def listed(
    visit: Visit,
    path: str,
    field: str,
    cursor_at: CursorAt,
    wanted: Mapping[str, object] | None = None,
) -> Listed:
    """Return the page of a list of the API that the address bar asks for.

    `field` is what the list is ordered by, `wanted` are its filters. A page that is turned was
    reached by going back: it is asked for in the opposite order. Raises: BooperError.
    """
    wanted, here = wanted or {}, visit.asked.partition("?")[0]
    cursor, is_turned = visit.query.get("cursor", ""), visit.query.get("turned") == "yes"
    order = f"{field},{'asc' if is_turned else 'desc'}"
    found = await visit.get(path, {"limit": LIMIT, "order_by": order, "cursor": cursor, **wanted})
    items, rest = found["data"], found.get("next_cursor")

    def link(**place: object) -> str:
        return visit.links.to(here, **{**wanted, **place})

    items = items[::-1] if is_turned else items
    place = Place(cursor, is_turned, rest)
    return Listed(items, *links_around(items, place, link, cursor_at))


def links_around(
    items: Sequence[Any], place: Place, link: Callable[..., str], cursor_at: CursorAt
) -> tuple[str | None, str | None]:
    """Return the links to the page before these items and to the one after them.

    `link` makes a link to the list of a `cursor`, without one to its beginning.
    """
    if place.is_turned:
        before = None if place.rest is None else link(cursor=place.rest, turned="yes")
        return before, link(cursor=cursor_at(items[-1], True)) if items else link()
    after = None if place.rest is None else link(cursor=place.rest)
    if not place.cursor:
        return None, after
    return link(cursor=cursor_at(items[0], False), turned="yes") if items else link(), after

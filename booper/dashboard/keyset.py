"""Pages in both directions through a list that is newest first, without numbers of pages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from booper.dashboard.visit import Visit

LIMIT: Final = 50

CursorAt = Callable[[Any, bool], str]
"""Return the cursor behind an item, in falling order or else in rising order."""


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

    if is_turned:
        items = items[::-1]
        after = link(cursor=cursor_at(items[-1], True)) if items else link()
        return Listed(items, link(cursor=rest, turned="yes") if rest else None, after)
    before = None
    if cursor:
        before = link(cursor=cursor_at(items[0], False), turned="yes") if items else link()
    return Listed(items, before, link(cursor=rest) if rest else None)

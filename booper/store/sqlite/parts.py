"""Parts of lists whose order is that of their items' UUIDs: as long as was asked for, or shorter.

A part holds `PAGE_BYTES` at most, unless one item alone has more.
"""

import sqlite3
from collections.abc import Callable
from uuid import UUID

from booper.store.sqlite.values import Row
from booper.store.values import PAGE_BYTES, Page, Part, Place


def values(page: Page) -> dict[str, object]:
    """Return the values of a list's SQL: where its part begins, and how long it is."""
    place = page.place
    after = UUID(int=place.id).bytes if place.is_behind else None
    return {"limit": page.limit, "offset": place.skip, "after": after}


def read(cursor: sqlite3.Cursor, page: Page, size_of: Callable[[Row], int]) -> Part[Row]:
    """Read rows that begin with their UUID, until the page is full."""
    rows: list[Row] = []
    room = PAGE_BYTES
    for row in cursor:
        room -= size_of(row)
        if rows and room < 0:
            cursor.close()
            break
        rows.append(row)
    else:
        if len(rows) < page.limit:
            return Part(rows)
    return Part(rows, Place(is_behind=True, id=UUID(bytes=rows[-1][0]).int))

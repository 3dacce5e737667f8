"""Reading the audit: a page of the changes that are wanted, looking at a bounded number of them."""

import sqlite3
from typing import Final
from uuid import UUID

import msgspec

from booper.model.audit import Action, Change, ChangeFilter, Kind
from booper.store.sqlite.values import Row
from booper.store.stored import loaded
from booper.store.values import Page, Part, Place

MAX_LOOK: Final = 10_000
"""How many changes a page looks at; the search goes on with the next."""

COLUMNS: Final = """
audit.id, audit.at, audit.key_id, keys.name, audit.user_id, audit.action, audit.kind, audit.object,
audit.jobs, audit.detail
"""

# Two statements: of one that wants both ends, SQLite reads all.
OLDEST: Final = "SELECT ifnull(min(id), 0) FROM audit"
NEWEST: Final = "SELECT ifnull(max(id), 0) FROM audit"

# The numbers bound what is read; what is wanted of it is looked for without an index.
CHANGES: Final = f"""
SELECT {COLUMNS} FROM audit LEFT JOIN keys ON keys.id = audit.key_id
WHERE audit.id BETWEEN :first AND :last
AND (:action IS NULL OR audit.action = :action)
AND (:kinds IS NULL OR audit.kind IN (SELECT value FROM json_each(:kinds)))
AND (:key_id IS NULL OR audit.key_id = :key_id)
ORDER BY audit.id {{direction}} LIMIT :limit
"""


def read_changes(connection: sqlite3.Connection, page: Page, wanted: ChangeFilter) -> Part[Change]:
    """Return a page of the changes that are wanted, and where the next one begins."""
    (oldest,), (newest,) = (connection.execute(end).fetchone() for end in (OLDEST, NEWEST))
    first, last = _range(page, oldest, newest)
    values = {
        "first": first,
        "last": last,
        "action": str(wanted.action) if wanted.action else None,
        "kinds": msgspec.json.encode(wanted.kinds).decode() if wanted.kinds else None,
        "key_id": wanted.key_id.bytes if wanted.key_id else None,
        "limit": page.place.skip + page.limit + 1,
    }
    rows = connection.execute(changes_query(page), values).fetchall()
    found = [change_of(row) for row in rows[page.place.skip :][: page.limit]]
    if len(rows) > page.place.skip + page.limit:
        return Part(found, Place(is_behind=True, id=found[-1].id))
    if (first <= oldest) if page.descending else (last >= newest):
        return Part(found, None)
    left = max(page.place.skip - len(rows), 0)
    return Part(found, Place(is_behind=True, id=first if page.descending else last, skip=left))


def changes_query(page: Page) -> str:
    """Return the query for a page of the audit."""
    return CHANGES.format(direction="DESC" if page.descending else "ASC")


def _range(page: Page, oldest: int, newest: int) -> tuple[int, int]:
    """Return the numbers between which a page looks, both included."""
    place = page.place
    if page.descending:
        last = min(place.id - 1, newest) if place.is_behind else newest
        return last - MAX_LOOK + 1, last
    first = max(place.id + 1, oldest) if place.is_behind else oldest
    return first, first + MAX_LOOK - 1


def change_of(row: Row) -> Change:
    """Return a change, of `COLUMNS`."""
    number, at, key_id, key_name, user_id, action, kind, object_id, jobs, detail = row
    return Change(
        number,
        loaded(at),
        None if key_id is None else UUID(bytes=key_id),
        key_name,
        None if user_id is None else UUID(bytes=user_id),
        Action(action),
        Kind(kind),
        object_id,
        jobs,
        detail,
    )

"""Reading the audit: a page of the changes that are wanted, looking at a bounded number of them."""

from typing import Final

from booper.model.audit import Action, Change, ChangeFilter, Kind
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import Row, text_out
from booper.store.stored import loaded
from booper.store.values import Page, Part, Place

MAX_LOOK: Final = 10_000
"""How many changes a page looks at; the search goes on with the next."""

COLUMNS: Final = """
audit.id, audit.at, audit.key_id, keys.name, audit.user_id, audit.action, audit.kind, audit.object,
audit.jobs, audit.detail
"""

ENDS: Final = "SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM audit"

# The numbers bound what is read; what is wanted of it is looked for without an index.
CHANGES: Final = f"""
SELECT {COLUMNS} FROM audit LEFT JOIN keys ON keys.id = audit.key_id
WHERE audit.id BETWEEN %(first)s AND %(last)s
AND (%(action)s::text IS NULL OR audit.action = %(action)s)
AND (%(kinds)s::text[] IS NULL OR audit.kind = ANY(%(kinds)s))
AND (%(key_id)s::uuid IS NULL OR audit.key_id = %(key_id)s)
ORDER BY audit.id {{direction}} LIMIT %(limit)s
"""


def read_changes(
    transaction: PostgresTransaction, page: Page, wanted: ChangeFilter
) -> Part[Change]:
    """Return a page of the changes that are wanted, and where the next one begins."""
    ((oldest, newest),) = transaction.execute(ENDS).fetchall()
    first, last = _range(page, oldest, newest)
    values = {
        "first": first,
        "last": last,
        "action": str(wanted.action) if wanted.action else None,
        "kinds": [str(kind) for kind in wanted.kinds] if wanted.kinds else None,
        "key_id": wanted.key_id,
        "limit": page.place.skip + page.limit + 1,
    }
    rows = transaction.execute(changes_query(page), values).fetchall()
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
        key_id,
        text_out(key_name),
        user_id,
        Action(action),
        Kind(kind),
        text_out(object_id) or "",
        jobs,
        text_out(detail) or "",
    )

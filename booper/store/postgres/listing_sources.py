"""The SQL of sets of jobs among which are all that a list may show: streams, and few jobs.

A stream is a stretch of an index that has the list's order, so nothing of it is sorted and only
its beginning is read. Each reads the one table that can have its jobs.
"""

from collections.abc import Iterator
from typing import Final

from booper.model.job import FINISHED, Kind, State
from booper.store.postgres.listing import Listing
from booper.store.postgres.listing_filters import reads_args

LIVE: Final = "live_jobs"
KEPT: Final = "kept_jobs"

# `octet_length` does not read a long text. What is compared is read as it stands.
_FOUND: Final = "id, scheduled_at, inserted_at, octet_length(args) AS size"
_PLACE: Final = {True: "'live' AS class, 0::bigint AS ended_at", False: "class, ended_at"}
_COMPARED: Final = "user_id, kind, state, schedule_id, parent_id, origin, tags"

_AMONG: Final = "user_id = %(user_id)s AND kind = %(kind_{kind})s"

_STREAM: Final = """
(SELECT {columns} FROM {table} WHERE {among} AND state = '{state}' {filters}
ORDER BY {order} LIMIT {limit})
"""
_BEHIND_TIME: Final = {
    True: "AND (scheduled_at, id) < (%(after_value)s, %(after_id)s)",
    False: "AND (scheduled_at, id) > (%(after_value)s, %(after_id)s)",
}

_UNORDERED: Final = "SELECT {columns} FROM {table} WHERE {among} AND state = '{state}' {filters}"

# These are few, and have an index of their own; the OFFSET keeps them from being read in another's
# order (https://www.postgresql.org/docs/15/queries-limit.html).
_EXECUTING: Final = """
(SELECT {columns} FROM live_jobs
WHERE state = 'executing' AND user_id = %(user_id)s AND kind = ANY(%(kinds)s) {filters} OFFSET 0)
"""

_OF_SET: Final = "SELECT {columns} FROM {table} WHERE {condition} {filters}"
_SETS: Final = {
    "tag": "tags <> '{}' AND tags @> ARRAY[%(tag)s]",
    "schedule": "schedule_id = %(schedule_id)s",
    "reports": "parent_id = %(reports_of)s",
}

# Written so that only the set's own index has the order.
_SORTED_SET: Final = """
(SELECT {columns} FROM {table} WHERE {column} BETWEEN {value} AND {value} {behind}
ORDER BY {column} {direction}, id {direction} LIMIT {limit})
"""
_SORTED: Final = {
    "schedule": ("schedule_id", "%(schedule_id)s"),
    "reports": ("parent_id", "%(reports_of)s"),
}


def streams(listing: Listing, limit: int | str, *, is_short: bool = False) -> str:
    """Return the first jobs of each stream, in the list's order; if short no more than places."""
    return " UNION ALL ".join(_streams(listing, limit, is_short=is_short))


def unordered(listing: Listing, columns: str | None = None, behind: str = "") -> str:
    """Return all jobs of the streams by time, in no order."""
    parts = []
    for table, kind, state in _stretches(listing):
        shown = columns or columns_of(listing, table)
        filters = f"{listing.span(state)} {behind}"
        if state == State.EXECUTING:
            parts.append(_EXECUTING.format(columns=shown, filters=filters))
            continue
        among = _AMONG.format(kind=kind)
        parts.append(
            _UNORDERED.format(columns=shown, table=table, among=among, state=state, filters=filters)
        )
    return " UNION ALL ".join(parts)


def of_set(listing: Listing, name: str, columns: str | None = None, behind: str = "") -> str:
    """Return all jobs of a tag, of a schedule, or all reports of a job, in no order."""
    if name == "streams":
        return unordered(listing, columns, behind)
    return " UNION ALL ".join(
        _OF_SET.format(
            columns=columns or columns_of(listing, table),
            table=table,
            condition=_SETS[name],
            filters=behind,
        )
        for table in _tables(listing)
    )


def sorted_set(listing: Listing, name: str, limit: int) -> str:
    """Return the first jobs of a schedule, or reports of a job, in an order by number."""
    column, value = _SORTED[name]
    return " UNION ALL ".join(
        _SORTED_SET.format(
            columns=columns_of(listing, table),
            table=table,
            column=column,
            value=value,
            behind=behind(listing),
            direction=listing.direction,
            limit=limit,
        )
        for table in _tables(listing)
    )


def behind(listing: Listing) -> str:
    """Return where a part of a list begins and ends, as a filter of any set."""
    if not listing.is_behind:
        return ""
    if listing.is_by_time:
        return _BEHIND_TIME[listing.is_falling]
    if listing.has_end:
        return "AND id > %(after_id)s AND id <= %(end)s"
    return f"AND id {'<' if listing.is_falling else '>'} %(after_id)s"


def columns_of(listing: Listing, table: str) -> str:
    """Return what is read of a table's jobs: where they stand, and what is to be compared."""
    columns = [_FOUND, _PLACE[table == LIVE]]
    if not listing.is_exact:
        columns.append(_COMPARED)
    if reads_args(listing.wanted):
        columns.append("args")
    return ", ".join(columns)


def _streams(listing: Listing, limit: int | str, *, is_short: bool) -> Iterator[str]:
    """Return each stream; by id with what its span leaves out, for it is the reading that ends."""
    for table, kind, state in _stretches(listing):
        columns = "id, scheduled_at" if is_short else columns_of(listing, table)
        span = listing.span(state) if listing.is_by_time else ""
        filters = f"{span} {behind(listing)}"
        if state == State.EXECUTING:
            yield _EXECUTING.format(columns=columns, filters=filters)
            continue
        yield _STREAM.format(
            columns=columns,
            table=table,
            among=_AMONG.format(kind=kind),
            state=state,
            filters=filters,
            order=listing.ordering,
            limit=limit,
        )


def _stretches(listing: Listing) -> Iterator[tuple[str, str, str]]:
    """Return the table, the name of the kind, and the state of each stream."""
    for state in listing.spans:
        if state == State.EXECUTING:  # one of all kinds
            yield LIVE, "", state
            continue
        for name, kind in listing.kinds.items():
            if state not in FINISHED:
                yield LIVE, name, state
                continue
            yield KEPT, name, state
            if kind != Kind.RUN and listing.wanted.schedule_id is None:
                yield f"{state}_jobs", name, state


def _tables(listing: Listing) -> list[str]:
    """Return the tables that can have jobs of a list."""
    return list(dict.fromkeys(table for table, _, _ in _stretches(listing)))


def sets(listing: Listing) -> list[str]:
    """Return the names of the sets that have all jobs of a list, those of fewer jobs first.

    There is none where the streams lead to just what is wanted.
    """
    wanted = listing.wanted
    if listing.is_exact:
        return []
    given = {"tag": wanted.tag, "reports": wanted.reports_of, "schedule": wanted.schedule_id}
    return [*(name for name, value in given.items() if value is not None), "streams"]

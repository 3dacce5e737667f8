"""Lists of the log: what was sent and received.

A row has one entry, or a request and what came of it (`log_rows`): these are two in every list.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from uuid import UUID

from msgspec.structs import replace

from booper.errors import NotFound
from booper.model.event import ERROR, EVENTS, REQUEST, RESPONSE, SKIPPED, STATE_REJECTED, LogEntry
from booper.model.job import OWN_KINDS
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.log_rows import TOGETHER, outcome_id, request_id
from booper.store.sqlite.values import Row
from booper.store.stored import loaded
from booper.store.values import PAGE_BYTES, Page, Part, Place

COLUMNS = "id, user_id, job_id, event, inserted_at, payload, request, requested_at"

GET = f"SELECT {COLUMNS} FROM logs WHERE id IN (:id, :row_id) AND user_id = :user_id"

# A list is a merge of streams, one for each kind and event, so that a rare event is found at once.
LIST = f"""
SELECT {COLUMNS} FROM (
    {{streams}} ORDER BY found {{direction}} LIMIT :rows
) CROSS JOIN logs ON seq = found
"""

# What a list leaves out at its beginning, without what was sent and received.
PASSED = """
SELECT found, event, id FROM (
    {streams} ORDER BY found {direction} LIMIT :rows
) CROSS JOIN logs ON seq = found
"""

STREAM = """
SELECT seq AS found FROM logs INDEXED BY logs_by_event
WHERE user_id = :user_id AND kind = '{kind}' AND event = '{event}' {behind}
"""

# Entries of callbacks and webhooks are shown to who asks for their job.
OF_JOB = """
SELECT seq AS found FROM logs INDEXED BY logs_by_job
WHERE job_id = :job_id AND +user_id = :user_id AND event IN ({events}) {behind}
"""

# Entries are numbered as they are written, so their order is that of `inserted_at`. Of one that is
# gone those before it are gone as well. The row of the last one may have another to show.
BEHIND = {
    True: "AND seq <= coalesce((SELECT seq FROM logs WHERE id IN (:after, :after_row)), 0)",
    False: "AND seq >= coalesce((SELECT seq FROM logs WHERE id IN (:after, :after_row)), 0)",
}

# Which events of rows have entries of an event.
ROWS_OF = {
    REQUEST: (REQUEST, *TOGETHER.values()),
    RESPONSE: (RESPONSE, TOGETHER[RESPONSE]),
    ERROR: (ERROR, TOGETHER[ERROR]),
    SKIPPED: (SKIPPED,),
    STATE_REJECTED: (STATE_REJECTED,),
}

_OUTCOMES = {row_event: event for event, row_event in TOGETHER.items()}


class SQLiteLogs:
    """The log of what was sent and received (`booper.store.base.Logs`)."""

    def __init__(self, reader: Connection) -> None:
        self._reader = reader

    async def get(self, user_id: UUID, entry_id: UUID) -> LogEntry:
        """Return a user's log entry. Raises: NotFound."""
        wanted = entry_id.bytes
        values = {"id": wanted, "row_id": outcome_id(wanted), "user_id": user_id.bytes}
        rows = await self._reader.run(lambda opened: opened.execute(GET, values).fetchall())
        for row in rows:
            for event, found in _entries(row[0], row[3], descending=False):
                if found == wanted:
                    return _entry(row, event, found)
        raise NotFound(f"there is no log entry {entry_id}")

    async def list(
        self, user_id: UUID, page: Page, job_id: int | None, event: str | None
    ) -> Part[LogEntry]:
        """Return a user's log entries, of one job or all, of one event or all."""
        values = {"user_id": user_id.bytes, "job_id": job_id}

        def read(connection: sqlite3.Connection) -> Part[LogEntry]:
            begun = _skip(connection, page, job_id, event, values)
            return Part([]) if begun is None else _read(connection, begun, job_id, event, values)

        return await self._reader.run(read)


def list_query(page: Page, job_id: int | None, event: str | None, select: str = LIST) -> str:
    """Return the query for a page of the log, of one job or all, of one event or all."""
    direction = "DESC" if page.descending else "ASC"
    behind = BEHIND[page.descending] if page.place.is_behind else ""
    events = sorted({row for one in ([event] if event else EVENTS) for row in ROWS_OF[one]})
    if job_id is not None:
        known = ", ".join(f"'{one}'" for one in events)
        streams = OF_JOB.format(events=known, behind=behind)
    else:
        streams = " UNION ALL ".join(
            STREAM.format(kind=kind, event=one, behind=behind)
            for kind in OWN_KINDS
            for one in events
        )
    return select.format(streams=streams, direction=direction)


def _skip(
    connection: sqlite3.Connection,
    page: Page,
    job_id: int | None,
    event: str | None,
    values: Mapping[str, object],
) -> Page | None:
    """Return a page without what it leaves out at its beginning, None if there is no more."""
    left = page.place.skip
    if not left:
        return page
    query, after = list_query(page, job_id, event, PASSED), _after(page)
    places = _place_values(page, left + 1)
    with closing(connection.execute(query, {**values, **places})) as rows:
        for _, row_event, row_id in rows:
            shown = _shown(row_id, row_event, event, after, descending=page.descending)
            if len(shown) >= left:
                last = UUID(bytes=shown[left - 1][1])
                return replace(page, place=Place(is_behind=True, id=last.int))
            left -= len(shown)
    return None


def _read(
    connection: sqlite3.Connection,
    page: Page,
    job_id: int | None,
    event: str | None,
    values: Mapping[str, object],
) -> Part[LogEntry]:
    query, after = list_query(page, job_id, event), _after(page)
    found, room = list[LogEntry](), PAGE_BYTES
    places = _place_values(page, page.limit + 1)
    with closing(connection.execute(query, {**values, **places})) as rows:
        for row in rows:
            for shown in _shown(row[0], row[3], event, after, descending=page.descending):
                entry = _entry(row, *shown)
                room -= len(entry.payload)
                if found and room < 0:
                    return Part(found, _behind(found[-1]))
                found.append(entry)
                if len(found) == page.limit:
                    return Part(found, _behind(entry))
    return Part(found)


def _behind(entry: LogEntry) -> Place:
    return Place(is_behind=True, id=entry.id.int)


def _after(page: Page) -> bytes | None:
    """Return the id of the entry behind which a page begins."""
    return UUID(int=page.place.id).bytes if page.place.is_behind else None


def _place_values(page: Page, rows: int) -> dict[str, object]:
    """Return the values of a list's SQL: behind which entry it begins, and how many rows it has."""
    after = _after(page)
    return {"rows": rows, "after": after, "after_row": after and outcome_id(after)}


def _shown(
    row_id: bytes, row_event: str, event: str | None, after: bytes | None, *, descending: bool
) -> list[tuple[str, bytes]]:
    """Return the events and ids of a row's entries that a list shows, those behind one of them."""
    entries = _entries(row_id, row_event, descending=descending)
    known = [entry_id for _, entry_id in entries]
    if after in known:
        entries = entries[known.index(after) + 1 :]
    return [entry for entry in entries if event is None or entry[0] == event]


def _entries(row_id: bytes, row_event: str, *, descending: bool) -> list[tuple[str, bytes]]:
    """Return the events and ids of a row's entries, in the order of a list."""
    outcome = _OUTCOMES.get(row_event)
    if outcome is None:
        return [(row_event, row_id)]
    entries = [(REQUEST, request_id(row_id)), (outcome, row_id)]
    return entries[::-1] if descending else entries


def _entry(row: Row, event: str, entry_id: bytes) -> LogEntry:
    """Return one of the entries of a row of `COLUMNS`."""
    is_request = event == REQUEST and row[6] is not None
    return LogEntry(
        id=UUID(bytes=entry_id),
        user_id=UUID(bytes=row[1]),
        job_id=row[2],
        event=event,
        inserted_at=loaded(row[7] if is_request else row[4]),
        payload=row[6] if is_request else row[5],
    )

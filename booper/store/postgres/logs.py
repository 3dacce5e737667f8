"""Lists of the log: what was sent and received.

A row has one entry, or a request and what came of it (`log_rows`): these are two in every list.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from booper.errors import NotFound
from booper.model.event import REQUEST, LogEntry
from booper.store.postgres.connections import Readers
from booper.store.postgres.log_rows import TOGETHER, outcome_id, request_id
from booper.store.postgres.log_streams import ORDERS, list_streams
from booper.store.postgres.numbers import LOG, settled_until
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import Row
from booper.store.stored import loaded
from booper.store.values import PAGE_BYTES, Page, Part, Place

COLUMNS: Final = "id, user_id, job_id, event, inserted_at, payload, request, requested_at"

GET: Final = f"SELECT {COLUMNS} FROM logs WHERE id = ANY(%(ids)s) AND user_id = %(user_id)s"

SEQ: Final = "SELECT seq FROM logs WHERE id = ANY(%(ids)s)"

# No more than fills a page is read of the payloads; their sizes are known without. The row at which
# the page begins has had its page.
LIST: Final = f"""
SELECT {COLUMNS}, rows FROM (
    SELECT *, count(*) OVER () AS rows, row_number() OVER in_order AS place,
        sum(CASE WHEN seq = %(seq)s THEN 0 ELSE size END) OVER in_order - size AS before
    FROM (
        SELECT * FROM ({{streams}}) AS streams ORDER BY {{order}} LIMIT {{limit}}
    ) AS found
    WINDOW in_order AS (ORDER BY {{order}})
) AS sized
WHERE before < {PAGE_BYTES} ORDER BY place
"""
SIZED: Final = f"""
seq, {COLUMNS}, octet_length(payload) + coalesce(octet_length(request), 0) AS size
"""

# What a list leaves out at its beginning, without what was sent and received.
PASSED: Final = """
SELECT event, id FROM ({streams}) AS streams ORDER BY {order} LIMIT %(rows)s
"""

_OUTCOMES: Final = {row_event: event for event, row_event in TOGETHER.items()}


class PostgresLogs:
    """The log of what was sent and received (`booper.store.base.Logs`)."""

    def __init__(self, reader: Readers) -> None:
        self._reader = reader

    async def get(self, user_id: UUID, entry_id: UUID) -> LogEntry:
        """Return a user's log entry. Raises: NotFound."""
        values = {"ids": _row_ids(entry_id), "user_id": user_id}
        rows = await self._reader.run(lambda opened: opened.execute(GET, values).fetchall())
        for row in rows:
            for event, found in _entries(row[0], row[3], descending=False):
                if found == entry_id:
                    return _entry(row, event, found)
        raise NotFound(f"there is no log entry {entry_id}")

    async def list(
        self, user_id: UUID, page: Page, job_id: int | None, event: str | None
    ) -> Part[LogEntry]:
        """Return a user's log entries, of one job or all, of one event or all.

        A list of all ends where others can come in between: who follows it misses none.
        """
        until = 0
        if job_id is None:
            until = await self._reader.run(partial(settled_until, numbers=LOG))
        wanted = _Wanted(user_id, job_id, event, until)

        def read(opened: PostgresTransaction) -> Part[LogEntry]:
            begun = wanted.skip(opened, page)
            return Part([]) if begun is None else wanted.read(opened, begun)

        return await self._reader.run(read)


class _Wanted:
    """Which of a user's entries are listed: of one job, or of all up to a row; of which event."""

    def __init__(self, user_id: UUID, job_id: int | None, event: str | None, until: int) -> None:
        self._job_id = job_id
        self._event = event
        self._values = {"user_id": user_id, "job_id": job_id, "until": until}

    def skip(self, transaction: PostgresTransaction, page: Page) -> Page | None:
        """Return a page without what it leaves out at its beginning, None if there is no more."""
        left = page.place.skip
        if not left:
            return page
        streams = self._streams(page, "seq, event, id", "%(rows)s")
        query = PASSED.format(streams=streams, order=ORDERS[page.descending])
        values = {**self._place(transaction, _after(page)), "rows": left + 1}
        for row_event, row_id in transaction.execute(query, values).fetchall():
            shown = self._shown(row_id, row_event, page)
            if len(shown) >= left:
                return replace(page, place=Place(is_behind=True, id=shown[left - 1][1].int))
            left -= len(shown)
        return None

    def read(self, transaction: PostgresTransaction, page: Page) -> Part[LogEntry]:
        """Return a page that leaves out nothing at its beginning."""
        limit = page.limit + 1
        streams = self._streams(page, SIZED, limit)
        query = LIST.format(streams=streams, order=ORDERS[page.descending], limit=limit)
        rows = transaction.execute(query, self._place(transaction, _after(page))).fetchall()
        found, room = list[LogEntry](), PAGE_BYTES
        for row in rows:
            for shown in self._shown(row[0], row[3], page):
                entry = _entry(row, *shown)
                room -= len(entry.payload)
                if found and room < 0:
                    return Part(found, _behind(found[-1]))
                found.append(entry)
                if len(found) == page.limit:
                    return Part(found, _behind(entry))
        is_cut = bool(found) and len(rows) < rows[0][-1]
        return Part(found, _behind(found[-1]) if is_cut else None)

    def _streams(self, page: Page, columns: str, limit: int | str) -> str:
        return list_streams(
            columns,
            limit,
            of_job=self._job_id is not None,
            event=self._event,
            descending=page.descending,
            is_behind=page.place.is_behind,
        )

    def _place(self, transaction: PostgresTransaction, after: UUID | None) -> Mapping[str, object]:
        """Return the values of a list's SQL; 0 is the number of an entry that is gone, or of none.

        Of one that is gone those before it are gone as well.
        """
        rows: list[Row] = []
        if after is not None:
            rows = transaction.execute(SEQ, {"ids": _row_ids(after)}).fetchall()
        return {**self._values, "seq": rows[0][0] if rows else 0}

    def _shown(self, row_id: UUID, row_event: str, page: Page) -> list[tuple[str, UUID]]:
        """Return the events and ids of a row's entries that are on a page or behind it."""
        after = _after(page)
        entries = _entries(row_id, row_event, descending=page.descending)
        known = [entry_id for _, entry_id in entries]
        if after in known:
            entries = entries[known.index(after) + 1 :]
        return [entry for entry in entries if self._event is None or entry[0] == self._event]


def _behind(entry: LogEntry) -> Place:
    return Place(is_behind=True, id=entry.id.int)


def _after(page: Page) -> UUID | None:
    """Return the id of the entry behind which a page begins."""
    return UUID(int=page.place.id) if page.place.is_behind else None


def _row_ids(entry_id: UUID) -> list[UUID]:
    """Return the ids that the row of an entry may have."""
    return [entry_id, outcome_id(entry_id)]


def _entries(row_id: UUID, row_event: str, *, descending: bool) -> list[tuple[str, UUID]]:
    """Return the events and ids of a row's entries, in the order of a list."""
    outcome = _OUTCOMES.get(row_event)
    if outcome is None:
        return [(row_event, row_id)]
    entries = [(REQUEST, request_id(row_id)), (outcome, row_id)]
    return entries[::-1] if descending else entries


def _entry(row: Row, event: str, entry_id: UUID) -> LogEntry:
    """Return one of the entries of a row of `COLUMNS`."""
    is_request = event == REQUEST and row[6] is not None
    return LogEntry(
        id=entry_id,
        user_id=row[1],
        job_id=row[2],
        event=event,
        inserted_at=loaded(row[7] if is_request else row[4]),
        payload=row[6] if is_request else row[5],
    )

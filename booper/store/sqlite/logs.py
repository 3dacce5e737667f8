"""Lists of the log: what was sent and received."""

import sqlite3
from uuid import UUID

from booper.errors import NotFound
from booper.model.event import EVENTS, LogEntry
from booper.model.job import OWN_KINDS
from booper.store.sqlite import parts
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.values import Row, loaded
from booper.store.values import Page, Part

GET = """
SELECT id, user_id, job_id, event, inserted_at, payload FROM logs
WHERE id = :id AND user_id = :user_id
"""

# A list is a merge of streams, one for each kind and event, so that a rare event is found at once.
LIST = """
SELECT logs.id, user_id, job_id, event, inserted_at, payload FROM (
    {streams} ORDER BY found {direction} LIMIT :limit OFFSET :offset
) CROSS JOIN logs ON seq = found
"""

STREAM = """
SELECT seq AS found FROM logs INDEXED BY logs_by_event
WHERE user_id = :user_id AND kind = '{kind}' AND event = '{event}' {behind}
"""

# Entries of callbacks and webhooks are shown to who asks for their job.
OF_JOB = """
SELECT seq AS found FROM logs INDEXED BY logs_by_job
WHERE job_id = :job_id AND +user_id = :user_id AND coalesce(event = :event, TRUE) {behind}
"""

# Entries are numbered as they are written, so their order is that of `inserted_at`. Of one that is
# gone those before it are gone as well.
BEHIND = {
    True: "AND seq < coalesce((SELECT seq FROM logs WHERE id = :after), 0)",
    False: "AND seq > coalesce((SELECT seq FROM logs WHERE id = :after), 0)",
}


class SQLiteLogs:
    """The log of what was sent and received (`booper.store.base.Logs`)."""

    def __init__(self, reader: Connection) -> None:
        self._reader = reader

    async def get(self, user_id: UUID, entry_id: UUID) -> LogEntry:
        """Return a user's log entry. Raises: NotFound."""
        values = {"id": entry_id.bytes, "user_id": user_id.bytes}
        row = await self._reader.run(lambda connection: connection.execute(GET, values).fetchone())
        if row is None:
            raise NotFound(f"there is no log entry {entry_id}")
        return _entry(row)

    async def list(
        self, user_id: UUID, page: Page, job_id: int | None, event: str | None
    ) -> Part[LogEntry]:
        """Return a user's log entries, of one job or all, of one event or all."""
        query = list_query(page, job_id, event)
        values = {
            "user_id": user_id.bytes,
            "job_id": job_id,
            "event": event,
            **parts.values(page),
        }

        def read(connection: sqlite3.Connection) -> Part[Row]:
            return parts.read(connection.execute(query, values), page, _size)

        part = await self._reader.run(read)
        return Part([_entry(row) for row in part], part.rest)


def list_query(page: Page, job_id: int | None, event: str | None) -> str:
    """Return the query for a page of the log, of one job or all, of one event or all."""
    direction = "DESC" if page.descending else "ASC"
    behind = BEHIND[page.descending] if page.place.is_behind else ""
    if job_id is not None:
        return LIST.format(streams=OF_JOB.format(behind=behind), direction=direction)
    streams = (
        STREAM.format(kind=kind, event=one, behind=behind)
        for kind in OWN_KINDS
        for one in ([event] if event is not None else EVENTS)
    )
    return LIST.format(streams=" UNION ALL ".join(streams), direction=direction)


def _size(row: Row) -> int:
    return len(row[5])


def _entry(row: Row) -> LogEntry:
    return LogEntry(
        id=UUID(bytes=row[0]),
        user_id=UUID(bytes=row[1]),
        job_id=row[2],
        event=row[3],
        inserted_at=loaded(row[4]),
        payload=row[5],
    )

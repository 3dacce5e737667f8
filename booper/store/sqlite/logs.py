"""The SQL of the log: entries are written with the change they report, never alone."""

import sqlite3
from collections.abc import Sequence
from random import Random
from uuid import UUID

from booper.errors import NotFound
from booper.model.event import LogEntry, NewEntry
from booper.model.identity import uuid7
from booper.store.base import Page
from booper.store.sqlite.connection import Connection, Row
from booper.store.sqlite.values import loaded, stored

INSERT = """
INSERT INTO logs (id, user_id, job_id, kind, event, inserted_at, payload)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""

GET = """
SELECT id, user_id, job_id, event, inserted_at, payload FROM logs
WHERE id = :id AND user_id = :user_id
"""

LIST = """
SELECT id, user_id, job_id, event, inserted_at, payload FROM logs
WHERE user_id = :user_id {filters} ORDER BY seq {direction} LIMIT :limit OFFSET :offset
"""


def append(
    connection: sqlite3.Connection, entries: Sequence[NewEntry], random: Random
) -> list[UUID]:
    """Write entries within the change that is running; return their ids."""
    ids = [uuid7(entry.at, random) for entry in entries]
    connection.executemany(
        INSERT,
        [
            (
                entry_id.bytes,
                entry.user_id.bytes,
                entry.job_id,
                entry.kind,
                entry.event,
                stored(entry.at),
                entry.payload,
            )
            for entry_id, entry in zip(ids, entries, strict=True)
        ],
    )
    return ids


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
    ) -> Sequence[LogEntry]:
        """Return a user's log entries, of one job or all, of one event or all."""
        # Entries of callbacks and webhooks are shown to who asks for their job.
        filters = "AND job_id = :job_id" if job_id is not None else "AND kind IN ('request', 'run')"
        filters += " AND event = :event" if event is not None else ""
        # Entries are numbered as they are written, so their order is that of `inserted_at`.
        query = LIST.format(filters=filters, direction="DESC" if page.descending else "ASC")
        values = {
            "user_id": user_id.bytes,
            "job_id": job_id,
            "event": event,
            "limit": page.limit,
            "offset": page.offset,
        }
        rows = await self._reader.run(
            lambda connection: connection.execute(query, values).fetchall()
        )
        return [_entry(row) for row in rows]


def _entry(row: Row) -> LogEntry:
    return LogEntry(
        id=UUID(bytes=row[0]),
        user_id=UUID(bytes=row[1]),
        job_id=row[2],
        event=row[3],
        inserted_at=loaded(row[4]),
        payload=row[5],
    )

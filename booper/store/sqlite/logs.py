"""The SQL of the log: entries are written with the change they report, never alone."""

import sqlite3
from collections.abc import Sequence
from random import Random
from typing import Final
from uuid import UUID

from booper.errors import NotFound
from booper.model.event import EVENTS, LogEntry, NewEntry
from booper.model.identity import uuid7_bytes
from booper.model.job import OWN_KINDS
from booper.store.base import Page, Part
from booper.store.sqlite import many, parts
from booper.store.sqlite.connection import Connection, Row
from booper.store.sqlite.values import loaded, stored

INSERT = """
INSERT INTO logs (id, user_id, job_id, kind, event, inserted_at, payload)
SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
"""

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


SIZES = """
SELECT seq, length(CAST(payload AS BLOB)) FROM logs WHERE job_id = :job_id ORDER BY seq DESC
"""

DELETE_UP_TO = "DELETE FROM logs WHERE job_id = :job_id AND seq <= :seq"

MAX_JOB_ENTRIES: Final = 1_000
MAX_JOB_BYTES: Final = 8 << 20
"""How much of one job's log is kept: its newest entries, up to both of these."""

TRIMMED_AFTER: Final = 8
"""After how many attempts a job's log is looked at each time: most jobs never are."""


def append(
    connection: sqlite3.Connection, entries: Sequence[NewEntry], random: Random
) -> list[bytes]:
    """Write entries within the change that is running; return their ids."""
    ids = [uuid7_bytes(entry.at, random) for entry in entries]
    many.execute(
        connection,
        INSERT,
        [
            (
                entry_id,
                entry.user_id.bytes,
                entry.job_id,
                str(entry.kind),
                entry.event,
                stored(entry.at),
                entry.payload,
            )
            for entry_id, entry in zip(ids, entries, strict=True)
        ],
    )
    return ids


def trim(connection: sqlite3.Connection, job_id: int) -> None:
    """Delete the oldest entries of a job that has more than one may have."""
    count = size = 0
    sizes = connection.execute(SIZES, {"job_id": job_id})
    for seq, length in sizes:
        count, size = count + 1, size + length
        if count > MAX_JOB_ENTRIES or size > MAX_JOB_BYTES:
            sizes.close()
            connection.execute(DELETE_UP_TO, {"job_id": job_id, "seq": seq})
            return


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

"""A log entry's row: entries are written with the change they report, never alone."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from random import Random
from uuid import UUID

import msgspec

from booper.model.event import ERROR, REQUEST, RESPONSE, NewEntry
from booper.model.identity import uuid7_bytes
from booper.model.schedule import Schedule
from booper.store.sqlite import bulk
from booper.store.sqlite.values import Row
from booper.store.stored import stored
from booper.store.transaction import OpenGap
from booper.wire.log import gap_in

# An attempt's request and what came of it are written together: one row has both entries, and is
# found by an event of its own. Its id is the outcome's; the request's differs in the last bit.
TOGETHER = {RESPONSE: "worker.http.answered", ERROR: "worker.http.failed"}

INSERT = """
INSERT INTO logs (id, user_id, job_id, kind, event, inserted_at, payload, request, requested_at)
SELECT * FROM (VALUES {rows}) WHERE column1 <> 0
"""

SIZES = """
SELECT seq, 1 + (request IS NOT NULL),
    length(CAST(payload AS BLOB)) + coalesce(length(CAST(request AS BLOB)), 0)
FROM logs WHERE job_id = :job_id ORDER BY seq DESC
"""

DELETE_UP_TO = "DELETE FROM logs WHERE job_id = :job_id AND seq <= :seq"

EXTEND = "UPDATE logs SET payload = :payload WHERE id = :id"
DROP = "DELETE FROM logs WHERE id = :id"

JOB_OF = "SELECT job_id FROM logs WHERE id = :id"

# By the index of jobs, which also has them in the order in which they lie in the table.
DELETE = """
DELETE FROM logs WHERE seq IN (
    SELECT seq FROM logs WHERE job_id IN (SELECT value FROM json_each(:ids))
    ORDER BY job_id, seq LIMIT :limit
)
"""

# A gap is logged with the run that was planned behind it; or with another of the newest ones, such
# as a cancelled run.
GAPS = """
SELECT logs.id, payload FROM logs JOIN (
    SELECT id FROM (SELECT id FROM jobs WHERE schedule_id = :id ORDER BY id DESC LIMIT 1000)
    UNION
    SELECT id FROM jobs
    WHERE schedule_id = :id AND planned_at >= :since AND kind = 'run' AND state <> 'cancelled'
) AS runs ON runs.id = logs.job_id
WHERE event = 'schedule.skipped'
"""


class LogRows:
    """The log of one connection (`booper.store.transaction.Log`)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(self, entries: Sequence[NewEntry], random: Random) -> None:
        """Write entries; a request and what came of it, one behind the other, are one row."""
        rows: list[Row] = []
        request: NewEntry | None = None
        for entry in entries:
            if request is not None and not _belong_together(request, entry):
                rows.append(_row(request, request.event, random))
                request = None
            if request is not None:
                rows.append(_row_of_both(request, entry, random))
                request = None
            elif entry.event == REQUEST:
                request = entry
            else:
                rows.append(_row(entry, entry.event, random))
        if request is not None:
            rows.append(_row(request, REQUEST, random))
        bulk.execute(self._connection, INSERT, rows)

    def begin(self, entry: NewEntry, random: Random) -> UUID:
        """Write an entry that is to be extended, and return its id."""
        row = _row(entry, entry.event, random)
        bulk.execute(self._connection, INSERT, [row])
        return UUID(bytes=row[0])

    def extend(self, entry_id: UUID, payload: str) -> None:
        """Replace an entry's payload."""
        self._connection.execute(EXTEND, {"id": entry_id.bytes, "payload": payload})

    def drop(self, entry_id: UUID) -> None:
        """Delete an entry."""
        self._connection.execute(DROP, {"id": entry_id.bytes})

    def job_of(self, entry_id: UUID) -> int | None:
        """Return the number of the job that an entry is about, None if there is no entry."""
        row = self._connection.execute(JOB_OF, {"id": entry_id.bytes}).fetchone()
        return row[0] if row is not None else None

    def delete(self, job_ids: Sequence[int], limit: int) -> int:
        """Delete the entries of jobs, at most `limit` rows; return how many there were."""
        ids = msgspec.json.encode(list(job_ids)).decode()
        return self._connection.execute(DELETE, {"ids": ids, "limit": limit}).rowcount

    def gaps(self, schedule: Schedule, since: datetime) -> list[OpenGap]:
        """Return what a schedule did not run, as entries say; all of those that end since then."""
        values = {"id": schedule.id.bytes, "since": stored(since)}
        found = self._connection.execute(GAPS, values).fetchall()
        return [OpenGap(UUID(bytes=entry_id), gap_in(payload)) for entry_id, payload in found]

    def trim(self, job_id: int, max_entries: int, max_bytes: int) -> None:
        """Keep the newest entries of a job, up to both limits, and delete the others."""
        count = size = 0
        sizes = self._connection.execute(SIZES, {"job_id": job_id})
        for seq, entries, length in sizes:
            count, size = count + entries, size + length
            if count > max_entries or size > max_bytes:
                sizes.close()
                self._connection.execute(DELETE_UP_TO, {"job_id": job_id, "seq": seq})
                return


def outcome_id(entry_id: bytes) -> bytes:
    """Return the id of the outcome in a row, of that of either of its two entries."""
    return entry_id[:15] + bytes([entry_id[15] | 1])


def request_id(entry_id: bytes) -> bytes:
    """Return the id of the request in a row, of that of either of its two entries."""
    return entry_id[:15] + bytes([entry_id[15] & 0xFE])


def _belong_together(request: NewEntry, entry: NewEntry) -> bool:
    return entry.job_id == request.job_id and entry.event in TOGETHER


def _row_of_both(request: NewEntry, outcome: NewEntry, random: Random) -> Row:
    event, requested_at = TOGETHER[outcome.event], stored(request.at)
    entry_id, *row, _, _ = _row(outcome, event, random)
    return (outcome_id(entry_id), *row, request.payload, requested_at)


def _row(entry: NewEntry, event: str, random: Random) -> Row:
    at = stored(entry.at)
    return (
        uuid7_bytes(at, random),
        entry.user_id.bytes,
        entry.job_id,
        str(entry.kind),
        event,
        at,
        entry.payload,
        None,
        None,
    )

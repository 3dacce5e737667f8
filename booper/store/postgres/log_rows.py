"""A log entry's row: entries are written with the change they report, never alone.

A row is in the partition of its job, which has moved to another when the job has finished.
"""

from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from booper.model.event import ERROR, REQUEST, RESPONSE, NewEntry
from booper.model.identity import uuid7
from booper.model.schedule import Schedule
from booper.store.postgres.job_moves import IN_PLACES, LIVE
from booper.store.postgres.numbers import LOG, drawing
from booper.store.postgres.schedule_rows import NEWEST_FIRST, OF_SCHEDULE
from booper.store.postgres.values import Row
from booper.store.stored import stored
from booper.store.transaction import OpenGap
from booper.wire.log import gap_in

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

# An attempt's request and what came of it are written together: one row has both entries, and is
# found by an event of its own. Its id is the outcome's; the request's differs in the last bit.
TOGETHER: Final = {RESPONSE: "worker.http.answered", ERROR: "worker.http.failed"}

_TYPES: Final = {
    "id": "uuid",
    "user_id": "uuid",
    "job_id": "bigint",
    "kind": "text",
    "event": "text",
    "inserted_at": "bigint",
    "payload": "text",
    "request": "text",
    "requested_at": "bigint",
    "class": "text",
    "ended_at": "bigint",
}
_COLUMNS: Final = ", ".join(_TYPES)

# Sorted, so that the rows are numbered in this order. As JSON they take half as long as in arrays,
# which psycopg writes in Python.
_INSERT: Final = f"""
INSERT INTO logs ({_COLUMNS})
SELECT {_COLUMNS} FROM ROWS FROM (
    json_to_recordset(%(rows)s) AS ({", ".join(map(" ".join, _TYPES.items()))})
) WITH ORDINALITY AS entry ({_COLUMNS}, place)
{{condition}} ORDER BY place
"""
INSERT: Final = _INSERT.format(condition=f"WHERE {drawing(LOG)}")
INSERT_MORE: Final = _INSERT.format(condition="")

# Only runs have entries of gaps, and those of a finished run are kept: two partitions of many.
_OF_RUN: Final = "class IN ('live', 'kept')"

EXTEND: Final = f"UPDATE logs SET payload = %(payload)s WHERE id = %(id)s AND {_OF_RUN}"
DROP: Final = f"DELETE FROM logs WHERE id = %(id)s AND {_OF_RUN}"
JOB_OF: Final = f"SELECT job_id FROM logs WHERE id = %(id)s AND {_OF_RUN}"

# A gap is logged with the run that was planned behind it; or with another of the newest ones, such
# as a cancelled run.
GAPS: Final = f"""
SELECT id, payload FROM logs
WHERE user_id = %(user_id)s AND kind = 'run' AND event = 'schedule.skipped' AND {_OF_RUN}
    AND job_id IN (
        (SELECT id FROM (
            SELECT id, schedule_id FROM live_jobs UNION ALL SELECT id, schedule_id FROM kept_jobs
        ) AS runs
        WHERE {OF_SCHEDULE} {NEWEST_FIRST} LIMIT 1000)
        UNION
        SELECT job_id FROM planned WHERE schedule_id = %(id)s AND at >= %(since)s
    )
"""

DELETE: Final = f"""
DELETE FROM logs WHERE {IN_PLACES} AND seq IN (
    SELECT seq FROM logs WHERE {IN_PLACES} AND job_id = ANY(%(job_ids)s)
    ORDER BY job_id, seq LIMIT %(limit)s
)
"""

# Of the newest entry that exceeds a limit, and of all before it.
TRIM: Final = f"""
DELETE FROM logs WHERE {IN_PLACES} AND job_id = %(job_id)s AND seq <= (
    SELECT max(seq) FROM (
        SELECT seq,
            sum(1 + (request IS NOT NULL)::int) OVER newest_first AS entries,
            sum(octet_length(payload) + coalesce(octet_length(request), 0)) OVER newest_first
                AS bytes
        FROM logs WHERE {IN_PLACES} AND job_id = %(job_id)s
        WINDOW newest_first AS (ORDER BY seq DESC)
    ) AS sizes
    WHERE entries > %(max_entries)s OR bytes > %(max_bytes)s
)
"""


class LogRows:
    """The log of one transaction (`booper.store.transaction.Log`)."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: "PostgresTransaction") -> None:
        self._transaction = transaction

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
        self._insert(rows)

    def begin(self, entry: NewEntry, random: Random) -> UUID:
        """Write an entry that is to be extended, and return its id."""
        row = _row(entry, entry.event, random)
        self._insert([row])
        entry_id: UUID = row[0]
        return entry_id

    def extend(self, entry_id: UUID, payload: str) -> None:
        """Replace an entry's payload."""
        self._transaction.execute(EXTEND, {"id": entry_id, "payload": payload})

    def drop(self, entry_id: UUID) -> None:
        """Delete an entry."""
        self._transaction.execute(DROP, {"id": entry_id})

    def job_of(self, entry_id: UUID) -> int | None:
        """Return the number of the job that an entry is about, None if there is no entry."""
        row = self._transaction.execute(JOB_OF, {"id": entry_id}).fetchone()
        return row[0] if row is not None else None

    def delete(self, job_ids: Sequence[int], limit: int) -> int:
        """Delete the entries of jobs, at most `limit` rows; return how many there were."""
        ids = list(job_ids)
        places = {*self._transaction.jobs.places(ids).values(), LIVE}
        values = {"job_ids": ids, "limit": limit}
        return self._transaction.execute_at(places, DELETE, values).rowcount

    def gaps(self, schedule: Schedule, since: datetime) -> list[OpenGap]:
        """Return what a schedule did not run, as entries say; all of those that end since then."""
        values = {"id": schedule.id, "user_id": schedule.user_id, "since": stored(since)}
        found = self._transaction.execute(GAPS, values)
        return [OpenGap(entry_id, gap_in(payload)) for entry_id, payload in found]

    def trim(self, job_id: int, max_entries: int, max_bytes: int) -> None:
        """Keep the newest entries of a job, up to both limits, and delete the others."""
        place = self._transaction.jobs.places([job_id]).get(job_id, LIVE)
        values = {"job_id": job_id, "max_entries": max_entries, "max_bytes": max_bytes}
        self._transaction.execute_at([place], TRIM, values)

    def _insert(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        places = self._transaction.jobs.places(list({row[2] for row in rows}))
        placed = [dict(zip(_TYPES, (*row, *places.get(row[2], LIVE)), strict=True)) for row in rows]
        query = INSERT_MORE if self._transaction.locks.draws(LOG) else INSERT
        self._transaction.execute(query, {"rows": msgspec.json.encode(placed).decode()})


def outcome_id(entry_id: UUID) -> UUID:
    """Return the id of the outcome in a row, of that of either of its two entries."""
    return UUID(int=entry_id.int | 1)


def request_id(entry_id: UUID) -> UUID:
    """Return the id of the request in a row, of that of either of its two entries."""
    return UUID(int=entry_id.int & ~1)


def _belong_together(request: NewEntry, entry: NewEntry) -> bool:
    return entry.job_id == request.job_id and entry.event in TOGETHER


def _row_of_both(request: NewEntry, outcome: NewEntry, random: Random) -> Row:
    event, requested_at = TOGETHER[outcome.event], stored(request.at)
    entry_id, *row, _, _ = _row(outcome, event, random)
    return (outcome_id(entry_id), *row, request.payload, requested_at)


def _row(entry: NewEntry, event: str, random: Random) -> Row:
    return (
        uuid7(entry.at, random),
        entry.user_id,
        entry.job_id,
        entry.kind.value,
        event,
        stored(entry.at),
        entry.payload,
        None,
        None,
    )

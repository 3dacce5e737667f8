"""A log entry's row: entries are written with the change they report, never alone."""

import sqlite3
from collections.abc import Sequence
from random import Random
from typing import Final
from uuid import UUID

import msgspec

from booper.model.event import NewEntry
from booper.model.identity import uuid7_bytes
from booper.model.schedule import Gap, Schedule
from booper.store.sqlite import bulk
from booper.store.sqlite.values import stored
from booper.store.transaction import OpenGap

INSERT = """
INSERT INTO logs (id, user_id, job_id, kind, event, inserted_at, payload)
SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
"""

SIZES = """
SELECT seq, length(CAST(payload AS BLOB)) FROM logs WHERE job_id = :job_id ORDER BY seq DESC
"""

DELETE_UP_TO = "DELETE FROM logs WHERE job_id = :job_id AND seq <= :seq"

EXTEND = "UPDATE logs SET payload = :payload WHERE id = :id"
DROP = "DELETE FROM logs WHERE id = :id"

# Entries of later times are among those of the newest runs.
GAPS = """
SELECT logs.id, payload FROM logs JOIN (
    SELECT id FROM jobs WHERE schedule_id = :id ORDER BY id DESC LIMIT 1000
) AS newest ON newest.id = logs.job_id
WHERE event = 'schedule.skipped'
"""

MAX_JOB_ENTRIES: Final = 1_000
MAX_JOB_BYTES: Final = 8 << 20
"""How much of one job's log is kept: its newest entries, up to both of these."""


class LogRows:
    """The log of one connection (`booper.store.transaction.Log`)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(self, entries: Sequence[NewEntry], random: Random) -> list[bytes]:
        """Write entries and return their ids."""
        ids = [uuid7_bytes(entry.at, random) for entry in entries]
        bulk.execute(
            self._connection,
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

    def extend(self, entry_id: UUID, payload: str) -> None:
        """Replace an entry's payload."""
        self._connection.execute(EXTEND, {"id": entry_id.bytes, "payload": payload})

    def drop(self, entry_id: UUID) -> None:
        """Delete an entry."""
        self._connection.execute(DROP, {"id": entry_id.bytes})

    def gaps(self, schedule: Schedule) -> list[OpenGap]:
        """Return what a schedule did not run, as the entries of its newest runs say."""
        found = self._connection.execute(GAPS, {"id": schedule.id.bytes}).fetchall()
        return [
            OpenGap(UUID(bytes=entry_id), msgspec.json.decode(payload, type=Gap))
            for entry_id, payload in found
        ]

    def trim(self, job_id: int) -> None:
        """Delete the oldest entries of a job that has more than one may have."""
        count = size = 0
        sizes = self._connection.execute(SIZES, {"job_id": job_id})
        for seq, length in sizes:
            count, size = count + 1, size + length
            if count > MAX_JOB_ENTRIES or size > MAX_JOB_BYTES:
                sizes.close()
                self._connection.execute(DELETE_UP_TO, {"job_id": job_id, "seq": seq})
                return

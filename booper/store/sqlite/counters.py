"""Numbers that are kept, not counted: how many jobs there are, and what happened when."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from booper.model.bucket import Bucket
from booper.model.job import OWN_KINDS, WAITING, Kind, State
from booper.store.counters import MAX_DUE, DueCount, OriginCounts
from booper.store.sqlite.bucket_rows import read_buckets, read_origins, read_spans
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.values import IN_WAITING
from booper.store.stored import loaded_or_none, stored

COUNTS: Final = """
SELECT kind, state, sum(count) FROM jobs_by_state
WHERE :user_id IS NULL OR user_id = :user_id GROUP BY kind, state HAVING sum(count) > 0
"""

# Counters that differ from what is there, either way.
WRONG_COUNTS: Final = """
WITH counted AS (
    SELECT user_id, kind, state, count(*) AS count FROM jobs GROUP BY user_id, kind, state
), known AS (SELECT user_id, kind, state, count FROM jobs_by_state WHERE count > 0)
SELECT DISTINCT 'job counter ' || kind || ' ' || state FROM (
    SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM known)
    UNION ALL SELECT * FROM (SELECT * FROM known EXCEPT SELECT * FROM counted)
)
"""

DUE: Final = f"""
SELECT count(*), min(scheduled_at) FROM (
    SELECT scheduled_at FROM jobs
    WHERE {IN_WAITING} AND scheduled_at <= :now
    ORDER BY scheduled_at LIMIT :limit
)
"""

_DUE_OF: Final = """
SELECT scheduled_at FROM jobs INDEXED BY jobs_by_time
WHERE user_id = :user_id AND kind = '{kind}' AND state = '{state}' AND state <> 'executing'
    AND scheduled_at <= :now
"""

DUE_OF: Final = f"""
SELECT count(*), min(scheduled_at) FROM (
    {
    "UNION ALL".join(
        _DUE_OF.format(kind=kind, state=state) for kind in OWN_KINDS for state in sorted(WAITING)
    )
} LIMIT :limit
)
"""

FORGET: Final = "DELETE FROM job_counts"

RECOUNT: Final = """
INSERT INTO job_counts SELECT user_id, kind, state, count(*) FROM jobs
GROUP BY user_id, kind, state
"""

COUNTED: Final = "UPDATE counted SET job_id = (SELECT coalesce(max(id), 0) FROM jobs)"


class SQLiteCounters:
    """Kept numbers (`booper.store.base.Counters`)."""

    def __init__(self, reader: Connection) -> None:
        self._reader = reader

    async def jobs(self, user_id: UUID | None = None) -> Mapping[tuple[Kind, State], int]:
        """Return how many jobs a user has, or all have, by kind and state as stored."""
        values = {"user_id": user_id.bytes if user_id else None}
        rows = await self._reader.run(lambda opened: opened.execute(COUNTS, values).fetchall())
        return {(Kind(kind), State(state)): count for kind, state, count in rows}

    async def due(self, now: datetime) -> DueCount:
        """Return how many jobs wait though their time has come, up to `MAX_DUE`."""
        values = {"now": stored(now), "limit": MAX_DUE}
        count, oldest = await self._reader.run(
            lambda opened: opened.execute(DUE, values).fetchone()
        )
        return DueCount(count, loaded_or_none(oldest))

    async def due_of(self, user_id: UUID, now: datetime) -> DueCount:
        """Return how many requests and runs of a user wait though their time has come."""
        values = {"user_id": user_id.bytes, "now": stored(now), "limit": MAX_DUE}
        count, oldest = await self._reader.run(
            lambda opened: opened.execute(DUE_OF, values).fetchone()
        )
        return DueCount(count, loaded_or_none(oldest))

    async def minutes(
        self, user_id: UUID | None, since: datetime, until: datetime
    ) -> Sequence[Bucket]:
        """Return what happened in each five minutes that begin between two times, in order."""
        found = await self._reader.run(
            lambda opened: read_buckets(opened, user_id, since, until, by_origin=False)
        )
        return [bucket for _, bucket in found]

    async def spans(
        self, user_id: UUID, since: datetime, until: datetime, every: timedelta
    ) -> Sequence[Bucket]:
        """Return what happened to a user's jobs in each span of a time, in order."""
        return await self._reader.run(
            lambda opened: read_spans(opened, user_id, since, until, every)
        )

    async def hours(
        self, user_id: UUID | None, since: datetime, until: datetime
    ) -> Sequence[tuple[str, Bucket]]:
        """Return what happened in each hour that begins between two times, by origin."""
        return await self._reader.run(
            lambda opened: read_buckets(opened, user_id, since, until, by_origin=True)
        )

    async def origins(self, since: datetime, until: datetime) -> OriginCounts:
        """Return what happened to jobs of each origin in the hours that begin between two times."""
        return await self._reader.run(lambda opened: read_origins(opened, since, until))

    async def roll_up(self, since: datetime | None) -> int:
        """Do nothing: each number has one row."""
        return 0


def recount(connection: sqlite3.Connection) -> None:
    """Count all jobs anew, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(FORGET)
    connection.execute(RECOUNT)
    connection.execute(COUNTED)
    connection.execute("COMMIT")

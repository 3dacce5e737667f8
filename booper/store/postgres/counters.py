"""Numbers that are kept, not counted: how many jobs there are, and what happened when."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from booper.model.bucket import Bucket
from booper.model.job import OWN_KINDS, WAITING, Kind, State
from booper.store.counters import MAX_DUE, DueCount, OriginCounts
from booper.store.postgres.bucket_rows import (
    read_buckets,
    read_origins,
    read_spans,
    roll_up_buckets,
)
from booper.store.postgres.connections import Readers
from booper.store.postgres.count_rows import roll_up_counts
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer
from booper.store.stored import loaded_or_none, stored

COUNTS: Final = """
SELECT kind, state, sum(count)::bigint FROM job_counts
GROUP BY kind, state HAVING sum(count) > 0
"""
COUNTS_OF: Final = """
SELECT kind, state, sum(count)::bigint FROM job_counts WHERE user_id = %(user_id)s
GROUP BY kind, state HAVING sum(count) > 0
"""

DUE: Final = """
SELECT count(*), min(at) FROM (
    SELECT at FROM due WHERE at <= %(now)s ORDER BY at LIMIT %(limit)s
) AS waiting
"""

# In `due` all users' jobs are together: to look for one user's there may take a look at all.
_DUE_OF: Final = """
SELECT scheduled_at FROM live_jobs
WHERE user_id = %(user_id)s AND kind = '{kind}' AND state = '{state}' AND scheduled_at <= %(now)s
"""
DUE_OF: Final = f"""
SELECT count(*), min(scheduled_at) FROM (
    {
    "UNION ALL".join(
        _DUE_OF.format(kind=kind, state=state)
        for kind in sorted(OWN_KINDS)
        for state in sorted(WAITING - {State.AVAILABLE})
    )
} LIMIT %(limit)s
) AS waiting
"""


class PostgresCounters:
    """Kept numbers (`booper.store.base.Counters`)."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def jobs(self, user_id: UUID | None = None) -> Mapping[tuple[Kind, State], int]:
        """Return how many jobs a user has, or all have, by kind and state as stored."""
        query, values = COUNTS if user_id is None else COUNTS_OF, {"user_id": user_id}
        rows = await self._readers.run(lambda opened: opened.execute(query, values).fetchall())
        return {(Kind(kind), State(state)): count for kind, state, count in rows}

    async def due(self, now: datetime) -> DueCount:
        """Return how many jobs wait though their time has come, up to `MAX_DUE`."""
        return await self._due(DUE, {"now": stored(now), "limit": MAX_DUE})

    async def due_of(self, user_id: UUID, now: datetime) -> DueCount:
        """Return how many requests and runs of a user wait though their time has come."""
        return await self._due(DUE_OF, {"user_id": user_id, "now": stored(now), "limit": MAX_DUE})

    async def minutes(
        self, user_id: UUID | None, since: datetime, until: datetime
    ) -> Sequence[Bucket]:
        """Return what happened in each five minutes that begin between two times, in order."""
        found = await self._readers.run(
            lambda opened: read_buckets(opened, user_id, since, until, by_origin=False)
        )
        return [bucket for _, bucket in found]

    async def spans(
        self, user_id: UUID, since: datetime, until: datetime, every: timedelta
    ) -> Sequence[Bucket]:
        """Return what happened to a user's jobs in each span of a time, in order."""
        return await self._readers.run(
            lambda opened: read_spans(opened, user_id, since, until, every)
        )

    async def hours(
        self, user_id: UUID | None, since: datetime, until: datetime
    ) -> Sequence[tuple[str, Bucket]]:
        """Return what happened in each hour that begins between two times, by origin."""
        return await self._readers.run(
            lambda opened: read_buckets(opened, user_id, since, until, by_origin=True)
        )

    async def origins(self, since: datetime, until: datetime) -> OriginCounts:
        """Return what happened to jobs of each origin in the hours that begin between two times."""
        return await self._readers.run(lambda opened: read_origins(opened, since, until))

    async def roll_up(self, since: datetime | None) -> int:
        """Write numbers that are kept in several rows in one; return how many rows those were.

        Each in a transaction of its own, and not durable: a crash brings back rows of the same sum.
        """
        begins_at = -(2**63) if since is None else stored(since)
        counts = await self._writer.run_when_idle(roll_up_counts)
        return counts + await self._writer.run_when_idle(partial(roll_up_buckets, since=begins_at))

    async def _due(self, query: str, values: Mapping[str, object]) -> DueCount:
        def read(opened: PostgresTransaction) -> DueCount:
            [(count, oldest)] = opened.execute(query, values)
            return DueCount(count, loaded_or_none(oldest))

        return await self._readers.run(read)

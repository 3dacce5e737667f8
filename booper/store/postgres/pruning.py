"""Deleting what is old, row by row: found by readers, deleted by the writer.

Of several nodes one deletes at a time. A node that meets another at it leaves the rest to that one.

Finished jobs are walked by their numbers, `WINDOW` numbers at a time, in the partitions that can
have them. Those of a period that has its own partition go all at once (`periods`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec
from psycopg.errors import UndefinedTable

from booper.errors import PrunedElsewhere
from booper.model.job import State
from booper.model.retention import Retention
from booper.store.postgres.connections import Readers
from booper.store.postgres.periods import Periods, partitions_by_rows
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.vitals import read_size
from booper.store.postgres.writer import Writer
from booper.store.pruning import Found, Prunable, Space, Spot
from booper.store.rules import pruning
from booper.store.stored import loaded_or_none, stored
from booper.store.values import Pruned

T = TypeVar("T")

WINDOW: Final = 5_000
MAX_LOOKED: Final = 1_000
MAX_FOUND: Final = 200

ROW_BYTES: Final = 256
"""About what a row needs beside its texts, with its places in indexes."""

GROWTH_SHARE: Final = 64
"""A database that has grown by this part has used up what was deleted before."""

ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('booper pruning', 0))"

BEGINS_AT: Final = "SELECT begins_at FROM pruning"
BEGIN_AT: Final = "UPDATE pruning SET begins_at = %(at)s"

# Of the partitions of jobs those that are walked.
_WALKED: Final = "SELECT id, inserted_at, state, keep_for, ended_at FROM {table}"

NEXT: Final = """
SELECT id, inserted_at FROM ({walked}) AS walked WHERE id > %(behind)s ORDER BY id LIMIT 1
"""

# The rules decide; this spares them what is too young anyway. NULL as `before` is for ever.
# What has a time of its own is found by that.
IN_WINDOW: Final = """
SELECT id, %(is_over_size)s OR coalesce(keep_for IS NULL AND ended_at <= %(before)s::bigint, false)
FROM ({walked}) AS walked
WHERE state = %(state)s AND id > %(behind)s AND id <= %(until)s
ORDER BY id LIMIT %(limit)s
"""

# Who asked for a time is always of the class `kept`.
BY_OWN_TIME: Final = """
SELECT ended_at + keep_for, id FROM kept_jobs
WHERE keep_for IS NOT NULL AND ended_at + keep_for <= %(now)s
    AND (ended_at + keep_for, id) > (%(value)s, %(id)s)
ORDER BY 1, 2 LIMIT %(limit)s
"""

SIZES: Final = """
SELECT id, 1 + cardinality(tags) + coalesce(entries, 0), octet_length(args) + coalesce(bytes, 0)
FROM ended_jobs LEFT JOIN (
    SELECT job_id, count(*) AS entries,
        sum(octet_length(payload) + coalesce(octet_length(request), 0))::bigint AS bytes
    FROM logs WHERE job_id = ANY(%(ids)s) GROUP BY job_id
) AS log ON job_id = id
WHERE id = ANY(%(ids)s)
"""

# What a job knows of a change that is gone goes with the job.
PRUNE_AUDIT: Final = """
DELETE FROM audit WHERE id IN (
    SELECT id FROM audit WHERE at < %(before)s ORDER BY at LIMIT %(limit)s
)
"""

# Nothing names a row of them but its place.
PRUNE_BUCKETS: Final = """
DELETE FROM buckets WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM buckets WHERE begins_at < %(before)s ORDER BY begins_at LIMIT %(limit)s
))
"""


class PostgresPruning:
    """Deleting what is old (`booper.store.pruning.Pruning`)."""

    def __init__(self, writer: Writer, readers: Readers, periods: Periods) -> None:
        self._writer = writer
        self._readers = readers
        self.prepare = periods.make
        self.drop_old = periods.drop_old
        self.drop_oldest = periods.drop_oldest
        self._looked_at = 0
        self._sizes: dict[int, int] = {}
        """About how many bytes each job has that was found last."""
        self._size = 0
        self._freed = 0
        """About how many bytes were deleted since the database had `_size`."""

    async def begins_at(self) -> datetime | None:
        """Return since when jobs may be deleted, None where that is to be decided."""
        [(at,)] = await self._readers.run(lambda opened: opened.execute(BEGINS_AT).fetchall())
        return loaded_or_none(at)

    async def begin_at(self, at: datetime) -> None:
        """Delete no jobs before this time."""
        values = {"at": stored(at)}
        await self._writer.run(lambda transaction: transaction.execute(BEGIN_AT, values).rowcount)

    async def find(
        self, state: State, retention: Retention, now: datetime, behind: Spot, *, is_over_size: bool
    ) -> Found:
        """Return jobs of a finished state that may be deleted, in order of their creation.

        Those of a period that goes whole are found only where the database is over its size.
        """
        kept = retention.of(state)
        walk = Walk(
            state=str(state),
            now=stored(now),
            before=None if kept is None else stored(now - kept),
            is_over_size=is_over_size,
        )

        def read(opened: PostgresTransaction) -> Found:
            tables = ["kept_jobs", f"{state}_jobs"]
            if not is_over_size:
                tables = partitions_by_rows(opened, state, kept)
            ids, rest = _next_part(opened, behind, walk, tables)
            going = pruning.deletable(opened, ids, retention, now, is_over_size=is_over_size)
            return Found(_sized(opened, going), rest)

        try:
            return self._noted(await self._readers.run(read))
        except UndefinedTable:  # another node has dropped a period just now
            return Found([], None)

    async def find_by_own_time(self, retention: Retention, now: datetime, behind: Spot) -> Found:
        """Return jobs whose own `keep_for` is over, and which may be deleted."""
        values = {
            "now": stored(now),
            "value": behind.value,
            "id": behind.id,
            "limit": MAX_FOUND,
        }

        def read(opened: PostgresTransaction) -> Found:
            rows = opened.execute(BY_OWN_TIME, values).fetchall()
            rest = Spot(*rows[-1]) if len(rows) == MAX_FOUND else None
            ids = [number for _, number in rows]
            going = pruning.deletable(opened, ids, retention, now, is_over_size=False)
            return Found(_sized(opened, going), rest)

        return self._noted(await self._readers.run(read))

    async def prune(
        self,
        job_ids: Sequence[int],
        retention: Retention,
        now: datetime,
        limit: int,
        *,
        is_over_size: bool,
        is_urgent: bool = False,
    ) -> Pruned:
        """Delete those of these jobs that may be deleted still; at most `limit` rows of logs.

        It need not be durable: what a crash brings back is deleted again.
        """

        def change(transaction: PostgresTransaction) -> Pruned:
            return pruning.prune(
                transaction, job_ids, retention, now, limit, is_over_size=is_over_size
            )

        pruned = await self._step(change, is_urgent=is_urgent)
        if pruned.jobs:
            self._freed += sum(self._sizes.pop(number, 0) for number in job_ids)
        return pruned

    async def prune_audit(self, before: datetime, limit: int) -> int:
        """Delete the oldest entries of the audit from before a time; return how many there were."""
        return await self._prune_aged(PRUNE_AUDIT, before, limit)

    async def prune_buckets(self, before: datetime, limit: int) -> int:
        """Delete the oldest buckets that begin before a time; return how many there were."""
        return await self._prune_aged(PRUNE_BUCKETS, before, limit)

    async def _prune_aged(self, statement: str, before: datetime, limit: int) -> int:
        values = {"before": stored(before), "limit": limit}
        return await self._step(lambda transaction: transaction.execute(statement, values).rowcount)

    async def _step(
        self, work: Callable[[PostgresTransaction], T], *, is_urgent: bool = False
    ) -> T:
        """Delete in a transaction in which no other node does. Raises: PrunedElsewhere."""

        def change(transaction: PostgresTransaction) -> list[T]:
            [(is_alone,)] = transaction.execute(ALONE)
            return [work(transaction)] if is_alone else []

        if is_urgent:
            made = await self._writer.run(change, is_durable=False)
        else:
            made = await self._writer.run_when_idle(change)
        if not made:
            raise PrunedElsewhere("another node deletes what is old just now")
        return made[0]

    async def space(self) -> Space:
        """Return how large the database is, and about how much of it is free.

        PostgreSQL keeps what was deleted for what comes, and does not tell how much that is. So
        all counts as free that this process has deleted since the database last grew.
        """
        self._looked_at = self._writer.changes
        size = await self._readers.run(read_size)
        if not self._size <= size <= self._size + self._size // GROWTH_SHARE:
            self._size, self._freed = size, 0
        return Space(size, min(self._freed, size), can_shrink=False)

    async def wait_for_changes(self, count: int) -> None:
        """Return when this many changes have been made since the space was looked at."""
        await self._writer.wait_for_changes(self._looked_at + count)

    async def give_back(self, size: int) -> None:
        """Do nothing: PostgreSQL gives back what it can by itself."""

    def _noted(self, found: Found) -> Found:
        """Note how much the jobs that were found have."""
        self._sizes = {job.id: job.size + job.rows * ROW_BYTES for job in found.jobs}
        return found


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk over the jobs of a state looks for: what has ended up to `before`, or all.

    Times are microseconds; None as `before` is what nothing ends before.
    """

    state: str
    now: int
    before: int | None
    is_over_size: bool

    def is_too_young(self, inserted_at: int) -> bool:
        """Return whether a job was made too late to be old enough, and by a clock that is right.

        A clock that was ahead when a job was made hides none: that would be later than now.
        """
        if self.is_over_size:
            return False
        return self.before is None or self.before < inserted_at <= self.now


def _next_part(
    opened: PostgresTransaction, behind: Spot, walk: Walk, tables: Sequence[str]
) -> tuple[list[int], Spot | None]:
    """Return the next jobs that are over, and where the rest begins, None if there is no other.

    What was made too late to be old enough, and all behind that, is not looked at.
    """
    walked = " UNION ALL ".join(_WALKED.format(table=table) for table in tables)
    values = {"state": walk.state, "behind": behind.id}
    first = opened.execute(NEXT.format(walked=walked), values).fetchone()
    if first is None or walk.is_too_young(first[1]):
        return [], None
    until = first[0] - 1 + WINDOW
    window = {**values, "until": until, "limit": MAX_LOOKED, "before": walk.before}
    query = IN_WINDOW.format(walked=walked)
    looked = opened.execute(query, {**window, "is_over_size": walk.is_over_size}).fetchall()
    if len(looked) == MAX_LOOKED:
        until = looked[-1][0]
    ids = [number for number, is_over in looked if is_over][:MAX_FOUND]
    if len(ids) == MAX_FOUND:
        until = ids[-1]
    return ids, Spot(0, until)


def _sized(opened: PostgresTransaction, ids: Sequence[int]) -> list[Prunable]:
    """Return jobs with what deleting them costs, in order."""
    rows = opened.execute(SIZES, {"ids": list(ids)})
    found = {row[0]: Prunable(*row) for row in rows}
    return [found[number] for number in ids]

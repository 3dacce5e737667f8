"""Deleting what is old: found on a reader, deleted in the writer's spare time.

Finished jobs have no index by their end, which would cost each job. They are walked by their
numbers, of which the index of lists has those of a state: `WINDOW` numbers at a time.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

import msgspec

from booper.clock import monotonic
from booper.model.bucket import DAY
from booper.model.job import State
from booper.model.retention import Retention
from booper.store.pruning import Found, Prunable, Space, Spot
from booper.store.rules import pruning
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.values import IN_FINISHED, Row
from booper.store.sqlite.writer import Writer
from booper.store.stored import loaded_or_none, stored
from booper.store.values import Pruned

WINDOW: Final = 5_000
MAX_LOOKED: Final = 1_000
MAX_FOUND: Final = 200

BEGINS_AT: Final = "SELECT begins_at FROM pruning"
BEGIN_AT: Final = "UPDATE pruning SET begins_at = :at"

NEXT: Final = "SELECT id, inserted_at FROM jobs WHERE id > :behind ORDER BY id LIMIT 1"

# Of all users and kinds; their names come from the counters, for the index has them first.
IN_WINDOW: Final = """
SELECT jobs.id FROM jobs_by_state AS counted CROSS JOIN jobs INDEXED BY jobs_by_id
    ON jobs.user_id = counted.user_id AND jobs.kind = counted.kind AND jobs.state = counted.state
WHERE counted.state = :state AND counted.count > 0 AND jobs.state <> 'executing'
    AND jobs.id > :behind AND jobs.id <= :until
ORDER BY jobs.id LIMIT :limit
"""

# The rules decide; this spares them what is too young anyway. NULL as `before` is for ever.
# What has a time of its own is found by that.
OVER: Final = """
SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))
    AND (:is_over_size OR (keep_for IS NULL AND ended_at <= :before))
ORDER BY id LIMIT :limit
"""

# In the words of its index.
_UNTIL: Final = "coalesce(completed_at, discarded_at, cancelled_at) + keep_for"
BY_OWN_TIME: Final = f"""
SELECT {_UNTIL} AS until, id FROM jobs INDEXED BY jobs_kept_until
WHERE keep_for IS NOT NULL AND {IN_FINISHED}
    AND {_UNTIL} <= :now AND ({_UNTIL}, id) > (:value, :id)
ORDER BY 1, 2 LIMIT :limit
"""

SIZES: Final = """
SELECT jobs.id, 1 + (SELECT count(*) FROM job_tags WHERE job_id = jobs.id),
    length(CAST(args AS BLOB)), count(logs.seq),
    coalesce(sum(length(CAST(payload AS BLOB)) + coalesce(length(CAST(request AS BLOB)), 0)), 0)
FROM jobs LEFT JOIN logs ON logs.job_id = jobs.id
WHERE jobs.id IN (SELECT value FROM json_each(:ids)) GROUP BY jobs.id
"""

# Where nothing is old enough, which is nearly always, only a reader looks. What a job knows of a
# change that is gone goes with the job.
OLD_AUDIT: Final = "SELECT id FROM audit WHERE at < :before ORDER BY at LIMIT :limit"
PRUNE_AUDIT: Final = f"DELETE FROM audit WHERE id IN ({OLD_AUDIT})"

OLD_BUCKETS: Final = """
SELECT user_id, origin, begins_at FROM buckets WHERE begins_at < :before
ORDER BY begins_at LIMIT :limit
"""
PRUNE_BUCKETS: Final = f"""
DELETE FROM buckets WHERE (user_id, origin, begins_at) IN ({OLD_BUCKETS})
"""

OLD_DAYS: Final = """
SELECT user_id, begins_at FROM days WHERE begins_at < :before ORDER BY begins_at LIMIT :limit
"""
PRUNE_DAYS: Final = f"DELETE FROM days WHERE (user_id, begins_at) IN ({OLD_DAYS})"

PRAGMAS: Final = ("page_size", "page_count", "freelist_count", "auto_vacuum")
INCREMENTAL: Final = 2

# Frees one page: Python makes one step of a statement without columns, whatever its number is.
FREE_PAGE: Final = "PRAGMA incremental_vacuum(1)"

FREE_SECONDS: Final = 0.004
"""How long one change frees pages: the more of them are free, the longer each takes."""


class SQLitePruning:
    """Deleting what is old (`booper.store.pruning.Pruning`)."""

    def __init__(self, writer: Writer, reader: Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._looked_at = 0

    async def begins_at(self) -> datetime | None:
        """Return since when jobs may be deleted, None where that is to be decided."""
        (at,) = await self._reader.run(lambda opened: opened.execute(BEGINS_AT).fetchone())
        return loaded_or_none(at)

    async def begin_at(self, at: datetime) -> None:
        """Delete no jobs before this time."""
        values = {"at": stored(at)}
        await self._writer.run(lambda transaction: transaction.execute(BEGIN_AT, values).rowcount)

    async def prepare(self, retention: Retention, now: datetime) -> None:
        """Do nothing: all jobs are in one table, and go by rows."""

    async def drop_old(self, retention: Retention, now: datetime) -> int:
        """Drop nothing."""
        return 0

    async def drop_oldest(self, state: State, now: datetime) -> None:
        """Drop nothing."""

    async def find(
        self, state: State, retention: Retention, now: datetime, behind: Spot, *, is_over_size: bool
    ) -> Found:
        """Return jobs of a finished state that may be deleted, in order of their creation."""
        kept = retention.of(state)

        def read(opened: SQLiteTransaction) -> Found:
            values = {
                "state": str(state),
                "now": stored(now),
                "before": None if kept is None else stored(now - kept),
                "is_over_size": is_over_size,
            }
            ids, rest = _next_part(opened, behind, values)
            going = pruning.deletable(opened, ids, retention, now, is_over_size=is_over_size)
            return Found(_sized(opened, going), rest)

        return await self._reader.run(read)

    async def find_by_own_time(self, retention: Retention, now: datetime, behind: Spot) -> Found:
        """Return jobs whose own `keep_for` is over, and which may be deleted."""
        values = {
            "now": stored(now),
            "value": behind.value,
            "id": behind.id,
            "limit": MAX_FOUND,
        }

        def read(opened: SQLiteTransaction) -> Found:
            rows = opened.execute(BY_OWN_TIME, values).fetchall()
            rest = Spot(*rows[-1]) if len(rows) == MAX_FOUND else None
            ids = [number for _, number in rows]
            going = pruning.deletable(opened, ids, retention, now, is_over_size=False)
            return Found(_sized(opened, going), rest)

        return await self._reader.run(read)

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

        It need not be durable: what a power loss brings back is deleted again.
        """

        def change(transaction: SQLiteTransaction) -> Pruned:
            return pruning.prune(
                transaction, job_ids, retention, now, limit, is_over_size=is_over_size
            )

        if is_urgent:
            return await self._writer.run(change, is_durable=False)
        return await self._writer.run_when_idle(change)

    async def prune_audit(self, before: datetime, limit: int) -> int:
        """Delete the oldest entries of the audit from before a time; return how many there were."""
        return await self._prune_aged(OLD_AUDIT, PRUNE_AUDIT, before, limit)

    async def prune_buckets(self, before: datetime, limit: int) -> int:
        """Delete the oldest buckets that begin before a time; return how many there were.

        A day whose last bucket is gone goes as well.
        """
        count = await self._prune_aged(OLD_BUCKETS, PRUNE_BUCKETS, before, limit)
        if count < limit:
            count += await self._prune_aged(OLD_DAYS, PRUNE_DAYS, before - DAY, limit - count)
        return count

    async def _prune_aged(self, look: str, prune: str, before: datetime, limit: int) -> int:
        values = {"before": stored(before), "limit": limit}
        first = {**values, "limit": 1}
        if not await self._reader.run(lambda opened: opened.execute(look, first).fetchall()):
            return 0
        return await self._writer.run_when_idle(
            lambda transaction: transaction.execute(prune, values).rowcount
        )

    async def space(self) -> Space:
        """Return how large the file is, and how much of it is free."""
        self._looked_at = self._writer.changes
        page, count, free, vacuum = await self._reader.run(_pragmas)
        return Space(page * count, page * free, vacuum == INCREMENTAL)

    async def wait_for_changes(self, count: int) -> None:
        """Return when this many changes have been made since the space was looked at."""
        await self._writer.wait_for_changes(self._looked_at + count)

    async def give_back(self, size: int) -> None:
        """Give free pages back to the system, at most this many bytes, and one page at least."""
        (page, *_) = await self._reader.run(_pragmas)
        await self._writer.run_when_idle(partial(_free_pages, count=-(-size // page)))


def _next_part(
    connection: sqlite3.Connection, behind: Spot, values: dict[str, object]
) -> tuple[list[int], Spot | None]:
    """Return the next jobs that are over, and where the rest begins, None if there is no other.

    What was made too late to be old enough, and all behind that, is not looked at. A clock that was
    ahead when a job was made hides none: that would be later than now.
    """
    first = connection.execute(NEXT, {"behind": behind.id}).fetchone()
    if first is None or _is_too_young(first[1], values):
        return [], None
    until = first[0] - 1 + WINDOW
    window = {**values, "behind": behind.id, "until": until, "limit": MAX_LOOKED}
    looked = [number for (number,) in connection.execute(IN_WINDOW, window)]
    if len(looked) == MAX_LOOKED:
        until = looked[-1]
    over = {**values, "ids": msgspec.json.encode(looked).decode(), "limit": MAX_FOUND}
    ids = [number for (number,) in connection.execute(OVER, over)]
    if len(ids) == MAX_FOUND:
        until = ids[-1]
    return ids, Spot(0, until)


def _is_too_young(inserted_at: int, values: dict[str, object]) -> bool:
    if values["is_over_size"]:
        return False
    before, now = values["before"], values["now"]
    assert isinstance(now, int)
    return before is None or (isinstance(before, int) and before < inserted_at <= now)


def _sized(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Prunable]:
    """Return jobs with what deleting them costs, in order."""
    values = {"ids": msgspec.json.encode(list(ids)).decode()}
    found = {row[0]: _prunable(row) for row in connection.execute(SIZES, values)}
    return [found[number] for number in ids]


def _prunable(row: Row) -> Prunable:
    number, rows, size, entries, entries_size = row
    return Prunable(number, rows + entries, size + entries_size)


def _pragmas(connection: sqlite3.Connection) -> tuple[int, ...]:
    return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS)


def _free_pages(connection: sqlite3.Connection, count: int) -> None:
    """Free so many pages, or as many as the time is enough for."""
    until = monotonic() + FREE_SECONDS
    for _ in range(count):
        connection.execute(FREE_PAGE)
        if monotonic() >= until:
            return

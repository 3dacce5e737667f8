"""What waits, as the loop looks at it over PostgreSQL; the rest is in `store.nouns.queue`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, Final

from booper.clock import monotonic
from booper.store.nouns.queue import RuledQueue
from booper.store.postgres.connections import Readers
from booper.store.postgres.node_rows import FORGET
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer
from booper.store.rules import settling
from booper.store.stored import loaded, loaded_or_none, stored
from booper.store.transaction import Transaction
from booper.store.values import (
    MAX_TIME,
    Ahead,
    AnnounceRescue,
    Claims,
    Due,
    Scan,
)

# Those of the next ones that are wanted; and the last that was looked at, if there are so many.
DUE: Final = """
WITH part AS MATERIALIZED (
    SELECT at, job_id, origin, path,
        at > %(now)s OR origin <> ALL(%(origins)s::text[]) AS is_wanted
    FROM due WHERE (at, job_id) > (%(at)s, %(id)s) ORDER BY at, job_id LIMIT %(limit)s
)
SELECT at, job_id, origin, path, false AS is_last FROM part WHERE is_wanted
UNION ALL
(SELECT at, job_id, origin, path, true FROM part ORDER BY at, job_id OFFSET %(limit)s - 1 LIMIT 1)
ORDER BY at, job_id, is_last
"""

_OF_ORIGIN: Final = """
SELECT at, job_id, origin, path FROM due
WHERE origin = %(origin)s AND at <= %(now)s
"""
DUE_OF: Final = f"""
{_OF_ORIGIN} AND job_id <> ALL(%(ids)s::bigint[]) ORDER BY at, job_id LIMIT %(limit)s
"""

MAX_SCANNED: Final = 100_000
"""How many due jobs of one origin are looked through for a path."""

OF_NEW_PATH: Final = f"""
SELECT * FROM ({_OF_ORIGIN} ORDER BY at, job_id LIMIT {MAX_SCANNED}) AS oldest
WHERE path <> ALL(%(paths)s::bigint[]) AND job_id <> ALL(%(ids)s::bigint[])
ORDER BY at, job_id LIMIT 1
"""

# Of the oldest, one for each path; the path that was probed longest ago first.
OF_OLD_PATH: Final = f"""
SELECT * FROM (
    SELECT DISTINCT ON (path) at, job_id, origin, path
    FROM ({_OF_ORIGIN} ORDER BY at, job_id LIMIT 1000) AS oldest
    WHERE job_id <> ALL(%(ids)s::bigint[]) ORDER BY path, at, job_id
) AS firsts
ORDER BY array_position(%(paths)s::bigint[], path) NULLS FIRST, at, job_id LIMIT 1
"""

ACCOMPANY: Final = "DELETE FROM alone WHERE owner = %s"

# Entries and jobs are numbered as they are written.
NEWEST: Final = """
SELECT max(at) FROM (
    (SELECT inserted_at AS at FROM logs ORDER BY seq DESC LIMIT 1)
    UNION ALL
    (SELECT inserted_at FROM live_jobs ORDER BY id DESC LIMIT 1)
    UNION ALL
    (SELECT inserted_at FROM ended_jobs ORDER BY id DESC LIMIT 1)
) AS newest
"""

SCHEDULES_AHEAD: Final = """
SELECT id FROM schedules
WHERE disabled_at IS NULL AND (next_at > %(now)s OR ended_at > %(now)s) ORDER BY id
"""
RETRIES_AHEAD: Final = """
SELECT id FROM live_jobs
WHERE state = 'retryable' AND scheduled_at > %(now)s AND attempted_at > %(now)s
ORDER BY scheduled_at, id
"""

THOROUGH_SECONDS: Final = 60.0
"""How long no claims of nodes without a row are looked for: that walks over all that executed."""

FORGET_ALONE: Final = "DELETE FROM alone WHERE owner = ANY(%s)"


class PostgresQueue(RuledQueue):
    """Jobs as the loop sees them (`booper.store.queue.Queue`)."""

    def __init__(self, writer: Writer, reader: Readers, random: Random) -> None:
        super().__init__(writer, random)
        self._writer = writer
        self._reader = reader
        self._thorough_at = 0.0

    async def due(
        self,
        after: Due | None,
        limit: int,
        now: datetime = MAX_TIME,
        but_origins: Collection[str] = (),
    ) -> Scan:
        """Look at the next `limit` waiting jobs in order of time, those behind `after` if given."""
        values = {
            "at": stored(after.at) if after else -(2**63),
            "id": after.id if after else 0,
            "limit": limit,
            "now": stored(now),
            "origins": list(but_origins),
        }
        rows = await self._reader.run(lambda opened: opened.execute(DUE, values).fetchall())
        dues = [Due(loaded(at), job_id, origin, path) for at, job_id, origin, path, _ in rows]
        is_more = bool(rows) and rows[-1][4]
        return Scan(dues[:-1] if is_more else dues, dues[-1] if is_more else None)

    async def due_of(
        self, origin: str, now: datetime, limit: int, but_ids: Collection[int] = ()
    ) -> Sequence[Due]:
        """Return an origin's jobs that are due, in order of time, but for some that are known."""
        values = {"origin": origin, "now": stored(now), "limit": limit, "ids": list(but_ids)}
        return await self._found(DUE_OF, values)

    async def probe_of(
        self, origin: str, now: datetime, but_ids: Collection[int], paths: Sequence[int]
    ) -> Due | None:
        """Return the due job by which an origin is probed, None if none is due."""
        values = {
            "origin": origin,
            "now": stored(now),
            "ids": list(but_ids),
            "paths": list(paths),
        }
        for query in (OF_NEW_PATH, OF_OLD_PATH):
            if found := await self._found(query, values):
                return found[0]
        return None

    async def _write_claim(self, change: Callable[[Transaction], Claims]) -> Claims:
        """Make a claim, durable before its requests leave: after a failover nobody repeats them.

        It comes last in its transaction, since it makes the claims of others wait.
        """
        return await self._writer.run_last(change)

    async def accompany(self) -> None:
        """Note that the attempt that was alone is so no longer: others may begin after this."""
        await self._writer.run(
            lambda transaction: transaction.execute(ACCOMPANY, [transaction.owner]).rowcount
        )

    async def newest(self) -> datetime | None:
        """Return when the newest log entry or job was written, None where there is none."""
        row = await self._reader.run(lambda opened: opened.execute(NEWEST).fetchone())
        return loaded_or_none(row[0]) if row else None

    async def ahead(self, now: datetime) -> Ahead:
        """Return what may have been planned by a clock that was ahead and was set back to `now`."""
        values = {"now": stored(now)}

        def read(opened: PostgresTransaction) -> Ahead:
            schedules = opened.execute(SCHEDULES_AHEAD, values).fetchall()
            retries = opened.execute(RETRIES_AHEAD, values).fetchall()
            return Ahead([it for (it,) in schedules], [it for (it,) in retries])

        return await self._reader.run(read)

    async def rescue(self, now: datetime, announce: AnnounceRescue) -> int:
        """Make due again what owners that are gone have left; return how many jobs there were.

        Each node that is gone is replaced in one transaction, at whose end it is forgotten.
        """

        is_thorough = monotonic() >= self._thorough_at

        def change(transaction: PostgresTransaction) -> tuple[int, int]:
            gone = list(transaction.gone(is_thorough=is_thorough))
            if not gone:
                return 0, 0
            count = settling.rescue(transaction, now, announce, self._random)
            transaction.execute(FORGET, {"numbers": gone})
            transaction.execute(FORGET_ALONE, [gone])
            return len(gone), count

        rescued = 0
        while True:
            nodes, count = await self._writer.run(change)
            rescued += count
            if not nodes:
                break
        if is_thorough:
            self._thorough_at = monotonic() + THOROUGH_SECONDS
        return rescued

    async def _found(self, query: str, values: Mapping[str, Any]) -> list[Due]:
        rows = await self._reader.run(lambda opened: opened.execute(query, values).fetchall())
        return [Due(loaded(at), job_id, origin, path) for at, job_id, origin, path in rows]

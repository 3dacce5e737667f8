"""What waits, as the loop looks at it over SQLite; the rest is in `store.nouns.queue`."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from random import Random
from uuid import UUID

import msgspec

from booper.store.nouns.queue import RuledQueue
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.values import IN_WAITING
from booper.store.sqlite.writer import Writer
from booper.store.stored import loaded, loaded_or_none, stored
from booper.store.values import MAX_TIME, Ahead, Due, Scan

_WAITING = f"""
    SELECT scheduled_at, id, origin, path FROM jobs
    WHERE {IN_WAITING} AND {{condition}}
    ORDER BY scheduled_at, id
"""
_BEHIND = _WAITING.format(condition="(scheduled_at, id) > (:at, :id)")
_OF_ORIGIN = _WAITING.format(condition="origin = :origin AND scheduled_at <= :now")
_UNKNOWN = "id NOT IN (SELECT value FROM json_each(:ids))"

# All as one row: each row of a result is a step that gives up the interpreter's lock, see `bulk`.
_AS_ROW = "SELECT json_group_array(json_array(scheduled_at, id, origin, path))"

# How many were looked at, the last of them, and those that are wanted.
DUE = f"""
WITH part AS ({_BEHIND} LIMIT :limit)
SELECT (SELECT count(*) FROM part),
    (SELECT json_array(scheduled_at, id, origin, path) FROM part
        ORDER BY scheduled_at DESC, id DESC LIMIT 1),
    ({_AS_ROW} FROM part
        WHERE scheduled_at > :now OR origin NOT IN (SELECT value FROM json_each(:origins)))
"""

DUE_OF = f"""
{_AS_ROW} FROM (
    SELECT * FROM ({_OF_ORIGIN}) WHERE {_UNKNOWN} LIMIT :limit
)
"""

MAX_SCANNED = 100_000
"""How many due jobs of one origin are looked through for a path; takes about 20 ms."""

OF_NEW_PATH = f"""
{_AS_ROW} FROM (
    SELECT * FROM ({_OF_ORIGIN} LIMIT {MAX_SCANNED})
    WHERE path NOT IN (SELECT value FROM json_each(:paths)) AND {_UNKNOWN} LIMIT 1
)
"""

# Of the oldest, one for each path; the path that was probed longest ago first.
OF_OLD_PATH = f"""
{_AS_ROW} FROM (
    SELECT min(scheduled_at) AS scheduled_at, id, origin, path
    FROM (SELECT * FROM ({_OF_ORIGIN} LIMIT 1000) WHERE {_UNKNOWN}) AS oldest
    GROUP BY path
    ORDER BY (SELECT key FROM json_each(:paths) WHERE value = oldest.path) LIMIT 1
)
"""

ACCOMPANY = "DELETE FROM alone"

# Entries and jobs are numbered as they are written.
NEWEST = """
SELECT max(at) FROM (
    SELECT inserted_at AS at FROM (SELECT inserted_at FROM logs ORDER BY seq DESC LIMIT 1)
    UNION ALL
    SELECT inserted_at FROM (SELECT inserted_at FROM jobs ORDER BY id DESC LIMIT 1)
)
"""

SCHEDULES_AHEAD = """
SELECT id FROM schedules
WHERE disabled_at IS NULL AND (next_at > :now OR ended_at > :now) ORDER BY id
"""

RETRIES_AHEAD = f"""
SELECT id FROM jobs
WHERE {IN_WAITING} AND state = 'retryable' AND scheduled_at > :now
    AND attempted_at > :now
ORDER BY scheduled_at, id
"""


class SQLiteQueue(RuledQueue):
    """Jobs as the loop sees them (`booper.store.queue.Queue`)."""

    def __init__(self, writer: Writer, reader: Connection, random: Random) -> None:
        super().__init__(writer, random)
        self._writer = writer
        self._reader = reader

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
            "origins": _json(but_origins),
        }
        count, last, found = await self._reader.run(
            lambda opened: opened.execute(DUE, values).fetchone()
        )
        return Scan(_dues(found), _dues(f"[{last}]")[0] if count == limit else None)

    async def due_of(
        self, origin: str, now: datetime, limit: int, but_ids: Collection[int] = ()
    ) -> Sequence[Due]:
        """Return an origin's jobs that are due, in order of time, but for some that are known."""
        values = {"origin": origin, "now": stored(now), "limit": limit, "ids": _json(but_ids)}
        return await self._found(DUE_OF, values)

    async def probe_of(
        self, origin: str, now: datetime, but_ids: Collection[int], paths: Sequence[int]
    ) -> Due | None:
        """Return the due job by which an origin is probed, None if none is due."""
        values = {
            "origin": origin,
            "now": stored(now),
            "ids": _json(but_ids),
            "paths": _json(paths),
        }
        for query in (OF_NEW_PATH, OF_OLD_PATH):
            if found := await self._found(query, values):
                return found[0]
        return None

    async def _found(self, query: str, values: dict[str, object]) -> Sequence[Due]:
        (text,) = await self._reader.run(lambda opened: opened.execute(query, values).fetchone())
        return _dues(text)

    async def accompany(self) -> None:
        """Note that the attempt that was alone is so no longer: others may begin after this."""
        await self._writer.run(lambda connection: connection.execute(ACCOMPANY).rowcount)

    async def newest(self) -> datetime | None:
        """Return when the newest log entry or job was written, None where there is none."""
        (at,) = await self._reader.run(lambda opened: opened.execute(NEWEST).fetchone())
        return loaded_or_none(at)

    async def ahead(self, now: datetime) -> Ahead:
        """Return what may have been planned by a clock that was ahead and was set back to `now`."""
        values = {"now": stored(now)}

        def read(connection: sqlite3.Connection) -> Ahead:
            schedules = connection.execute(SCHEDULES_AHEAD, values).fetchall()
            retries = connection.execute(RETRIES_AHEAD, values).fetchall()
            return Ahead([UUID(bytes=it) for (it,) in schedules], [it for (it,) in retries])

        return await self._reader.run(read)


def _json(values: Collection[object]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _dues(text: str) -> list[Due]:
    found = msgspec.json.decode(text, type=list[tuple[int, int, str, int]])
    # SQLite promises no order of what an aggregate function is given.
    return [Due(loaded(at), job_id, origin, path) for at, job_id, origin, path in sorted(found)]

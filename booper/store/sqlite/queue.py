"""Jobs as the loop sees them: what is due, claims, results, and what a stop or a crash left."""

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from random import Random

import msgspec

from booper.errors import StoreDamaged
from booper.model import dynamic, exact, lifecycle
from booper.model.event import interruption_of, state_rejected
from booper.model.job import Attempt, Job, Kind, NewJob, State
from booper.model.schedule import Schedule
from booper.store.base import (
    MAX_TIME,
    Admit,
    Ahead,
    Announce,
    AnnounceRescue,
    Claims,
    Due,
    Scan,
    Seen,
    Settled,
    Settlement,
)
from booper.store.sqlite import logs, replanning, rows, runs
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.turns import Turns
from booper.store.sqlite.values import loaded, stored
from booper.store.sqlite.writer import Writer

_WAITING = """
    SELECT scheduled_at, id, origin, path FROM jobs
    WHERE state IN ('scheduled', 'retryable') AND {condition}
    ORDER BY scheduled_at, id
"""
_BEHIND = _WAITING.format(condition="(scheduled_at, id) > (:at, :id)")
_OF_ORIGIN = _WAITING.format(condition="origin = :origin AND scheduled_at <= :now")
_UNKNOWN = "id NOT IN (SELECT value FROM json_each(:ids))"

# All as one row: each row of a result is a step that gives up the interpreter's lock, see `many`.
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

ALONE = "SELECT job_id, attempt FROM alone"
SET_ALONE = "INSERT OR REPLACE INTO alone (id, job_id, attempt) VALUES (1, :job_id, :attempt)"
ACCOMPANY = "DELETE FROM alone"

NEXT_EVENT = f"""
SELECT {rows.COLUMNS} FROM jobs
WHERE parent_id = :parent_id AND id > :id AND kind = 'webhook' AND state = 'scheduled'
ORDER BY id LIMIT 1
"""


class SQLiteQueue:
    """Jobs as the loop sees them (`booper.store.base.Queue`)."""

    def __init__(self, writer: Writer, reader: Connection, random: Random) -> None:
        self._writer = writer
        self._reader = reader
        self._random = random

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

    async def claim(
        self,
        seen: Sequence[Seen],
        now: datetime,
        announce: Announce,
        admit: Admit = Admit.NONE,
    ) -> Claims:
        """Begin an attempt of each of these jobs that still waits for just that time and origin."""

        is_retry = False

        def change(connection: sqlite3.Connection) -> Claims:
            nonlocal is_retry
            turns = Turns(connection, now, announce, self._random, is_isolated=is_retry)
            is_retry = True  # the writer makes again what has raised
            claims = turns.take(seen, admit)
            if admit is Admit.ALONE:
                for attempt in claims.begun:
                    job = attempt.job
                    connection.execute(SET_ALONE, {"job_id": job.id, "attempt": job.attempt})
            return claims

        for _ in seen:  # a try that meets a damaged page sets the job there aside
            with suppress(StoreDamaged):
                return await self._writer.run(change)
        return await self._writer.run(change)

    async def accompany(self) -> None:
        """Note that the attempt that was alone is so no longer: others may begin after this."""
        await self._writer.run(lambda connection: connection.execute(ACCOMPANY).rowcount)

    async def settle(self, settlement: Settlement) -> Settled:
        """Replace a claimed job by what its attempt made of it, with all that reports it."""
        return await self._writer.run_together(self._settle_all, settlement)

    async def release(self, claimed: Sequence[Job], due_at: datetime | None = None) -> None:
        """Give back claimed jobs whose attempts were not made, not counting them."""

        def change(connection: sqlite3.Connection) -> None:
            for job in claimed:
                current = rows.find(connection, job.id)
                if current and (current.state, current.attempt) == (State.EXECUTING, job.attempt):
                    rows.write(connection, current, lifecycle.release(current, due_at))

        await self._writer.run(change)

    async def newest(self) -> datetime | None:
        """Return when the newest log entry or job was written, None where there is none."""
        return await self._reader.run(replanning.newest)

    async def ahead(self, now: datetime) -> Ahead:
        """Return what may have been planned by a clock that was ahead and was set back to `now`."""
        return await self._reader.run(lambda opened: replanning.find(opened, now))

    async def replan(self, ahead: Ahead, now: datetime) -> Sequence[Job]:
        """Plan these schedules and retries by the clock as it is; return the jobs moved."""

        def change(connection: sqlite3.Connection) -> Sequence[Job]:
            return replanning.replan(connection, ahead, now, self._random)

        return await self._writer.run(change)

    async def rescue(self, now: datetime, announce: AnnounceRescue) -> int:
        """Make every executing job due again, its attempt counted; return how many there were."""

        def change(connection: sqlite3.Connection) -> int:
            left = rows.find_executing(connection)
            alone = connection.execute(ALONE).fetchone()
            rescued = [
                lifecycle.rescue(job, now, was_alone=(job.id, job.attempt) == alone) for job in left
            ]
            # Read in this very transaction: none can have moved.
            rows.write_all(connection, list(zip(left, rescued, strict=True)))
            logs.append(connection, [interruption_of(job, now) for job in left], self._random)
            for job, after in zip(left, rescued, strict=True):
                with suppress(msgspec.MsgspecError):  # told when it is claimed
                    self._insert_all(connection, announce(Attempt.of(job), after), now)
            return len(left)

        return await self._writer.run(change)

    def _settle_all(
        self, connection: sqlite3.Connection, settlements: Sequence[Settlement]
    ) -> list[Settled]:
        """Write what attempts have brought; of one that has lost its job, the log entries alone."""
        entries = [entry for settlement in settlements for entry in settlement.entries]
        logs.append(connection, entries, self._random)
        try:
            pairs = [(settlement.claimed, settlement.settled) for settlement in settlements]
            rows.write_all(connection, pairs)
        except rows.LostRace:
            if len(settlements) > 1:
                raise  # the writer tries each by itself
            claimed = settlements[0].claimed
            current = rows.get(connection, claimed.user_id, claimed.id)
            return [Settled(current, following(connection, current))]
        return [self._settled(connection, settlement) for settlement in settlements]

    def _settled(self, connection: sqlite3.Connection, settlement: Settlement) -> Settled:
        """Write what follows from an attempt whose job is written."""
        schedule, waiting = runs.find_with_waiting_run(connection, settlement.settled.schedule_id)
        if schedule is not None:
            self._leave(connection, settlement, schedule)
        settled, entries = settlement.settled, settlement.entries
        if settled.attempt % logs.TRIMMED_AFTER == 0:
            logs.trim(connection, settled.id)
        now = entries[-1].at if entries else settled.scheduled_at
        armed = self._insert_all(connection, settlement.reports, now)
        if waiting is not None:
            return Settled(settled, [*armed, waiting])
        return Settled(settled, [*armed, *_next_events(connection, settled)])

    def _leave(
        self, connection: sqlite3.Connection, settlement: Settlement, schedule: Schedule
    ) -> None:
        """Leave what a completed run answered to its schedule: `$previous` and `$state`."""
        if settlement.previous is None and settlement.changes is None:
            return
        job = settlement.settled
        previous, state = schedule.previous, schedule.state
        if settlement.previous is not None and schedule.disabled_at is None:
            previous = settlement.previous
        if settlement.changes is not None:
            try:
                merged = dynamic.merge_state(exact.decode(state), dict(settlement.changes))
                state = msgspec.json.encode(merged).decode()
            except dynamic.StateRejected as error:
                at = settlement.entries[-1].at
                logs.append(connection, [state_rejected(job, str(error), at)], self._random)
        runs.leave(connection, schedule, previous, state)

    def _insert_all(
        self, connection: sqlite3.Connection, reports: Sequence[NewJob], now: datetime
    ) -> list[Job]:
        prepared = [rows.prepare(report, now, self._random) for report in reports]
        return rows.insert_all(connection, prepared)


def _json(values: Collection[object]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _dues(text: str) -> list[Due]:
    found = msgspec.json.decode(text, type=list[tuple[int, int, str, int]])
    # SQLite promises no order of what an aggregate function is given.
    return [Due(loaded(at), job_id, origin, path) for at, job_id, origin, path in sorted(found)]


def following(connection: sqlite3.Connection, job: Job) -> Sequence[Job]:
    """Return what waited for a job's end: its schedule's next run, or the next event."""
    _, waiting = runs.find_with_waiting_run(connection, job.schedule_id)
    return [waiting] if waiting else _next_events(connection, job)


def _next_events(connection: sqlite3.Connection, job: Job) -> list[Job]:
    """Return the event that waited for this one's end, if it is one and another follows."""
    if job.kind is not Kind.WEBHOOK or job.parent_id is None:
        return []
    values = {"parent_id": job.parent_id, "id": job.id}
    return [rows.job_of(row) for row in connection.execute(NEXT_EVENT, values).fetchall()]

"""Jobs as the loop sees them: what is due, claims, results, and what a stop or a crash left."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from random import Random

import msgspec
from msgspec.structs import replace

from booper.model import dynamic, exact, lifecycle
from booper.model.event import interruption_of, state_rejected
from booper.model.job import Attempt, Job, Kind, NewJob, State
from booper.store.base import (
    Ahead,
    Announce,
    AnnounceRescue,
    Claims,
    Due,
    Seen,
    Settled,
    Settlement,
)
from booper.store.sqlite import logs, replanning, rows, runs
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.turns import Turns
from booper.store.sqlite.values import loaded, stored
from booper.store.sqlite.writer import Writer

# All as one row: each row of a result is a step that gives up the interpreter's lock, see `many`.
_DUE = """
SELECT json_group_array(json_array(scheduled_at, id, host)) FROM (
    SELECT scheduled_at, id, host FROM jobs
    WHERE state IN ('scheduled', 'retryable') AND {condition}
    ORDER BY scheduled_at, id LIMIT :limit
)
"""
DUE = _DUE.format(condition="(scheduled_at, id) > (:at, :id)")
DUE_OF = _DUE.format(condition="host = :host AND scheduled_at <= :now")

EXECUTING = f"SELECT {rows.COLUMNS} FROM jobs WHERE state = 'executing'"

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

    async def due(self, after: Due | None, limit: int) -> Sequence[Due]:
        """Return the next waiting jobs in order of time; only those behind `after`, if given."""
        values: dict[str, object] = {
            "at": stored(after.at) if after else -(2**63),
            "id": after.id if after else 0,
            "limit": limit,
        }
        return await self._due(DUE, values)

    async def due_of(self, host: str, now: datetime, limit: int) -> Sequence[Due]:
        """Return a host's waiting jobs that are due, in order of time."""
        return await self._due(DUE_OF, {"host": host, "now": stored(now), "limit": limit})

    async def _due(self, query: str, values: dict[str, object]) -> Sequence[Due]:
        (text,) = await self._reader.run(lambda opened: opened.execute(query, values).fetchone())
        found = msgspec.json.decode(text, type=list[tuple[int, int, str]])
        # SQLite promises no order of what an aggregate function is given.
        return [Due(loaded(at), job_id, host) for at, job_id, host in sorted(found)]

    async def claim(
        self, seen: Sequence[Seen], now: datetime, announce: Announce, *, alone: bool = False
    ) -> Claims:
        """Begin an attempt of each of these jobs that still waits for just that time."""

        def change(connection: sqlite3.Connection) -> Claims:
            return Turns(connection, now, announce, self._random).take(seen, alone=alone)

        return await self._writer.run(change)

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
            left = [rows.job_of(row) for row in connection.execute(EXECUTING).fetchall()]
            rescued = [lifecycle.rescue(job, now) for job in left]
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
        self._leave(connection, settlement)
        settled, entries = settlement.settled, settlement.entries
        if settled.attempt % logs.TRIMMED_AFTER == 0:
            logs.trim(connection, settled.id)
        now = entries[-1].at if entries else settled.scheduled_at
        armed = self._insert_all(connection, settlement.reports, now)
        return Settled(settled, [*armed, *following(connection, settled)])

    def _leave(self, connection: sqlite3.Connection, settlement: Settlement) -> None:
        """Leave what a completed run answered to its schedule: `$previous` and `$state`."""
        if settlement.previous is None and settlement.changes is None:
            return
        job = settlement.settled
        schedule = runs.find(connection, job.schedule_id)
        if schedule is None:
            return
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
        runs.write(connection, replace(schedule, previous=previous, state=state))

    def _insert_all(
        self, connection: sqlite3.Connection, reports: Sequence[NewJob], now: datetime
    ) -> list[Job]:
        prepared = [rows.prepare(report, now, self._random) for report in reports]
        return rows.insert_all(connection, prepared)


def following(connection: sqlite3.Connection, job: Job) -> Sequence[Job]:
    """Return what waited for a job's end: its schedule's next run, or the next event."""
    if job.kind is Kind.WEBHOOK and job.parent_id is not None:
        values = {"parent_id": job.parent_id, "id": job.id}
        found = connection.execute(NEXT_EVENT, values).fetchall()
        return [rows.job_of(row) for row in found]
    schedule = runs.find(connection, job.schedule_id)
    waiting = runs.waiting_run(connection, schedule) if schedule else None
    return [waiting] if waiting else []

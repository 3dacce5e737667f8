"""Jobs as the loop sees them: what is due, claims, results, and what a stop or a crash left."""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from random import Random

import msgspec
from msgspec.structs import replace

from booper.model import dynamic, lifecycle
from booper.model.event import interruption_of, state_rejected
from booper.model.job import WAITING, Attempt, Job, Kind, NewJob, State
from booper.model.planning import Coming, Hold, MoveOn, Run, take_turn
from booper.model.schedule import Plan, Schedule
from booper.store.base import Announce, Claims, Due, Seen, Settled, Settlement
from booper.store.sqlite import logs, rows, runs
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.values import loaded, stored
from booper.store.sqlite.writer import Writer

log = logging.getLogger("booper.store")

DUE = """
SELECT scheduled_at, id, host FROM jobs
WHERE state IN ('scheduled', 'retryable') AND (scheduled_at, id) > (:at, :id)
ORDER BY scheduled_at, id LIMIT :limit
"""

DUE_OF = """
SELECT scheduled_at, id, host FROM jobs
WHERE state IN ('scheduled', 'retryable') AND host = :host AND scheduled_at <= :now
ORDER BY scheduled_at, id LIMIT :limit
"""

EXECUTING = f"SELECT {rows.COLUMNS} FROM jobs WHERE state = 'executing'"

# A webhook event is sent first only after those before it have been: this is one of them.
EARLIER_EVENT = """
SELECT EXISTS (
    SELECT 1 FROM jobs
    WHERE parent_id = :parent_id AND id < :id AND kind = 'webhook'
        AND (state = 'scheduled' OR (state = 'executing' AND attempt = 1))
)
"""

NEXT_EVENT = f"""
SELECT {rows.COLUMNS} FROM jobs
WHERE parent_id = :parent_id AND id > :id AND kind = 'webhook' AND state = 'scheduled'
ORDER BY id LIMIT 1
"""


@dataclass
class Turns:
    """What a claim has decided so far."""

    begun: list[Attempt] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    armed: list[Job] = field(default_factory=list)

    def add(self, more: "Turns") -> None:
        """Take over what another claim has decided."""
        self.begun += more.begun
        self.seen += more.seen
        self.armed += more.armed


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
        found = await self._reader.run(lambda opened: opened.execute(query, values).fetchall())
        return [Due(loaded(at), job_id, host) for at, job_id, host in found]

    async def claim(self, seen: Sequence[Seen], now: datetime, announce: Announce) -> Claims:
        """Begin an attempt of each of these jobs that still waits for just that time."""

        def change(connection: sqlite3.Connection) -> Claims:
            turns = Turns()
            for item in seen:
                job = rows.find(connection, item.due.id)
                if job and job.state in WAITING and job.scheduled_at == item.due.at:
                    self._isolated_turn(connection, job, item, now, announce, turns)
            return Claims(turns.begun, turns.seen, turns.armed)

        return await self._writer.run(change)

    async def settle(self, settlement: Settlement) -> Settled:
        """Replace a claimed job by what its attempt made of it, with all that reports it."""

        def change(connection: sqlite3.Connection) -> Settled:
            claimed, settled = settlement.claimed, settlement.settled
            logs.append(connection, settlement.entries, self._random)
            armed: list[Job] = []
            try:
                rows.write(connection, claimed, settled)
            except rows.LostRace:
                settled = rows.get(connection, claimed.user_id, claimed.id)
            else:
                self._leave(connection, settlement)
                now = settlement.entries[-1].at if settlement.entries else settled.scheduled_at
                armed += self._insert_all(connection, settlement.reports, now)
            return Settled(settled, [*armed, *following(connection, settled)])

        return await self._writer.run(change)

    async def release(self, claimed: Sequence[Job]) -> None:
        """Give back claimed jobs whose attempts a stop ended, not counting them."""

        def change(connection: sqlite3.Connection) -> None:
            for job in claimed:
                current = rows.find(connection, job.id)
                if current and (current.state, current.attempt) == (State.EXECUTING, job.attempt):
                    rows.write(connection, current, lifecycle.release(current))

        await self._writer.run(change)

    async def rescue(self, now: datetime, announce: Announce) -> int:
        """Make every executing job due again, its attempt counted; return how many there were."""

        def change(connection: sqlite3.Connection) -> int:
            left = [rows.job_of(row) for row in connection.execute(EXECUTING).fetchall()]
            rescued = [lifecycle.rescue(job, now) for job in left]
            rows.write_all(connection, list(zip(left, rescued, strict=True)))
            logs.append(connection, [interruption_of(job, now) for job in left], self._random)
            for job in left:
                with suppress(msgspec.MsgspecError):  # told when it is claimed
                    self._insert_all(connection, announce(Attempt.of(job)), now)
            return len(left)

        return await self._writer.run(change)

    def _isolated_turn(
        self,
        connection: sqlite3.Connection,
        job: Job,
        seen: Seen,
        now: datetime,
        announce: Announce,
        turns: Turns,
    ) -> None:
        """Let one job take its turn; whatever is wrong with it, the others take theirs."""
        mine = Turns()
        connection.execute("SAVEPOINT turn")
        try:
            self._turn(connection, job, seen, now, mine)
            for attempt in mine.begun:
                mine.armed += self._insert_all(connection, announce(attempt), now)
        except sqlite3.OperationalError:
            raise  # of the disk or the file, not of the job
        except Exception as error:  # a job must neither stop the loop nor the next start
            log.exception("job %d cannot take its turn and is discarded", job.id)
            connection.execute("ROLLBACK TO turn")
            reason = f"internal: {type(error).__name__}: {error}"
            claimed = rows.write(connection, job, lifecycle.claim(job, now))
            rows.write(connection, claimed, lifecycle.discard(claimed, now, reason))
        else:
            turns.add(mine)
        connection.execute("RELEASE turn")

    def _turn(
        self, connection: sqlite3.Connection, job: Job, seen: Seen, now: datetime, turns: Turns
    ) -> None:
        """Let one due job begin, unless it is a run or a report whose turn has not come."""
        schedule = runs.find(connection, job.schedule_id)
        if schedule is not None and runs.is_waiting(schedule, job):
            self._run_turn(connection, job, schedule, seen, now, turns)
        elif job.kind is Kind.WEBHOOK and not job.attempt and _is_early(connection, job):
            turns.seen.append(seen)
        else:
            # A run beside the plan, or one that was asked for again, must not hold up the plan.
            until = schedule.next_at if schedule and not schedule.disabled_at else None
            begun = replace(job, retry_until=job.retry_until or until)
            self._begin(connection, job, begun, schedule, now, turns)

    def _run_turn(
        self,
        connection: sqlite3.Connection,
        job: Job,
        schedule: Schedule,
        seen: Seen,
        now: datetime,
        turns: Turns,
    ) -> None:
        coming = Coming(
            job.planned_at,
            job.scheduled_at,
            seen.at,
            schedule.runs,
            runs.is_blocked(connection, schedule),
        )
        plan = Plan.of_schedule(schedule)
        turn = take_turn(plan, coming, now)
        if isinstance(turn, MoveOn):
            turn = MoveOn(runs.free_time(connection, plan, schedule, turn.next_at), turn.gaps)
        record = partial(runs.record_gaps, connection, schedule, job, now=now, random=self._random)
        match turn:
            case Run(planned_at=planned_at, next_at=next_at):
                run = replace(job, planned_at=planned_at, retry_until=next_at)
                # A gap before the run ends with it; one behind it may go on to grow.
                record(tuple(gap for gap in turn.gaps if gap.first < planned_at))
                runs.close_gap(connection, schedule)
                record(tuple(gap for gap in turn.gaps if gap.first > planned_at))
                self._begin(connection, job, run, schedule, now, turns)
                self._plan(connection, job, schedule, next_at, seen, now, turns)
            case Hold(planned_at=planned_at, gaps=gaps):
                record(gaps)
                if planned_at != job.planned_at:
                    rows.write(connection, job, replace(job, planned_at=planned_at))
                    runs.write(connection, replace(schedule, next_at=planned_at))
                turns.seen.append(seen)
            case MoveOn(next_at=None, gaps=gaps):
                record(gaps)
                ended = replace(lifecycle.cancel(job, now), last_error="its schedule has ended")
                rows.write(connection, job, ended)
                runs.write(connection, runs.ending(replace(schedule, next_at=None), now))
            case MoveOn(next_at=next_at, gaps=gaps):
                assert next_at is not None
                record(gaps)
                due = runs.with_jitter(schedule, next_at, self._random)
                moved = replace(job, planned_at=next_at, scheduled_at=due)
                turns.armed.append(rows.write(connection, job, moved))
                runs.write(connection, replace(schedule, next_at=next_at))

    def _plan(
        self,
        connection: sqlite3.Connection,
        job: Job,
        schedule: Schedule,
        next_at: datetime | None,
        seen: Seen,
        now: datetime,
        turns: Turns,
    ) -> None:
        """Plan the run after one that has begun; without one the schedule has ended."""
        plan = Plan.of_schedule(schedule)
        next_at = runs.free_time(connection, plan, schedule, next_at)
        following = replace(schedule, next_at=next_at, runs=schedule.runs + 1)
        runs.write(connection, runs.ending(following, now))
        if next_at is None:
            return
        attempts = job.max_attempts
        run = runs.plan_run(connection, schedule, next_at, attempts, now, self._random)
        turns.armed.append(run)
        if run.scheduled_at <= now:
            # It has waited for this one, and is no later than that was.
            turns.seen.append(Seen(Due(run.scheduled_at, run.id, run.host), seen.at))

    def _begin(
        self,
        connection: sqlite3.Connection,
        before: Job,
        job: Job,
        schedule: Schedule | None,
        now: datetime,
        turns: Turns,
    ) -> None:
        claimed = rows.write(connection, before, lifecycle.claim(job, now))
        previous, state = (schedule.previous, schedule.state) if schedule else (None, None)
        if job.schedule_id is not None and schedule is None:
            previous, state = "{}", "{}"  # it was deleted; what its runs refer to is gone
        turns.begun.append(Attempt.of(claimed, previous, state))

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
                merged = dynamic.merge_state(msgspec.json.decode(state), dict(settlement.changes))
                state = msgspec.json.encode(merged).decode()
            except dynamic.StateRejected as error:
                at = settlement.entries[-1].at
                logs.append(connection, [state_rejected(job, str(error), at)], self._random)
        runs.write(connection, replace(schedule, previous=previous, state=state))

    def _insert_all(
        self, connection: sqlite3.Connection, reports: Sequence[NewJob], now: datetime
    ) -> list[Job]:
        insert = partial(rows.insert_new, now=now, random=self._random)
        return [insert(connection, report) for report in reports]


def _is_early(connection: sqlite3.Connection, event: Job) -> bool:
    values = {"parent_id": event.parent_id, "id": event.id}
    return bool(connection.execute(EARLIER_EVENT, values).fetchone()[0])


def following(connection: sqlite3.Connection, job: Job) -> Sequence[Job]:
    """Return what waited for a job's end: its schedule's next run, or the next event."""
    if job.kind is Kind.WEBHOOK and job.parent_id is not None:
        values = {"parent_id": job.parent_id, "id": job.id}
        found = connection.execute(NEXT_EVENT, values).fetchall()
        return [rows.job_of(row) for row in found]
    schedule = runs.find(connection, job.schedule_id)
    waiting = runs.waiting_run(connection, schedule) if schedule else None
    return [waiting] if waiting else []

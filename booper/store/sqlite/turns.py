"""What a claim does with jobs that are due: each begins, waits for its turn, or moves on.

Most jobs depend on nothing and begin together. A schedule's run plans the next one, and is skipped,
held or moved as `take_turn` decides; a webhook event waits for those before it.
"""

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import replace as replaced
from datetime import datetime, timedelta
from functools import partial
from random import Random

from msgspec.structs import replace

from booper.model import lifecycle
from booper.model.args import decode_args
from booper.model.event import unplannable
from booper.model.job import WAITING, Attempt, Job, Kind
from booper.model.planning import MISFIRE, Coming, Hold, MoveOn, Run, take_turn
from booper.model.schedule import Gap, Misfire, Plan, Schedule
from booper.store.base import Admit, Announce, Claims, Due, Seen, Suspect
from booper.store.sqlite import logs, rows, runs
from booper.store.sqlite.damage import is_damage, is_damaged, set_aside
from booper.store.sqlite.runs import DueSchedule
from booper.store.sqlite.upcoming import ENDED, is_taken

log = logging.getLogger("booper.store")

# A webhook event is sent first only after those before it have been: this is one of them.
EARLIER_EVENT = """
SELECT EXISTS (
    SELECT 1 FROM jobs
    WHERE parent_id = :parent_id AND id < :id AND kind = 'webhook'
        AND (state = 'scheduled' OR (state = 'executing' AND attempt = 1))
)
"""


# A request ends after 15 minutes at the latest (contract §12). A run that is later still has not
# waited for a slot alone: the machine slept or its clock was stepped, and its runs are missed.
LONGEST_WAIT = timedelta(minutes=15)


class Turns:
    """One claim, within its transaction.

    Whatever is wrong with a job raises, unless turns are isolated: then it is discarded. They
    always are in a damaged file, to learn which jobs cannot be written.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        now: datetime,
        announce: Announce,
        random: Random,
        *,
        is_isolated: bool,
    ) -> None:
        self._connection = connection
        self._now = now
        self._announce = announce
        self._random = random
        self._is_isolated = is_isolated or is_damaged(connection)
        self._begun: list[Attempt] = []
        self._seen: list[Seen] = []
        self._held: list[Seen] = []
        self._armed: list[Job] = []

    def take(self, seen: Sequence[Seen], admit: Admit) -> Claims:
        """Give each of these jobs that still waits for just that time and origin its turn."""
        found = rows.find_all(self._connection, [item.due.id for item in seen])
        due = {item.due.id: item for item in seen if _is_due(found.get(item.due.id), item.due)}
        # What has moved to another time or origin waits there; who moved it may not have said so.
        self._armed += [job for number, job in found.items() if number not in due and _waits(job)]
        suspects: list[Suspect] = []
        if admit is Admit.NONE:
            waiting = [number for number in due if found[number].is_suspect]
            suspects = [Suspect(due.pop(it), found[it].interruptions) for it in waiting]
        if not self._is_isolated:
            self._begin_all([job for job in map(found.__getitem__, due) if _is_free(job)])
        for number, item in due.items():
            job = found[number]  # no turn moves another one's job
            if self._is_isolated:
                self._isolated_turn(job, item)
            elif not _is_free(job):
                self._reported_turn(job, item)
        seen = [*self._held, *self._seen]
        return Claims(self._begun, seen, self._armed, tuple(self._held), tuple(suspects))

    def _begin_all(self, jobs: Sequence[Job]) -> None:
        """Begin jobs that depend on nothing, all at once."""
        claimed = [lifecycle.claim(job, self._now) for job in jobs]
        begun = [Attempt.of(job) for job in claimed]
        rows.write_all(self._connection, list(zip(jobs, claimed, strict=True)))
        self._armed += self._report(begun)
        self._begun += begun

    def _report(self, begun: Sequence[Attempt]) -> list[Job]:
        reports = [report for attempt in begun for report in self._announce(attempt)]
        prepared = [rows.prepare(report, self._now, self._random) for report in reports]
        return rows.insert_all(self._connection, prepared)

    def _isolated_turn(self, job: Job, seen: Seen) -> None:
        """Let one job take its turn; whatever is wrong with it, the others take theirs."""
        before = len(self._begun), len(self._seen), len(self._armed), len(self._held)
        self._connection.execute("SAVEPOINT turn")
        try:
            self._reported_turn(job, seen)
        except (sqlite3.OperationalError, MemoryError):
            raise  # of the disk or the file, not of the job
        except Exception as error:  # a job must neither stop the loop nor the next start
            if is_damage(error):
                set_aside(self._connection, job.id, error)
                raise
            log.exception("job %d cannot take its turn and is discarded", job.id)
            self._connection.execute("ROLLBACK TO turn")
            del self._begun[before[0] :], self._seen[before[1] :], self._armed[before[2] :]
            del self._held[before[3] :]
            self._discard(job, f"internal: {type(error).__name__}: {error}")
            self._disable(job, str(error))
        self._connection.execute("RELEASE turn")

    def _discard(self, job: Job, reason: str) -> None:
        claimed = rows.write(self._connection, job, lifecycle.claim(job, self._now))
        rows.write(self._connection, claimed, lifecycle.discard(claimed, self._now, reason))

    def _disable(self, job: Job, reason: str) -> None:
        """Disable the schedule that waited for a run which cannot take its turn, and log why."""
        schedule = runs.find(self._connection, job.schedule_id)
        if schedule is None or not runs.is_waiting(schedule, job):
            return
        log.error("schedule %s is disabled: %s", schedule.id, reason)
        runs.write(self._connection, replace(schedule, disabled_at=self._now))
        logs.append(self._connection, [unplannable(job, reason, self._now)], self._random)

    def _reported_turn(self, job: Job, seen: Seen) -> None:
        before = len(self._begun)
        self._turn(job, seen)
        self._armed += self._report(self._begun[before:])

    def _turn(self, job: Job, seen: Seen) -> None:
        """Let one due job begin, unless it is a run or a report whose turn has not come."""
        due = runs.find_due(self._connection, job.schedule_id)
        schedule = due.schedule if due is not None else None
        if due is not None and runs.is_waiting(due.schedule, job):
            self._run_turn(job, due, seen)
        elif job.kind is Kind.WEBHOOK and not job.attempt and _is_early(self._connection, job):
            self._held.append(seen)
        else:
            # A run beside the plan, or one that was asked for again, must not hold up the plan.
            until = schedule.next_at if schedule and not schedule.disabled_at else None
            self._begin(job, replace(job, retry_until=job.retry_until or until), schedule)

    def _run_turn(self, job: Job, due: DueSchedule, seen: Seen) -> None:
        connection, schedule = self._connection, due.schedule
        coming = Coming(job.planned_at, job.scheduled_at, seen.at, schedule.runs, due.is_blocked)
        plan = Plan.of_schedule(schedule)
        turn = take_turn(plan, coming, self._now)
        if isinstance(turn, Run | Hold) and turn.planned_at != job.planned_at:
            turn = _untaken(connection, plan, schedule, job, turn)
        if isinstance(turn, MoveOn):
            turn = MoveOn(runs.free_time(connection, plan, schedule, turn.next_at), turn.gaps)
        record = partial(
            runs.record_gaps, connection, schedule, job, now=self._now, random=self._random
        )
        match turn:
            case Run(planned_at=planned_at, next_at=next_at):
                # A gap before the run ends with it; one behind it may go on to grow.
                before = tuple(gap for gap in turn.gaps if gap.first < planned_at)
                record(before)
                if due.has_gap or before:
                    runs.close_gap(connection, schedule)
                record(tuple(gap for gap in turn.gaps if gap.first > planned_at))
                run = replace(job, planned_at=planned_at, retry_until=next_at)
                self._begin(job, run, schedule)
                self._plan(job, schedule, runs.free_time(connection, plan, schedule, next_at), seen)
            case Hold(planned_at=planned_at, gaps=gaps):
                record(gaps)
                if planned_at != job.planned_at:
                    rows.write(connection, job, replace(job, planned_at=planned_at))
                    runs.advance(connection, replace(schedule, next_at=planned_at))
                self._held.append(seen)
            case MoveOn(next_at=None, gaps=gaps):
                record(gaps)
                ended = replace(lifecycle.cancel(job, self._now), last_error=ENDED)
                rows.write(connection, job, ended)
                runs.advance(connection, runs.ending(replace(schedule, next_at=None), self._now))
            case MoveOn(next_at=next_at, gaps=gaps):
                assert next_at is not None
                record(gaps)
                due_at = runs.with_jitter(decode_args(schedule.args), next_at, self._random)
                moved = replace(job, planned_at=next_at, scheduled_at=due_at)
                self._armed.append(rows.write(connection, job, moved))
                runs.advance(connection, replace(schedule, next_at=next_at))

    def _plan(self, job: Job, schedule: Schedule, next_at: datetime | None, seen: Seen) -> None:
        """Plan the run after one that has begun; without one the schedule has ended."""
        connection, now = self._connection, self._now
        following = replace(schedule, next_at=next_at, runs=schedule.runs + 1)
        runs.advance(connection, runs.ending(following, now))
        if next_at is None:
            return
        attempts = job.max_attempts
        run = runs.plan_run(connection, schedule, next_at, attempts, now, self._random)
        self._armed.append(run)
        if run.scheduled_at <= now:
            # It has waited for this one, and is no later than that was.
            since = seen.at if now - seen.at <= LONGEST_WAIT else now
            self._seen.append(Seen(Due.of(run), since))

    def _begin(self, before: Job, job: Job, schedule: Schedule | None) -> None:
        claimed = rows.write(self._connection, before, lifecycle.claim(job, self._now))
        previous, state = (schedule.previous, schedule.state) if schedule else (None, None)
        if job.schedule_id is not None and schedule is None:
            previous, state = "{}", "{}"  # it was deleted; what its runs refer to is gone
        self._begun.append(Attempt.of(claimed, previous, state))


def _untaken(
    connection: sqlite3.Connection, plan: Plan, schedule: Schedule, job: Job, turn: Run | Hold
) -> Run | Hold | MoveOn:
    """Return a turn whose time no run has had: one had it where the clock was ahead before."""
    at = turn.planned_at
    if not is_taken(connection, schedule, at, but=job.id):
        return turn
    if plan.misfire is Misfire.SKIP:  # an earlier one is too late to run
        return MoveOn(plan.next_after(at), (plan.gap(MISFIRE, job.planned_at, at),))
    while at > job.planned_at and is_taken(connection, schedule, at, but=job.id):
        at = plan.last_until(at - _INSTANT) or job.planned_at
    before = plan.last_until(at - _INSTANT)
    gaps: tuple[Gap, ...] = ()
    if before is not None and before >= job.planned_at:
        gaps = (plan.gap(MISFIRE, job.planned_at, before),)
    return replaced(turn, planned_at=at, gaps=gaps)


_INSTANT = timedelta(microseconds=1)


def _waits(job: Job) -> bool:
    return job.state in WAITING


def _is_due(job: Job | None, due: Due) -> bool:
    return job is not None and _waits(job) and Due.of(job) == due


def _is_free(job: Job) -> bool:
    """Say whether a job depends on no other."""
    return job.schedule_id is None and job.kind is not Kind.WEBHOOK


def _is_early(connection: sqlite3.Connection, event: Job) -> bool:
    values = {"parent_id": event.parent_id, "id": event.id}
    return bool(connection.execute(EARLIER_EVENT, values).fetchone()[0])

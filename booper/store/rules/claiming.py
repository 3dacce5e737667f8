"""What a claim does with jobs that are due: each begins, waits for its turn, or moves on.

Most jobs depend on nothing and begin together. A schedule's run plans the next one, and is skipped,
held or moved as `decide_run` says; a webhook event waits for those before it.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from msgspec.structs import replace

from booper.model import lifecycle
from booper.model.args import decode_args
from booper.model.job import WAITING, Attempt, Job, Kind
from booper.model.overlap import MISFIRE, DueRun, Hold, MoveOn, Run, decide_run
from booper.model.schedule import Gap, Misfire, Plan, Schedule
from booper.model.waiting import Wait
from booper.store.rules import gaps, scheduling
from booper.store.rules.counting import count_discarded
from booper.store.rules.upcoming import ENDED, free_time
from booper.store.rules.waiting import keep_waits, of_predecessor
from booper.store.transaction import DueSchedule, PartUndone, Transaction
from booper.store.values import Admit, Announce, Claims, Due, DueJob, Suspect
from booper.wire.log import unplannable

log = logging.getLogger("booper.store")

# A request ends after 15 minutes at the latest (contract §12). A run that is later still has not
# waited for a slot alone: the machine slept or its clock was stepped, and its runs are missed.
MAX_SLOT_WAIT = timedelta(minutes=15)


def claim(
    transaction: Transaction,
    due: Sequence[DueJob],
    now: datetime,
    announce: Announce,
    random: Random,
    admit: Admit,
    waits: Mapping[int, Wait],
    *,
    is_isolated: bool,
) -> Claims:
    """Begin an attempt of each of these jobs that still waits for just that time and origin.

    `waits` is what those that are late have waited for, by their numbers.

    Whatever is wrong with a job raises, unless jobs are isolated: then it is discarded. They always
    are in a damaged file, to learn which jobs cannot be written.
    """
    is_isolated = is_isolated or transaction.is_damaged
    claiming = Claiming(transaction, now, announce, random, is_isolated=is_isolated)
    claims = claiming.take(due, admit)
    if waits or claiming.waited:
        keep_waits(transaction, claims, {**waits, **claiming.waited}, now)
    if admit is Admit.ALONE:
        for attempt in claims.begun:
            transaction.set_alone(attempt.job)
    return claims


class Claiming:
    """One claim, within its transaction."""

    def __init__(
        self,
        transaction: Transaction,
        now: datetime,
        announce: Announce,
        random: Random,
        *,
        is_isolated: bool,
    ) -> None:
        self._transaction = transaction
        self._now = now
        self._announce = announce
        self._random = random
        self._is_isolated = is_isolated
        self._begun: list[Attempt] = []
        self._held: list[Job] = []
        self._armed: list[Job] = []
        self.waited: dict[int, Wait] = {}
        """What runs have waited for their predecessor, by their numbers."""

    def take(self, seen: Sequence[DueJob], admit: Admit) -> Claims:
        """Claim each of these jobs that still waits for just that time and origin."""
        found = self._transaction.jobs.find_all([item.due.id for item in seen])
        due = {item.due.id: item for item in seen if _is_due(found.get(item.due.id), item.due)}
        # A job that has moved to another time or origin waits there; its move may not be announced.
        self._armed += [job for number, job in found.items() if number not in due and _waits(job)]
        suspects: list[Suspect] = []
        if admit is Admit.NONE:
            waiting = [number for number in due if found[number].is_suspect]
            suspects = [Suspect(due.pop(it), found[it].interruptions) for it in waiting]
        refused = self._refused(due)
        if not self._is_isolated:
            free = [job for job in map(found.__getitem__, due) if _is_free(job)]
            self._begin_all(free)
            for job in free:
                del due[job.id]
        turn = self._isolated_turn if self._is_isolated else self._turn
        for number, item in due.items():
            turn(found[number], item)  # which moves no other one's job
        return Claims(self._begun, self._armed, self._held, suspects, refused)

    def _refused(self, due: dict[int, DueJob]) -> Sequence[DueJob]:
        """Take those out for which there is no slot, where nodes share them; return them."""
        if (slots := self._transaction.slots(self._now, due.values()) if due else None) is None:
            return ()
        refused = [number for number, seen in due.items() if not slots.take(seen.due)]
        return tuple(map(due.pop, refused))

    def _begin_all(self, jobs: Sequence[Job]) -> None:
        """Begin jobs that depend on nothing, all at once."""
        owner = self._transaction.owner
        claimed = [lifecycle.claim(job, self._now, owner) for job in jobs]
        begun = [Attempt.of(job) for job in claimed]
        self._transaction.jobs.move_all(list(zip(jobs, claimed, strict=True)))
        self._armed += self._report(begun)
        self._begun += begun

    def _report(self, begun: Sequence[Attempt]) -> list[Job]:
        now = self._now
        reports = [report for attempt in begun for report in self._announce(attempt, now)]
        return scheduling.insert(self._transaction, reports, now, self._random)

    def _isolated_turn(self, job: Job, seen: DueJob) -> None:
        """Claim one job; whatever is wrong with it, the others are claimed."""
        lists: tuple[list[Any], ...] = (self._begun, self._armed, self._held)
        before = [len(known) for known in lists]
        try:
            self._transaction.part(partial(self._turn, job, seen), job.id)
        except PartUndone as undone:  # a job must neither stop the loop nor the next start
            error = undone.__cause__
            log.error("job %d cannot be claimed and is discarded", job.id, exc_info=error)
            for known, count in zip(lists, before, strict=True):
                del known[count:]
            self._discard(job, f"internal: {type(error).__name__}: {error}")
            self._disable(job, str(error))

    def _discard(self, job: Job, reason: str) -> None:
        jobs = self._transaction.jobs
        claimed = jobs.move(job, lifecycle.claim(job, self._now, self._transaction.owner))
        discarded = jobs.move(claimed, lifecycle.discard(claimed, self._now, reason))
        count_discarded(self._transaction, [discarded], self._now)

    def _disable(self, job: Job, reason: str) -> None:
        """Disable the schedule that waited for a run which cannot be claimed, and log why."""
        schedules = self._transaction.schedules
        schedule = schedules.find(job.schedule_id)
        if schedule is None or not scheduling.is_waiting(schedule, job):
            return
        log.error("schedule %s is disabled: %s", schedule.id, reason)
        schedules.move(schedule, replace(schedule, disabled_at=self._now))
        self._transaction.log.append([unplannable(job, reason, self._now)], self._random)

    def _turn(self, job: Job, seen: DueJob) -> None:
        """Begin one due job, unless it is a run or a report whose turn has not come."""
        begun = len(self._begun)
        due = self._transaction.schedules.find_due(job.schedule_id)
        schedule = due.schedule if due is not None else None
        if due is not None and scheduling.is_waiting(due.schedule, job):
            self._run_turn(job, due, seen)
        elif _is_first_send(job) and self._transaction.jobs.has_earlier_event(job):
            self._held.append(job)
        else:
            # A run beside the plan, or one that is retried by hand, must not delay the plan.
            until = schedule.next_at if schedule and not schedule.disabled_at else None
            self._begin(job, replace(job, retry_until=job.retry_until or until), schedule)
        self._armed += self._report(self._begun[begun:])

    def _run_turn(self, job: Job, due: DueSchedule, seen: DueJob) -> None:
        transaction, schedule = self._transaction, due.schedule
        # A run that was held is no later than it was then, whenever it was found due again.
        seen_at = seen.at if job.held_since is None else min(job.held_since, seen.at)
        run = DueRun(job.planned_at, job.scheduled_at, seen_at, schedule.runs, due.is_blocked)
        plan = Plan.of_schedule(schedule)
        turn = decide_run(plan, run, self._now)
        if isinstance(turn, Run | Hold) and turn.planned_at != job.planned_at:
            turn = _untaken(transaction, plan, schedule, job, turn)
        match turn:
            case Run():
                self._run(job, plan, due, turn, seen_at)
            case Hold(planned_at=planned_at):
                self._record(schedule, job, turn.gaps)
                held = replace(job, planned_at=planned_at, held_since=seen_at)
                if held != job:
                    transaction.jobs.move(job, held)
                    transaction.schedules.move(schedule, replace(schedule, next_at=planned_at))
                self._held.append(held)
            case MoveOn(next_at=next_at):
                next_at = free_time(transaction, plan, schedule, next_at)
                self._record(schedule, job, turn.gaps)
                self._move_on(job, schedule, next_at)

    def _run(self, job: Job, plan: Plan, due: DueSchedule, turn: Run, seen_at: datetime) -> None:
        """Begin a run for its time, and plan the one after it."""
        transaction, schedule = self._transaction, due.schedule
        # A gap before the run ends with it; one behind it may go on to grow.
        before = [gap for gap in turn.gaps if gap.first < turn.planned_at]
        self._record(schedule, job, before)
        if due.has_gap or before:
            gaps.close_gap(transaction, schedule)
        self._record(schedule, job, [gap for gap in turn.gaps if gap.first > turn.planned_at])
        run = replace(job, planned_at=turn.planned_at, retry_until=turn.next_at)
        self._begin(job, run, schedule)
        next_at = free_time(transaction, plan, schedule, turn.next_at)
        self._plan(job, schedule, next_at, seen_at)

    def _record(self, schedule: Schedule, job: Job, skipped: Sequence[Gap]) -> None:
        gaps.record_gaps(
            self._transaction, schedule, job, skipped, now=self._now, random=self._random
        )

    def _move_on(self, job: Job, schedule: Schedule, next_at: datetime | None) -> None:
        """Make a waiting run wait for a later time; without one its schedule has ended."""
        jobs, schedules = self._transaction.jobs, self._transaction.schedules
        if next_at is None:
            ended = replace(lifecycle.cancel(job, self._now), last_error=ENDED)
            jobs.move(job, ended)
            after = scheduling.ending(replace(schedule, next_at=None), self._now)
            schedules.move(schedule, after)
            return
        due_at = scheduling.with_jitter(decode_args(schedule.args), next_at, self._random)
        moved = replace(job, planned_at=next_at, scheduled_at=due_at, held_since=None)
        self._armed.append(jobs.move(job, moved))
        schedules.move(schedule, replace(schedule, next_at=next_at))

    def _plan(
        self, job: Job, schedule: Schedule, next_at: datetime | None, seen_at: datetime
    ) -> None:
        """Plan the run after one that has begun; without one the schedule has ended."""
        transaction, now = self._transaction, self._now
        following = replace(schedule, next_at=next_at, runs=schedule.runs + 1)
        transaction.schedules.move(schedule, scheduling.ending(following, now))
        if next_at is None:
            return
        attempts = job.max_attempts
        run = scheduling.plan_run(transaction, schedule, next_at, attempts, now, self._random)
        if run.scheduled_at <= now:
            # It has waited for this one, and is no later than that was.
            since = seen_at if now - seen_at <= MAX_SLOT_WAIT else now
            run = transaction.jobs.move(run, replace(run, held_since=since))
        self._armed.append(run)

    def _begin(self, before: Job, job: Job, schedule: Schedule | None) -> None:
        claimed = self._transaction.jobs.move(
            before, lifecycle.claim(job, self._now, self._transaction.owner)
        )
        previous, state = (schedule.previous, schedule.state) if schedule else (None, None)
        if job.schedule_id is not None and schedule is None:
            previous, state = "{}", "{}"  # it was deleted; what its runs refer to is gone
        self.waited.update(of_predecessor(before, self._now))
        was_held = before.held_since is not None
        self._begun.append(Attempt.of(claimed, previous, state, was_held=was_held))


def _untaken(
    transaction: Transaction, plan: Plan, schedule: Schedule, job: Job, turn: Run | Hold
) -> Run | Hold | MoveOn:
    """Return a turn whose time no run has had: one had it where the clock was ahead before."""
    is_taken = partial(transaction.schedules.is_taken, schedule, but=job.id)
    at = turn.planned_at
    if not is_taken(at):
        return turn
    if plan.misfire is Misfire.SKIP:  # an earlier one is too late to run
        return MoveOn(plan.next_after(at), (plan.gap(MISFIRE, job.planned_at, at),))
    while at > job.planned_at and is_taken(at):
        at = plan.last_until(at - _INSTANT) or job.planned_at
    before = plan.last_until(at - _INSTANT)
    skipped: tuple[Gap, ...] = ()
    if before is not None and before >= job.planned_at:
        skipped = (plan.gap(MISFIRE, job.planned_at, before),)
    behind = tuple(gap for gap in turn.gaps if gap.first > turn.planned_at)
    return replace(turn, planned_at=at, gaps=(*skipped, *behind))


_INSTANT = timedelta(microseconds=1)


def _waits(job: Job) -> bool:
    return job.state in WAITING


def _is_due(job: Job | None, due: Due) -> bool:
    return job is not None and _waits(job) and Due.of(job) == due


def _is_free(job: Job) -> bool:
    """Return whether a job depends on no other."""
    return job.schedule_id is None and job.kind is not Kind.WEBHOOK


def _is_first_send(job: Job) -> bool:
    """Return whether a job is a webhook event that was not sent yet."""
    return job.kind is Kind.WEBHOOK and not job.attempt

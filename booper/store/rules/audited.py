"""Changes that users make of one thing, each with its entry in the audit.

What changes nothing, such as cancelling a finished job, leaves no entry.
"""

from collections.abc import Sequence
from datetime import datetime
from random import Random

from msgspec.structs import replace

from booper.model.audit import Action, Actor
from booper.model.job import FINISHED, Job, NewJob
from booper.model.schedule import NewSchedule, Schedule
from booper.store.rules import changing, scheduling
from booper.store.rules.auditing import changed_fields, note_job, note_schedule
from booper.store.rules.room import Room
from booper.store.transaction import Transaction
from booper.store.values import AnnounceEnd, ScheduleChange


def cancel(
    transaction: Transaction,
    job: Job,
    now: datetime,
    announce: AnnounceEnd,
    random: Random,
    by: Actor,
) -> Sequence[Job]:
    """Cancel a job; return it and what is to be armed."""
    jobs = changing.cancel(transaction, job, now, announce, random)
    if job.state not in FINISHED:
        note_job(transaction, by, Action.JOB_CANCEL, job, now)
    return jobs


def retry(transaction: Transaction, job: Job, now: datetime, by: Actor) -> Job:
    """Make a discarded or cancelled job due again. Raises: Conflict."""
    again = changing.retry(transaction, job, now)
    note_job(transaction, by, Action.JOB_RETRY, job, now)
    return again


def run_now(transaction: Transaction, job: Job, now: datetime, by: Actor) -> Job:
    """Make a waiting job due now. Raises: Conflict."""
    moved = changing.run_now(transaction, job, now)
    if moved != job:
        note_job(transaction, by, Action.JOB_RUN, job, now)
    return moved


def change_schedule(
    transaction: Transaction,
    schedule: Schedule,
    seen: Schedule,
    new: NewSchedule,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
    by: Actor,
) -> ScheduleChange:
    """Put new args in a schedule's place, if it is still as it was seen. Raises: Conflict."""
    waiting = _waiting(transaction, schedule)
    change = changing.change_schedule(transaction, schedule, seen, new, now, random, announce)
    detail = {"fields": changed_fields(schedule.args, new.args)}
    note_schedule(transaction, by, Action.SCHEDULE_CHANGE, schedule, now, waiting, detail)
    return change


def disable(
    transaction: Transaction,
    schedule: Schedule,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
    by: Actor,
) -> ScheduleChange:
    """Cancel the waiting run and plan no more."""
    waiting = _waiting(transaction, schedule)
    change = scheduling.disable(transaction, schedule, now, random, announce)
    if schedule.disabled_at is None:
        note_schedule(transaction, by, Action.SCHEDULE_DISABLE, schedule, now, waiting)
    return change


def enable(
    transaction: Transaction,
    schedule: Schedule,
    now: datetime,
    max_attempts: int,
    random: Random,
    by: Actor,
) -> ScheduleChange:
    """Plan the next run after now."""
    change = scheduling.enable(transaction, schedule, now, max_attempts, random)
    if schedule.disabled_at is not None:
        note_schedule(transaction, by, Action.SCHEDULE_ENABLE, schedule, now)
    return change


def delete(
    transaction: Transaction,
    schedule: Schedule,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
    by: Actor,
) -> ScheduleChange:
    """Cancel the waiting run and forget the schedule."""
    waiting = _waiting(transaction, schedule)
    change = scheduling.delete(transaction, schedule, now, random, announce)
    note_schedule(transaction, by, Action.SCHEDULE_DELETE, schedule, now, waiting)
    return change


def run_schedule(
    transaction: Transaction,
    schedule: Schedule,
    new: NewJob,
    now: datetime,
    random: Random,
    by: Actor,
    room: Room,
) -> Job:
    """Add a run beside the plan, due now. Raises: TooManyWaiting."""
    if (refused := room.take(new)) is not None:
        raise refused
    job = scheduling.insert(transaction, [new], now, random)[0]
    note_schedule(transaction, by, Action.SCHEDULE_RUN, schedule, now, [job])
    return job


def set_state(
    transaction: Transaction, schedule: Schedule, state: str, now: datetime, by: Actor
) -> Schedule:
    """Put another `$state` in the place of a schedule's; its runs merge into that."""
    if state == schedule.state:
        return schedule
    note_schedule(transaction, by, Action.SCHEDULE_STATE, schedule, now)
    return transaction.schedules.move(schedule, replace(schedule, state=state))


def _waiting(transaction: Transaction, schedule: Schedule) -> Sequence[Job]:
    """Return the run that waits for a schedule's next time, in a list, if there is one."""
    waiting = transaction.schedules.waiting_run(schedule)
    return [waiting] if waiting is not None else []

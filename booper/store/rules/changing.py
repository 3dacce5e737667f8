"""What a user's change writes: cancelling a job, sending it again or now, changing a schedule."""

from collections.abc import Sequence
from datetime import datetime
from random import Random

from msgspec.structs import replace

from booper.errors import Conflict
from booper.model import lifecycle
from booper.model.job import FINISHED, WAITING, Job, Kind, State
from booper.model.schedule import NewSchedule, Schedule
from booper.store.rules import scheduling
from booper.store.rules.creating import check_key
from booper.store.rules.settling import following
from booper.store.transaction import Taken, Transaction
from booper.store.values import AnnounceEnd, JobFilter, ScheduleChange

RETRYABLE_STATES = frozenset({State.DISCARDED, State.CANCELLED})


def cancel(
    transaction: Transaction, job: Job, now: datetime, announce: AnnounceEnd, random: Random
) -> Sequence[Job]:
    """Cancel a job; report it; plan the next run if it was the one that waits.

    Return the job and what is to be armed. A finished job is unchanged.
    """
    if job.state in FINISHED:
        return [job]
    cancelled = transaction.jobs.move(job, lifecycle.cancel(job, now))
    reports = scheduling.insert(transaction, announce(cancelled, now), now, random)
    schedule = transaction.schedules.find(job.schedule_id) if job.kind is Kind.RUN else None
    if schedule is not None and scheduling.is_waiting(schedule, job):
        scheduling.move_on(transaction, schedule, job, now, random)
    return [cancelled, *reports, *following(transaction, cancelled)]


def retry(transaction: Transaction, job: Job, now: datetime) -> Job:
    """Make a discarded or cancelled job due again. Raises: Conflict."""
    if job.state not in RETRYABLE_STATES:
        raise Conflict(
            f"job {job.id} is {job.state}; only a discarded or cancelled one can be sent again"
        )
    try:
        return transaction.jobs.move(job, lifecycle.retry(job, now))
    except Taken as error:
        raise Conflict(
            f"job {job.id} cannot run again: another holds its idempotency key or planned time"
        ) from error


def retry_if_free(transaction: Transaction, job: Job, now: datetime) -> Sequence[Job]:
    """Make a job due again and return it; return nothing if another job has its key or time."""
    try:
        return [retry(transaction, job, now)]
    except Conflict:
        return []


def narrowed(wanted: JobFilter, states: frozenset[State]) -> JobFilter | None:
    """Return a filter for the wanted jobs that a change can apply to, None if there are none."""
    both = states & wanted.states if wanted.states else states
    return replace(wanted, states=both) if both else None


def run_now(transaction: Transaction, job: Job, now: datetime) -> Job:
    """Make a waiting job due now. Raises: Conflict."""
    if job.state not in WAITING:
        raise Conflict(f"job {job.id} is {job.state}; only a waiting one can run now")
    if job.scheduled_at <= now:
        return job
    return transaction.jobs.move(job, replace(job, scheduled_at=now, held_since=None))


def change_schedule(
    transaction: Transaction,
    schedule: Schedule,
    seen: Schedule,
    new: NewSchedule,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
) -> ScheduleChange:
    """Put new args in a schedule's place, if it is still as it was seen. Raises: Conflict."""
    if schedule.args != seen.args:
        raise Conflict(f"schedule {seen.id} was changed meanwhile; read it again")
    check_key(transaction, schedule, now)
    changed = scheduling.change(transaction, schedule, new, now, random, announce)
    return ScheduleChange(*changed)

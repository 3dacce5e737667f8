"""Planning again what was planned while the clock was ahead, once it was set back.

A run is never planned for a time that a run has had already, whatever the clock did in between.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import msgspec
from msgspec.structs import replace

from booper.model.args import decode_args
from booper.model.job import Job
from booper.model.schedule import Plan, Schedule
from booper.store.rules import gaps, scheduling, upcoming
from booper.store.transaction import Transaction
from booper.store.values import Ahead


def replan(transaction: Transaction, ahead: Ahead, now: datetime, random: Random) -> Sequence[Job]:
    """Plan these schedules and retries by the clock as it is; return the jobs that have moved."""
    moved: list[Job] = []
    for schedule_id in sorted(ahead.schedules):  # in the order in which everybody locks them
        schedule = transaction.schedules.find(schedule_id)
        if schedule is not None and schedule.disabled_at is None:
            moved += _isolated(transaction, schedule, now, random)
    for job_id in ahead.retries:
        job = transaction.jobs.find(job_id)
        if job is not None and job.state == "retryable" and (job.attempted_at or now) > now:
            assert job.attempted_at is not None
            delay = max(job.scheduled_at - job.attempted_at, timedelta(0))
            moved.append(transaction.jobs.move(job, replace(job, scheduled_at=now + delay)))
    return moved


def _isolated(
    transaction: Transaction, schedule: Schedule, now: datetime, random: Random
) -> list[Job]:
    """Plan one schedule; if its rules cannot be read it stays, and its next run reports that."""
    try:
        return _replan(transaction, schedule, now, random)
    except (ValueError, msgspec.MsgspecError):
        return []


def _replan(
    transaction: Transaction, schedule: Schedule, now: datetime, random: Random
) -> list[Job]:
    healed = upcoming.with_anchor_by(schedule, now)
    plan = Plan.of_schedule(healed)
    if plan.is_used_up(schedule.runs) or _has_lost_its_key(transaction, schedule):
        return []
    next_at = upcoming.next_time(transaction, plan, schedule, now)
    if next_at is None or next_at == schedule.next_at:
        return []
    waiting = transaction.schedules.waiting_run(schedule)
    if waiting is not None and waiting.scheduled_at <= now:
        return []  # its user has asked for it
    gaps.shorten(transaction, plan, schedule, next_at)
    healed = transaction.schedules.move(schedule, replace(healed, next_at=next_at, ended_at=None))
    if waiting is None:
        newest = transaction.schedules.newest_run(schedule)
        assert newest is not None, "the first run is written with its schedule"
        attempts = newest.max_attempts
        run = scheduling.plan_run(transaction, healed, next_at, attempts, now, random)
    else:
        due = scheduling.with_jitter(decode_args(healed.args), next_at, random)
        run = replace(waiting, planned_at=next_at, scheduled_at=due, held_since=None)
        transaction.jobs.move(waiting, run)
    return [run]


def _has_lost_its_key(transaction: Transaction, schedule: Schedule) -> bool:
    """Return whether a schedule that has ended could not go on because another has its key."""
    if schedule.ended_at is None or schedule.idempotency_key is None:
        return False
    holder = transaction.schedules.holding_key(schedule.user_id, schedule.idempotency_key)
    return holder is not None and holder.id != schedule.id

"""A schedule's runs: planning the next one, and what pausing, changing and deleting it write."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from msgspec.structs import replace

from booper.model import lifecycle
from booper.model.args import Args, decode_args
from booper.model.duration import parse_duration
from booper.model.job import Job, Kind, NewJob
from booper.model.origin import path_key
from booper.model.overlap import DISABLED
from booper.model.schedule import NewSchedule, Plan, Schedule, has_same_timing
from booper.store.rules import gaps
from booper.store.rules.upcoming import free_time, next_time, with_anchor_by
from booper.store.transaction import Transaction
from booper.store.values import AnnounceEnd, ScheduleChange


def is_waiting(schedule: Schedule | None, job: Job) -> bool:
    """Return whether a job is the run for which its schedule waits; a disabled one has none."""
    return (
        schedule is not None
        and job.kind is Kind.RUN
        and schedule.disabled_at is None
        and schedule.next_at == job.planned_at
    )


def insert(
    transaction: Transaction, new: Sequence[NewJob], now: datetime, random: Random
) -> list[Job]:
    """Write new jobs that a change brings with it, and return them."""
    if not new:
        return []
    jobs = transaction.jobs
    return jobs.insert([jobs.draft(one, now, random) for one in new])


def plan_run(
    transaction: Transaction,
    schedule: Schedule,
    planned_at: datetime,
    max_attempts: int,
    now: datetime,
    random: Random,
) -> Job:
    """Write the run that waits for a planned time."""
    args = decode_args(schedule.args)
    new = NewJob(
        user_id=schedule.user_id,
        args=schedule.args,
        origin=schedule.origin,
        path=path_key(args.url),
        scheduled_at=with_jitter(args, planned_at, random),
        planned_at=planned_at,
        max_attempts=max_attempts,
        kind=Kind.RUN,
        schedule_id=schedule.id,
        idempotency_key=schedule.idempotency_key,
        name=schedule.name,
        description=schedule.description,
        tags=tuple(args.tags or ()),
        keep_for=args.kept_for,
    )
    return insert(transaction, [new], now, random)[0]


def with_jitter(args: Args, planned_at: datetime, random: Random) -> datetime:
    """Return when a planned run is due: its time, and a part of its schedule's jitter."""
    jitter = parse_duration(args.jitter) if args.jitter is not None else timedelta(0)
    return planned_at + jitter * random.random()


def move_on(
    transaction: Transaction,
    schedule: Schedule,
    skipped_run: Job,
    now: datetime,
    random: Random,
) -> tuple[Schedule, Job | None]:
    """Plan the next run after one that will not take place; end the schedule if there is none.

    One whose rules cannot be read any more is disabled.
    """
    try:
        plan = Plan.of_schedule(schedule)
    except ValueError:
        return transaction.schedules.move(schedule, replace(schedule, disabled_at=now)), None
    next_at = free_time(transaction, plan, schedule, plan.next_after(skipped_run.planned_at))
    moved = ending(replace(schedule, next_at=next_at), now)
    schedule = transaction.schedules.move(schedule, moved)
    gaps.close_gap(transaction, schedule)  # what is skipped after a cancelled run is another gap
    if next_at is None:
        return schedule, None
    job = plan_run(transaction, schedule, next_at, skipped_run.max_attempts, now, random)
    return schedule, job


def cancel(
    transaction: Transaction,
    waiting: Job | None,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
) -> list[Job]:
    """Cancel a waiting run, if there is one; return the jobs that report it."""
    if waiting is None:
        return []
    cancelled = transaction.jobs.move(waiting, lifecycle.cancel(waiting, now))
    return insert(transaction, announce(cancelled, now), now, random)


def change(
    transaction: Transaction,
    schedule: Schedule,
    new: NewSchedule,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
) -> tuple[Schedule, list[Job]]:
    """Put new args in a schedule's place; its waiting run takes them over, at its new time."""
    waiting = transaction.schedules.waiting_run(schedule)
    changed = _changed(transaction, schedule, new, waiting, now, random)
    transaction.schedules.move(schedule, changed)
    if changed.disabled_at is not None:
        return changed, []
    if changed.next_at is None:
        return changed, cancel(transaction, waiting, now, random, announce)
    if waiting is None:
        attempts = new.max_attempts
        run = plan_run(transaction, changed, changed.next_at, attempts, now, random)
        return changed, [run]
    return changed, [_retimed(transaction, waiting, changed, changed.next_at, new, random)]


def _changed(
    transaction: Transaction,
    schedule: Schedule,
    new: NewSchedule,
    waiting: Job | None,
    now: datetime,
    random: Random,
) -> Schedule:
    """Return a schedule with new args and its next time, having logged what it has not run.

    With the same timing it keeps its grid, so that a redeploy does not make it run at once.
    """
    schedule = account_disabled(transaction, schedule, now, random)
    args = decode_args(new.args)
    is_kept = has_same_timing(decode_args(schedule.args), args) and schedule.next_at is not None
    anchor = with_anchor_by(schedule, now).anchor if is_kept else new.anchor
    plan = Plan.of(args, anchor)
    next_at = next_time(transaction, plan, schedule, now) if is_kept else new.first_at
    but = waiting.id if waiting is not None else 0
    next_at = free_time(transaction, plan, schedule, next_at, but=but)
    if plan.is_used_up(schedule.runs):
        next_at = None
    if is_kept:
        gaps.shorten(transaction, plan, schedule, next_at)
    changed = replace(
        schedule,
        args=new.args,
        origin=new.origin,
        name=new.name,
        description=new.description,
        anchor=anchor,
        next_at=next_at,
        ended_at=None,
    )
    return ending(changed, now)


def _retimed(
    transaction: Transaction,
    waiting: Job,
    schedule: Schedule,
    planned_at: datetime,
    new: NewSchedule,
    random: Random,
) -> Job:
    """Change a waiting run into what its schedule has become; it keeps its id."""
    args = decode_args(schedule.args)
    run = replace(
        waiting,
        args=schedule.args,
        origin=schedule.origin,
        path=path_key(args.url),
        name=schedule.name,
        description=schedule.description,
        planned_at=planned_at,
        scheduled_at=with_jitter(args, planned_at, random),
        held_since=None,
        max_attempts=new.max_attempts,
    )
    transaction.jobs.retag(waiting, new.tags)
    transaction.jobs.keep(waiting, None, args.kept_for)
    return transaction.jobs.move(waiting, run)


def account_disabled(
    transaction: Transaction, schedule: Schedule, now: datetime, random: Random
) -> Schedule:
    """Log the times that passed while a schedule was disabled, before it goes on or changes.

    Return it with the first time that has not passed as its next one, so that none is logged twice.
    """
    missed = schedule.next_at
    if schedule.disabled_at is None or missed is None or missed > now:
        return schedule
    newest = transaction.schedules.newest_run(schedule)
    if newest is None:
        return schedule
    try:
        plan = Plan.of_schedule(schedule)
    except ValueError:  # its time zone is unknown, and with it the times that passed
        return schedule
    gap = plan.gap(DISABLED, missed, plan.last_until(now) or missed)
    gaps.record_gaps(transaction, schedule, newest, (gap,), now, random)
    return replace(schedule, next_at=plan.next_after(gap.last))


def ending(schedule: Schedule, now: datetime) -> Schedule:
    """Return a schedule that has ended if it has no next time."""
    return replace(schedule, ended_at=now) if schedule.next_at is None else schedule


def disable(
    transaction: Transaction,
    schedule: Schedule,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
) -> ScheduleChange:
    """Cancel the waiting run and plan no more; `$previous` is lost, `$state` kept."""
    if schedule.disabled_at is not None:
        return ScheduleChange(schedule)
    waiting = transaction.schedules.waiting_run(schedule)
    armed = cancel(transaction, waiting, now, random, announce)
    disabled = replace(schedule, disabled_at=now, previous="{}")
    return ScheduleChange(transaction.schedules.move(schedule, disabled), armed)


def enable(
    transaction: Transaction, schedule: Schedule, now: datetime, max_attempts: int, random: Random
) -> ScheduleChange:
    """Plan the next run after now; what passed meanwhile is logged."""
    if schedule.disabled_at is None:
        return ScheduleChange(schedule)
    healed = with_anchor_by(schedule, now)
    plan, next_at = Plan.of_schedule(healed), schedule.next_at
    account_disabled(transaction, schedule, now, random)
    if next_at is not None and next_at <= now:
        next_at = plan.next_after(now)
    elif next_at is not None:
        next_at = next_time(transaction, plan, schedule, now)
    next_at = free_time(transaction, plan, schedule, next_at)
    gaps.shorten(transaction, plan, schedule, next_at)
    enabled = ending(replace(healed, disabled_at=None, next_at=next_at), now)
    transaction.schedules.move(schedule, enabled)
    if next_at is None:
        return ScheduleChange(enabled)
    run = plan_run(transaction, enabled, next_at, max_attempts, now, random)
    return ScheduleChange(enabled, [run])


def delete(
    transaction: Transaction,
    schedule: Schedule,
    now: datetime,
    random: Random,
    announce: AnnounceEnd,
) -> ScheduleChange:
    """Cancel the waiting run and forget the schedule; past jobs stay."""
    waiting = transaction.schedules.waiting_run(schedule)
    armed = cancel(transaction, waiting, now, random, announce)
    transaction.schedules.delete(schedule)
    return ScheduleChange(schedule, armed)

"""Which planned times of a schedule are still to come, and which have a run already."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from booper.model.args import Args, decode_args
from booper.model.duration import parse_duration
from booper.model.schedule import Plan, Schedule
from booper.store.transaction import Transaction

ENDED = "its schedule has ended"
"""The error of a waiting run for which no time was left."""


def free_time(
    transaction: Transaction,
    plan: Plan,
    schedule: Schedule,
    at: datetime | None,
    *,
    but: int = 0,
) -> datetime | None:
    """Return the first planned time from `at` on that no run (`but` one) has taken already.

    A run that was sent before its time owns that time, also under rules that were changed since.
    """
    while at is not None:
        if not transaction.schedules.is_taken(schedule, at, but=but):
            return at
        at = plan.next_after(at)
    return None


def next_time(
    transaction: Transaction, plan: Plan, schedule: Schedule, now: datetime
) -> datetime | None:
    """Return the first planned time after `now` that is not taken, at the latest `next_at`.

    That is another than `next_at` only where the clock was ahead when that was planned.
    """
    if schedule.next_at is not None and schedule.next_at <= now:
        return schedule.next_at
    # A run that its user has cancelled is not planned again.
    cancelled = transaction.schedules.cancelled(schedule, now, ENDED)
    at = plan.next_after(now)
    while at is not None and at != schedule.next_at:
        if at not in cancelled and not transaction.schedules.is_taken(schedule, at):
            break
        at = plan.next_after(at)
    if at is None or schedule.next_at is None:
        return at if schedule.next_at is None else schedule.next_at
    return min(at, schedule.next_at)


def with_anchor_by(schedule: Schedule, now: datetime) -> Schedule:
    """Return a schedule whose grid does not wait for a time that a wrong clock gave it.

    One that was made, or given a `schedule_in`, while the clock was ahead begins that much earlier,
    an interval by whole periods. A start that its user has named stays.
    """
    args = decode_args(schedule.args)
    ahead = _timed_at(schedule, args) - now
    if ahead <= timedelta(0) or args.scheduled_at is not None:
        return schedule
    begin = max(schedule.anchor - ahead, now + _INSTANT)
    if begin >= schedule.anchor:
        return schedule
    if args.repeat_every is not None:
        every = parse_duration(args.repeat_every)
        begin = schedule.anchor - (schedule.anchor - begin) // every * every
    return replace(schedule, anchor=begin)


def _timed_at(schedule: Schedule, args: Args) -> datetime:
    """Return when the schedule's start was last decided: its anchor is `schedule_in` after that."""
    if args.schedule_in is None:
        return schedule.inserted_at
    return max(schedule.inserted_at, schedule.anchor - parse_duration(args.schedule_in))


_INSTANT = timedelta(microseconds=1)

"""Which planned times of a schedule are still to come, and which have a run already."""

import sqlite3
from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from booper.model.args import Args, decode_args
from booper.model.duration import parse_duration
from booper.model.schedule import Plan, Schedule
from booper.store.sqlite.values import loaded, stored

ENDED = "its schedule has ended"
"""The error of a waiting run for which no time was left."""

IS_TAKEN = """
SELECT EXISTS (
    SELECT 1 FROM jobs
    WHERE schedule_id = :id AND planned_at = :at AND kind = 'run' AND state <> 'cancelled'
        AND id <> :but
)
"""

TAKEN = """
SELECT planned_at FROM jobs
WHERE schedule_id = :id AND planned_at > :after AND planned_at <= :until
    AND kind = 'run' AND state <> 'cancelled' AND id <> :but
ORDER BY planned_at LIMIT 10000
"""

# A run that its user has cancelled is not planned again. Only the newest can be of a later time.
CANCELLED = """
SELECT planned_at FROM (
    SELECT planned_at, kind, state, last_error FROM jobs
    WHERE schedule_id = :id ORDER BY id DESC LIMIT 1000
)
WHERE kind = 'run' AND state = 'cancelled' AND planned_at > :now
    AND coalesce(last_error, '') <> :ended
"""


def is_taken(
    connection: sqlite3.Connection, schedule: Schedule, at: datetime, *, but: int = 0
) -> bool:
    """Return whether a run (but one) has a planned time."""
    values = {"id": schedule.id.bytes, "at": stored(at), "but": but}
    return bool(connection.execute(IS_TAKEN, values).fetchone()[0])


def taken(
    connection: sqlite3.Connection,
    schedule_id: UUID,
    after: datetime,
    until: datetime | None = None,
    *,
    but: int = 0,
) -> list[datetime]:
    """Return the planned times after a moment, up to another, that a run (but one) has."""
    values = {
        "id": schedule_id.bytes,
        "after": stored(after),
        "until": 2**63 - 1 if until is None else stored(until),
        "but": but,
    }
    return [loaded(row[0]) for row in connection.execute(TAKEN, values)]


def next_time(
    connection: sqlite3.Connection, plan: Plan, schedule: Schedule, now: datetime
) -> datetime | None:
    """Return the first planned time after `now` that is not taken, at the latest `next_at`.

    That is another than `next_at` only where the clock was ahead when that was planned.
    """
    if schedule.next_at is not None and schedule.next_at <= now:
        return schedule.next_at
    values = {"id": schedule.id.bytes, "now": stored(now), "ended": ENDED}
    cancelled = {loaded(row[0]) for row in connection.execute(CANCELLED, values)}
    at = plan.next_after(now)
    while at is not None and at != schedule.next_at:
        if at not in cancelled and not is_taken(connection, schedule, at):
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

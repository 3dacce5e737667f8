"""What was planned while the clock was ahead, planned anew once the clock was set back.

A run is never planned for a time that a run has had already, whatever the clock did in between.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.model.args import decode_args
from booper.model.job import Job
from booper.model.schedule import Plan, Schedule
from booper.store.base import Ahead
from booper.store.sqlite import gaps, rows, runs, upcoming
from booper.store.sqlite.values import loaded, stored

# Entries and jobs are numbered as they are written.
NEWEST = """
SELECT max(at) FROM (
    SELECT inserted_at AS at FROM (SELECT inserted_at FROM logs ORDER BY seq DESC LIMIT 1)
    UNION ALL
    SELECT inserted_at FROM (SELECT inserted_at FROM jobs ORDER BY id DESC LIMIT 1)
)
"""

SCHEDULES_AHEAD = """
SELECT id FROM schedules
WHERE disabled_at IS NULL AND (next_at > :now OR ended_at > :now) ORDER BY id
"""

RETRIES_AHEAD = """
SELECT id FROM jobs
WHERE state IN ('scheduled', 'retryable') AND state = 'retryable' AND scheduled_at > :now
    AND attempted_at > :now
ORDER BY scheduled_at, id
"""

KEY_IS_HELD = """
SELECT EXISTS (
    SELECT 1 FROM schedules
    WHERE user_id = :user_id AND idempotency_key = :key AND ended_at IS NULL
)
"""


def newest(connection: sqlite3.Connection) -> datetime | None:
    """Return when the newest entry or job was written, None where there is none."""
    (at,) = connection.execute(NEWEST).fetchone()
    return None if at is None else loaded(at)


def find(connection: sqlite3.Connection, now: datetime) -> Ahead:
    """Return the schedules and retries that may have been planned by a clock that was ahead."""
    values = {"now": stored(now)}
    schedules = connection.execute(SCHEDULES_AHEAD, values).fetchall()
    retries = connection.execute(RETRIES_AHEAD, values).fetchall()
    return Ahead([UUID(bytes=row[0]) for row in schedules], [row[0] for row in retries])


def replan(
    connection: sqlite3.Connection, ahead: Ahead, now: datetime, random: Random
) -> Sequence[Job]:
    """Plan these schedules and retries by the clock as it is; return the jobs that have moved."""
    moved: list[Job] = []
    for schedule_id in ahead.schedules:
        schedule = runs.find(connection, schedule_id)
        if schedule is not None and schedule.disabled_at is None:
            moved += _isolated(connection, schedule, now, random)
    for job_id in ahead.retries:
        job = rows.find(connection, job_id)
        if job is not None and job.state == "retryable" and (job.attempted_at or now) > now:
            assert job.attempted_at is not None
            delay = max(job.scheduled_at - job.attempted_at, timedelta(0))
            moved.append(rows.write(connection, job, replace(job, scheduled_at=now + delay)))
    return moved


def _isolated(
    connection: sqlite3.Connection, schedule: Schedule, now: datetime, random: Random
) -> list[Job]:
    """Plan one schedule; one whose rules cannot be read stays, its run tells when it is due."""
    try:
        return _replan(connection, schedule, now, random)
    except (ValueError, msgspec.MsgspecError):
        return []


def _replan(
    connection: sqlite3.Connection, schedule: Schedule, now: datetime, random: Random
) -> list[Job]:
    healed = upcoming.with_anchor_by(schedule, now)
    plan = Plan.of_schedule(healed)
    if plan.is_used_up(schedule.runs) or _has_lost_its_key(connection, schedule):
        return []
    next_at = upcoming.next_time(connection, plan, schedule, now)
    if next_at is None or next_at == schedule.next_at:
        return []
    waiting = runs.waiting_run(connection, schedule)
    if waiting is not None and waiting.scheduled_at <= now:
        return []  # its user sent for it
    gaps.shorten(connection, plan, schedule, next_at)
    healed = runs.write(connection, replace(healed, next_at=next_at, ended_at=None))
    if waiting is None:
        attempts = runs.last_run(connection, schedule).max_attempts
        run = runs.plan_run(connection, healed, next_at, attempts, now, random)
    else:
        due = runs.with_jitter(decode_args(healed.args), next_at, random)
        run = replace(waiting, planned_at=next_at, scheduled_at=due)
        rows.write(connection, waiting, run)
    return [run]


def _has_lost_its_key(connection: sqlite3.Connection, schedule: Schedule) -> bool:
    """Return whether a schedule that has ended could not go on because another has its key."""
    if schedule.ended_at is None or schedule.idempotency_key is None:
        return False
    values = {"user_id": schedule.user_id.bytes, "key": schedule.idempotency_key}
    return bool(connection.execute(KEY_IS_HELD, values).fetchone()[0])

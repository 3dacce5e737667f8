"""Schedules as the contract shows them (§6)."""

from datetime import datetime, timedelta, tzinfo
from typing import Any, Final
from uuid import UUID

import msgspec

from booper.model.args import Args, decode_args
from booper.model.duration import without_text
from booper.model.history import PastRun
from booper.model.job import State
from booper.model.schedule import Plan, Schedule, zone_of
from booper.model.state_version import state_version
from booper.wire.redaction import Redaction
from booper.wire.timestamps import bare, precise, zoned

_MILLISECOND: Final = timedelta(milliseconds=1)


class ScheduleResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule (§6); `error` says why no run can be planned, and is absent otherwise.

    `next_run_at` is the planned time of the run that waits, None while it is disabled and once it
    has ended.
    """

    id: UUID
    name: str | None
    description: str | None
    inserted_at: str
    disabled_at: str | None
    ended_at: str | None
    next_run_at: str | None
    user_id: UUID
    frequency: dict[str, Any]
    args: msgspec.Raw
    error: str | msgspec.UnsetType = msgspec.UNSET


class ScheduleDetail(ScheduleResource, frozen=True, kw_only=True):
    """A schedule, when it runs next in UTC and in its own zone, and what its runs have left (§6).

    `state` is `$state`, `previous` is `$previous`. `state_version` is another whenever `$state` is.
    """

    next_runs: list[str]
    next_runs_local: list[str]
    state: msgspec.Raw
    previous: msgspec.Raw
    state_version: str


class RunResource(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a schedule without what it sends.

    `planned_at` is its planned time, `scheduled_at` when it was or is due. `duration_ms` is how
    long its last attempt took, None until it has been completed or discarded.
    """

    job_id: int
    state: str
    attempt: int
    planned_at: str
    scheduled_at: str
    attempted_at: str | None
    ended_at: str | None
    duration_ms: float | None


def run_resource(run: PastRun) -> RunResource:
    """Return a run as it is shown; one that is due has the state of a job that is."""
    is_due = run.state is State.SCHEDULED
    return RunResource(
        job_id=run.job_id,
        state=State.AVAILABLE if is_due else run.state,
        attempt=run.attempt,
        planned_at=precise(run.planned_at),
        scheduled_at=precise(run.scheduled_at),
        attempted_at=None if run.attempted_at is None else precise(run.attempted_at),
        ended_at=None if run.ended_at is None else precise(run.ended_at),
        duration_ms=_duration_ms(run),
    )


def schedule_resource(schedule: Schedule, redaction: Redaction) -> ScheduleResource:
    """Return a schedule as it is shown."""
    return ScheduleResource(**_schedule_fields(schedule, redaction))


def schedule_detail(
    schedule: Schedule, redaction: Redaction, times: list[datetime], zone: tzinfo
) -> ScheduleDetail:
    """Return a schedule as it is shown, with its next times; `zone` is its own."""
    return ScheduleDetail(
        **_schedule_fields(schedule, redaction),
        next_runs=[precise(at) for at in times],
        next_runs_local=[at.astimezone(zone).isoformat() for at in times],
        state=msgspec.Raw(schedule.state),
        state_version=state_version(schedule.state),
        previous=msgspec.Raw(schedule.previous),
    )


def _schedule_fields(schedule: Schedule, redaction: Redaction) -> dict[str, Any]:
    is_over = schedule.disabled_at is not None or schedule.ended_at is not None
    next_at = None if is_over else schedule.next_at
    return {
        "id": schedule.id,
        "name": schedule.name,
        "description": schedule.description,
        "inserted_at": bare(schedule.inserted_at),
        "disabled_at": None if schedule.disabled_at is None else zoned(schedule.disabled_at),
        "ended_at": None if schedule.ended_at is None else precise(schedule.ended_at),
        "next_run_at": None if next_at is None else precise(next_at),
        "user_id": schedule.user_id,
        "frequency": _frequency(decode_args(schedule.args)),
        "error": _error(schedule),
        "args": msgspec.Raw(redaction.args(schedule.args)),
    }


def _duration_ms(run: PastRun) -> float | None:
    if run.attempted_at is None or run.ended_at is None or run.state is State.CANCELLED:
        return None
    return (run.ended_at - run.attempted_at) / _MILLISECOND


def _error(schedule: Schedule) -> str | msgspec.UnsetType:
    """Return why no run can be planned, such as a time zone that is no longer known."""
    try:
        Plan.of_schedule(schedule)
        zone_of(decode_args(schedule.args).timezone)
    except ValueError as error:
        return str(error)
    return msgspec.UNSET


def _frequency(args: Args) -> dict[str, Any]:
    if args.cron is not None:
        return {"cron": args.cron, "timezone": args.timezone or "UTC"}
    assert args.repeat_every is not None, "a schedule repeats in one of two ways"
    return {"repeat_every": without_text(args.repeat_every)}

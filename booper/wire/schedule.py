"""Schedules as the contract shows them (§6)."""

from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

import msgspec

from booper.model.args import Args, decode_args
from booper.model.duration import without_text
from booper.model.schedule import Plan, Schedule, zone_of
from booper.wire.redaction import Redaction
from booper.wire.timestamps import bare, precise, zoned


class ScheduleResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule (§6); `error` says why no run can be planned, and is absent otherwise."""

    id: UUID
    name: str | None
    description: str | None
    inserted_at: str
    disabled_at: str | None
    user_id: UUID
    frequency: dict[str, Any]
    args: msgspec.Raw
    error: str | msgspec.UnsetType = msgspec.UNSET


class ScheduleDetail(ScheduleResource, frozen=True, kw_only=True):
    """A schedule and when it runs next, in UTC and in its own zone (§6)."""

    next_runs: list[str]
    next_runs_local: list[str]


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
    )


def _schedule_fields(schedule: Schedule, redaction: Redaction) -> dict[str, Any]:
    return {
        "id": schedule.id,
        "name": schedule.name,
        "description": schedule.description,
        "inserted_at": bare(schedule.inserted_at),
        "disabled_at": None if schedule.disabled_at is None else zoned(schedule.disabled_at),
        "user_id": schedule.user_id,
        "frequency": _frequency(decode_args(schedule.args)),
        "error": _error(schedule),
        "args": msgspec.Raw(redaction.args(schedule.args)),
    }


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

"""The shapes that leave, beside the job's: log entries, keys, schedules (contract §6, §7)."""

from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

import msgspec

from booper.model.args import Args, decode_args
from booper.model.duration import without_text
from booper.model.event import LogEntry
from booper.model.key import ApiKey
from booper.model.redaction import Redaction
from booper.model.schedule import Plan, Schedule, zone_of
from booper.model.timestamps import bare, precise, precise_or_none, zoned


class LogResource(msgspec.Struct, frozen=True):
    """A log entry: exactly these keys (§7)."""

    event: str
    id: UUID
    inserted_at: str
    job_id: int
    payload: msgspec.Raw
    user_id: UUID


class KeyResource(msgspec.Struct, frozen=True):
    """An API key, without the key."""

    id: UUID
    name: str
    user: str
    user_id: UUID
    scope: str
    inserted_at: str
    revoked_at: str | None


class ScheduleResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule (§6); `error` is there where no run of it can be planned."""

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


class NewKeyResource(msgspec.Struct, frozen=True):
    """A key that was just made: the only time it is shown."""

    id: UUID
    name: str
    user: str
    scope: str
    key: str


def log_resource(entry: LogEntry) -> LogResource:
    """Show a log entry."""
    return LogResource(
        entry.event,
        entry.id,
        precise(entry.inserted_at),
        entry.job_id,
        msgspec.Raw(entry.payload),
        entry.user_id,
    )


def key_resource(key: ApiKey) -> KeyResource:
    """Show a key's description."""
    return KeyResource(
        key.id,
        key.name,
        key.user,
        key.user_id,
        key.scope,
        precise(key.inserted_at),
        precise_or_none(key.revoked_at),
    )


def schedule_resource(schedule: Schedule, redaction: Redaction) -> ScheduleResource:
    """Show a schedule."""
    return ScheduleResource(**_schedule_fields(schedule, redaction))


def schedule_detail(
    schedule: Schedule, redaction: Redaction, times: list[datetime], zone: tzinfo
) -> ScheduleDetail:
    """Show a schedule and its next times."""
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
    """Return why no run can be planned: its zone is no longer known, for example."""
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

"""The shapes that leave: resources of the contract, with its three styles of times (§4, §7)."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from booper.model.event import REDACTED, SECRET_HEADERS, LogEntry
from booper.model.job import Job
from booper.model.key import ApiKey
from booper.model.timestamps import bare, precise


class JobState(msgspec.Struct, frozen=True):
    """The inner `job` of a job resource; `has_confict` is spelled as the hosted service does."""

    attempted_at: str | None
    cancelled_at: str | None
    completed_at: str | None
    discarded_at: str | None
    has_confict: bool
    id: int
    inserted_at: str
    scheduled_at: str
    state: str
    attempt: int
    max_attempts: int
    last_error: str | None


class JobResource(msgspec.Struct, frozen=True):
    """A job as it is created, read, listed and cancelled (§4)."""

    id: UUID
    idempotency_key: str | None
    inserted_at: str
    name: str | None
    description: str | None
    user_id: UUID
    schedule_id: UUID | None
    job_id: int
    job: JobState
    args: msgspec.Raw


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
    inserted_at: str
    revoked_at: str | None


class NewKeyResource(msgspec.Struct, frozen=True):
    """A key that was just made: the only time it is shown."""

    id: UUID
    name: str
    user: str
    key: str


def new_job_resource(job: Job, now: datetime) -> JobResource:
    """Show a job to whoever has just created it: its args as they came."""
    return _job_resource(job, now, job.args, has_conflict=False)


def job_resource(job: Job, now: datetime, *, has_conflict: bool = False) -> JobResource:
    """Show a stored job: the values of secret headers are hidden."""
    return _job_resource(job, now, _redacted(job.args), has_conflict=has_conflict)


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
        precise(key.inserted_at),
        _precise_or_none(key.revoked_at),
    )


def _job_resource(job: Job, now: datetime, args: str, *, has_conflict: bool) -> JobResource:
    state = JobState(
        attempted_at=_precise_or_none(job.attempted_at),
        cancelled_at=_precise_or_none(job.cancelled_at),
        completed_at=_precise_or_none(job.completed_at),
        discarded_at=_precise_or_none(job.discarded_at),
        has_confict=has_conflict,
        id=job.id,
        inserted_at=precise(job.inserted_at),
        scheduled_at=precise(job.scheduled_at),
        state=job.state_at(now),
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        last_error=job.last_error,
    )
    return JobResource(
        id=job.uuid,
        idempotency_key=job.idempotency_key,
        inserted_at=bare(job.inserted_at),
        name=job.name,
        description=job.description,
        user_id=job.user_id,
        schedule_id=job.schedule_id,
        job_id=job.id,
        job=state,
        args=msgspec.Raw(args),
    )


def _precise_or_none(at: datetime | None) -> str | None:
    return None if at is None else precise(at)


def _redacted(args: str) -> str:
    """Hide the secret headers of stored args; most have none and are left as they are."""
    shown: dict[str, msgspec.Raw] = msgspec.json.decode(args, type=dict[str, msgspec.Raw])
    if "headers" not in shown:
        return args
    headers: dict[str, Any] = msgspec.json.decode(shown["headers"])
    if not any(name.lower() in SECRET_HEADERS for name in headers):
        return args
    hidden = {
        name: REDACTED if name.lower() in SECRET_HEADERS else value
        for name, value in headers.items()
    }
    return msgspec.json.encode({**shown, "headers": hidden}).decode()

"""Log entries: which ones a job leaves, and how the contract shows them (§7)."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from booper.model.event import ERROR, REQUEST, RESPONSE, SKIPPED, STATE_REJECTED, LogEntry, NewEntry
from booper.model.job import Attempt, Failed, Job, Outcome, Refused, Request, Responded
from booper.model.schedule import Gap
from booper.wire.payload import error_payload, request_payload, response_payload
from booper.wire.redaction import Redaction
from booper.wire.timestamps import precise


class LogResource(msgspec.Struct, frozen=True):
    """A log entry: exactly these keys (§7)."""

    event: str
    id: UUID
    inserted_at: str
    job_id: int
    payload: msgspec.Raw
    user_id: UUID


def entries_of(
    attempt: Attempt,
    request: Request | None,
    outcome: Outcome,
    redaction: Redaction,
    now: datetime,
) -> tuple[NewEntry, ...]:
    """Write down one attempt: its request, unless it was kept in, and what came of it."""
    started = attempt.job.attempted_at or now
    sent: tuple[NewEntry, ...] = ()
    if request is not None and not isinstance(outcome, Refused):
        payload = request_payload(request, redaction)
        sent = (_entry(attempt, REQUEST, started, payload),)
    match outcome:
        case Responded(response=response, duration=duration):
            payload = response_payload(response, duration, redaction)
            return *sent, _entry(attempt, RESPONSE, now, payload)
        case Failed() | Refused():
            return *sent, _entry(attempt, ERROR, now, error_payload(outcome))


def interruption_of(job: Job, now: datetime) -> NewEntry:
    """Write down that the process died while this job's request was on its way."""
    message = "booper stopped during the attempt; whether the request arrived is unknown"
    payload = {"error": "interrupted", "message": message, "duration_ms": None}
    return NewEntry(job.user_id, job.id, job.kind, ERROR, now, _json(payload))


def skipped(job: Job, gap: Gap, now: datetime) -> NewEntry:
    """Write down planned times that were not run; `job` is the run that waited at their end."""
    return NewEntry(job.user_id, job.id, job.kind, SKIPPED, now, gap_payload(gap))


def gap_payload(gap: Gap) -> str:
    """Return a gap as a log entry's payload."""
    return _json(
        {
            "reason": gap.reason,
            "first": precise(gap.first),
            "last": precise(gap.last),
            "count": gap.count,
        }
    )


def state_rejected(job: Job, reason: str, now: datetime) -> NewEntry:
    """Write down that a run's `$set` was not taken over."""
    return NewEntry(job.user_id, job.id, job.kind, STATE_REJECTED, now, _json({"reason": reason}))


def unplannable(job: Job, reason: str, now: datetime) -> NewEntry:
    """Write down that the rules of a run's schedule cannot be read, so that it was disabled."""
    message = f"schedule {job.schedule_id} is disabled: {reason}"
    payload = {"error": "schedule", "message": message, "duration_ms": None}
    return NewEntry(job.user_id, job.id, job.kind, ERROR, now, _json(payload))


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


def _entry(attempt: Attempt, event: str, at: datetime, payload: dict[str, object]) -> NewEntry:
    job = attempt.job
    return NewEntry(job.user_id, job.id, job.kind, event, at, _json(payload))


def _json(payload: Mapping[str, object]) -> str:
    return msgspec.json.encode(payload).decode()

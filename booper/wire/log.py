"""Log entries: which ones a job leaves, and how the contract shows them (§7)."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from booper.model.event import ERROR, REQUEST, RESPONSE, SKIPPED, STATE_REJECTED, LogEntry, NewEntry
from booper.model.job import Attempt, Job, Outcome, Refused, Request, Responded
from booper.model.schedule import Gap
from booper.wire.payload import outcome_payload, request_payload
from booper.wire.redaction import Redaction
from booper.wire.timestamps import precise


class LogResource(msgspec.Struct, frozen=True):
    """A log entry with exactly the keys of the contract (§7)."""

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
    """Return the entries of an attempt: its request, unless none was sent, and its outcome."""
    started = attempt.job.attempted_at or now
    sent: tuple[NewEntry, ...] = ()
    if request is not None and not isinstance(outcome, Refused):
        payload = request_payload(request, redaction)
        sent = (_entry(attempt.job, REQUEST, started, payload),)
    event = RESPONSE if isinstance(outcome, Responded) else ERROR
    return *sent, _entry(attempt.job, event, now, outcome_payload(outcome, redaction))


def interruption_of(job: Job, now: datetime) -> NewEntry:
    """Return the entry of an attempt during which the process died."""
    message = "booper stopped during the attempt; whether the request arrived is unknown"
    return _error(job, "interrupted", message, now)


def skipped(job: Job, gap: Gap, now: datetime) -> NewEntry:
    """Return the entry of planned times that were not run; `job` is the run that waited last."""
    return NewEntry(job.user_id, job.id, job.kind, SKIPPED, now, gap_payload(gap))


def gap_payload(gap: Gap) -> str:
    """Return a gap as the payload of its entry, which grows with it."""
    return _json(
        {
            "reason": gap.reason,
            "first": precise(gap.first),
            "last": precise(gap.last),
            "count": gap.count,
        }
    )


def gap_in(payload: str) -> Gap:
    """Return the gap that the payload of an entry shows."""
    return msgspec.json.decode(payload, type=Gap)


def state_rejected(job: Job, reason: str, now: datetime) -> NewEntry:
    """Return the entry of a run whose `$set` was not taken over."""
    return _entry(job, STATE_REJECTED, now, {"reason": reason})


def unplannable(job: Job, reason: str, now: datetime) -> NewEntry:
    """Return the entry of a run whose schedule was disabled, since its rules cannot be read."""
    message = f"schedule {job.schedule_id} is disabled: {reason}"
    return _error(job, "schedule", message, now)


def log_resource(entry: LogEntry) -> LogResource:
    """Return a stored entry as it is shown."""
    return LogResource(
        entry.event,
        entry.id,
        precise(entry.inserted_at),
        entry.job_id,
        msgspec.Raw(entry.payload),
        entry.user_id,
    )


def _error(job: Job, error: str, message: str, now: datetime) -> NewEntry:
    """Return the entry of an error whose duration is unknown."""
    return _entry(job, ERROR, now, {"error": error, "message": message, "duration_ms": None})


def _entry(job: Job, event: str, at: datetime, payload: Mapping[str, object]) -> NewEntry:
    return NewEntry(job.user_id, job.id, job.kind, event, at, _json(payload))


def _json(payload: Mapping[str, object]) -> str:
    return msgspec.json.encode(payload).decode()

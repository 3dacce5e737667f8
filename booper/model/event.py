"""Log entries: what was sent and what came back, as payloads of the contract's §7."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from booper.model import json_text
from booper.model.charset import in_utf8, text_of
from booper.model.job import (
    Attempt,
    Failed,
    Job,
    Kind,
    Outcome,
    Refused,
    Request,
    Responded,
    Response,
)
from booper.model.redaction import Redaction
from booper.model.schedule import Gap
from booper.model.timestamps import precise

REQUEST = "worker.http.request"
RESPONSE = "worker.http.response"
ERROR = "worker.http.error"
SKIPPED = "schedule.skipped"
STATE_REJECTED = "schedule.state_rejected"
EVENTS = (REQUEST, RESPONSE, ERROR, SKIPPED, STATE_REJECTED)

_MILLISECOND = timedelta(milliseconds=1)


class NewEntry(msgspec.Struct, frozen=True):
    """A log entry that has no identity yet; `payload` is JSON text."""

    user_id: UUID
    job_id: int
    kind: Kind
    event: str
    at: datetime
    payload: str


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A stored log entry; `payload` is JSON text."""

    id: UUID
    user_id: UUID
    job_id: int
    event: str
    inserted_at: datetime
    payload: str


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


def error_payload(outcome: Failed | Refused) -> dict[str, object]:
    """Return why there was no response, as a log entry's payload."""
    match outcome:
        case Failed(error=error, message=message, duration=duration):
            return {"error": error, "message": message, "duration_ms": _milliseconds(duration)}
        case Refused(message=message):
            return {"error": "refused", "message": message, "duration_ms": 0}


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


def _entry(attempt: Attempt, event: str, at: datetime, payload: dict[str, object]) -> NewEntry:
    job = attempt.job
    return NewEntry(job.user_id, job.id, job.kind, event, at, _json(payload))


def _json(payload: Mapping[str, object]) -> str:
    return msgspec.json.encode(payload).decode()


def _milliseconds(duration: timedelta) -> float:
    return duration / _MILLISECOND


def request_payload(request: Request, redaction: Redaction) -> dict[str, object]:
    """Return a request, as a log entry's payload; `url` is without what `query` adds."""
    return {
        **_sent_body(request),
        "headers": redaction.headers(request.user_headers),
        "query": request.query,
        "url": request.url.removesuffix(request.query_text),
    }


def _sent_body(request: Request) -> dict[str, object]:
    """Return a body as the JSON it is; a string that went out as it is, as text."""
    if not request.content:
        return {"body": None}
    given = (v for name, v in request.user_headers.items() if name.lower() == "content-type")
    kind = next(given, "application/json")  # which is what booper writes where its user did not
    # Its text went out in UTF-8, whatever charset its user has declared.
    return _shown(request.content, "json" if "json" in kind.lower() else "")


def response_payload(
    response: Response, duration: timedelta, redaction: Redaction
) -> dict[str, object]:
    """Return a response, as a log entry's payload."""
    payload: dict[str, object] = {
        "status": response.status,
        "headers": redaction.headers(response.headers),
        **_shown(response.body, response.headers.get("content-type", ""), is_cut=response.is_cut),
        "duration_ms": _milliseconds(duration),
    }
    if response.is_cut:
        payload["truncated"] = True
    if response.fault:
        payload["fault"] = response.fault
    return payload


def _shown(body: bytes, content_type: str, *, is_cut: bool = False) -> dict[str, object]:
    """Return a JSON body as the JSON it is, other text as text, and bytes in base64."""
    if "json" in content_type.lower() and not is_cut:
        content = in_utf8(body, content_type)
        try:
            json_text.check(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            return {"body": msgspec.Raw(content)}
    text = text_of(body, content_type, is_cut=is_cut)
    if text is None:
        return {"body": b64encode(body).decode(), "body_encoding": "base64"}
    return {"body": text}

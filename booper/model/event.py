"""Log entries: what was sent and what came back, as payloads of the contract's §7."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from booper.model.args import Args
from booper.model.job import Answered, Attempt, Failed, Outcome, Refused, Response
from booper.model.outgoing import text_of

REQUEST = "worker.http.request"
RESPONSE = "worker.http.response"
ERROR = "worker.http.error"
EVENTS = (REQUEST, RESPONSE, ERROR)

REDACTED = "[redacted]"
SECRET_HEADERS = frozenset({"authorization", "cookie", "set-cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A log entry that has no identity yet; `payload` is JSON text."""

    user_id: UUID
    job_id: int
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


def entries_of(attempt: Attempt, outcome: Outcome, now: datetime) -> tuple[NewEntry, ...]:
    """Write down one attempt: its request, unless the guard kept it in, and what came of it."""
    started = attempt.job.attempted_at or now
    sent = _entry(attempt, REQUEST, started, _request_payload(attempt.args))
    match outcome:
        case Answered(response=response, duration=duration):
            payload = _response_payload(response, duration)
            return sent, _entry(attempt, RESPONSE, now, payload)
        case Failed(error=error, message=message, duration=duration):
            payload = {"error": error, "message": message, "duration_ms": _milliseconds(duration)}
            return sent, _entry(attempt, ERROR, now, payload)
        case Refused(message=message):
            payload = {"error": "refused", "message": message, "duration_ms": 0}
            return (_entry(attempt, ERROR, now, payload),)


def interruption_of(user_id: UUID, job_id: int, now: datetime) -> NewEntry:
    """Write down that the process died while this job's request was on its way."""
    message = "booper stopped during the attempt; whether the request arrived is unknown"
    payload = {"error": "interrupted", "message": message, "duration_ms": None}
    return NewEntry(user_id, job_id, ERROR, now, _json(payload))


def redact(headers: dict[str, str]) -> dict[str, str]:
    """Hide the values of headers that carry secrets."""
    return {
        name: REDACTED if name.lower() in SECRET_HEADERS else value
        for name, value in headers.items()
    }


def _entry(attempt: Attempt, event: str, at: datetime, payload: dict[str, object]) -> NewEntry:
    return NewEntry(attempt.job.user_id, attempt.job.id, event, at, _json(payload))


def _json(payload: Mapping[str, object]) -> str:
    return msgspec.json.encode(payload).decode()


def _milliseconds(duration: timedelta) -> float:
    return round(duration.total_seconds() * 1000, 3)


def _request_payload(args: Args) -> dict[str, object]:
    body = None if args.body is msgspec.UNSET else args.body
    headers = {name: text_of(value) for name, value in (args.headers or {}).items()}
    return {
        "body": body,
        "headers": redact(headers),
        "query": args.query or {},
        "url": args.url,
    }


def _response_payload(response: Response, duration: timedelta) -> dict[str, object]:
    payload: dict[str, object] = {
        "status": response.status,
        "headers": redact(response.headers),
        "body": _readable(response),
        "duration_ms": _milliseconds(duration),
    }
    return {**payload, "truncated": True} if response.is_cut else payload


def _readable(response: Response) -> object:
    """Return a JSON body as the JSON it is, any other as text."""
    is_json = "json" in response.headers.get("content-type", "").lower()
    if is_json and not response.is_cut:
        try:
            msgspec.json.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return response.body.decode(errors="replace")
        return msgspec.Raw(response.body)
    return response.body.decode(errors="replace")

"""What callbacks, webhook events and alerts hold, for the API document's `webhooks` (contract §7).

They are described here and made in `booper.wire.report` and `booper.wire.alert`; tests compare.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from booper.api.schemas import Schema, choice, optional, reference, whole
from booper.model.alert import AlertKind, Telling
from booper.model.job import FINISHED
from booper.wire.report import JOB_ERROR, JOB_FINISHED, JOB_REQUEST, JOB_RESPONSE, JOB_STARTED

CALLBACK: Final = "callback"

_TEXT: Final[Schema] = {"type": "string"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_ANY_JSON: Final[Schema] = {
    "description": "JSON if the content type says so, other text in its charset, and anything "
    "else in base64"
}
_BASE64: Final[Schema] = {"const": "base64", "description": "Present if the body is not text"}
_HEADERS: Final[Schema] = {
    "type": "object",
    "additionalProperties": _TEXT,
    "description": "The values of Authorization, Cookie and other secret headers are [redacted]",
}
_DURATION: Final[Schema] = {"type": "number", "minimum": 0}

_SENT: Final[Mapping[str, Schema]] = {
    "method": _TEXT,
    "url": _TEXT,
    "query": {"type": "object"},
    "headers": {**_HEADERS, "description": f"Those of the job. {_HEADERS['description']}"},
    "body": _ANY_JSON,
}
_CAME: Final[Mapping[str, Schema]] = {
    "status": whole(100, 599),
    "headers": _HEADERS,
    "body": _ANY_JSON,
    "duration_ms": _DURATION,
    "body_encoding": _BASE64,
    "truncated": {
        "const": True,
        "description": "Present if the body was longer than the limit, or may have been cut off",
    },
    "fault": {
        **_TEXT,
        "description": "What was wrong with the response behind its status line, if anything: "
        "the status counts, and the body is not read for $previous and $set",
    },
}
_CAME_OPTIONAL: Final = ["body_encoding", "truncated", "fault"]
_FAILED: Final[Mapping[str, Schema]] = {
    "error": {
        **_TEXT,
        "description": "A short stable word, such as timeout, connect, dns, redirect, refused",
    },
    "message": _TEXT,
    "duration_ms": _DURATION,
}
_ENDED: Final[Mapping[str, Schema]] = {
    "state": choice(sorted(FINISHED)),
    "last_error": optional(_TEXT),
}
_PLACE: Final[Mapping[str, Schema]] = {
    "job_id": whole(1, 2**63 - 1),
    "attempt": {**whole(0, 2**31), "description": "0 if the job was cancelled before its first"},
    "sequence": {
        **whole(0, 2**33),
        "description": "Grows from event to event of one job, not always by one: sort by it, do "
        "not count by it. An event whose first delivery fails arrives after later ones. An attempt "
        "that booper returns uncounted, because it was stopped or its machine lacked something, "
        "begins anew: its events come again with the same attempt and sequence",
    },
}


def _object(properties: Mapping[str, Schema], *, without: Sequence[str] = ()) -> Schema:
    required = [name for name in properties if name not in without]
    return {"type": "object", "properties": dict(properties), "required": required}


def _event(kind: str, data: Mapping[str, Schema], *, without: Sequence[str] = ()) -> Schema:
    return _object(
        {
            "type": {"const": kind},
            "timestamp": _TIME,
            "data": _object({**_PLACE, **data}, without=without),
        }
    )


_RESULT: Final[Schema] = _object(
    {
        "job": reference("JobResource"),
        "request": optional(_object(_SENT)),
        "response": _object(_CAME, without=_CAME_OPTIONAL),
        "error": _object(_FAILED),
        "attempt": whole(1, 2**31),
        "final": {"const": True},
    },
    without=["response", "error"],
)

_ALERT_DATA: Final[Mapping[str, Schema]] = {
    "id": {"type": "string", "format": "uuid", "description": "The same until it closes"},
    "kind": choice(sorted(AlertKind)),
    "subject": _TEXT,
    "since": _TIME,
    "detail": _TEXT,
    "url": optional({"type": "string", "format": "uri"}),
}
_ALERT_EXAMPLE: Final = {
    "id": "019b76da-a800-7000-8000-5b8f1d9a6c3e",
    "kind": "schedule.failed",
    "subject": "nightly-report",
    "since": "2030-01-01T09:00:07.000000Z",
    "detail": "the last 3 runs failed: all attempts were used up",
    "url": None,
}
_ALERTS: Final = {
    Telling.OPENED: "Something is wrong, or still is",
    Telling.CLOSED: "What was wrong is over",
}

_PLACED: Final = {"job_id": 29180, "attempt": 1}
_REQUEST_EXAMPLE: Final = {
    "method": "POST",
    "url": "https://example.com/hook",
    "query": {},
    "headers": {},
    "body": {"content": "Hello"},
}
_RESPONSE_EXAMPLE: Final = {
    "status": 200,
    "headers": {"content-type": "text/plain"},
    "body": "ok",
    "duration_ms": 41.7,
}


def _example(kind: str, sequence: int, data: Mapping[str, Any]) -> Schema:
    placed = {**_PLACED, "sequence": sequence, **data}
    return {"type": kind, "timestamp": "2023-09-01T18:26:19.812345Z", "data": placed}


_REPORTS: Final[Sequence[tuple[str, str, Schema, Any]]] = (
    (JOB_STARTED, "An attempt begins", _event(JOB_STARTED, {}), _example(JOB_STARTED, 1, {})),
    (
        JOB_REQUEST,
        "What an attempt sends",
        _event(JOB_REQUEST, _SENT),
        _example(JOB_REQUEST, 2, _REQUEST_EXAMPLE),
    ),
    (
        JOB_RESPONSE,
        "What the target responded, with whatever status",
        _event(JOB_RESPONSE, _CAME, without=_CAME_OPTIONAL),
        _example(JOB_RESPONSE, 3, _RESPONSE_EXAMPLE),
    ),
    (
        JOB_ERROR,
        "Why an attempt has no response",
        _event(JOB_ERROR, _FAILED, without=["duration_ms"]),
        _example(
            JOB_ERROR,
            3,
            {"error": "timeout", "message": "no response in time", "duration_ms": 30_000.0},
        ),
    ),
    (
        JOB_FINISHED,
        "The job has ended; the last of its events",
        _event(JOB_FINISHED, _ENDED),
        _example(JOB_FINISHED, 4, {"state": "completed", "last_error": None}),
    ),
)

_SIGNATURE: Final = [
    {"name": name, "in": "header", "description": description, "schema": _TEXT}
    for name, description in (
        ("webhook-id", "The same on every delivery of one report"),
        ("webhook-timestamp", "Unix time in seconds"),
        ("webhook-signature", "One or two signatures, `v1,` and base64, with a space between"),
    )
]
_RECEIVED: Final[Schema] = {
    "2XX": {"description": "Received"},
    "410": {"description": "Not wanted: it is not sent again"},
    "default": {"description": "Sent again later, as any job is"},
}


def webhooks(job: Any) -> dict[str, Schema]:
    """Return the `webhooks` of the document; `job` is the example of a job's resource."""
    ended = {
        **job,
        "job": {**job["job"], "state": "completed", "completed_at": "2023-09-01T18:26:19.854321Z"},
    }
    result = {
        "job": ended,
        "request": _REQUEST_EXAMPLE,
        "response": _RESPONSE_EXAMPLE,
        "attempt": 1,
        "final": True,
    }
    described = {
        kind: _posted(kind, f"{summary}. Sent to `webhook_url`.", schema, example)
        for kind, summary, schema, example in _REPORTS
    }
    summary = (
        "The result of a job that is completed or discarded, once, with its last `response` or "
        "`error`. Sent to `callback_url`."
    )
    alerts = {
        str(telling): _alert(str(telling), f"{summary}. Sent to `[alerts] url`.")
        for telling, summary in _ALERTS.items()
    }
    return {**described, **alerts, CALLBACK: _posted(CALLBACK, summary, _RESULT, result)}


def _alert(kind: str, description: str) -> Schema:
    body = _object({"type": {"const": kind}, "timestamp": _TIME, "data": _object(_ALERT_DATA)})
    example = {"type": kind, "timestamp": _ALERT_EXAMPLE["since"], "data": _ALERT_EXAMPLE}
    return _posted(kind, description, body, example)


def _posted(kind: str, description: str, schema: Schema, example: Any) -> Schema:
    return {
        "post": {
            "operationId": kind.replace(".", "_"),
            "summary": kind,
            "description": f"{description} Signed by Standard Webhooks 1.0.0 if `[webhooks] secret`"
            " is set.",
            "parameters": _SIGNATURE,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schema, "example": example}},
            },
            "responses": _RECEIVED,
        }
    }

"""The JSON of callbacks and webhook events, which report a job to its user (contract §7)."""

from collections.abc import Mapping
from datetime import datetime

from booper.model.job import Job, Outcome, Request, Responded
from booper.wire.job import job_resource
from booper.wire.payload import outcome_payload, request_payload
from booper.wire.redaction import Redaction
from booper.wire.timestamps import precise

JOB_STARTED = "job.started"
JOB_REQUEST = "job.request"
JOB_RESPONSE = "job.response"
JOB_ERROR = "job.error"
JOB_FINISHED = "job.finished"

# Each attempt has four places: its events come in this order, however many attempts there are.
_PLACES = {JOB_STARTED: -3, JOB_REQUEST: -2, JOB_RESPONSE: -1, JOB_ERROR: -1, JOB_FINISHED: 0}


def event_body(
    event: str, job: Job, data: Mapping[str, object], now: datetime
) -> dict[str, object]:
    """Return a webhook event; `data` is what it adds to the number of its job and its place."""
    place = {"attempt": job.attempt, "sequence": 4 * job.attempt + _PLACES[event]}
    return {
        "type": event,
        "timestamp": precise(now),
        "data": {"job_id": job.id, **place, **data},
    }


def callback_body(
    settled: Job, request: Request | None, outcome: Outcome, redaction: Redaction, now: datetime
) -> dict[str, object]:
    """Return the callback of a job that has ended; without a request, none could be built."""
    result = "response" if isinstance(outcome, Responded) else "error"
    return {
        "job": job_resource(settled, now, redaction),
        "request": None if request is None else sent_request(request, redaction),
        result: outcome_payload(outcome, redaction),
        "attempt": settled.attempt,
        "final": True,
    }


def sent_request(request: Request, redaction: Redaction) -> dict[str, object]:
    """Return a request as reports show it: as log entries do, and with its method."""
    return {"method": request.method, **request_payload(request, redaction)}

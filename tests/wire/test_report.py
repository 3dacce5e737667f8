"""The JSON of callbacks and webhook events (contract §7)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from booper.model.job import Attempt, Failed, Outcome, Refused, Request, Responded, Response, State
from booper.wire.redaction import Redaction
from booper.wire.report import (
    JOB_ERROR,
    JOB_FINISHED,
    JOB_REQUEST,
    JOB_RESPONSE,
    JOB_STARTED,
    callback_body,
    event_body,
    sent_request,
)
from booper.wire.request import render
from tests.support.jobs import URL, executing

AT = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
JOB = executing(AT, method="post", headers={"Cookie": "s3cret", "X": "1"}, body=[1])
SENT = {
    "method": "POST",
    "url": URL,
    "query": {},
    "headers": {"Cookie": "[redacted]", "X": "1"},
    "body": [1],
}


def request() -> Request:
    """Return the request of the job's first attempt."""
    return render(Attempt.of(JOB), "booper/1", AT)


def read(body: dict[str, object]) -> dict[str, Any]:
    """Return a body as its receiver reads it."""
    received: dict[str, Any] = json.loads(msgspec.json.encode(body))
    return received


def test_an_event_has_a_type_a_time_and_the_number_of_its_job() -> None:
    """What it adds to them stands beside its place."""
    assert read(event_body(JOB_ERROR, JOB, {"error": "timeout"}, AT)) == {
        "type": "job.error",
        "timestamp": "2030-01-01T12:00:00.000000Z",
        "data": {"job_id": 29180, "attempt": 1, "sequence": 3, "error": "timeout"},
    }


@pytest.mark.parametrize("outcome", [JOB_RESPONSE, JOB_ERROR])
def test_the_numbers_of_a_jobs_events_rise(outcome: str) -> None:
    """Each attempt has four numbers: of two attempts 1, 2, 3, then 5, 6, 7, and 8 for the end."""
    each = [(JOB_STARTED, 1), (JOB_REQUEST, 1), (outcome, 1)]
    each += [(JOB_STARTED, 2), (JOB_REQUEST, 2), (outcome, 2), (JOB_FINISHED, 2)]
    bodies = [read(event_body(event, replace(JOB, attempt=n), {}, AT)) for event, n in each]
    assert [body["data"]["sequence"] for body in bodies] == [1, 2, 3, 5, 6, 7, 8]


def test_a_job_cancelled_before_its_first_attempt_ends_with_number_0() -> None:
    """4 · 0 + 0: nothing stands before it."""
    data = read(event_body(JOB_FINISHED, replace(JOB, attempt=0), {}, AT))["data"]
    assert (data["attempt"], data["sequence"]) == (0, 0)


def test_a_reported_request_has_its_method() -> None:
    """The log has none (§7); secrets are hidden in both."""
    assert read(sent_request(request(), Redaction())) == SENT


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (
            Responded(Response(200, {}, b"ok", False), timedelta(milliseconds=2)),
            {"response": {"status": 200, "headers": {}, "body": "ok", "duration_ms": 2}},
        ),
        (
            Failed("timeout", "no response", timedelta(seconds=1)),
            {"error": {"error": "timeout", "message": "no response", "duration_ms": 1000}},
        ),
        (
            Refused("it is private"),
            {"error": {"error": "refused", "message": "it is private", "duration_ms": 0}},
        ),
    ],
)
def test_a_callback_has_the_job_its_request_and_the_result(
    outcome: Outcome, result: dict[str, Any]
) -> None:
    """`response` or `error`, the attempt, and that it is final."""
    ended = replace(JOB, state=State.DISCARDED, attempt=15, discarded_at=AT)
    body = read(callback_body(ended, request(), outcome, Redaction(), AT))
    job = body.pop("job")
    assert body == {"request": SENT, **result, "attempt": 15, "final": True}
    assert (job["job_id"], job["job"]["state"]) == (29180, "discarded")


def test_a_request_that_could_not_be_built_is_null() -> None:
    """The callback has the key all the same."""
    body = read(callback_body(JOB, None, Refused("no such header"), Redaction(), AT))
    assert body["request"] is None

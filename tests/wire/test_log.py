"""Log entries: which ones a job leaves, and when (contract §7)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import fields, replace

from booper.model.event import EVENTS, NewEntry
from booper.model.job import (
    Attempt,
    Failed,
    Kind,
    Outcome,
    Refused,
    Responded,
    Response,
)
from booper.model.schedule import Gap
from booper.wire.log import (
    LogResource,
    entries_of,
    gap_in,
    interruption_of,
    skipped,
    state_rejected,
)
from booper.wire.redaction import Redaction
from booper.wire.request import render
from tests.support.jobs import USER, executing

STARTED = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
NOW = STARTED + timedelta(milliseconds=1_500)


def attempt_of(**fields: object) -> Attempt:
    """Return an attempt, begun at `STARTED`, of a job that was created with these fields."""
    return Attempt.of(executing(STARTED, **fields))


def answered(status: int = 200) -> Responded:
    """Return an outcome with a response."""
    return Responded(Response(status, {}, b"", False), timedelta(0))


def entries(attempt: Attempt, outcome: Outcome) -> tuple[NewEntry, ...]:
    """Return what an attempt leaves whose request could be built."""
    return entries_of(attempt, render(attempt, "booper/1", NOW), outcome, Redaction(), NOW)


def payload_of(entry: NewEntry) -> dict[str, Any]:
    """Return an entry's payload as the JSON object it must be."""
    payload = json.loads(entry.payload)
    assert isinstance(payload, dict)
    return payload


def test_an_entry_has_exactly_the_keys_of_the_contract() -> None:
    """Contract §7: event, id, inserted_at, job_id, payload, user_id."""
    names = {field.name for field in fields(LogResource)}
    assert names == {"event", "id", "inserted_at", "job_id", "payload", "user_id"}


OUTCOMES: list[tuple[Outcome, list[tuple[str, datetime]]]] = [
    (answered(), [("worker.http.request", STARTED), ("worker.http.response", NOW)]),
    (answered(500), [("worker.http.request", STARTED), ("worker.http.response", NOW)]),
    (
        Failed("timeout", "no response within 30 s", timedelta(seconds=30)),
        [("worker.http.request", STARTED), ("worker.http.error", NOW)],
    ),
    (Refused("10.0.0.1 is in a private network"), [("worker.http.error", NOW)]),
]


@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES)
def test_an_attempt_leaves_its_request_and_what_came_of_it(
    outcome: Outcome, expected: list[tuple[str, datetime]]
) -> None:
    """In order, each at its own time; a request that the guard kept in was never sent."""
    left = entries(attempt_of(), outcome)
    assert [(entry.event, entry.at) for entry in left] == expected
    assert {(entry.user_id, entry.job_id, entry.kind) for entry in left} == {
        (USER, 29180, Kind.REQUEST)
    }


def test_a_request_that_could_not_be_built_was_not_sent() -> None:
    """Only its error is left, whatever the outcome is called."""
    failed = Failed("internal", "no such thing", timedelta(0))
    for outcome in (Refused("the header is too long"), failed):
        (entry,) = entries_of(attempt_of(), None, outcome, Redaction(), NOW)
        assert (entry.event, entry.at) == ("worker.http.error", NOW)


def test_every_event_is_left_by_something() -> None:
    """The names that `GET /api/logs?event=` knows are those that are written."""
    job = attempt_of().job
    left = {event for _, names in OUTCOMES for event, _ in names}
    left |= {skipped(job, Gap("overlap", NOW, NOW, 1), NOW).event}
    left |= {state_rejected(job, "too large", NOW).event}
    assert left == set(EVENTS)


def test_a_job_without_a_start_is_logged_at_the_end() -> None:
    """Where the start is unknown, the time of the entry is the time of writing."""
    attempt = attempt_of()
    unknown = Attempt(replace(attempt.job, attempted_at=None), attempt.args)
    assert entries(unknown, answered())[0].at == NOW


def test_an_interruption_is_an_error_of_unknown_duration() -> None:
    """After a crash nobody knows how long the request ran; the entry says so."""
    entry = interruption_of(replace(attempt_of().job, kind=Kind.CALLBACK), NOW)
    assert (entry.event, entry.at) == ("worker.http.error", NOW)
    assert (entry.user_id, entry.job_id, entry.kind) == (USER, 29180, Kind.CALLBACK)
    payload = payload_of(entry)
    assert set(payload) == {"error", "message", "duration_ms"}
    assert (payload["error"], payload["duration_ms"]) == ("interrupted", None)


def test_a_gap_shows_its_reason_its_ends_and_how_many_times_it_holds() -> None:
    """Contract §6: `{reason, first, last, count}`, with times as in `job.*`."""
    last = STARTED + timedelta(minutes=10)
    entry = skipped(attempt_of().job, Gap("misfire", STARTED, last, 3), NOW)
    assert (entry.event, entry.job_id, entry.at) == ("schedule.skipped", 29180, NOW)
    assert payload_of(entry) == {
        "reason": "misfire",
        "first": "2030-01-01T12:00:00.000000Z",
        "last": "2030-01-01T12:10:00.000000Z",
        "count": 3,
    }
    assert gap_in(entry.payload) == Gap("misfire", STARTED, last, 3)


def test_a_rejected_state_shows_why() -> None:
    """The run stays completed; the entry is all that tells of its `$set`."""
    entry = state_rejected(attempt_of().job, "$state must be smaller", NOW)
    assert (entry.event, entry.job_id, entry.at) == ("schedule.state_rejected", 29180, NOW)
    assert payload_of(entry) == {"reason": "$state must be smaller"}

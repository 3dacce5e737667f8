"""Log entries: the payloads of contract §7, and what never stands in them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from booper.model.event import EVENTS, LogEntry, NewEntry
from booper.model.job import (
    Attempt,
    Failed,
    Job,
    Kind,
    Outcome,
    Refused,
    Responded,
    Response,
    State,
)
from booper.model.schedule import Gap
from booper.wire.log import entries_of, interruption_of, skipped, state_rejected
from booper.wire.redaction import REDACTED, Redaction
from booper.wire.request import render

STARTED = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
NOW = STARTED + timedelta(milliseconds=1_500)
USER = UUID("bd2aa099-6eb7-4dbb-9178-32141def1355")
URL = "https://target.test/hook"
JSON = "application/json"


def attempt_of(**fields: object) -> Attempt:
    """Return an attempt, begun at `STARTED`, of a job that was created with these fields."""
    job = Job(
        id=29180,
        uuid=UUID("41d7f28b-dfbe-44b8-b716-b91898bb0ce0"),
        user_id=USER,
        idempotency_key=None,
        name=None,
        description=None,
        origin="target.test",
        args=json.dumps({"url": URL, **fields}),
        state=State.EXECUTING,
        attempt=1,
        max_attempts=15,
        inserted_at=STARTED,
        scheduled_at=STARTED,
        planned_at=STARTED,
        attempted_at=STARTED,
    )
    return Attempt.of(job)


def answered(
    body: bytes = b"", kind: str | None = None, *, status: int = 200, is_cut: bool = False
) -> Responded:
    """Return a response that took 12,345 µs."""
    headers = {} if kind is None else {"content-type": kind}
    return Responded(Response(status, headers, body, is_cut), timedelta(microseconds=12_345))


def entries(attempt: Attempt, outcome: Outcome) -> tuple[NewEntry, ...]:
    """Return what an attempt leaves whose request could be built."""
    return entries_of(attempt, render(attempt, "booper/1", NOW), outcome, Redaction(), NOW)


def payload_of(entry: NewEntry) -> dict[str, Any]:
    """Return an entry's payload as the JSON object it must be."""
    payload = json.loads(entry.payload)
    assert isinstance(payload, dict)
    return payload


def request_payload(**fields: object) -> dict[str, Any]:
    """Return the payload that an attempt's request leaves."""
    return payload_of(entries(attempt_of(**fields), answered())[0])


def response_payload(response: Responded) -> dict[str, Any]:
    """Return the payload that a response leaves."""
    return payload_of(entries(attempt_of(), response)[1])


def test_an_entry_has_exactly_the_keys_of_the_contract() -> None:
    """Contract §7: event, id, inserted_at, job_id, payload, user_id."""
    names = {field.name for field in fields(LogEntry)}
    assert names == {"event", "id", "inserted_at", "job_id", "payload", "user_id"}


OUTCOMES: list[tuple[Outcome, list[tuple[str, datetime]]]] = [
    (answered(), [("worker.http.request", STARTED), ("worker.http.response", NOW)]),
    (answered(status=500), [("worker.http.request", STARTED), ("worker.http.response", NOW)]),
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


# --- worker.http.request ---


def test_a_request_shows_its_four_keys_even_when_empty() -> None:
    """body, headers, query, url and no method; empty objects are shown (contract §7)."""
    assert request_payload(method="post") == {
        "body": None,
        "headers": {},
        "query": {},
        "url": URL,
    }


def test_a_request_shows_what_was_asked_for() -> None:
    """Body and query keep their JSON types."""
    query = {"min": 200, "tags": ["a", None]}
    shown = request_payload(method="post", body={"content": [1, None]}, query=query)
    assert shown == {"body": {"content": [1, None]}, "headers": {}, "query": query, "url": URL}


@pytest.mark.parametrize("body", ["text", "", 0, False, [], {}, 1.5])
def test_a_body_of_any_json_type_is_shown_as_it_is(body: object) -> None:
    """False and zero are bodies, not their absence."""
    shown = request_payload(method="post", body=body)["body"]
    assert (type(shown), shown) == (type(body), body)


HEADER_VALUES = ["text", "", 7, -1, 1.5, 1e22, 1e-7, True, False]


@pytest.mark.parametrize("value", HEADER_VALUES)
def test_a_logged_header_is_the_header_that_was_sent(value: object) -> None:
    """The log says what the target received: numbers and booleans as they went out."""
    headers = {"X-Value": value}
    sent = render(attempt_of(headers=headers), "booper/1", NOW).headers["X-Value"]
    assert request_payload(headers=headers)["headers"] == {"X-Value": sent}


SECRETS = ["Authorization", "authorization", "AUTHORIZATION", "Cookie", "cookie"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_header_never_reaches_the_log(name: str) -> None:
    """Its name is kept, its value is replaced, in any letter case (contract §4)."""
    headers = {name: "Bearer s3cret", "X-Open": "shown"}
    entry = entries(attempt_of(headers=headers), answered())[0]
    assert "s3cret" not in entry.payload
    assert payload_of(entry)["headers"] == {name: "[redacted]", "X-Open": "shown"}


def test_redacting_makes_a_copy() -> None:
    """The headers that are about to be sent are not the ones that are hidden."""
    headers = {"Cookie": "session=1"}
    assert Redaction().headers(headers) == {"Cookie": REDACTED}
    assert headers == {"Cookie": "session=1"}


def test_a_job_without_a_start_is_logged_at_the_end() -> None:
    """Where the start is unknown, the time of the entry is the time of writing."""
    attempt = attempt_of()
    unknown = Attempt(replace(attempt.job, attempted_at=None), attempt.args)
    assert entries(unknown, answered())[0].at == NOW


# --- worker.http.response ---


def test_a_response_shows_status_headers_body_and_duration() -> None:
    """The duration is in milliseconds, to the microsecond: 12,345 µs are 12.345 ms."""
    assert response_payload(answered(b'{"sent": [1]}', JSON, status=201)) == {
        "status": 201,
        "headers": {"content-type": JSON},
        "body": {"sent": [1]},
        "duration_ms": 12.345,
    }


def test_a_responses_cookies_are_hidden() -> None:
    """What logs a target's users in does not belong into a log."""
    response = Responded(Response(200, {"set-cookie": "session=s3cret"}, b"", False), timedelta(0))
    assert response_payload(response)["headers"] == {"set-cookie": "[redacted]"}


BODIES = [
    # body, content type, what is shown
    (b'{"a": 1}', JSON, {"a": 1}),
    (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
    (b'{"a": 1}', "application/problem+json", {"a": 1}),
    # RFC 9110 §8.3.1: media types are case-insensitive.
    (b'{"a": 1}', "Application/JSON", {"a": 1}),
    (b" [1] \r\n", JSON, [1]),
    (b'"text"', JSON, "text"),
    (b"null", JSON, None),
    (b"0", JSON, 0),
    (b'{"a": 1}', "text/plain", '{"a": 1}'),
    (b'{"a": 1}', None, '{"a": 1}'),
    (b"", JSON, ""),
    (b"", None, ""),
    (b"ok", JSON, "ok"),
    (b'{"a": 1', JSON, '{"a": 1'),
    (b'{"a": NaN}', JSON, '{"a": NaN}'),
    (b'{"a": 1} {}', JSON, '{"a": 1} {}'),
    (b"\xef\xbb\xbf{}", JSON, "\ufeff{}"),
    (b'"\\ud800"', JSON, '"\\ud800"'),
    ("Grüße €".encode(), "text/plain", "Grüße €"),
    (b"[" * 100_000 + b"]" * 100_000, JSON, "[" * 100_000 + "]" * 100_000),
]


@pytest.mark.parametrize(("body", "kind", "shown"), BODIES, ids=lambda case: f"{case!r:.30}")
def test_a_body_is_shown_as_json_where_it_is_json_and_as_text_otherwise(
    body: bytes, kind: str | None, shown: object
) -> None:
    """What calls itself JSON and is not is text; no response can make a log entry fail."""
    assert response_payload(answered(body, kind))["body"] == shown


LATIN = "text/html; charset=ISO-8859-1"

CODED_BODIES: list[tuple[bytes, str | None, object]] = [
    (b"caf\xe9", LATIN, "café"),
    (b"caf\xe9", 'text/html; charset="iso-8859-1"; x=y', "café"),
    (b"caf\xe9", "text/html;CHARSET=latin1", "café"),
    # Windows-1252 §0x80: the euro sign.
    (b"\x80", "text/plain; charset=windows-1252", "€"),
    ("日本".encode("shift_jis"), "text/plain; charset=Shift_JIS", "日本"),
    ("Привет".encode("koi8-r"), "text/plain; charset=koi8-r", "Привет"),
    ("é".encode("utf-16"), "text/plain; charset=utf-16", "é"),
    (b'{"a": "\xe9"}', "application/json; charset=iso-8859-1", {"a": "é"}),
    # What is declared wrongly, or not at all known, may be UTF-8.
    ("é".encode(), "text/plain; charset=us-ascii", "é"),
    ("é".encode(), "text/plain; charset=none-such", "é"),
    # Codecs of Python that are no charsets.
    (b"abc", "text/plain; charset=rot13", "abc"),
    (b"eJxLBAABYQE=", "text/plain; charset=zip", "eJxLBAABYQE="),
]

# In base64 (RFC 4648 §4): 0xff 0x00 0xfe is 111111 110000 000011 111110, that is / w D +.
BYTES: list[tuple[bytes, str | None, str]] = [
    (b"\xff\x00\xfe", "application/octet-stream", "/wD+"),
    (b"\xff\x00\xfe", "image/png", "/wD+"),
    (b"\xff\x00\xfe", None, "/wD+"),
    (b"\xff\x00\xfe", JSON, "/wD+"),
    (b"\xff\x00\xfe", "text/plain", "/wD+"),
    (b"\xff\x00\xfe", "text/plain; charset=utf-8", "/wD+"),
    (b"\xff\x00\xfe", "text/plain; charset=none-such", "/wD+"),
    (b"\xff", "text/plain; charset=Shift_JIS", "/w=="),
]


@pytest.mark.parametrize(("body", "kind", "shown"), CODED_BODIES, ids=lambda case: f"{case!r:.40}")
def test_a_body_is_read_by_its_declared_charset(body: bytes, kind: str, shown: object) -> None:
    """Text is text in whatever charset its target writes (RFC 9110 §8.3.2)."""
    payload = response_payload(answered(body, kind))
    assert payload["body"] == shown
    assert "body_encoding" not in payload


@pytest.mark.parametrize(("body", "kind", "shown"), BYTES, ids=lambda case: f"{case!r:.40}")
def test_what_is_no_text_is_kept_in_base64(body: bytes, kind: str | None, shown: str) -> None:
    """No byte is lost; `body_encoding` tells it from text that looks the same."""
    payload = response_payload(answered(body, kind))
    assert (payload["body"], payload["body_encoding"]) == (shown, "base64")


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        ("aé".encode()[:2], None, "a"),
        ("a€".encode()[:3], "text/plain", "a"),
        ("a日".encode("shift_jis")[:2], "text/plain; charset=shift_jis", "a"),
    ],
)
def test_half_a_character_at_the_cut_is_left_out(body: bytes, kind: str | None, shown: str) -> None:
    """A body that is cut in the middle of a character is text all the same."""
    payload = response_payload(answered(body, kind, is_cut=True))
    assert (payload["body"], payload.get("body_encoding")) == (shown, None)


def test_a_fault_stands_beside_the_status() -> None:
    """What was wrong behind the status line is said."""
    faulty = replace(answered(), response=replace(answered().response, fault="no such coding"))
    assert response_payload(faulty)["fault"] == "no such coding"


def test_a_cut_response_says_so_and_is_text() -> None:
    """What is missing may change the meaning: even if the rest reads as JSON it is not shown so."""
    shown = response_payload(answered(b"12", JSON, is_cut=True))
    assert (shown["body"], shown["truncated"]) == ("12", True)


def test_a_whole_response_does_not_mention_truncation() -> None:
    """Exactly four keys, as the contract has them."""
    assert set(response_payload(answered())) == {"status", "headers", "body", "duration_ms"}


@settings(max_examples=300)
@example(b'"\\ud83d"', JSON, False)
@example(b"1" * 5_000, JSON, False)
@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from([JSON, "application/x+json", "text/html", ""]),
    st.booleans(),
)
def test_no_response_makes_a_payload_that_is_not_json(body: bytes, kind: str, is_cut: bool) -> None:
    """Whatever a target sends, its log entry is UTF-8 and JSON."""
    entry = entries(attempt_of(), answered(body, kind, is_cut=is_cut))[1]
    # A number of thousands of digits is JSON; Python's limit on reading one is not at issue.
    shown = json.loads(entry.payload.encode(), parse_int=float)
    assert shown["status"] == 200


# --- worker.http.error ---


def test_a_failure_shows_its_word_its_sentence_and_its_duration() -> None:
    """`error` is stable for programs, `message` is for people."""
    outcome = Failed("timeout", "no response within 30 s", timedelta(seconds=30))
    assert payload_of(entries(attempt_of(), outcome)[1]) == {
        "error": "timeout",
        "message": "no response within 30 s",
        "duration_ms": 30_000,
    }


def test_a_refusal_shows_its_reason_and_took_no_time() -> None:
    """Nothing was sent, so nothing took time."""
    (entry,) = entries(attempt_of(), Refused("10.0.0.1 is in a private network"))
    assert payload_of(entry) == {
        "error": "refused",
        "message": "10.0.0.1 is in a private network",
        "duration_ms": 0,
    }


def test_an_interruption_is_an_error_of_unknown_duration() -> None:
    """After a crash nobody knows how long the request ran; the entry says so."""
    entry = interruption_of(replace(attempt_of().job, kind=Kind.CALLBACK), NOW)
    assert (entry.event, entry.at) == ("worker.http.error", NOW)
    assert (entry.user_id, entry.job_id, entry.kind) == (USER, 29180, Kind.CALLBACK)
    payload = payload_of(entry)
    assert set(payload) == {"error", "message", "duration_ms"}
    assert (payload["error"], payload["duration_ms"]) == ("interrupted", None)


# --- schedule.skipped, schedule.state_rejected ---


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


def test_a_rejected_state_shows_why() -> None:
    """The run stays completed; the entry is all that tells of its `$set`."""
    entry = state_rejected(attempt_of().job, "$state must be smaller", NOW)
    assert (entry.event, entry.job_id, entry.at) == ("schedule.state_rejected", 29180, NOW)
    assert payload_of(entry) == {"reason": "$state must be smaller"}

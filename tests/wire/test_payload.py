"""Requests and outcomes as they are shown, and what is never shown of them (contract §7)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from booper.model.job import Attempt, Failed, Outcome, Refused, Request, Responded, Response
from booper.wire.payload import outcome_payload, request_payload
from booper.wire.redaction import Redaction
from booper.wire.request import render
from tests.support.jobs import URL, executing

AT = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
JSON = "application/json"


def answered(
    body: bytes = b"", kind: str | None = None, *, status: int = 200, is_cut: bool = False
) -> Responded:
    """Return a response that took 12,345 µs."""
    headers = {} if kind is None else {"content-type": kind}
    return Responded(Response(status, headers, body, is_cut), timedelta(microseconds=12_345))


def request_of(**fields: object) -> Request:
    """Return the request of a job that was created with these fields."""
    return render(Attempt.of(executing(AT, **fields)), "booper/1", AT)


def shown_request(**fields: object) -> dict[str, Any]:
    """Return how the request of a job is shown."""
    text = msgspec.json.encode(request_payload(request_of(**fields), Redaction()))
    payload: dict[str, Any] = json.loads(text)
    return payload


def payload_of(outcome: Outcome) -> dict[str, Any]:
    """Return how an outcome is shown."""
    payload: dict[str, Any] = json.loads(written(outcome))
    return payload


def written(outcome: Outcome) -> bytes:
    """Return how an outcome is shown, as JSON text."""
    return msgspec.json.encode(outcome_payload(outcome, Redaction()))


# --- requests ---


def test_a_request_shows_its_four_keys_even_when_empty() -> None:
    """body, headers, query, url and no method; empty objects are shown (contract §7)."""
    assert shown_request(method="post") == {
        "body": None,
        "headers": {},
        "query": {},
        "url": URL,
    }


def test_a_request_shows_what_was_asked_for() -> None:
    """Body and query keep their JSON types."""
    query = {"min": 200, "tags": ["a", None]}
    shown = shown_request(method="post", body={"content": [1, None]}, query=query)
    assert shown == {"body": {"content": [1, None]}, "headers": {}, "query": query, "url": URL}


@pytest.mark.parametrize("body", ["text", "", 0, False, [], {}, 1.5])
def test_a_body_of_any_json_type_is_shown_as_it_is(body: object) -> None:
    """False and zero are bodies, not their absence."""
    shown = shown_request(method="post", body=body)["body"]
    assert (type(shown), shown) == (type(body), body)


HEADER_VALUES = ["text", "", 7, -1, 1.5, 1e22, 1e-7, True, False]


@pytest.mark.parametrize("value", HEADER_VALUES)
def test_a_logged_header_is_the_header_that_was_sent(value: object) -> None:
    """The log says what the target received: numbers and booleans as they went out."""
    headers = {"X-Value": value}
    sent = request_of(headers=headers).headers["X-Value"]
    assert shown_request(headers=headers)["headers"] == {"X-Value": sent}


SECRETS = ["Authorization", "authorization", "AUTHORIZATION", "Cookie", "cookie"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_header_never_reaches_the_log(name: str) -> None:
    """Its name is kept, its value is replaced, in any letter case (contract §4)."""
    headers = {name: "Bearer s3cret", "X-Open": "shown"}
    payload = shown_request(headers=headers)
    assert "s3cret" not in str(payload)
    assert payload["headers"] == {name: "[redacted]", "X-Open": "shown"}


# --- responses ---


def test_a_response_shows_status_headers_body_and_duration() -> None:
    """The duration is in milliseconds, to the microsecond: 12,345 µs are 12.345 ms."""
    assert payload_of(answered(b'{"sent": [1]}', JSON, status=201)) == {
        "status": 201,
        "headers": {"content-type": JSON},
        "body": {"sent": [1]},
        "duration_ms": 12.345,
    }


def test_a_responses_cookies_are_hidden() -> None:
    """What logs a target's users in does not belong into a log."""
    response = Responded(Response(200, {"set-cookie": "session=s3cret"}, b"", False), timedelta(0))
    assert payload_of(response)["headers"] == {"set-cookie": "[redacted]"}


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
    assert payload_of(answered(body, kind))["body"] == shown


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
    payload = payload_of(answered(body, kind))
    assert payload["body"] == shown
    assert "body_encoding" not in payload


@pytest.mark.parametrize(("body", "kind", "shown"), BYTES, ids=lambda case: f"{case!r:.40}")
def test_what_is_no_text_is_kept_in_base64(body: bytes, kind: str | None, shown: str) -> None:
    """No byte is lost; `body_encoding` tells it from text that looks the same."""
    payload = payload_of(answered(body, kind))
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
    payload = payload_of(answered(body, kind, is_cut=True))
    assert (payload["body"], payload.get("body_encoding")) == (shown, None)


def test_a_fault_stands_beside_the_status() -> None:
    """What was wrong behind the status line is said."""
    faulty = replace(answered(), response=replace(answered().response, fault="no such coding"))
    assert payload_of(faulty)["fault"] == "no such coding"


def test_a_cut_response_says_so_and_is_text() -> None:
    """What is missing may change the meaning: even if the rest reads as JSON it is not shown so."""
    shown = payload_of(answered(b"12", JSON, is_cut=True))
    assert (shown["body"], shown["truncated"]) == ("12", True)


def test_a_whole_response_does_not_mention_truncation() -> None:
    """Exactly four keys, as the contract has them."""
    assert set(payload_of(answered())) == {"status", "headers", "body", "duration_ms"}


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
    """Whatever a target sends, what is shown of it is UTF-8 and JSON."""
    text = written(answered(body, kind, is_cut=is_cut))
    # A number of thousands of digits is JSON; Python's limit on reading one is not at issue.
    shown = json.loads(text.decode(), parse_int=float)
    assert shown["status"] == 200


# --- no response ---


def test_a_failure_shows_its_word_its_sentence_and_its_duration() -> None:
    """`error` is stable for programs, `message` is for people."""
    outcome = Failed("timeout", "no response within 30 s", timedelta(seconds=30))
    assert payload_of(outcome) == {
        "error": "timeout",
        "message": "no response within 30 s",
        "duration_ms": 30_000,
    }


def test_a_refusal_shows_its_reason_and_took_no_time() -> None:
    """Nothing was sent, so nothing took time."""
    assert payload_of(Refused("10.0.0.1 is in a private network")) == {
        "error": "refused",
        "message": "10.0.0.1 is in a private network",
        "duration_ms": 0,
    }

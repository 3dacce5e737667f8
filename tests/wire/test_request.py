"""What a target receives: method, URL, headers and body of one attempt (contract §8)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from booper.model.args import METHODS
from booper.model.job import Attempt, Request
from booper.wire.request import render
from tests.support.jobs import UNIQUE, URL, executing

PLANNED = datetime(2030, 1, 1, 12, 0, 0, 250, tzinfo=UTC)
AGENT = "booper/1.2.3"


def request_of(**fields: object) -> Request:
    """Render the first attempt of a job that was created with these fields."""
    return render(Attempt.of(executing(PLANNED, **fields)), AGENT, PLANNED)


def test_a_plain_job_brings_booper_headers_and_no_body() -> None:
    """Without method, headers or body it is a GET that says who sends it and for which job."""
    assert request_of() == Request(
        "GET",
        URL,
        {
            "User-Agent": "booper/1.2.3",
            "Booper-Job-Id": "29180",
            "Booper-Attempt": "1",
            "Booper-Scheduled-At": "2030-01-01T12:00:00.000250Z",
            "Idempotency-Key": str(UNIQUE),
            "Accept-Encoding": "identity",
        },
        b"",
        user_headers={},
        query={},
    )


def test_a_request_remembers_what_was_the_users_part_of_it() -> None:
    """The log shows the user's headers and parameters, not booper's (contract §7)."""
    query = {"ids": [1, None], "q": "a b"}
    request = request_of(headers={"X-N": 7, "user-agent": "mine"}, query=query)
    assert request.user_headers == {"X-N": "7", "user-agent": "mine"}
    assert request.query == query


# --- method ---


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_a_method_is_sent_in_capitals_however_it_was_written(method: str) -> None:
    """HTTP methods are case-sensitive (RFC 9110 §9.1), the field `method` is not."""
    for spelling in (method, method.upper(), method.capitalize()):
        assert request_of(method=spelling).method == method.upper()


def test_the_methods_are_those_of_the_contract() -> None:
    """Contract §3 names five; the test above tries each."""
    assert set(METHODS) == {"get", "post", "put", "patch", "delete"}


def test_no_method_is_get() -> None:
    """Absent and null alike mean the default."""
    assert request_of(method=None).method == request_of().method == "GET"


# --- query ---

QUERIES = [
    # url, query, what is requested
    ("https://t.test", {"a": "1"}, "https://t.test?a=1"),
    ("https://t.test/", {"a": "1"}, "https://t.test/?a=1"),
    ("https://t.test/p", {"a": "1", "b": "2"}, "https://t.test/p?a=1&b=2"),
    ("https://t.test/p?x=0", {"a": "1"}, "https://t.test/p?x=0&a=1"),
    ("https://t.test/p?a=0", {"a": "1"}, "https://t.test/p?a=0&a=1"),
    ("https://t.test/p#top", {"a": "1"}, "https://t.test/p?a=1"),
    ("https://t.test/p?x=0#top", {"a": "1"}, "https://t.test/p?x=0&a=1"),
    # A question mark behind # belongs to the fragment (RFC 3986 §3.5).
    ("https://t.test/p#top?x=0", {"a": "1"}, "https://t.test/p?a=1"),
    # What the user wrote into the URL is not written anew.
    ("https://t.test/a%2Fb?x=%20+é", {"a": "1"}, "https://t.test/a%2Fb?x=%20+é&a=1"),
    # Each JSON type.
    (URL, {"n": 1}, f"{URL}?n=1"),
    (URL, {"n": -0.5}, f"{URL}?n=-0.5"),
    (URL, {"n": 12345678901234567890}, f"{URL}?n=12345678901234567890"),
    (URL, {"yes": True, "no": False}, f"{URL}?yes=true&no=false"),
    (URL, {"a": "", "b": "x"}, f"{URL}?a=&b=x"),
    (URL, {"a": None, "b": "x"}, f"{URL}?b=x"),
    (URL, {"ids": [1, 2, 3]}, f"{URL}?ids=1&ids=2&ids=3"),
    (URL, {"ids": [1, None, "x", True]}, f"{URL}?ids=1&ids=x&ids=true"),
    (URL, {"o": {"a": 1}}, f"{URL}?o=%7B%22a%22%3A1%7D"),
    (URL, {"l": [[1, 2]]}, f"{URL}?l=%5B1%2C2%5D"),
    # Nothing to add.
    (URL, {}, URL),
    (URL, {"a": None}, URL),
    (URL, {"a": []}, URL),
    (URL, {"a": [None]}, URL),
    # What would end or split the query is escaped, and so are names.
    (URL, {"q": "a&b=c#d?e"}, f"{URL}?q=a%26b%3Dc%23d%3Fe"),
    (URL, {"a b&c": "x"}, f"{URL}?a+b%26c=x"),
    (URL, {"q": "50% + ü"}, f"{URL}?q=50%25+%2B+%C3%BC"),
    (URL, {"q": "a\r\nHost: evil"}, f"{URL}?q=a%0D%0AHost%3A+evil"),
]


@pytest.mark.parametrize(("url", "query", "expected"), QUERIES)
def test_a_query_is_added_to_the_url(url: str, query: dict[str, object], expected: str) -> None:
    """Parameters follow those of the URL; lists repeat, null is left out, fragments stay here."""
    assert request_of(url=url, query=query).url == expected


def test_no_query_leaves_the_url_as_it_was_written() -> None:
    """A URL without parameters to add is not touched."""
    url = "https://t.test/a%2Fb/?x=1&&y"
    assert request_of(url=url, query=None).url == request_of(url=url).url == url


@settings(max_examples=150)
@given(
    st.dictionaries(st.text(max_size=8), st.text(max_size=20), min_size=1, max_size=4),
    st.sampled_from(["", "?x=0"]),
)
def test_a_target_reads_the_very_parameters_that_were_given(
    query: dict[str, str], before: str
) -> None:
    """Any text survives the way into a query and out of it, behind what the URL had."""
    url = request_of(url=f"https://t.test/{before}", query=query).url
    read = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert read == [("x", "0")] * bool(before) + list(query.items())
    assert url.isascii()


# --- body ---

JSON_BODIES = [
    ({"content": "Hello world!"}, b'{"content": "Hello world!"}'),
    ([1, 2], b"[1, 2]"),
    ({}, b"{}"),
    (0, b"0"),
    (False, b"false"),
    (1.0, b"1.0"),
    ("text", b'"text"'),
    ("", b'""'),
]


@pytest.mark.parametrize(("body", "content"), JSON_BODIES)
def test_a_json_body_goes_out_as_it_came(body: object, content: bytes) -> None:
    """The body is the JSON text that was posted, a bare string included, marked as JSON."""
    request = request_of(method="post", body=body)
    assert request.content == content
    assert request.headers["Content-Type"] == "application/json"


def test_numbers_keep_digits_that_no_float_has() -> None:
    """The body is not read and written anew: long numbers and key order survive."""
    body = '{"z":1.10,"a":123456789012345678901234567890}'
    job = replace(executing(PLANNED), args=f'{{"url":"{URL}","body":{body}}}')
    assert render(Attempt.of(job), AGENT, PLANNED).content == body.encode()


@pytest.mark.parametrize("method", METHODS)
def test_without_a_body_nothing_is_sent_and_no_type_claimed(method: str) -> None:
    """No method gets a body that was not asked for."""
    request = request_of(method=method)
    assert request.content == b""
    assert "Content-Type" not in request.headers


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_configured_body_is_sent_with_any_method(method: str) -> None:
    """GET and DELETE are sent without a body only where none was configured (contract §6)."""
    assert request_of(method=method, body={"a": 1}).content == b'{"a": 1}'


STRING_BODIES = [
    ("Content-Type", "text/plain", "Time for standup!", b"Time for standup!"),
    ("content-type", "application/x-www-form-urlencoded", "a=1&b=2", b"a=1&b=2"),
    ("CONTENT-TYPE", "application/xml", '<a b="c"/>\n', b'<a b="c"/>\n'),
    ("Content-Type", "text/plain; charset=utf-8", "Grüße €", "Grüße €".encode()),
    ("Content-Type", "text/plain", "", b""),
    # The user says it is JSON: then the string's text is that JSON.
    ("Content-Type", "application/json", '{"a":1}', b'{"a":1}'),
]


@pytest.mark.parametrize(("name", "kind", "body", "content"), STRING_BODIES)
def test_a_string_body_with_a_content_type_goes_out_as_its_text(
    name: str, kind: str, body: str, content: bytes
) -> None:
    """The text itself is the body, in UTF-8, under the user's content type alone (contract §8)."""
    request = request_of(method="post", headers={name: kind}, body=body)
    assert request.content == content
    kinds = [(n, v) for n, v in request.headers.items() if n.lower() == "content-type"]
    assert kinds == [(name, kind)]


def test_an_object_with_a_content_type_stays_json_under_that_type() -> None:
    """Only strings are unwrapped; `application/vnd.api+json` may carry an object."""
    headers = {"content-type": "application/vnd.api+json"}
    request = request_of(method="post", headers=headers, body={"a": 1})
    assert request.content == b'{"a": 1}'
    assert request.headers["content-type"] == "application/vnd.api+json"
    assert "Content-Type" not in request.headers


# --- headers ---

OWN = [
    "User-Agent",
    "Booper-Job-Id",
    "Booper-Attempt",
    "Booper-Scheduled-At",
    "Idempotency-Key",
    "Accept-Encoding",
    "Content-Type",
]


@pytest.mark.parametrize("spelling", [str, str.lower, str.upper])
@pytest.mark.parametrize("name", OWN)
def test_a_users_header_wins_in_any_letter_case(name: str, spelling: Callable[[str], str]) -> None:
    """Each of booper's headers is sent only if the user did not set it (RFC 9110 §5.1)."""
    written = spelling(name)
    request = request_of(method="post", body={}, headers={written: "mine"})
    same = {key: value for key, value in request.headers.items() if key.lower() == name.lower()}
    assert same == {written: "mine"}
    assert {key.lower() for key in request.headers} == {key.lower() for key in OWN}


def test_the_headers_tried_are_all_that_booper_sets() -> None:
    """A request with a body brings exactly the headers of the table above."""
    assert sorted(request_of(method="post", body={}).headers) == sorted(OWN)


def test_a_users_own_headers_are_sent_as_written() -> None:
    """Names keep their letter case; numbers and booleans are written as in JSON."""
    given = {"X-Name": "a b", "authorization": "Bearer s3cret", "X-N": 7, "X-F": 1.5, "X-B": True}
    sent = request_of(headers=given).headers
    assert {name: sent[name] for name in given} == {
        "X-Name": "a b",
        "authorization": "Bearer s3cret",
        "X-N": "7",
        "X-F": "1.5",
        "X-B": "true",
    }


def test_the_idempotency_key_is_the_jobs_uuid_on_every_attempt() -> None:
    """A target can tell a repeated attempt; the create's own `idempotency_key` is another thing."""
    job = executing(PLANNED, idempotency_key="jane@example.com:welcome")
    attempts = [
        render(Attempt.of(replace(job, attempt=n)), AGENT, PLANNED).headers for n in (1, 2, 15)
    ]
    assert [headers["Idempotency-Key"] for headers in attempts] == [str(UNIQUE)] * 3
    assert [headers["Booper-Attempt"] for headers in attempts] == ["1", "2", "15"]
    assert {headers["Booper-Job-Id"] for headers in attempts} == {"29180"}


def test_the_scheduled_time_is_the_planned_one_whatever_retries_did() -> None:
    """A retry moves `scheduled_at`; the target is told the time that was planned (contract §8)."""
    job = executing(PLANNED)
    for late in (timedelta(0), timedelta(minutes=5), timedelta(days=12)):
        moved = replace(job, scheduled_at=PLANNED + late, attempted_at=PLANNED + late)
        headers = render(Attempt.of(moved), AGENT, PLANNED).headers
        assert headers["Booper-Scheduled-At"] == "2030-01-01T12:00:00.000250Z"


def test_two_renderings_of_an_attempt_are_equal() -> None:
    """Nothing in a request depends on when it is built."""
    attempt = Attempt.of(executing(PLANNED, method="post", body={"a": 1}, query={"b": 2}))
    assert render(attempt, AGENT, PLANNED) == render(attempt, AGENT, PLANNED)


# --- runs of a schedule (contract §6) ---

PREVIOUS = '{"sent": [1, 2], "n": 7}'
KEPT = '{"sent": [3], "token": "$previous.n"}'


def run_of(*, previous: str = PREVIOUS, state: str = KEPT, **fields: object) -> Request:
    """Render the first attempt of a schedule's run."""
    return render(Attempt.of(executing(PLANNED, **fields), previous, state), AGENT, PLANNED)


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_a_runs_absent_body_counts_as_an_empty_object(method: str) -> None:
    """The three keys alone are the body; `$job` holds the integer id and the state."""
    request = run_of(method=method)
    body = json.loads(request.content)
    assert set(body) == {"$job", "$previous", "$state"}
    assert (body["$job"]["id"], body["$job"]["state"]) == (29180, "executing")
    assert (body["$previous"], body["$state"]) == (json.loads(PREVIOUS), json.loads(KEPT))
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_run_without_a_place_for_a_body_has_no_metadata(method: str) -> None:
    """GET and DELETE without a configured body are sent without one."""
    assert run_of(method=method).content == b""
    assert set(json.loads(run_of(method=method, body={}).content)) == {
        "$job",
        "$previous",
        "$state",
    }


def test_a_runs_references_are_replaced_in_body_query_and_headers() -> None:
    """Values keep their JSON type in the body and are written as text elsewhere; null is absent."""
    request = run_of(
        method="post",
        body={"exclude": "$previous.sent", "none": "$state.nothing", "price": "$$5"},
        query={"n": "$previous.n", "ids": "$state.sent", "no": "$state.no"},
        headers={"X-N": "$previous.n", "X-None": "$state.no", "X-Job": "$job.id"},
        metadata=False,
    )
    assert json.loads(request.content) == {"exclude": [1, 2], "none": None, "price": "$5"}
    assert request.url == f"{URL}?n=7&ids=3"
    assert request.user_headers == {"X-N": "7", "X-Job": "29180"}


def test_what_a_target_answered_is_never_rendered_itself() -> None:
    """A `$state` that holds a reference's text is data."""
    request = run_of(method="post", body={"token": "$state.token"}, metadata=False)
    assert json.loads(request.content) == {"token": "$previous.n"}


@pytest.mark.parametrize("body", [[1], "text", 7])
def test_a_body_that_is_no_object_has_no_place_for_metadata(body: object) -> None:
    """Only objects get the three keys."""
    assert json.loads(run_of(method="post", body=body).content) == body


def test_a_run_without_metadata_has_the_configured_body_alone() -> None:
    """`metadata: false` adds nothing, also where nothing was configured."""
    assert json.loads(run_of(method="post", body={"a": 1}, metadata=False).content) == {"a": 1}
    assert run_of(method="post", metadata=False).content == b""


def test_a_one_off_job_has_no_metadata_and_no_references() -> None:
    """What looks like a reference is its user's text (contract §6)."""
    body = {"a": "$previous.n", "b": "$$5"}
    request = request_of(method="post", body=body, headers={"X": "$job.id"}, query={"q": "$$5"})
    assert json.loads(request.content) == body
    assert request.headers["X"] == "$job.id"
    assert request.url == f"{URL}?q=%24%245"

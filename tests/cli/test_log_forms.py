"""The forms of the daemon's log: whatever is in a line, it is one line, and JSON can be read."""

import json
import logging
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from booper.api.request_log import current_id
from booper.cli.log_lines import FIELDS, MAX_LINE, MAX_MESSAGE, JSONFormatter, LineFormatter
from booper.docs import markdown
from tests.support.processes import (
    Daemon,
    allow_local_targets,
    listening_target,
    serving,
    until,
)
from tests.support.service_manager import BOOPER

KEY = "sk_a_key_for_the_log_forms"

# What others could write -> how the line for people has it, None where that is cut.
HOSTILE: dict[str, tuple[str, str | None]] = {
    "a line of its own": (
        "a\n2030-01-01T00:00:00.000Z INFO b",
        r"a\n2030-01-01T00:00:00.000Z INFO b",
    ),
    "carriage return": ("a\rb", r"a\rb"),
    "other line breaks": ("a\x0b\x0c\x1c\x85\u2028\u2029b", r"a\x0b\x0c\x1c\x85\u2028\u2029b"),
    "escape": ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
    "C1": ("\x9b2J", r"\x9b2J"),
    "NUL and DEL": ("\0\x7f", r"\x00\x7f"),
    "bidi": ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
    "invisible": ("a\u200b\ufeff\U000e0041", r"a\u200b\ufeff\U000e0041"),
    "lone surrogates": ("a\ud800b\udcffc", r"a\ud800b\udcffc"),
    "quotes": ('"},{"level":"info"\\', '"},{"level":"info"\\'),
    "letters": ("Zoë 東京 😀", "Zoë 東京 😀"),
    "a mebibyte": ("x" * (1 << 20), None),
    "a mebibyte of escapes": ("\U000e0041\n" * (1 << 19), None),
}


def record(**values: Any) -> logging.LogRecord:
    """Return a record of 2030-01-01, 1,893,456,000 s after 1970."""
    given = {"name": "booper", "levelname": "INFO", "created": 1_893_456_000.0, "msecs": 0.0}
    return logging.makeLogRecord(given | values)


def raised(message: str) -> dict[str, Any]:
    """Return what a record has of an error with this message."""
    error = ValueError(message)
    return {"msg": "failed", "exc_info": (ValueError, error, None)}


def places(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the field of a line, and a record with this text there."""
    yield "message", {"msg": text}
    yield "message", {"msg": "%s", "args": (text,)}
    yield "exception", raised(text)
    yield "stack", {"msg": "stuck", "stack_info": text}
    for name in FIELDS:
        yield name, {"msg": "x", "fields": {name: text}}


@pytest.mark.parametrize("case", HOSTILE)
def test_whatever_is_in_a_line_it_is_one_object_of_json(case: str) -> None:
    """In ASCII without control characters, and of a length that no collector of logs cuts."""
    text, _ = HOSTILE[case]
    for place, values in places(text):
        line = JSONFormatter().format(record(**values))
        assert line.isascii()
        assert line.isprintable()
        assert len(line) <= MAX_LINE
        found = json.loads(line)
        found[place].encode()  # no half of a surrogate pair
        if len(text) < MAX_LINE and "surrogates" not in case:
            assert text in found[place]
        assert found["time"] == "2030-01-01T00:00:00.000Z"
        assert found["level"] == "info"


@pytest.mark.parametrize("case", HOSTILE)
def test_whatever_is_in_a_line_for_people_it_is_one_line(case: str) -> None:
    """What cannot be printed is escaped, and what is very long is cut."""
    text, shown = HOSTILE[case]
    line = LineFormatter().format(record(msg="job 1: %s", args=(text,)))
    assert line.isprintable()
    if shown is None:
        assert len(line) < 12 * MAX_MESSAGE
    else:
        assert line == f"2030-01-01T00:00:00.000Z INFO job 1: {shown}"


def test_a_traceback_is_a_field() -> None:
    """With all its lines; a stack that was asked for is another one."""
    try:
        raise ValueError("unexpected")
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
    line = JSONFormatter().format(record(msg="x", exc_info=info, stack_info="Stack:\n  a"))
    found = json.loads(line)
    assert found["exception"].startswith("Traceback (most recent call last):\n  File ")
    assert found["exception"].endswith("\nValueError: unexpected")
    assert found["stack"] == "Stack:\n  a"


def test_a_long_text_keeps_its_two_ends() -> None:
    """Both say most: where an error came from, and what it was."""
    found = json.loads(JSONFormatter().format(record(**raised("é" * 100_000 + "end"))))
    assert found["exception"].startswith("ValueError: éé")
    assert found["exception"].endswith("ééend")
    assert re.search(r" … \d+ characters … ", found["exception"])
    assert found["message"] == "failed"


def test_a_line_of_a_request_names_it() -> None:
    """In both forms, above a traceback too."""
    token = current_id.set(b"abc-1")
    try:
        lines = [form().format(record(msg="x")) for form in (LineFormatter, JSONFormatter)]
        failed = LineFormatter().format(record(**raised("y")))
    finally:
        current_id.reset(token)
    assert lines[0] == "2030-01-01T00:00:00.000Z INFO x (request abc-1)"
    assert json.loads(lines[1])["request_id"] == "abc-1"
    assert failed.splitlines() == [
        "2030-01-01T00:00:00.000Z INFO failed (request abc-1)",
        "ValueError: y",
    ]


def test_the_reference_lists_every_field() -> None:
    """Once each, and its example is such a line."""
    section = markdown("operating").partition("## The log\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^- (`.*?`): ", section, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    always = {"time", "level", "logger", "message", "request_id", "exception", "stack"}
    assert sorted(named) == sorted([*always, *FIELDS])
    example = json.loads(section.partition("```json\n")[2].partition("\n```")[0])
    given = {name: value for name, value in example.items() if name not in always}
    created = 1_893_488_405.012  # 9 h and 5.012 s later
    again = record(
        name=example["logger"], levelname="WARNING", msg=example["message"], fields=given
    )
    again.created, again.msecs = created, 12.0
    assert JSONFormatter().format(again) in section


# --- a running daemon -----------------------------------------------------------------------------


def lines_of(daemon: Daemon, logger: str) -> list[dict[str, Any]]:
    """Return the lines of a log of JSON that a logger has written; every line can be read."""
    return [each for each in map(json.loads, daemon.log.splitlines()) if each["logger"] == logger]


def with_settings(folder: Path, **settings: object) -> Path:
    """Write the settings of the log, and return the folder."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    allow_local_targets(folder, "\n".join(["[logging]", *lines]))
    return folder


# What comes as `X-Request-Id` -> whether it is the id of the request.
GIVEN: dict[str, tuple[list[bytes], bool]] = {
    "absent": ([], False),
    "a UUID": ([b"0190f5fe-7c00-7a00-8000-000000000000"], True),
    "a trace": ([b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"], True),
    "base64": ([b"aGVsbG8+/w=="], True),
    "one character": ([b"a"], True),
    "128 characters": ([b"a" * 128], True),
    "129 characters": ([b"a" * 129], False),
    "16 KiB": ([b"a" * (16 << 10)], False),
    "empty": ([b""], False),
    "a space": ([b"a b"], False),
    "a tab": ([b"a\tb"], False),
    "a quote": ([b'a","level":"error'], False),
    "a percent escape": ([b"a%0aINFO"], False),
    "other letters": (["é".encode()], False),
    "latin-1": ([b"\xe9"], False),
    "markup": ([b"<script>"], False),
    "two, of which the first counts": ([b"first", b"second"], True),
}


def test_each_response_has_the_id_of_its_request_and_so_has_its_line(tmp_path: Path) -> None:
    """A well-formed one is taken over; others are replaced, and no two are the same."""
    folder = with_settings(tmp_path, access=True)
    seen = []
    with serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon:
        for number, (values, is_taken) in enumerate(GIVEN.values()):
            headers = [(b"X-Request-Id", value) for value in values]
            response = daemon.api.get(f"/api/jobs/{number + 1}", headers=[*headers, AUTHORIZED])
            assert response.status_code == 404
            [found] = response.headers.get_list("x-request-id")
            assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", found) or is_taken
            if is_taken:
                assert found.encode() == values[0]
            seen.append((f"/api/jobs/{number + 1}", found))
        until(lambda: f"/api/jobs/{len(GIVEN)}" in daemon.log, "the last one is logged")
        lines = lines_of(daemon, "booper.requests")
    assert [(each["path"], each["request_id"]) for each in lines] == seen
    assert len({found for _, found in seen}) == len(seen)


AUTHORIZED = (b"Authorization", f"Bearer {KEY}".encode())


def test_a_request_has_one_line_and_probes_have_none(tmp_path: Path) -> None:
    """With its method, path, status, client and key, without its query; an unknown key is told."""
    folder = with_settings(tmp_path, access=True)
    with serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon:
        for path in ("/healthz", "/readyz", "/metrics", "/api/ping?secret=1"):
            assert daemon.api.get(path.partition("?")[0]).status_code == 200
        daemon.api.post("/api/jobs?secret=1", json={"url": "secret"})
        daemon.api.get("/secret" * 100)
        daemon.api.get("/api/jobs", headers={"Authorization": "Bearer sk_secret_secret"})
        until(lambda: daemon.log.count('"booper.requests"') == 4, "they are logged")
        lines = lines_of(daemon, "booper.requests")
        [refused] = lines_of(daemon, "booper.access")
    shown = [(each["method"], each["path"][:10], each["status"]) for each in lines]
    assert shown == [
        ("GET", "/api/ping", 200),
        ("POST", "/api/jobs", 422),
        ("GET", "/secret/se", 404),
        ("GET", "/api/jobs", 401),
    ]
    assert all(each["client"] == "127.0.0.1" and each["duration_ms"] >= 0 for each in lines)
    assert ["key_id" in each for each in lines] == [False, True, False, False]
    assert len(lines[2]["path"]) == 200
    assert refused["request_id"] == lines[3]["request_id"]
    assert "sk_" not in daemon.log
    assert "secret=1" not in daemon.log


def test_each_attempt_has_one_line_of_json(tmp_path: Path) -> None:
    """A failure names method and origin; nothing of path, query, headers or body is there."""
    folder = with_settings(tmp_path)
    with (
        listening_target() as target,
        serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon,
    ):
        for attempts in (2, 1):
            job = {
                "method": "post",
                "url": f"{target.url}/secret?secret=1#secret",
                "headers": {"X-Secret": "secret"},
                "body": {"secret": "secret"},
                "expect_status": [204],
                "max_attempts": attempts,
                "backoff": [600],
            }
            daemon.api.post("/api/jobs", json=job)
        until(lambda: daemon.log.count("booper.attempts") == 2, "both are logged")
        lines = lines_of(daemon, "booper.attempts")
        assert "secret" not in daemon.log
        assert lines_of(daemon, "booper.requests") == []
    origin = target.url
    for each in lines:
        assert 0 < each.pop("duration_ms") < 10_000
        assert each.pop("time").endswith("Z")
        each["message"] = re.sub(r" in \d+ ms", "", each["message"])
    said = {"logger": "booper.attempts", "attempt": 1, "status": 200}
    fields = {**said, "method": "POST", "origin": origin}
    assert sorted(lines, key=lambda each: each["job_id"]) == [
        {
            **fields,
            "level": "warning",
            "message": f"job 1 attempt 1: POST {origin} responded 200, now retryable",
            "job_id": 1,
            "state": "retryable",
        },
        {
            **fields,
            "level": "error",
            "message": f"job 2 attempt 1: POST {origin} responded 200, now discarded",
            "job_id": 2,
            "state": "discarded",
        },
    ]


def test_sighup_changes_how_and_what_is_logged(tmp_path: Path) -> None:
    """At once: the form, the least level, and whether requests are logged."""
    folder = with_settings(tmp_path, format="text")
    with serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon:
        assert daemon.api.get("/api/ping").status_code == 200
        with_settings(folder, format="json", access=True)
        daemon.tell(signal.SIGHUP)
        until(lambda: "SIGHUP" in daemon.log, "the settings were read")
        [line] = daemon.log.splitlines()
        assert json.loads(line)["message"] == (
            "SIGHUP: changed settings: [logging] format, [logging] access"
        )
        daemon.api.get("/api/ping")
        until(lambda: "booper.requests" in daemon.log, "a request is logged")
        with_settings(folder, format="text", level="error", access=True)
        daemon.tell(signal.SIGHUP)
        until(lambda: leaves_no_line(daemon), "requests are logged no more")
        shown = daemon.log
        daemon.api.get("/api/ping")
        daemon.tell(signal.SIGTERM)
        daemon.wait_exit()
        assert daemon.log == f"{shown}booper is stopping; a second signal stops it at once\n"


def leaves_no_line(daemon: Daemon) -> bool:
    """Return whether a refused request leaves the log as it is."""
    shown = daemon.log
    daemon.api.get("/api/jobs", headers={"Authorization": "x"})
    return bool(daemon.api.get("/healthz")) and daemon.log == shown


def test_a_service_has_nothing_but_json_in_its_journal(tmp_path: Path) -> None:
    """From start to end, where standard output and standard error are one stream."""
    with (tmp_path / "journal").open("wb") as journal:
        process = subprocess.Popen(
            [*BOOPER, "serve", "--port", "0"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            env={name: os.environ[name] for name in os.environ if name != "BOOPER_API_KEY"},
        )
    try:
        shown = tmp_path / "journal"
        until(lambda: "serves booper.db on" in shown.read_text(), "it has started")
        [url] = re.findall(r"http://127\.0\.0\.1:\d+", shown.read_text())
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
    messages = [json.loads(line)["message"] for line in shown.read_text().splitlines()]
    assert messages[0].endswith(f"serves booper.db on {url}")
    assert messages[1].startswith("the first API key is in booper.db.first-key")
    assert "booper is stopping; a second signal stops it at once" in messages

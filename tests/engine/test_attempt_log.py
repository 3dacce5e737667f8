"""The process log: one line per attempt, its level by what it came to, its target by origin."""

import logging
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.support.target import FakeTarget, Script

pytestmark = pytest.mark.anyio

URL = "https://api.example.com:8443/path/secret?token=secret#secret"
ORIGIN = "https://api.example.com:8443"

ROWS: list[tuple[str, dict[str, Any], Sequence[Script], list[tuple[str, str]]]] = [
    (
        "what succeeds is INFO",
        {},
        [httpx.Response(204)],
        [("INFO", "job 1 attempt 1: responded 204, now completed")],
    ),
    (
        "what is tried again is a WARNING",
        {"max_attempts": 2, "backoff": [1]},
        [httpx.Response(503, text="secret"), httpx.Response(200)],
        [
            ("WARNING", f"job 1 attempt 1: POST {ORIGIN} responded 503, now retryable"),
            ("INFO", "job 1 attempt 2: responded 200, now completed"),
        ],
    ),
    (
        "what is given up is an ERROR",
        {"max_attempts": 1},
        [httpx.Response(500)],
        [("ERROR", f"job 1 attempt 1: POST {ORIGIN} responded 500, now discarded")],
    ),
    (
        "410 gives up at once",
        {},
        [httpx.Response(410)],
        [("ERROR", f"job 1 attempt 1: POST {ORIGIN} responded 410, now discarded")],
    ),
    (
        "no response is a failure",
        {"max_attempts": 1},
        [httpx.ConnectError("secret")],
        [("ERROR", f"job 1 attempt 1: POST {ORIGIN} failed (connect), now discarded")],
    ),
    (
        "a status that was expected is none",
        {"expect_status": ["4xx"]},
        [httpx.Response(404)],
        [("INFO", "job 1 attempt 1: responded 404, now completed")],
    ),
]


@pytest.mark.parametrize(
    ("fields", "script", "lines"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
async def test_each_attempt_has_one_line(
    booper: Booper,
    target: FakeTarget,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, Any],
    script: Sequence[Script],
    lines: list[tuple[str, str]],
) -> None:
    """A failure names method and origin; nothing of path, query, headers or body is in the log."""
    target.respond(*script)
    with caplog.at_level(logging.INFO, logger="booper"):
        await booper.jobs.create(
            method="post", url=URL, body={"a": "secret"}, headers={"X-A": "secret"}, **fields
        )
        await booper.wait_idle()
        clock.advance(timedelta(seconds=2))
        await booper.wait_idle()
    found = [
        (record.levelname, re.sub(r" in \d+ ms", "", record.getMessage()))
        for record in caplog.records
        if record.name == "booper.attempts"
    ]
    assert found == lines
    assert "secret" not in caplog.text

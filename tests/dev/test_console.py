"""The console of `booper dev`: how its lines fit a terminal, and what it shows when."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.clock import VirtualClock
from booper.dev.console import Console, Screen
from booper.dev.layout import MAX_TEXT, clean, columns, shorten, wrap
from booper.model.args import decode_args
from booper.model.job import (
    Attempt,
    Failed,
    Job,
    Kind,
    Outcome,
    Request,
    Responded,
    Response,
    State,
)
from tests.conftest import START

MILLISECOND = timedelta(milliseconds=1)
URL = "https://api.example.com/v1/customers/4711/reminders?channel=mail&language=de"
ESCAPE = "\x1b"


def job(**changes: Any) -> Job:
    """Return a job that is due in a minute."""
    args = {"method": "post", "url": URL}
    return replace(
        Job(
            id=12,
            uuid=UUID(int=12),
            user_id=UUID(int=1),
            idempotency_key=None,
            name="remind Jürgen",
            description=None,
            origin="https://api.example.com",
            args=json.dumps(args),
            state=State.SCHEDULED,
            attempt=0,
            max_attempts=15,
            inserted_at=START,
            scheduled_at=START + timedelta(minutes=1),
            planned_at=START + timedelta(minutes=1),
        ),
        **changes,
    )


class Watched:
    """A console on a terminal of a width that can be changed, and what it has shown."""

    def __init__(self, width: int | None = 80, *, is_colored: bool = False, is_plain: bool = False):
        self.lines: list[str] = []
        self.width = width
        self.slow: list[Callable[[], None]] = []
        self.clock = VirtualClock(START)
        screen = Screen(self.lines.append, lambda: self.width, is_colored, is_plain)
        self.console = Console(self.clock, screen, self._later)

    def _later(self, seconds: float, call: Callable[[], None]) -> "Watched":
        self.slow.append(call)
        return self

    def cancel(self) -> None:
        """Forget the call that was to be made later."""
        self.slow.clear()

    def sends(self, claimed: Job) -> None:
        """Send a job's request."""
        args = decode_args(claimed.args)
        request = Request("POST", args.url, {}, b"", {}, {})
        self.console.sent(Attempt(claimed, args), request)

    def settles(self, outcome: Outcome, after: Job) -> None:
        """End an attempt."""
        args = decode_args(after.args)
        request = Request("POST", args.url, {}, b"", {}, {})
        claimed = replace(after, scheduled_at=START, attempted_at=START, state=State.EXECUTING)
        self.console.settled(Attempt(claimed, args), request, outcome, after)


def answered(status: int, body: bytes = b"") -> Responded:
    """Return a response of a target after 12 ms."""
    return Responded(Response(status, {}, body, is_cut=False), 12 * MILLISECOND)


def failing(**changes: Any) -> Job:
    """Return a job whose first attempt has failed and that is tried again in 17 s."""
    again = START + timedelta(seconds=17)
    fields = {"attempt": 1, "attempted_at": START, "scheduled_at": again, **changes}
    return job(state=State.RETRYABLE, **fields)


@pytest.mark.parametrize("width", [40, 41, 60, 79, 80, 81, 120, 200])
def test_every_line_fits_the_terminal(width: int) -> None:
    """Whatever is shown, no line is wider, and none of the details is missing."""
    watched = Watched(width)
    watched.console.armed(job())
    watched.settles(answered(503, "überlastet, 再試行 ".encode() * 9), failing())
    watched.settles(Failed("connect", "connection refused " * 9, MILLISECOND), failing())
    watched.settles(answered(200), job(kind=Kind.CALLBACK, parent_id=12, state=State.COMPLETED))
    watched.console.told_time(is_frozen=True)
    watched.console.reset(3)
    assert max(map(columns, watched.lines)) <= width
    shown = "".join("".join(watched.lines).split())
    for text in ("remindJürgen", "connectionrefused", "attempt1of15", "12ms", "再試行"):
        assert text in shown


def test_a_wide_terminal_has_a_line_for_each_event() -> None:
    """At 200 columns all stands in one line; the day stands above once."""
    watched = Watched(200)
    watched.console.armed(job())
    watched.settles(answered(503, b"busy"), failing())
    assert watched.lines == [
        "Tue 2030-01-01",
        f'12:00:00 created   #12 POST {URL}  "remind Jürgen" · for Tue 2030-01-01 12:01:00'
        " · in 1 min",
        f'12:00:00 503       #12 POST {URL}  "remind Jürgen" · busy · 12 ms · attempt 1 of 15'
        " · again at 12:00:17, in 17 s",
    ]


def test_a_narrow_terminal_has_the_details_below() -> None:
    """At 40 columns a URL keeps its start and its end, and details wrap at their borders."""
    watched = Watched(40)
    watched.settles(answered(503, b"busy"), failing())
    assert watched.lines == [
        "Tue 2030-01-01",
        "12:00:00 503 #12 POST api.examp…guage=de",
        '     "remind Jürgen" · busy · 12 ms',
        "     attempt 1 of 15",
        "     again at 12:00:17, in 17 s",
    ]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"busy\n  now", "busy now"),
        (b'{"type": "about:blank", "detail": "no such\\nuser"}', "no such user"),
        (b'{"detail": 1}', '{"detail": 1}'),
        (b'{"detail": "cut', '{"detail": "cut'),
        (b"[" * 5_000, "[" * 199 + "…"),
        (b"\xff\x1b", "\ufffd\\x1b"),
        ("x".encode("utf-16"), "\ufffd\ufffdx\\x00"),
    ],
)
def test_a_failure_has_the_targets_words(body: bytes, shown: str) -> None:
    """The start of a response, or the detail of a problem (RFC 9457 §3.1.4)."""
    watched = Watched(None)
    watched.settles(answered(500, body), failing(name=None))
    assert watched.lines[0].split("; ")[1] == shown


def test_reports_that_arrive_can_be_hidden() -> None:
    """Those that fail are shown all the same: they are no noise."""
    watched = Watched(None)
    fine = job(kind=Kind.CALLBACK, parent_id=12, state=State.COMPLETED)
    watched.settles(answered(200), fine)
    watched.console.toggle_reports()
    watched.settles(answered(200), fine)
    watched.settles(answered(500), failing(kind=Kind.CALLBACK, parent_id=12))
    watched.console.toggle_reports()
    watched.settles(answered(200), fine)
    assert [line.split("Z ")[-1].split(" POST")[0] for line in watched.lines] == [
        "-> callback 200 #12",
        "callbacks and webhook events are hidden unless they fail",
        "-> callback 500 #12",
        "callbacks and webhook events are shown",
        "-> callback 200 #12",
    ]


def test_reports_are_dim_and_jobs_are_not() -> None:
    """Colours say what became of a job: green, yellow, red (SGR 32, 33, 31; 2 is dim)."""
    watched = Watched(200, is_colored=True)
    watched.settles(answered(200), job(state=State.COMPLETED))
    watched.settles(answered(503), failing())
    watched.settles(answered(410), job(state=State.DISCARDED))
    watched.settles(answered(200), job(kind=Kind.CALLBACK, parent_id=12, state=State.COMPLETED))
    _, completed, retried, discarded, report = watched.lines
    assert f"{ESCAPE}[32m200" in completed
    assert f"{ESCAPE}[33m503" in retried
    assert f"{ESCAPE}[31m410" in discarded
    assert report.startswith(f"{ESCAPE}[2m")
    assert f"{ESCAPE}[2m" not in completed


def test_a_request_that_is_not_answered_soon_is_shown_under_way() -> None:
    """One that is answered within a second is not."""
    watched = Watched(None)
    watched.sends(job(attempt=1))
    (call,) = watched.slow
    call()
    assert watched.lines == [
        f'2030-01-01T12:00:00Z sent #12 POST {URL}; "remind Jürgen"'
        "; no response after 1 s; still waiting"
    ]
    watched.settles(answered(200), job(state=State.COMPLETED))
    assert watched.slow == []


def test_a_terminal_without_unicode_gets_none_of_the_consoles_own() -> None:
    """Dots and ellipses are ASCII there."""
    watched = Watched(40, is_plain=True)
    watched.settles(answered(503, b"busy"), failing(name="Ada"))
    assert all(line.isascii() for line in watched.lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Jürgen 再", "Jürgen 再"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp", "\\u202egnp"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("x" * (MAX_TEXT + 1), "x" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_control_and_format_characters_are_escaped(text: str, shown: str) -> None:
    """No text of a job can move the cursor, change colours or turn the writing round."""
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "ab…ef"),
        ("abcdef", 2, "a…"),
        ("abcdef", 1, "…"),
        ("再試行する", 6, "再…る"),
    ],
)
def test_a_long_text_loses_its_middle(text: str, width: int, shown: str) -> None:
    """An East Asian character takes two columns (UAX #11)."""
    assert shorten(text, width) == shown
    assert columns(shown) <= width


@pytest.mark.parametrize(
    ("parts", "width", "lines"),
    [
        (["ab", "cd"], 7, ["ab · cd"]),
        (["ab", "cd"], 6, ["ab", "cd"]),
        (["one two three"], 7, ["one two", "three"]),
        (["abcdefgh"], 3, ["abc", "def", "gh"]),
        (["再試行"], 1, ["再", "試", "行"]),
        ([], 10, [""]),
    ],
)
def test_details_wrap_between_each_other(parts: list[str], width: int, lines: list[str]) -> None:
    """A detail is broken only where it does not fit a line by itself, at a space if it has one."""
    assert wrap(parts, width) == lines

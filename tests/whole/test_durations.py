"""Durations as text, everywhere a duration stands: API, form, TOML, client and command line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from booper.cli.times import Seconds, check_governed
from booper.cli.typed import duration_of
from booper.client import InvalidArgument
from booper.client.fields import duration
from booper.config import read_config
from booper.model.duration import InvalidDuration, parse_duration
from booper.model.retry import parse_backoff

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"

# Seconds: 60 to a minute, 3,600 to an hour, 86,400 to a day, 604,800 to a week.
READ: list[tuple[str, float]] = [
    ("90s", 90),
    ("5m", 300),
    ("1h", 3_600),
    ("1h30m", 5_400),
    ("1h 30m", 5_400),
    ("1d2h3m4s", 93_784),
    ("2 days", 172_800),
    ("1 day", 86_400),
    ("1w", 604_800),
    ("2 weeks", 1_209_600),
    ("1 hour 30 minutes", 5_400),
    ("45 MINUTES", 2_700),
    ("30 sec", 30),
    ("30secs", 30),
    ("10 min", 600),
    ("10mins", 600),
    ("2 hrs", 7_200),
    ("1.5h", 5_400),
    ("0.5s", 0.5),
    ("0s", 0),
    (" 5m ", 300),
    ("PT5M", 300),
    ("PT1H30M", 5_400),
    ("PT0.5S", 0.5),
    ("PT1,5H", 5_400),
    ("P2D", 172_800),
    ("P1DT12H", 129_600),
    ("P2W", 1_209_600),
]


@pytest.mark.parametrize(("text", "seconds"), READ)
def test_a_text_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    """Short and long names of units, the largest first; durations of ISO 8601."""
    assert parse_duration(text) == timedelta(seconds=seconds)


REFUSED = [
    "",
    " ",
    "soon",
    "5",
    "1.5",
    "m",
    "1h30",
    "30m1h",
    "5m5m",
    "-5m",
    "+5m",
    "5 M",
    "5M",
    "1ms",
    "5ss",
    "5us",
    "1 month",
    "1 year",
    "1 fortnight",
    "1h,30m",
    "1 hour and 30 minutes",
    "01:30:00",
    "1e3s",
    "1_000s",
    "\N{ARABIC-INDIC DIGIT FIVE}m",
    "5m\x00",
    "5m\n",
    "P",
    "PT",
    "P1DT",
    "P1M",
    "P1Y",
    "P1W1D",
    "PT1.5H30M",
    "PT30M1H",
    "-PT5M",
    "inf s",
    "nan s",
    "5m" * 100,
    "9" * 400 + "s",
    "36526 days",
    "5300 weeks",
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: f"{text!r:.30}")
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The error quotes the text, and shows what would be right or what the bound is."""
    with pytest.raises(InvalidDuration) as caught:
        parse_duration(text)
    assert repr(text[:40]) in str(caught.value)
    assert '"1h30m"' in str(caught.value) or "century" in str(caught.value)
    assert len(str(caught.value)) < 200


FIELDS = [
    {"schedule_in": "1h30m"},
    {"repeat_every": "PT5M", "jitter": "10s"},
    {"timeout": "90s"},
    {"backoff": ["10s", "5 minutes", 3]},
    {"idempotency_key": "k", "idempotency_ttl": "2 days"},
]


@pytest.mark.parametrize("fields", FIELDS)
async def test_the_api_reads_them_in_json_and_in_forms(
    api: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    """`args` shows what was sent."""
    response = await api.post("/api/jobs", json={"url": URL, **fields})
    assert response.status_code == 201, response.text
    assert response.json()["data"]["args"] == {"url": URL, **fields}
    form = {f"{k}[]" if isinstance(v, list) else k: v for k, v in fields.items()}
    again = await api.post("/api/jobs", data={"url": URL, **form})
    assert again.status_code in (200, 201), again.text


async def test_text_plans_what_numbers_would(api: httpx.AsyncClient) -> None:
    """It is 12:00: an hour and a half later, then every five minutes."""
    fields = {"schedule_in": "1h30m", "repeat_every": "5m"}
    made = (await api.post("/api/jobs", json={"url": URL, **fields})).json()["data"]
    shown = (await api.get(f"/api/schedules/{made['schedule_id']}?next_runs=2")).json()["data"]
    assert shown["next_runs"] == ["2030-01-01T13:30:00.000000Z", "2030-01-01T13:35:00.000000Z"]
    assert shown["frequency"] == {"repeat_every": [5, "minutes"]}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"schedule_in": "soon"}, "/schedule_in"),
        ({"repeat_every": "0.5s"}, "/repeat_every"),
        ({"timeout": "16m"}, "/timeout"),
        ({"timeout": "0s"}, "/timeout"),
        ({"backoff": ["1h", "soon"]}, "/backoff/1"),
        ({"repeat_every": "1m", "jitter": "60s"}, "/jitter"),
        ({"idempotency_key": "k", "idempotency_ttl": "1 month"}, "/idempotency_ttl"),
    ],
)
async def test_the_bounds_are_those_of_numbers(
    api: httpx.AsyncClient, fields: dict[str, Any], pointer: str
) -> None:
    """A text beyond a field's bounds is refused as its number would be."""
    response = await api.post("/api/jobs", json={"url": URL, **fields})
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


def test_toml_reads_them(tmp_path: Path) -> None:
    """`[retry] backoff` is a list of durations."""
    path = tmp_path / "booper.toml"
    path.write_text('[retry]\nbackoff = ["10s", "1h30m", [5, "minutes"], 3]\n')
    delays = parse_backoff(read_config(path, {}).retry.backoff).delays
    assert [delay.total_seconds() for delay in delays] == [10, 5_400, 300, 3]


@pytest.mark.parametrize(("text", "seconds"), READ)
def test_client_and_command_line_send_what_any_server_reads(text: str, seconds: float) -> None:
    """Seconds, or `[n, unit]`."""
    sent: Any = duration("schedule_in", text)
    assert parse_duration(tuple(sent) if isinstance(sent, list) else sent) == timedelta(
        seconds=seconds
    )
    assert duration_of("--in", text) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("1m30s", 90), ("0.5", 0.5), ("PT5M", 300), ("2", 2)]
)
def test_how_often_a_command_asks_is_a_duration_too(text: str, seconds: float) -> None:
    """Of `watch` and `tail`; a number is seconds, as it was."""
    assert Seconds(0.01, 3_600).convert(text, None, None) == seconds


GOVERNED: list[dict[str, Any]] = [
    {},
    {"timezone": "UTC", "cron": "@daily"},
    {"timezone": "UTC", "scheduled_at": "2031-01-01T00:00"},
    {"scheduled_at": "2029-12-31T23:59:30Z"},
    {"scheduled_at": "2029-12-31T12:00:00"},
    {"scheduled_at": "2020-01-01", "cron": "@daily"},
    {"scheduled_at": "1893456000"},
]


@pytest.mark.parametrize("fields", GOVERNED)
def test_what_has_an_effect_is_let_through(fields: dict[str, Any]) -> None:
    """A zone with something to govern; a time that is to come, has just passed, or may be local."""
    check_governed(fields, datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("text", [text for text in REFUSED if text not in ("5", "1.5")])
def test_client_and_command_line_refuse_the_same(text: str) -> None:
    """Each names the field or the option, and shows examples."""
    with pytest.raises(InvalidArgument, match=r"schedule_in: expected .*1h30m"):
        duration("schedule_in", text)
    with pytest.raises(InvalidArgument, match=r"--in: expected a duration such as .*1h30m"):
        duration_of("--in", text)

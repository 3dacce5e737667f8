"""One reader for every time: a text is read as what it says, or refused with what would be right.

Right values are ISO 8601's and RFC 3339's. 2030-01-31 is the fourth day of week 5 (1 January is a
Tuesday) and day 31 of its year. 2030-01-31T12:00:00Z is 1,896,091,200 seconds after 1970.
"""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from booper.clock import VirtualClock
from booper.model.moment import InvalidMoment, parse_moment
from booper.testing import VirtualBooper
from tests.support.strict_patterns import MOMENT

pytestmark = pytest.mark.anyio

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
MIDNIGHT = datetime(2030, 1, 31, tzinfo=UTC)
URL = "https://target.test/hook"

READ: list[tuple[str, datetime]] = [
    # Extended and basic, calendar, week and ordinal dates (ISO 8601 §5.2, §5.3, §5.4).
    ("2030-01-31T12:00:00Z", NOON),
    ("20300131T120000Z", NOON),
    ("20300131T1200Z", NOON),
    ("20300131T12Z", NOON),
    ("2030-01-31T12Z", NOON),
    ("2030-W05-4T12:00:00Z", NOON),
    ("2030W054T120000Z", NOON),
    ("2030-031T12:00:00Z", NOON),
    ("2030031T120000Z", NOON),
    ("2030-01-31", MIDNIGHT),
    ("2030-W05-4", MIDNIGHT),
    ("2030-031", MIDNIGHT),
    ("2028-366", datetime(2028, 12, 31, tzinfo=UTC)),
    # 2026-01-01 is a Thursday, so its week begins in 2025; 2026 has 53 weeks.
    ("2026-W01-1", datetime(2025, 12, 29, tzinfo=UTC)),
    ("2026-W53-7", datetime(2027, 1, 3, tzinfo=UTC)),
    # RFC 3339 §5.6: small letters, and a space for the T.
    ("2030-01-31t12:00:00z", NOON),
    ("2030-01-31 12:00:00z", NOON),
    ("2030-01-31t14:00:00+02:00", NOON),
    ("20300131T140000+0200", NOON),
    ("20300131T140000+02", NOON),
    ("2030-01-31T12:00:00-00:00", NOON),
    # ISO 8601-1:2004 §4.2.3: the end of a day.
    ("2030-01-30T24:00:00Z", MIDNIGHT),
    ("2030-01-30T24:00Z", MIDNIGHT),
    ("20300130T240000Z", MIDNIGHT),
    ("2030-01-30T24:00:00.000Z", MIDNIGHT),
    ("2029-12-31T24:00:00+02:00", datetime(2029, 12, 31, 22, tzinfo=UTC)),
    # RFC 3339 §5.7: a leap second ends a month; POSIX clocks count on to the next minute.
    ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ("1990-12-31T15:59:60-08:00", datetime(1991, 1, 1, tzinfo=UTC)),
    ("20150630T235960.5Z", datetime(2015, 7, 1, tzinfo=UTC)),
    # Fractions of a second, however long; a microsecond is the finest.
    ("2030-01-31T12:00:00,25Z", NOON + timedelta(milliseconds=250)),
    ("20300131T120000.123456789Z", NOON + timedelta(microseconds=123_456)),
    # Digits alone: 9 or 10 are seconds, 13 are milliseconds.
    ("100000000", datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
    ("1896091200", NOON),
    ("1896091200.5", NOON + timedelta(milliseconds=500)),
    ("1896091200000", NOON),
    ("1896091200123", NOON + timedelta(milliseconds=123)),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_a_time_is_read_as_what_it_says(text: str, expected: datetime) -> None:
    """ISO 8601 in its forms, RFC 3339's leniences, and Unix times as text."""
    assert parse_moment(text, None) == expected


AMBIGUOUS = [
    # As a Unix time: 20300131 s = 234 d 82,531 s; 203001311200 ms = 2,349 d 47,711.2 s.
    ("20300131", "2030-01-31T00:00:00Z", "1970-08-23T22:55:31Z"),
    ("203001311200", "2030-01-31T12:00:00Z", "1976-06-07T13:15:11.200000Z"),
    ("20300131120000", "2030-01-31T12:00:00Z", "2613-04-15T05:18:40Z"),
]


@pytest.mark.parametrize(("text", "date", "unix"), AMBIGUOUS)
def test_digits_that_could_be_a_date_are_refused_with_both_readings(
    text: str, date: str, unix: str
) -> None:
    """8, 12 and 14 digits: the user says which time is meant."""
    with pytest.raises(InvalidMoment) as caught:
        parse_moment(text, None)
    assert repr(text) in str(caught.value)
    assert date in str(caught.value)
    assert unix in str(caught.value)


REFUSED = [
    # Digits before a zone are neither a date and a time nor a Unix time.
    "20300131120000Z",
    "203001311200Z",
    "20300131Z",
    "2030-01-31Z",
    "2030013112:00",
    # Any other separator.
    *[f"2030-01-31{separator}12:00:00Z" for separator in "0_-/x.:,+\t\n\xa0"],
    "2030-01-31  12:00:00Z",
    "2030-01-31T 12:00:00Z",
    " 2030-01-31T12:00:00Z",
    "2030-01-31T12:00:00Z ",
    "2030-01-31T12:00:00 Z",
    "2030-01-31T12:00:00 +02:00",
    # Other numbers of digits.
    *["1" * count for count in (1, 4, 5, 6, 7, 11, 15, 16, 19, 30)],
    "99999999",
    "20301331",
    "20300131.5",
    "+1896091200",
    "-1896091200",
    "1e10",
    "1_896_091_200",
    "0x71000000",
    "1896091200.",
    "١٨٩٦٠٩١٢٠٠",  # Arabic digits
    # Reduced precision and truncation: no one moment.
    "2030",
    "2030-01",
    "2030-W05",
    "2030W05",
    "--01-31",
    "12:00",
    "T12:00:00Z",
    "2030-01-31T",
    "2030-01-31TZ",
    "2030-01-31T1Z",
    "2030-01-31T120Z",
    "2030-01-31T12:0000Z",
    "2030-01-31T1200:00Z",
    "2030-W054",
    "2030W05-4",
    # No such day or time.
    "2030-366",
    "2030-000",
    "2030-W53-1",
    "2030-W00-1",
    "2030-W05-8",
    "2030-W05-0",
    "2030-02-29",
    "2030-01-31T24:00:01Z",
    "2030-01-31T24:00:00.1Z",
    "2030-01-31T24:01Z",
    "2030-01-31T25:00Z",
    "2030-01-31T12:60:00Z",
    "2030-01-31T12:00:61Z",
    # A minute that has no leap second.
    "2030-01-31T12:00:60Z",
    "2030-01-30T23:59:60Z",
    "2030-01-31T23:59:60+01:00",
    # Offsets that none are.
    "2030-01-31T12:00:00+24:00",
    "2030-01-31T12:00:00+01:60",
    "2030-01-31T12:00:00+1",
    "2030-01-31T12:00:00+01:00:30",
    "2030-01-31T12:00:00\N{MINUS SIGN}01:00",
    "2030-01-31T12:00:00+01:00[Europe/Berlin]",
    "2030-01-31T12:00.5Z",
    "now",
    "31.01.2030",
    "01/31/2030",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_time_is_refused(text: str) -> None:
    """The error quotes the text and says what would be right."""
    with pytest.raises(InvalidMoment) as caught:
        parse_moment(text, None)
    assert repr(text[:40]) in str(caught.value)
    assert "ISO 8601" in str(caught.value) or "9 or 10 digits" in str(caught.value)


def test_a_plus_that_a_query_has_turned_into_a_space_is_told() -> None:
    """`+` means a space in a query and in a form."""
    with pytest.raises(InvalidMoment, match="%2B"):
        parse_moment("2030-01-31T12:00:00 02:00", None)


# --- every way in ---

TEXTS = [
    ("20300131T120000z", "2030-01-31T12:00:00.000000Z"),
    ("2030-01-30t24:00:00Z", "2030-01-31T00:00:00.000000Z"),
    ("1896091200", "2030-01-31T12:00:00.000000Z"),
    ("1896091200000", "2030-01-31T12:00:00.000000Z"),
]
WRONG = ["20300131", "203001311200", "20300131120000", "20300131120000Z", "203001311200Z", "12345"]
DAILY = {"url": URL, "repeat_every": [1, "day"]}


@pytest.mark.parametrize(("text", "due"), TEXTS)
async def test_json_and_forms_read_the_same_time(
    api: httpx.AsyncClient, text: str, due: str
) -> None:
    """`scheduled_at` and `starts_at`, as JSON text and as a form's value."""
    for fields in ({"url": URL, "scheduled_at": text}, {**DAILY, "starts_at": text}):
        response = await api.post("/api/jobs", json=fields)
        assert response.json()["data"]["job"]["scheduled_at"] == due
    for form in ({"scheduled_at": text}, {"repeat_every": "60", "starts_at": text}):
        response = await api.post("/api/jobs", data={"url": URL, **form})
        assert response.json()["data"]["job"]["scheduled_at"] == due


@pytest.mark.parametrize("text", WRONG)
async def test_every_field_and_filter_refuses_the_same_text(
    api: httpx.AsyncClient, text: str
) -> None:
    """Creates (JSON, form, batch), changes, filters in a query and in a body, `after`."""
    made = (await api.post("/api/jobs", json=DAILY)).json()["data"]
    schedule = f"/api/schedules/{made['schedule_id']}"
    responses = {
        "/scheduled_at": [
            await api.post("/api/jobs", json={"url": URL, "scheduled_at": text}),
            await api.post("/api/jobs", data={"url": URL, "scheduled_at": text}),
            await api.patch(schedule, json={"scheduled_at": text}),
        ],
        "/starts_at": [
            await api.post("/api/jobs", json={**DAILY, "starts_at": text}),
            await api.post("/api/jobs", data={"url": URL, "cron": "@daily", "starts_at": text}),
            await api.patch(schedule, json={"starts_at": text}),
        ],
        "/ends_at": [
            await api.post("/api/jobs", json={**DAILY, "ends_at": text}),
            await api.post("/api/jobs", data={"url": URL, "cron": "@daily", "ends_at": text}),
            await api.patch(schedule, json={"ends_at": text}),
        ],
        "/jobs/0/scheduled_at": [
            await api.post(
                "/api/jobs/batch?atomic=true", json={"jobs": [{"url": URL, "scheduled_at": text}]}
            )
        ],
        "/before": [await api.get("/api/jobs", params={"before": text})],
        "/after": [
            await api.get("/api/jobs", params={"after": text}),
            await api.get(schedule, params={"after": text}),
        ],
        "/filter/before": [
            await api.post("/api/jobs/cancel", json={"filter": {"before": text}, "dry_run": True})
        ],
        "/filter/after": [
            await api.post("/api/jobs/retry", json={"filter": {"after": text}, "dry_run": True})
        ],
    }
    for pointer, told in responses.items():
        for response in told:
            assert response.status_code == 422, response.text
            [error] = response.json()["errors"]
            assert error["pointer"] == pointer
            assert text in error["detail"]


async def test_a_filter_reads_a_unix_time(api: httpx.AsyncClient, clock: VirtualClock) -> None:
    """In a query Unix times are text, in a body numbers; both bound the same jobs."""
    at = clock.now() + timedelta(hours=1)
    await api.post("/api/jobs", json={"url": URL, "scheduled_at": at.isoformat()})
    seconds = int(at.timestamp())
    for value, count in ((seconds, 0), (seconds + 1, 1), ((seconds + 1) * 1000, 1)):
        listed = await api.get("/api/jobs", params={"before": str(value)})
        assert len(listed.json()["data"]) == count
        wanted = {"filter": {"before": value}, "dry_run": True}
        changed = await api.post("/api/jobs/cancel", json=wanted)
        assert changed.json()["data"]["matched"] == count


def test_a_client_writes_numbers_in_a_query_as_the_times_they_are() -> None:
    """A small number is Unix seconds; as digits of a query it could not be told from a date."""
    with VirtualBooper(start=NOON) as booper:
        made = booper.client.jobs.create(url=URL, schedule_in=60, repeat_every=60)
        assert len(booper.client.jobs.list(after=20_300_131).data) == 1
        assert len(booper.client.jobs.list(before=20_300_131).data) == 0
        assert booper.client.jobs.cancel_many(after=20_300_131, dry_run=True).matched == 1
        assert made.schedule_id is not None
        shown = booper.client.schedules.get(made.schedule_id, after=20_300_131, next_runs=1)
        assert shown.next_runs == (NOON + timedelta(minutes=1),)


def test_the_schema_shows_small_letters_and_unix_times() -> None:
    """OpenAPI's pattern of a moment matches what RFC 3339 allows."""
    assert "Zz" in MOMENT

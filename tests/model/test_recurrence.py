"""Check recurrence against a slow walk over real minutes, and its laws."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booper.model.recurrence import Cron, Interval
from booper.model.timezones import InvalidTimezone

MINUTE = timedelta(minutes=1)

# (zone, a moment near which its clocks change): gaps and folds of every kind.
CHANGES = [
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("America/Sao_Paulo", "2018-11-04T03:00"),
    ("America/Sao_Paulo", "2018-02-18T02:00"),
    ("America/St_Johns", "2010-03-14T03:31"),
    ("America/St_Johns", "2010-11-07T02:31"),
    ("Africa/Cairo", "2024-04-25T22:00"),
    ("America/Nuuk", "2026-03-29T01:00"),
    ("Antarctica/Troll", "2026-03-29T01:00"),
    ("Antarctica/Casey", "2009-10-17T18:00"),
    ("Antarctica/Casey", "2010-03-04T15:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("Pacific/Kwajalein", "1969-09-30T13:00"),
    ("Antarctica/McMurdo", "1956-01-01T00:00"),
    ("Asia/Kathmandu", "1985-12-31T18:30"),  # a gap of 15 minutes, beside New Year
    ("UTC", "2026-01-01T00:00"),
]
ZONES = sorted({zone for zone, _ in CHANGES})

bounded = settings(max_examples=60, derandomize=True)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- the slow walk: written from the contract alone, shares no code with the model ---


def values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            begin, end = low, high
        else:
            first, _, last = span.partition("-")
            begin, end = int(first), int(last or first)
        found |= {n for n in range(begin, end + 1) if (n - begin) % int(step or 1) == 0}
    return found


class SlowCron:
    """Match a wall-clock minute by the letter of the contract."""

    def __init__(self, expression: str) -> None:
        minute, hour, day, month, weekday = expression.split()
        self.minutes, self.hours = values(minute, 0, 59), values(hour, 0, 23)
        self.days, self.months = values(day, 1, 31), values(month, 1, 12)
        self.weekdays = {n % 7 for n in values(weekday, 0, 7)}
        self.is_either = day[0] != "*" and weekday[0] != "*"
        self.is_fixed = minute[0] != "*" and hour[0] != "*"

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours:
            return False
        if wall.month not in self.months:
            return False
        days = [wall.day in self.days, wall.isoweekday() % 7 in self.weekdays]
        return any(days) if self.is_either else all(days)

    def runs(self, zone: str, begin: datetime, end: datetime) -> list[datetime]:
        """Walk every real minute from `begin` on and before `end`; no change just before it."""
        place, found = ZoneInfo(zone), []
        seen = begin.astimezone(place).replace(tzinfo=None) - MINUTE
        moment = begin
        while moment < end:
            wall = moment.astimezone(place).replace(tzinfo=None)
            if self.is_due(wall, seen):
                found.append(moment)
            seen = max(seen, wall)
            moment += MINUTE
        return found

    def is_due(self, wall: datetime, seen: datetime) -> bool:
        if not self.is_fixed:
            return self.matches(wall)
        if wall <= seen:
            return False
        skipped = (wall - seen) // MINUTE - 1
        if skipped > 180:
            skipped = 0
        return any(self.matches(wall - n * MINUTE) for n in range(skipped + 1))


def items(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    step = st.integers(1, max(2, (high - low) // 2))
    span = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    stepped = st.tuples(span, step).map(lambda parts: f"{parts[0]}/{parts[1]}")
    stars = st.one_of(st.just("*"), step.map(lambda n: f"*/{n}"))
    return st.one_of(number.map(str), span, stepped, stars)


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(items(low, high), min_size=1, max_size=3).map(",".join)


# Days are mostly left open, so that runs fall into the nights under test.
crons = st.tuples(
    fields(0, 59),
    st.one_of(fields(0, 23), fields(0, 4), st.sampled_from(["22-23", "0,23", "1-3"])),
    st.one_of(st.just("*"), fields(1, 28)),
    st.just("*"),
    st.one_of(st.just("*"), fields(0, 7)),
).map(" ".join)

changes = st.sampled_from(CHANGES)
moments = st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def walk(cron: Cron, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Step through the runs from `begin` on and before `end`."""
    run = cron.next_after(begin - timedelta(microseconds=1))
    while run is not None and run < end:
        yield run
        run = cron.next_after(run)


def walk_back(cron: Cron, begin: datetime, end: datetime) -> Iterator[datetime]:
    run = cron.last_before(end)
    while run is not None and run >= begin:
        yield run
        run = cron.last_before(run)


# --- cron ---


@bounded
@given(crons, changes, st.integers(25 * 60, 40 * 60))
def test_cron_agrees_with_a_walk_over_real_minutes_around_clock_changes(
    expression: str, change: tuple[str, str], lead_minutes: int
) -> None:
    """Forwards, backwards and counted, the runs are those a minute-by-minute clock would start."""
    zone, changes_at = change
    begin = utc(changes_at) - lead_minutes * MINUTE
    end = begin + timedelta(hours=66)
    expected = SlowCron(expression).runs(zone, begin, end)
    cron = Cron.parse(expression, zone)
    assert list(walk(cron, begin, end)) == expected
    assert list(walk_back(cron, begin, end)) == expected[::-1]
    assert cron.count(begin, end - MINUTE) == len(expected)


@bounded
@given(crons, changes, st.integers(0, 3 * 10**11), st.integers(0, 10**11))
def test_count_equals_stepping_from_any_microsecond(
    expression: str, change: tuple[str, str], start_microseconds: int, length: int
) -> None:
    """A closed range may begin and end anywhere, inside gaps and folds too."""
    zone, changes_at = change
    cron = Cron.parse(expression, zone)
    first = utc(changes_at) - timedelta(days=2) + timedelta(microseconds=start_microseconds)
    last = first + timedelta(microseconds=length)
    stepped = sum(1 for _ in walk(cron, first, last + timedelta(microseconds=1)))
    assert cron.count(first, last) == stepped


@bounded
@given(crons, st.sampled_from(ZONES), moments)
def test_next_and_last_are_strict_and_undo_each_other(
    expression: str, zone: str, moment: datetime
) -> None:
    """Nothing lies between a run and its neighbour; both directions name the same runs."""
    cron = Cron.parse(expression, zone)
    following, previous = cron.next_after(moment), cron.last_before(moment)
    assert following is not None
    assert previous is not None
    assert previous < moment < following
    after_previous = cron.next_after(previous)
    assert after_previous in {moment, following}
    assert cron.last_before(following) in {moment, previous}
    second = cron.next_after(following)
    assert second is not None
    assert second > following
    assert cron.last_before(second) == following
    assert cron.count(following, second) == 2


@bounded
@given(crons, st.sampled_from(ZONES), moments)
def test_a_run_shows_a_time_the_cron_names_unless_it_ends_a_gap(
    expression: str, zone: str, moment: datetime
) -> None:
    """On the clocks of its zone each run matches, or its wall-clock time was just skipped to."""
    run = Cron.parse(expression, zone).next_after(moment)
    assert run is not None
    assert run.tzinfo is UTC
    place = ZoneInfo(zone)
    wall = run.astimezone(place)
    before = (run - timedelta(seconds=1)).astimezone(place)
    ends_gap = wall.utcoffset() != before.utcoffset()
    assert ends_gap or SlowCron(expression).matches(wall)


def test_the_first_and_the_last_of_a_range_are_counted() -> None:
    """The range is closed; turned around, it is empty."""
    cron = Cron.parse("0 * * * *")
    assert cron.count(utc("2026-01-01T00:00"), utc("2026-01-01T02:00")) == 3
    assert cron.count(utc("2026-01-01T00:00:00.000001"), utc("2026-01-01T01:59")) == 1
    assert cron.count(utc("2026-01-01T02:00"), utc("2026-01-01T00:00")) == 0


def test_a_century_of_minutes_is_counted_by_arithmetic() -> None:
    """2000 to 2099 have 36,525 days of 1,440 minutes: too many to step through in a test."""
    cron = Cron.parse("* * * * *", "Europe/Berlin")
    assert cron.count(utc("2000-01-01T00:00"), utc("2099-12-31T23:59")) == 36_525 * 1_440


def test_a_time_that_no_clock_ever_shows_ends_the_search() -> None:
    """31 March as a Sunday is always the night on which Berlin skips 02:00 to 03:00."""
    cron = Cron.parse("*/30 2 31 3 */7", "Europe/Berlin")
    assert cron.next_after(utc("2026-01-01T00:00")) is None


def test_the_calendar_ends_without_an_error() -> None:
    """At the edges of datetime there is no next and no last run, and no overflow."""
    cron = Cron.parse("* * * * *", "Pacific/Kiritimati")
    assert cron.next_after(datetime.max.replace(tzinfo=UTC)) is None
    assert cron.last_before(datetime.min.replace(tzinfo=UTC)) is None
    assert cron.next_after(datetime.min.replace(tzinfo=UTC)) is not None
    assert cron.last_before(datetime.max.replace(tzinfo=UTC)) is not None


def test_a_cron_is_a_value() -> None:
    """It keeps the text as given, equals its like, and refuses a time without a zone."""
    cron = Cron.parse("0 9 * * MON", "Europe/Berlin")
    assert (cron.expression, cron.timezone) == ("0 9 * * MON", "Europe/Berlin")
    assert cron == Cron.parse("0 9 * * MON", "Europe/Berlin")
    assert cron != Cron.parse("0 9 * * MON")
    assert Cron.parse("@daily").timezone == "UTC"
    with pytest.raises(ValueError, match="must have a zone"):
        cron.next_after(datetime(2026, 1, 1))


# --- time zones ---


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Europe/Berlni", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("new_york", "America/New_York"),
        ("America/New York", "America/New_York"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_near_name(name: str, near: str) -> None:
    """The message quotes what was given and what was probably meant."""
    with pytest.raises(InvalidTimezone) as refusal:
        Cron.parse("@daily", name)
    assert f"{name!r} is unknown: did you mean {near!r}?" in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../UTC",
        "UTC\x00",
        "UTC\n",
        "x" * 1_000_000,
        "A/" * 500 + "A",
        "\ud800",
        "\u00c9urope/Paris",
        "Europe",
        "UTC/",
        "__init__",
        "zone.tab",
        "localtime",
        "posix/Europe/Berlin",
        "right/Europe/Berlin",
        "CON",
    ],
)
def test_a_hostile_zone_name_is_refused_like_any_unknown_one(name: str) -> None:
    """No path is opened, no other exception escapes, and the message stays short."""
    with pytest.raises(InvalidTimezone) as refusal:
        Cron.parse("@daily", name)
    assert len(str(refusal.value)) < 300


# --- intervals ---

spans = st.timedeltas(timedelta(seconds=1), timedelta(days=400))


@bounded
@given(spans, moments, st.integers(0, 1000), st.integers(-10, 10))
def test_an_interval_runs_exactly_on_its_grid(
    every: timedelta, anchor: datetime, n: int, microseconds: int
) -> None:
    """Near any grid point anchor + n * every, the neighbours are grid points, exactly."""
    interval = Interval(every, anchor)
    point = anchor + n * every
    t = point + timedelta(microseconds=microseconds)
    following = point if microseconds < 0 else point + every
    previous = point if microseconds > 0 else point - every
    assert interval.next_after(t) == following
    assert interval.last_before(t) == (previous if previous >= anchor else None)


@bounded
@given(st.integers(1, 50), st.integers(-200, 200), st.integers(-200, 200))
def test_an_interval_counts_what_a_list_would(every: int, first: int, last: int) -> None:
    """Counting equals filtering the written-out grid, both ends included."""
    anchor = utc("2026-01-01T00:00")
    grid = range(0, 201, every)
    interval = Interval(timedelta(seconds=every), anchor)
    begin, end = (anchor + timedelta(seconds=s) for s in (first, last))
    assert interval.count(begin, end) == sum(first <= point <= last for point in grid)


def test_an_interval_begins_with_its_anchor() -> None:
    """The anchor is the first run: nothing lies before it."""
    anchor = utc("2026-01-01T00:00")
    interval = Interval(timedelta(minutes=5), anchor)
    assert interval.next_after(utc("2020-01-01T00:00")) == anchor
    assert interval.last_before(anchor) is None
    assert interval.last_before(anchor + timedelta(microseconds=1)) == anchor
    assert interval.count(utc("2020-01-01T00:00"), anchor) == 1


def test_a_day_long_interval_does_not_follow_the_wall_clock() -> None:
    """24 hours stay 24 hours although Berlin's 29 March 2026 has 23: 09:00 CET, then 10:00 CEST."""
    anchor = datetime(2026, 3, 28, 9, tzinfo=ZoneInfo("Europe/Berlin"))
    interval = Interval(timedelta(days=1), anchor)
    assert interval.anchor.tzinfo is UTC
    assert interval.next_after(utc("2026-03-28T08:00")) == utc("2026-03-29T08:00")


def test_a_grid_of_odd_microseconds_does_not_drift() -> None:
    """A thousand million steps of 1.000001 s are 10**9 s and 1,000 s."""
    anchor = utc("2026-01-01T00:00")
    interval = Interval(timedelta(seconds=1, microseconds=1), anchor)
    run = anchor + timedelta(seconds=10**9 + 1_000)
    assert interval.next_after(run - timedelta(microseconds=1)) == run
    assert interval.count(anchor, run) == 10**9 + 1


def test_an_interval_past_the_last_year_has_no_next_run() -> None:
    """Beyond year 9999 there is nothing, and no overflow."""
    interval = Interval(timedelta.max, utc("2026-01-01T00:00"))
    assert interval.next_after(utc("2026-01-01T00:00")) is None
    assert interval.next_after(utc("2025-01-01T00:00")) == utc("2026-01-01T00:00")


@pytest.mark.parametrize(
    "every", [timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=999)]
)
def test_an_interval_under_a_second_is_refused(every: timedelta) -> None:
    """The contract's least interval is one second."""
    with pytest.raises(ValueError, match="at least 1 second"):
        Interval(every, utc("2026-01-01T00:00"))


def test_an_anchor_without_a_zone_is_refused() -> None:
    """A naive time would silently mean the machine's own zone."""
    with pytest.raises(ValueError, match="must have a zone"):
        Interval(timedelta(hours=1), datetime(2026, 1, 1))


def test_walking_a_week_of_nights_is_strictly_increasing() -> None:
    """Several fixed times that fall into one gap make one run, never two at one instant."""
    cron = Cron.parse("0,15,30,45 0-5 * * *", "America/New_York")
    runs = list(walk(cron, utc("2026-03-08T05:00"), utc("2026-03-08T11:00")))
    # 05:00-07:00 UTC is 00:00-02:00 EST, then 03:00-06:00 EDT until 10:00 UTC: 8 + 12 runs, of
    # which the one at 07:00 UTC stands for 02:00 to 02:45 as well.
    assert len(runs) == 20
    assert all(earlier < later for earlier, later in pairwise(runs))

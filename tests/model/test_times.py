"""Times as users write them, and as identifiers carry them."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from booper.model.duration import (
    UNITS,
    Duration,
    InvalidDuration,
    duration_in_words,
    parse_duration,
)
from booper.model.identity import uuid7
from booper.model.moment import InvalidMoment, Moment, parse_moment

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
INFINITE = float("inf")
NOT_A_NUMBER = float("nan")


def short(value: object) -> str:
    """Name a case in at most 40 characters; some values have hundreds of digits."""
    return f"{value!r:.40}"


# --- durations (contract §3) ---

DURATIONS: list[tuple[Duration, timedelta]] = [
    (0, timedelta(0)),
    (-0.0, timedelta(0)),
    (30, timedelta(seconds=30)),
    (1.5, timedelta(milliseconds=1_500)),
    (1e-6, timedelta(microseconds=1)),
    (5e-324, timedelta(0)),
    ((1, "second"), timedelta(seconds=1)),
    ((30, "seconds"), timedelta(seconds=30)),
    ((1, "minute"), timedelta(seconds=60)),
    ((45, "minutes"), timedelta(seconds=2_700)),
    ((1, "hour"), timedelta(seconds=3_600)),
    ((12, "hours"), timedelta(seconds=43_200)),
    ((1, "day"), timedelta(seconds=86_400)),
    ((2, "days"), timedelta(seconds=172_800)),
    ((1, "week"), timedelta(seconds=604_800)),
    ((2, "weeks"), timedelta(seconds=1_209_600)),
    ((0.5, "hours"), timedelta(seconds=1_800)),
    ((0, "weeks"), timedelta(0)),
    ((5, "second"), timedelta(seconds=5)),
    ((1, "seconds"), timedelta(seconds=1)),
    ((3, "Minutes"), timedelta(seconds=180)),
    ((36_525, "days"), timedelta(days=36_525)),
    (36_525 * 86_400, timedelta(days=36_525)),
]


@pytest.mark.parametrize(("value", "expected"), DURATIONS, ids=short)
def test_a_duration_is_seconds_or_an_amount_and_a_unit(
    value: Duration, expected: timedelta
) -> None:
    """Seconds, fractions, and each unit in singular and plural are read."""
    assert parse_duration(value) == expected


def test_the_table_names_every_unit_in_both_numbers() -> None:
    """The contract's five units stand in the cases above, singular and plural."""
    tried = {value[1] for value, _ in DURATIONS if isinstance(value, tuple)}
    units = {"second", "minute", "hour", "day", "week"}
    assert set(UNITS) == units
    assert tried >= units | {f"{unit}s" for unit in units}


WRONG_DURATIONS: list[tuple[Duration, str, int | None]] = [
    (-1, "must not be negative, got -1", None),
    (-0.001, "must not be negative", None),
    (-5e-324, "must not be negative", None),
    (-INFINITE, "must not be negative", None),
    (-(10**400), "must not be negative", None),
    ((-1, "seconds"), "must not be negative, got -1", 0),
    (INFINITE, "at most a century", None),
    (NOT_A_NUMBER, "at most a century", None),
    (1e308, "at most a century", None),
    (36_525 * 86_400 + 1, "at most a century", None),
    (2**63, "at most a century", None),
    (10**30, "at most a century", None),
    # JSON has no largest integer; this one is too large even for a float.
    (10**400, "at most a century", None),
    ((10**400, "weeks"), "at most a century", 0),
    ((36_526, "days"), "at most a century", 0),
    ((1e308, "weeks"), "at most a century", 0),
    ((NOT_A_NUMBER, "days"), "at most a century", 0),
    ((1, ""), "unknown unit ''", 1),
    ((1, "s"), "unknown unit 's'", 1),
    ((1, "fortnight"), "unknown unit 'fortnight'", 1),
    ((1, "months"), "unknown unit 'months'", 1),
    ((1, "years"), "unknown unit 'years'", 1),
    ((1, "secondss"), "unknown unit 'secondss'", 1),
    ((1, " seconds"), "unknown unit ' seconds'", 1),
    ((1, "x" * 10_000), "unknown unit 'xxxx", 1),
]


@pytest.mark.parametrize(("value", "message", "part"), WRONG_DURATIONS, ids=short)
def test_a_wrong_duration_says_what_is_wrong_and_where(
    value: Duration, message: str, part: int | None
) -> None:
    """The error names the value, what was expected, and which part of a pair it is."""
    with pytest.raises(InvalidDuration) as caught:
        parse_duration(value)
    assert message in str(caught.value)
    assert caught.value.part == part
    assert len(str(caught.value)) < 600


NUMBERS = (
    st.integers()
    | st.floats()
    | st.integers(-400, 400).map(lambda power: 10**power if power >= 0 else -(10**-power))
)


@settings(max_examples=300)
@example(10**400)
@given(NUMBERS | st.tuples(NUMBERS, st.sampled_from(sorted(UNITS)) | st.text(max_size=12)))
def test_no_duration_raises_anything_but_its_own_error(value: Duration) -> None:
    """What JSON can say is a wait from nothing to a century, or InvalidDuration."""
    try:
        duration = parse_duration(value)
    except InvalidDuration:
        return
    assert timedelta(0) <= duration <= timedelta(days=36_525)
    assert NOW + duration > NOW or duration == timedelta(0)


# --- moments (contract §3) ---

NINE = datetime(2030, 1, 31, 9, 0, 0, tzinfo=UTC)

MOMENTS: list[tuple[Moment, datetime]] = [
    ("2030-01-31T09:00:00Z", NINE),
    ("2030-01-31T09:00:00", NINE),
    ("2030-01-31T09:00", NINE),
    ("2030-01-31 09:00:00", NINE),
    ("20300131T090000Z", NINE),
    ("2030-W05-4T09:00:00Z", NINE),
    ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
    ("2030-01-31T09:00:00+00:00", NINE),
    ("2030-01-31T09:00:00-00:00", NINE),
    ("2030-01-31T10:00:00+01:00", NINE),
    ("2030-01-31T10:00:00+01", NINE),
    ("2030-01-31T10:00:00+0100", NINE),
    ("2030-01-31T14:30:00+05:30", NINE),
    ("2030-01-31T14:45:00+05:45", NINE),
    ("2030-01-31T04:00:00-05:00", NINE),
    # The farthest zones in use, and the farthest an offset can go.
    ("2030-01-31T23:00:00+14:00", NINE),
    ("2030-01-30T21:00:00-12:00", NINE),
    ("2030-02-01T08:59:00+23:59", NINE),
    ("2030-01-30T09:01:00-23:59", NINE),
    ("2030-01-31T09:00:00.5Z", NINE + timedelta(milliseconds=500)),
    ("2030-01-31T09:00:00,5Z", NINE + timedelta(milliseconds=500)),
    ("2030-01-31T09:00:00.123456Z", NINE + timedelta(microseconds=123_456)),
    ("2030-01-31T09:00:00.123456789Z", NINE + timedelta(microseconds=123_456)),
    ("2028-02-29T00:00:00Z", datetime(2028, 2, 29, tzinfo=UTC)),
    ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ("1969-12-31T23:59:59Z", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    # A century is 36,525 days: 2130-01-01 is 36,524 days from 2030-01-01, 2100 not being a leap
    # year, so the farthest moment is a day after that.
    ("2130-01-02T12:00:00Z", datetime(2130, 1, 2, 12, tzinfo=UTC)),
    # 60 years of 365 days, 15 leap days (1972 to 2028): 21,915 x 86,400 = 1,893,456,000.
    (1_893_456_000, datetime(2030, 1, 1, tzinfo=UTC)),
    (1_893_456_000.5, datetime(2030, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
    (1_893_456_000_123, datetime(2030, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)),
    (1_893_456_000_123.0, datetime(2030, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)),
    (0, datetime(1970, 1, 1, tzinfo=UTC)),
    (-0.0, datetime(1970, 1, 1, tzinfo=UTC)),
    (0.25, datetime(1970, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
    # From 10^11 on milliseconds: 10^8 s = 1,157 d 9 h 46 min 40 s; 1,157 = 365 + 365 + 366 + 61.
    (10**11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
    (1e11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
]


@pytest.mark.parametrize(("value", "expected"), MOMENTS, ids=short)
def test_a_moment_is_iso_8601_or_a_unix_time(value: Moment, expected: datetime) -> None:
    """Text without a zone is UTC, an offset is converted, 10^11 and above are milliseconds."""
    moment = parse_moment(value, NOW)
    assert moment == expected
    assert moment.tzinfo is UTC


WRONG_MOMENTS: list[Moment] = [
    "",
    " ",
    "now",
    "tomorrow",
    "09:00",
    "2030",
    "2030-13-01",
    "2030-02-29",
    "2030-02-30T00:00:00Z",
    "2030-00-10",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "+2030-01-01T00:00:00Z",
    "2030-01-31T25:00:00Z",
    "2030-01-31T24:00:01Z",
    "2030-01-31T09:60:00Z",
    "2030-01-31T09:00:60Z",
    "2030-01-31T09:00:00+24:00",
    "2030-01-31T09:00:00+99:99",
    "2030-01-31T09:00:00 Europe/Berlin",
    "2030-01-31T09:00:00CET",
    "2030-01-31T09:00:00Z+01:00",
    "Thu, 31 Jan 2030 09:00:00 GMT",
    "31.01.2030",
    "٢٠٣٠-01-31",  # Arabic digits
    "\x00",
    "2" * 100_000,
    # Real times, whose UTC lies outside the years that a date can have.
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00",
    # Over a century away.
    "2130-01-02T12:00:01Z",
    "9999-12-31T23:59:59Z",
    10**11 - 1,
    1e308,
    10**30,
    2**63,
    INFINITE,
    -INFINITE,
    NOT_A_NUMBER,
    -1,
    -0.001,
    -(10**400),
    # JSON has no largest integer; this one is too large even for a float.
    10**400,
]


@pytest.mark.parametrize("value", WRONG_MOMENTS, ids=short)
def test_a_wrong_moment_is_refused_in_a_line(value: Moment) -> None:
    """Nothing that is no time, or none within a century, is taken for one."""
    with pytest.raises(InvalidMoment) as caught:
        parse_moment(value, NOW)
    assert len(str(caught.value)) < 600


@settings(max_examples=300)
@example(10**400)
@example("0001-01-01T00:00:00+23:59")
@given(
    NUMBERS
    | st.text(max_size=40)
    | st.datetimes().map(str)
    | st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:?[0-9]{2})?",
        fullmatch=True,
    )
)
def test_no_moment_raises_anything_but_its_own_error(value: Moment) -> None:
    """What JSON can say is an aware UTC time within a century of now, or InvalidMoment."""
    try:
        moment = parse_moment(value, NOW)
    except InvalidMoment:
        return
    assert moment.tzinfo is UTC
    assert moment - NOW <= timedelta(days=36_525)


OFFSETS = st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@settings(max_examples=200)
@given(st.datetimes(datetime(1900, 1, 1), datetime(2129, 1, 1), timezones=OFFSETS))
def test_an_iso_time_of_any_offset_is_that_instant(at: datetime) -> None:
    """What `isoformat` writes is read as the same instant."""
    assert parse_moment(at.isoformat(), NOW) == at


# --- identifiers (RFC 9562) ---


class Bits(Random):
    """A source of randomness that always draws the same bits."""

    def __init__(self, bits: int) -> None:
        super().__init__(0)
        self._bits = bits

    def getrandbits(self, k: int, /) -> int:
        """Return the bits, which must be as many as were asked for or fewer."""
        assert self._bits.bit_length() <= k
        return self._bits


def test_the_example_of_the_rfc_comes_out() -> None:
    """RFC 9562 A.6: 2022-02-22 14:22:22 at -05:00 and rand_b 0x18C4DC0C0C07398F.

    rand_a, 0xCC3 there, holds the fraction of the millisecond here, which is nothing.
    """
    at = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    made = uuid7(at, Bits(0x18C4DC0C0C07398F))
    assert made == UUID("017f22e2-79b0-7000-98c4-dc0c0c07398f")


FRACTIONS = [
    # microseconds within the millisecond, 12 bits of fraction: floor(n x 4096 / 1000)
    (0, 0),
    (1, 4),  # 4.096
    (250, 1_024),
    (500, 2_048),
    (999, 4_091),  # 4,091.904
]


@pytest.mark.parametrize(("microseconds", "fraction"), FRACTIONS)
def test_the_fraction_of_the_millisecond_follows_it(microseconds: int, fraction: int) -> None:
    """RFC 9562 §6.2, method 3: sub-millisecond time in the 12 bits behind the version."""
    made = uuid7(NOW + timedelta(microseconds=7_000 + microseconds), Bits(0))
    # 1,893,456,000 s is the start of 2030; twelve hours are 43,200 s.
    assert made.int >> 80 == 1_893_499_200_007
    assert made.int >> 64 & 0xFFF == fraction


@settings(max_examples=200)
@given(
    st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([0, 1, 2**61, 2**62 - 1]),
)
def test_version_and_variant_are_those_of_the_rfc(at: datetime, bits: int) -> None:
    """Whatever the time and the bits, it is a version 7 of RFC 9562's variant."""
    made = uuid7(at, Bits(bits))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int & (2**62 - 1) == bits


def test_identifiers_of_successive_microseconds_sort_by_time() -> None:
    """The random part never outweighs a microsecond, over the edges of milliseconds too."""
    random = Random(7)
    made = [uuid7(NOW + timedelta(microseconds=n), random) for n in range(2_500)]
    assert all(earlier < later for earlier, later in pairwise(made))


def test_identifiers_of_one_instant_differ() -> None:
    """62 random bits keep apart what was made in the same microsecond."""
    random = Random(7)
    assert len({uuid7(NOW, random) for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (4.75, "4.75 s"),
        (17.4, "17 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_660, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (259_200, "3 d"),
        (59.9, "1 min"),
    ],
)
def test_a_duration_is_written_in_two_units(seconds: float, text: str) -> None:
    """Nobody reads 259,200 s."""
    assert duration_in_words(timedelta(seconds=seconds)) == text

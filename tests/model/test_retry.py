"""Backoff and `Retry-After`: how long after a failure the next attempt is due."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from booper.model.duration import Duration, InvalidDuration
from booper.model.retry import MAX_RETRY_AFTER, Backoff, parse_backoff, parse_retry_after

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


class Draw(Random):
    """A source of randomness that always draws the same number."""

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self._number = number

    def random(self) -> float:
        """Return the number."""
        return self._number


NO_JITTER = Draw(0.0)


def short(value: object) -> str:
    """Name a case in at most 40 characters; some values have thousands."""
    return f"{value!r:.40}"


# Contract §8: 15 + 2^attempt seconds.
EXPONENTIAL = [
    (1, 15 + 2),
    (2, 15 + 4),
    (3, 15 + 8),
    (4, 15 + 16),
    (5, 15 + 32),
    (6, 15 + 64),
    (7, 15 + 128),
    (8, 15 + 256),
    (9, 15 + 512),
    (10, 15 + 1_024),
    (11, 15 + 2_048),
    (12, 15 + 4_096),
    (13, 15 + 8_192),
    (14, 15 + 16_384),
]


@pytest.mark.parametrize(("attempt", "seconds"), EXPONENTIAL)
def test_the_exponential_waits_fifteen_seconds_and_a_power_of_two(
    attempt: int, seconds: int
) -> None:
    """Without jitter the wait after the n-th failure is exactly 15 + 2^n seconds."""
    assert Backoff().delay(attempt, NO_JITTER) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("attempt", "seconds"), EXPONENTIAL)
def test_jitter_adds_up_to_a_tenth_and_takes_nothing_away(attempt: int, seconds: int) -> None:
    """Half a draw adds 5 %; the largest draw stays within 10 %."""
    wait = timedelta(seconds=seconds)
    assert Backoff().delay(attempt, Draw(0.5)) == wait * 1.05
    assert wait * 1.09 < Backoff().delay(attempt, Draw(1 - 2**-53)) <= wait * 1.1


def test_two_jobs_that_failed_together_are_not_retried_together() -> None:
    """A hundred draws of one source give many different waits, all within the bounds."""
    random = Random(1)
    waits = {Backoff().delay(10, random) for _ in range(100)}
    assert len(waits) > 90
    # 15 + 2^10 = 1,039 s; a tenth more is 1,142.9 s.
    assert timedelta(seconds=1_039) <= min(waits) <= max(waits) <= timedelta(seconds=1_142.9)


def test_fifteen_attempts_span_about_nine_hours() -> None:
    """Fourteen waits lie between fifteen attempts.

    14 x 15 s + (2 + 4 + … + 2^14) s = 210 s + (2^15 - 2) s = 32,976 s: 9 h 9 min 36 s.
    """
    waits = [Backoff().delay(attempt, NO_JITTER) for attempt in range(1, 15)]
    assert sum(waits, timedelta()) == timedelta(hours=9, minutes=9, seconds=36)


@pytest.mark.parametrize("attempt", [20, 21, 64, 1_024, 10_000, 10**9])
def test_no_number_of_attempts_overflows_a_date(attempt: int) -> None:
    """From the twentieth attempt on the wait stays at 15 + 2^20 s, some 12 days."""
    assert Backoff().delay(attempt, NO_JITTER) == timedelta(seconds=15 + 1_048_576)


def test_waits_never_shrink() -> None:
    """Without jitter a later attempt waits at least as long as the one before."""
    waits = [Backoff().delay(attempt, NO_JITTER) for attempt in range(1, 40)]
    assert all(earlier <= later for earlier, later in pairwise(waits))


def test_fixed_delays_are_taken_in_order_and_the_last_repeats() -> None:
    """After the third failure and every later one, the third of three delays holds."""
    backoff = parse_backoff([10, (1, "minute"), (2, "hours")])
    waits = [backoff.delay(attempt, Draw(0.9)) for attempt in (1, 2, 3, 4, 10_000)]
    two_hours = timedelta(hours=2)
    assert waits == [timedelta(seconds=10), timedelta(minutes=1), two_hours, two_hours, two_hours]


# The configured wait, the attempt that failed, and the wait that comes of it, in seconds.
SHORTEST = [
    (0, 1, 1),
    (0, 100, 1),
    (0, 101, 60),
    (0, 10_000, 60),
    (0.5, 2, 1),
    (1, 100, 1),
    (1.5, 100, 1.5),
    (59, 101, 60),
    (61, 101, 61),
]


@pytest.mark.parametrize(("given", "attempt", "expected"), SHORTEST)
def test_a_retry_waits_a_second_and_after_many_attempts_a_minute(
    given: float, attempt: int, expected: float
) -> None:
    """Else one create with 10,000 attempts would fill the disk with what it is answered."""
    backoff = parse_backoff([given])
    assert backoff.delay(attempt, Draw(0.9)) == timedelta(seconds=expected)


def test_exponential_is_a_word() -> None:
    """`"exponential"` is the backoff without fixed delays, as is the default."""
    assert parse_backoff("exponential") == Backoff()


@pytest.mark.parametrize(
    "value", ["Exponential", "linear", "", "exponential ", "x" * 10_000], ids=short
)
def test_another_word_is_refused_and_named(value: str) -> None:
    """Only the one word is known; the message quotes at most 40 characters of another."""
    with pytest.raises(ValueError, match='expected "exponential" or a list') as caught:
        parse_backoff(value)
    assert repr(value[:40]) in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_empty_list_is_refused() -> None:
    """A list of delays without a delay would say nothing."""
    with pytest.raises(ValueError, match="at least one"):
        parse_backoff([])


@pytest.mark.parametrize("wrong", [-1, (1, "fortnight"), 1e300, float("inf"), 10**400], ids=short)
def test_a_wrong_delay_in_a_list_is_a_wrong_duration(wrong: Duration) -> None:
    """Each delay obeys the rules of durations."""
    with pytest.raises(InvalidDuration):
        parse_backoff([10, wrong])


READABLE = [
    # RFC 9110 §10.2.3: delay-seconds = 1*DIGIT
    ("0", 0),
    ("1", 1),
    ("120", 120),
    (" 120\t", 120),
    ("007", 7),
    ("000000000000120", 120),
    ("86399", 86_399),
    ("86400", 86_400),
    ("86401", 86_400),
    ("31536000", 86_400),
    ("9" * 30, 86_400),
    ("9" * 5_000, 86_400),
    # RFC 9110 §5.6.7: IMF-fixdate, and the two obsolete forms a recipient must accept
    ("Tue, 01 Jan 2030 12:01:00 GMT", 60),
    ("Tuesday, 01-Jan-30 12:01:00 GMT", 60),
    ("Tue Jan  1 12:01:00 2030", 60),
    ("Wed, 02 Jan 2030 12:00:00 GMT", 86_400),
    ("Wed, 02 Jan 2030 12:00:01 GMT", 86_400),
    # Absurd, but dates.
    ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ("Tue, 01 Jan 2030 13:01:00 +0100", 60),
    # Past: no wait.
    ("Tue, 01 Jan 2030 12:00:00 GMT", 0),
    ("Tue, 01 Jan 2030 11:59:59 GMT", 0),
    ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
    ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
    ("Sun Nov  6 08:49:37 1994", 0),
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
]


@pytest.mark.parametrize(("header", "seconds"), READABLE, ids=short)
def test_retry_after_is_seconds_or_a_date_up_to_a_day(header: str, seconds: int) -> None:
    """Seconds and the three forms of a date are read; a day is the most, the past is nothing."""
    assert parse_retry_after(header, NOW) == timedelta(seconds=seconds)


UNREADABLE = [
    None,
    "",
    "   ",
    "soon",
    "-1",
    "-120",
    "+10",
    "1.5",
    "1e3",
    "0x10",
    "120, 60",
    "120 s",
    "1_000",
    "inf",
    "nan",
    "٣",  # an Arabic digit is no DIGIT of RFC 5234
    "²",
    "\x00",
    "2030-01-01T12:01:00Z",
    "Tue, 32 Jan 2030 12:00:00 GMT",
    "Tue, 01 Jan 2030 25:00:00 GMT",
    "Tue, 01 Foo 2030 12:00:00 GMT",
    "Tue, 01 Jan 2030",
    "Tue, 01 Jan 2030 12:00:00 +9999",
    # Numbers that no date can hold.
    "Tue, 01 Jan 99999 12:00:00 GMT",
    "Tue, 01 Jan 99999999999999999999 12:00:00 GMT",
    "Tue, 99999999999999999999 Jan 2030 12:00:00 GMT",
    "Tue, 01 Jan 2030 99999999999999999999:00:00 GMT",
    "Tue, 01 Jan 2030 12:00:00 +99999999999999999999",
    "Tue, 01 Jan 2030 12:00:00 -99999999999999999999",
    "x" * 100_000,
]


@pytest.mark.parametrize("header", UNREADABLE, ids=short)
def test_an_unreadable_retry_after_counts_as_absent(header: str | None) -> None:
    """A target's bad header never makes an attempt fail a second time."""
    assert parse_retry_after(header, NOW) is None


PIECES = st.sampled_from(
    ["Tue,", "Tuesday,", "01", "Jan", "01-Jan-30", "2030", "12:01:00", "GMT", "+0100", "-2459"]
    + ["9" * 20, "-" + "9" * 20, "+" + "9" * 20, ",", ":", "-", ".", "PST", "am", "0"]
)


@settings(max_examples=400)
@example("1 Jan 1 0:0:0 +9999999999")
@given(st.text(max_size=60) | st.lists(PIECES, max_size=9).map(" ".join))
def test_no_retry_after_raises_or_leaves_the_bounds(header: str) -> None:
    """Whatever a target writes there is absent, or a wait from nothing to a day."""
    wait = parse_retry_after(header, NOW)
    assert wait is None or timedelta(0) <= wait <= MAX_RETRY_AFTER
    assert timedelta(hours=24) == MAX_RETRY_AFTER

"""Crons and intervals in words: a table of sentences, and every sentence read back."""

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booper.model import cron
from booper.wire.repetition import cron_in_words, interval_in_words

# man 5 crontab; each sentence was written from the expression.
SENTENCES = {
    "* * * * *": "every minute",
    "*/1 * * * *": "every minute",
    "0-59 * * * *": "every minute",
    "*/2 * * * *": "every 2 minutes",
    "*/5 * * * *": "every 5 minutes",
    "0,15,30,45 * * * *": "every 15 minutes",
    "*/30 * * * *": "every 30 minutes",
    "*/40 * * * *": "at minutes 0 and 40 of every hour",
    "*/60 * * * *": "every hour",
    "*/7 * * * *": "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour",
    "5-59/15 * * * *": "at minutes 5, 20, 35 and 50 of every hour",
    "0-29 * * * *": "at minutes 0 to 29 of every hour",
    "1,2 * * * *": "at minutes 1 and 2 of every hour",
    "0 * * * *": "every hour",
    "5 * * * *": "at minute 5 of every hour",
    "7-7 * * * *": "at minute 7 of every hour",
    "@hourly": "every hour",
    "@daily": "at 00:00 every day",
    "@midnight": "at 00:00 every day",
    "@weekly": "at 00:00 on Sunday",
    "@monthly": "at 00:00 on the 1st of the month",
    "@yearly": "at 00:00 on the 1st of January",
    "@annually": "at 00:00 on the 1st of January",
    "0 9 * * *": "at 09:00 every day",
    "30 8,12 * * *": "at 08:30 and 12:30 every day",
    "15,45 8,12 * * *": "at 08:15, 08:45, 12:15 and 12:45 every day",
    "0 9-12 * * *": "at 09:00, 10:00, 11:00 and 12:00 every day",
    "0 9-17 * * *": "every hour from 09:00 to 17:00, every day",
    "30 */2 * * *": "every 2 hours from 00:30 to 22:30, every day",
    "0 */3 * * *": "every 3 hours from 00:00 to 21:00, every day",
    "0 */5 * * *": "at 00:00, 05:00, 10:00, 15:00 and 20:00 every day",
    "* 9-17 * * *": "every minute from 09:00 to 17:59, every day",
    "*/15 9-17 * * 1-5": "every 15 minutes from 09:00 to 17:45, from Monday to Friday",
    "*/5 9 * * *": "every 5 minutes from 09:00 to 09:55, every day",
    "*/15 9 * * *": "at 09:00, 09:15, 09:30 and 09:45 every day",
    "*/10 1,3 * * *": "every 10 minutes of the hours 1 and 3 every day",
    "* 0-22/2 * * *": "every minute of the hours 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 22 "
    "every day",
    "1-10 9 * * *": "at minutes 1 to 10 of hour 9 every day",
    "1-5 8-9 * * *": "at minutes 1 to 5 of the hours 8 and 9 every day",
    "0 1,2,4,7,11,16,22 * * *": "at minute 0 of the hours 1, 2, 4, 7, 11, 16 and 22 every day",
    "5,10 1,3,5-9,22 * * *": "at minutes 5 and 10 of the hours 1, 3, 5 to 9 and 22 every day",
    "0 9 * * 1-5": "at 09:00 from Monday to Friday",
    "0 9 * * MON,WED,FRI": "at 09:00 on Monday, Wednesday and Friday",
    "0 10 * * MON": "at 10:00 on Monday",
    "0 0 * * 6,0": "at 00:00 on Saturday and Sunday",
    "0 0 * * 0": "at 00:00 on Sunday",
    "0 0 * * 7": "at 00:00 on Sunday",
    "0 0 * * SUN-SUN": "at 00:00 on Sunday",
    "0 0 * * FRI-SUN": "at 00:00 from Friday to Sunday",
    "0 0 * * 0-6": "at 00:00 every day",
    "0 0 * * 1-7": "at 00:00 every day",
    "0 0 * * */2": "at 00:00 on Tuesday, Thursday, Saturday and Sunday",
    "0 0 * * 1,3-5,0": "at 00:00 on Monday, Wednesday to Friday and Sunday",
    "* * * * 1": "every minute on Monday",
    "0 0 1,15 * *": "at 00:00 on the 1st and 15th of the month",
    "0 0 2,3,11,12,13,21,22,23 * *": "at 00:00 on days 2, 3, 11 to 13 and 21 to 23 of the month",
    "0 0 2,11,13,22,31 * *": "at 00:00 on the 2nd, 11th, 13th, 22nd and 31st of the month",
    "0 0 1-7 * *": "at 00:00 on days 1 to 7 of the month",
    "0 0 */2 * *": "at 00:00 on odd days of the month",
    "0 0 2-31/2 * *": "at 00:00 on even days of the month",
    "0 0 1-31 * *": "at 00:00 every day",
    "0 0 29 2 *": "at 00:00 on the 29th of February",
    "0 0 1 1,7 *": "at 00:00 on the 1st of January and July",
    "0 0 1 3-10 *": "at 00:00 on the 1st of the month from March to October",
    "0 0 1 */3 *": "at 00:00 on the 1st of January, April, July and October",
    "0 0 * 3-10 *": "at 00:00 every day from March to October",
    "0 0 * JAN,MAR-MAY *": "at 00:00 every day in January and March to May",
    "* * * 1 *": "every minute in January",
    "0 0 * 1 0": "at 00:00 on Sunday in January",
    # Vixie's rule: two day fields, neither of which begins with *, match either day.
    "0 0 13 * 5": "at 00:00 on the 13th of the month and also on Friday",
    "0 0 1-7 * 1-5": "at 00:00 on days 1 to 7 of the month and also from Monday to Friday",
    "0 12 1 6 1": "at 12:00 on the 1st of the month and also on Monday, in June",
    "0 0 1-31 * 1": "at 00:00 every day",
    "0 0 1 * 0-6": "at 00:00 every day",
    # If one begins with *, both must match.
    "0 0 */2 * 5": "at 00:00 on odd days of the month, if that is Friday",
    "0 0 1-7 * */3": "at 00:00 on days 1 to 7 of the month, if that is Wednesday, Saturday or "
    "Sunday",
    "0 12 */2 6 1,3": "at 12:00 on odd days of the month, if that is Monday or Wednesday, in June",
    "59 23 31 12 *": "at 23:59 on the 31st of December",
}

INTERVALS = {
    timedelta(seconds=1): "every second",
    timedelta(seconds=1.5): "every 1.5 seconds",
    timedelta(seconds=90): "every 1 minute 30 seconds",
    timedelta(minutes=1): "every minute",
    timedelta(minutes=1, microseconds=500_000): "every 1 minute 0.5 seconds",
    timedelta(minutes=5): "every 5 minutes",
    timedelta(hours=1): "every hour",
    timedelta(hours=1, minutes=30): "every 1 hour 30 minutes",
    timedelta(days=1): "every day",
    timedelta(days=8): "every 8 days",
    timedelta(days=7): "every week",
    timedelta(days=14): "every 2 weeks",
    timedelta(days=7, microseconds=1): "every 7 days 0.000001 seconds",
    timedelta(days=36_525): "every 36525 days",
}

MONTHS = [
    *["January", "February", "March", "April", "May", "June", "July"],
    *["August", "September", "October", "November", "December"],
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@pytest.mark.parametrize("expression", SENTENCES)
def test_a_cron_has_its_sentence(expression: str) -> None:
    """Each of the forms that a cron takes."""
    assert cron_in_words(expression) == SENTENCES[expression]


@pytest.mark.parametrize("every", INTERVALS, ids=str)
def test_an_interval_has_its_sentence(every: timedelta) -> None:
    """Exact to the microsecond."""
    assert interval_in_words(every) == INTERVALS[every]


def test_what_is_no_cron_has_none() -> None:
    """The error is that of a create."""
    with pytest.raises(cron.InvalidCron, match="five fields"):
        cron_in_words("* *")


# --- sentences read back: what they say is what the fields of the expression mean ---


def numbered(text: str, names: Sequence[str]) -> set[int]:
    """Return the places of a list such as `A, C to E and G` among all names."""
    found = set[int]()
    for part in re.split(r", | and | or ", text):
        first, _, last = part.partition(" to ")
        found |= set(range(names.index(first), names.index(last or first) + 1))
    return found


def numbers(text: str) -> set[int]:
    """Return the numbers of a list such as `1, 3 to 5 and 7`."""
    return numbered(text, [str(number) for number in range(60)])


def minutes_of_day(text: str) -> set[int]:
    """Return the minutes of a day that are meant by a sentence's first part."""

    def clock(time: str) -> int:
        return int(time[:2]) * 60 + int(time[3:])

    every = r"every(?: (?P<n>\d+))? (?P<unit>minute|hour)s?"
    if found := re.fullmatch(f"{every}(?: from (?P<low>.+) to (?P<high>.+))?", text):
        size = int(found["n"] or 1) * (60 if found["unit"] == "hour" else 1)
        low, high = clock(found["low"] or "00:00"), clock(found["high"] or "23:59")
        return set(range(low, high + 1, size))
    found = re.fullmatch(r"(?P<minutes>.+) of (?P<hours>every hour|hour .+|the hours .+)", text)
    if found is None:
        return {clock(each) for each in re.split(", | and ", text.removeprefix("at "))}
    hours = re.sub("^(the hours|hour) ", "", found["hours"])
    if inner := re.fullmatch(r"at minutes? (.+)", found["minutes"]):
        minutes = numbers(inner[1])
    else:
        minutes = minutes_of_day(found["minutes"]) & set(range(60))
    each = set(range(24)) if hours == "every hour" else numbers(hours)
    return {hour * 60 + minute for hour in each for minute in minutes}


def on_weekdays(text: str) -> set[int]:
    """Return the days of the week, Monday first, of `on Monday` or `from Monday to Friday`."""
    return numbered(re.sub("^(on|from) ", "", text), WEEKDAYS)


def days_of_month(text: str) -> set[int]:
    """Return the days of `on the 1st and 3rd`, `on days 1 to 7`, `on odd days`."""
    if text in ("on odd days", "on even days"):
        return set(range(1 if "odd" in text else 2, 32, 2))
    return numbers(re.sub(r"(\d)(st|nd|rd|th)", r"\1", re.sub("^on (the|days) ", "", text)))


Dates = set[tuple[int, int, int]]
"""Month, day of the month, day of the week."""

ALL: Dates = {
    (month, day, week) for month in range(12) for day in range(1, 32) for week in range(7)
}


def dates_of(text: str) -> Dates:
    """Return the dates that are meant by a sentence's last part."""
    names = "|".join(MONTHS)
    found = re.fullmatch(f"(.*?),? ?(?:(?:in|from|of) ((?:{names}).*))?", text)
    assert found is not None
    days, months = found[1], numbered(found[2], MONTHS) if found[2] else set(range(12))
    dates = {date for date in ALL if date[0] in months}
    if days in ("", "every day"):
        return dates
    days, _, only = days.partition(", if that is ")
    days, _, also = days.partition(" and also ")
    if days.split()[1].rstrip(",") in WEEKDAYS:
        return {date for date in dates if date[2] in on_weekdays(days)}
    in_month = days_of_month(days.removesuffix(" of the month"))
    if only:
        return {one for one in dates if one[1] in in_month and one[2] in numbered(only, WEEKDAYS)}
    week = on_weekdays(also) if also else set[int]()
    return {one for one in dates if one[1] in in_month or one[2] in week}


TIMES = re.compile(
    r"(every(?: \d+)? (?:minute|hour)s?(?: from \d\d:\d\d to \d\d:\d\d,| of (?:the hours|hour)"
    r" [\d, andto]*\d)?|at [\d:, andto]*\d\d:\d\d|at minutes? [\d, andto]*\d of"
    r" (?:every hour|(?:the hours|hour) [\d, andto]*\d))(?: |$)(.*)"
)


def meaning(sentence: str) -> tuple[set[int], Dates]:
    """Return which minutes of a day, and which dates, a sentence means."""
    found = TIMES.fullmatch(sentence)
    assert found is not None, sentence
    return minutes_of_day(found[1].removesuffix(",")), dates_of(found[2])


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> tuple[str, set[int]]:
    """Draw a field of a cron, and the values that it means."""
    texts, values = list[str](), set[int]()
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, high - low + 1))
        forms = {
            "*": range(low, high + 1),
            f"*/{step}": range(low, high + 1, step),
            str(first): [first],
            f"{first}-{last}": range(first, last + 1),
            f"{first}-{last}/{step}": range(first, last + 1, step),
        }
        text = draw(st.sampled_from(list(forms)))
        texts.append(text)
        values |= set(forms[text])
    return ",".join(texts), values


@given(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6))
def test_a_sentence_means_what_the_cron_means(
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    day: tuple[str, set[int]],
    month: tuple[str, set[int]],
    weekday: tuple[str, set[int]],
) -> None:
    """All times of a day and all dates, for any expression (Vixie's rule for the day fields)."""
    expression = " ".join(text for text, _ in (minute, hour, day, month, weekday))
    try:
        sentence = cron_in_words(expression)
    except cron.InvalidCron:  # a date that never comes
        return
    needs_both = day[0].startswith("*") or weekday[0].startswith("*")
    week = {(each - 1) % 7 for each in weekday[1]}

    def matches(date: tuple[int, int, int]) -> bool:
        is_day, is_weekday = date[1] in day[1], date[2] in week
        is_on = is_day and is_weekday if needs_both else is_day or is_weekday
        return date[0] + 1 in month[1] and is_on

    times = {each * 60 + one for each in hour[1] for one in minute[1]}
    assert meaning(sentence) == (times, {date for date in ALL if matches(date)}), sentence


@pytest.mark.parametrize("expression", SENTENCES)
def test_a_sentence_of_the_table_is_read_back(expression: str) -> None:
    """What the reader finds in it is what the calendar has."""
    calendar = cron.parse(expression)
    times, dates = meaning(SENTENCES[expression])
    assert tuple(sorted(times)) == calendar.times
    assert {month + 1 for month, _, _ in dates} == calendar.months

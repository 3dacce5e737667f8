"""How often a schedule repeats, in words: a sentence for each cron expression and each interval.

A cron's sentence is made of the minutes, hours, days and months that match, not of its text. So two
spellings of the same times have the same sentence.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final

from booper.model import cron
from booper.model.calendar import Calendar

# How many times of a day are named one by one.
_MAX_NAMED: Final = 6
_HOUR: Final = 60
_ALL_DAYS: Final = list(range(1, 32))
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_WEEKDAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
)
_UNITS: Final = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60))
_MILLION: Final = 1_000_000


def interval_in_words(every: timedelta) -> str:
    """Return an interval in words, exactly: `every 5 minutes`, `every 1 hour 30 minutes`."""
    left, microseconds = divmod(every // timedelta.resolution, _MILLION)
    parts = list[str]()
    for unit, size in _UNITS:
        # Weeks are named only where nothing is left: 8 days are not "1 week 1 day".
        count, rest = divmod(left, size)
        if count and (unit != "week" or not (rest or microseconds)):
            parts.append(_amount(str(count), unit))
            left = rest
    if left or microseconds:
        parts.append(_amount(f"{left}.{microseconds:06}".rstrip("0").rstrip("."), "second"))
    return f"every {' '.join(parts).removeprefix('1 ') if len(parts) == 1 else ' '.join(parts)}"


def cron_in_words(expression: str) -> str:
    """Return the times of a cron expression in words: `at 09:00 from Monday to Friday`.

    Raises:
        InvalidCron: it is none.
    """
    calendar = cron.parse(expression)
    times, days = _times(calendar), _days(calendar)
    if len({time // _HOUR for time in calendar.times}) == 24:
        days = days.removeprefix("every day").lstrip()
    comma = "," if " from " in times else ""
    return f"{times}{comma} {days}".rstrip()


def _amount(count: str, unit: str) -> str:
    return f"{count} {unit}" if count == "1" else f"{count} {unit}s"


def _times(calendar: Calendar) -> str:
    """Return the times of a day."""
    times = calendar.times
    minutes = sorted({time % _HOUR for time in times})
    hours = sorted({time // _HOUR for time in times})
    step = _HOUR // len(minutes)
    # Of minutes 0, 15, 30, 45 there is one every 15 minutes, also from one hour to the next.
    is_even = minutes == list(range(0, _HOUR, step)) and step < _HOUR
    steady = "every minute" if step == 1 else f"every {step} minutes"
    word = "minute" if len(minutes) == 1 else "minutes"
    some = steady if is_even else f"at {word} {_listed(minutes, str)}"
    if len(hours) == 24:
        return some if is_even else "every hour" if minutes == [0] else f"{some} of every hour"
    if len(times) <= _MAX_NAMED:
        return f"at {_joined([_clock(time) for time in times])}"
    bounds = f"from {_clock(times[0])} to {_clock(times[-1])}"
    apart = hours[1] - hours[0] if len(hours) > 1 else 1
    is_regular = hours == list(range(hours[0], hours[-1] + 1, apart))
    if is_even and is_regular and apart == 1:
        return f"{steady} {bounds}"
    if len(minutes) == 1 and is_regular:
        return f"every {'hour' if apart == 1 else f'{apart} hours'} {bounds}"
    return f"{some} of {'hour' if len(hours) == 1 else 'the hours'} {_listed(hours, str)}"


def _days(calendar: Calendar) -> str:
    """Return the days and months: `every day`, `on Monday in January`."""
    days = [day for day in _ALL_DAYS if calendar.days >> day & 1]
    weekdays = [day for day in range(7) if calendar.weekdays >> day & 1]
    months = "" if len(calendar.months) == 12 else _during(calendar, "in")
    is_of_all = (days == _ALL_DAYS, len(weekdays) == 7)
    if all(is_of_all) or (any(is_of_all) and not calendar.needs_both_days):
        return f"every day {months}".rstrip()
    if days == _ALL_DAYS:
        return f"{_on_weekdays(weekdays)} {months}".rstrip()
    if len(weekdays) == 7:
        named = _during(calendar, "of") if months else ""
        rest = named if named.startswith("of") else f"of the month {months}".rstrip()
        return f"{_on_days(days)} {rest}"
    condition = (
        f", if that is {_listed(weekdays, _WEEKDAYS.__getitem__, 'or')}"
        if calendar.needs_both_days
        else f" and also {_on_weekdays(weekdays)}"
    )
    return f"{_on_days(days)} of the month{condition}" + (f", {months}" if months else "")


def _on_days(days: Sequence[int]) -> str:
    """Return days of the month: `on the 1st and 15th`, `on days 1 to 7`, `on odd days`."""
    for begin, word in ((0, "odd"), (1, "even")):
        if days == _ALL_DAYS[begin::2]:
            return f"on {word} days"
    if any(first != last for first, last in _runs(days)):
        return f"on days {_listed(days, str)}"
    return f"on the {_listed(days, _ordinal)}"


def _on_weekdays(weekdays: Sequence[int]) -> str:
    return _phrase(weekdays, _WEEKDAYS.__getitem__, "on")


def _during(calendar: Calendar, word: str) -> str:
    return _phrase(sorted(calendar.months), lambda month: _MONTHS[month - 1], word)


def _phrase(values: Sequence[int], name: Callable[[int], str], word: str) -> str:
    """Return `from A to C` for values in a row, else a list behind a word."""
    is_run = len(_runs(values)) == 1 and len(values) > 1
    return f"{'from' if is_run else word} {_listed(values, name)}"


def _listed(values: Sequence[int], name: Callable[[int], str], last: str = "and") -> str:
    """Return values with those in a row, three or more, as `a to c`."""
    return _joined(
        [
            name(first) if first == last_of_run else f"{name(first)} to {name(last_of_run)}"
            for first, last_of_run in _runs(values)
        ],
        last,
    )


def _runs(values: Sequence[int]) -> list[tuple[int, int]]:
    """Return ascending values as first and last of each row; a row of two is no row."""
    found = list[tuple[int, int]]()
    for _, group in groupby(enumerate(values), lambda pair: pair[1] - pair[0]):
        row = [value for _, value in group]
        found += [(row[0], row[-1])] if len(row) > 2 else [(each, each) for each in row]
    return found


def _joined(texts: Iterable[str], last: str = "and") -> str:
    *rest, end = texts
    return f"{', '.join(rest)} {last} {end}" if rest else end


def _clock(minute: int) -> str:
    return f"{minute // _HOUR:02}:{minute % _HOUR:02}"


def _ordinal(day: int) -> str:
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"

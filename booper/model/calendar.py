"""The wall-clock times of a cron expression: search for the next or last one, and count them.

Everything here is naive local time: zones and daylight saving belong to `recurrence`.
"""

from bisect import bisect_left
from calendar import monthrange
from datetime import date, datetime, time, timedelta
from typing import Final

import msgspec

_DAY: Final = timedelta(days=1)
_DAY_MINUTES: Final = 24 * 60

# The longest each month can be, January first: 29 February is a date that comes.
_MAX_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

# Six weeks of one bit a day: multiplying a week by it repeats that week.
_SIX_WEEKS: Final = sum(1 << 7 * week for week in range(6))


class Calendar(msgspec.Struct, frozen=True):
    """The wall-clock minutes that match a cron expression, in naive local time.

    Attributes:
        times: the matching minutes of a day, 0 to 1439, ascending, at least one.
        months: 1 to 12.
        days: days of the month as bits 1 to 31.
        weekdays: days of the week as bits 0 (Monday) to 6 (Sunday).
        needs_both_days: both day fields must match, otherwise either (Vixie's rule).
        is_wildcard: minute or hour begins with `*`, so real time counts (Debian's rule).
    """

    times: tuple[int, ...]
    months: frozenset[int]
    days: int
    weekdays: int
    needs_both_days: bool
    is_wildcard: bool

    def first(self, low: datetime, high: datetime) -> datetime | None:
        """Return the first match at or after `low` and before `high`, or None."""
        day = self._day_from(low.date(), high.date())
        if day is None:
            return None
        index = self._passed(low) if day == low.date() else 0
        if index == len(self.times):
            day, index = self._day_from(day + _DAY, high.date()), 0
        found = self._at(day, index)
        return found if found is not None and found < high else None

    def last(self, low: datetime, high: datetime) -> datetime | None:
        """Return the last match at or after `low` and before `high`, or None."""
        day = self._day_back(high.date(), low.date())
        if day is None:
            return None
        index = self._passed(high) - 1 if day == high.date() else len(self.times) - 1
        if index < 0:
            day, index = self._day_back(day - _DAY, low.date()), len(self.times) - 1
        found = self._at(day, index)
        return found if found is not None and low <= found < high else None

    def count(self, low: datetime, high: datetime) -> int:
        """Return how many matches lie at or after `low` and before `high`.

        Multiplies whole days instead of stepping: ten years cost about as much as 120 months.
        """
        if low >= high:
            return 0
        first, end = _month_index(low.date()), _month_index(high.date())
        days = sum(self._matching_days(index).bit_count() for index in range(first, end))
        days -= (self._matching_days(first) & _bits_below(low.day)).bit_count()
        days += (self._matching_days(end) & _bits_below(high.day)).bit_count()
        today = self._passed(high) if self._has_day(high.date()) else 0
        skipped = self._passed(low) if self._has_day(low.date()) else 0
        return days * len(self.times) + today - skipped

    @property
    def shortest_gap(self) -> int:
        """Return the minutes between the two nearest times, those of the next day included."""
        following = (*self.times[1:], self.times[0] + _DAY_MINUTES)
        return min(later - time for time, later in zip(self.times, following, strict=True))

    def has_day_near(self, year: int) -> bool:
        """Return whether any day of a year, or of the months beside it, matches.

        A day on the wall in a zone lies at most a day beside the year in UTC. Most years have no
        day of a rare cron: to know that costs a hundredth of looking into the zone.
        """
        months = range(year * 12 - 1, year * 12 + 13)
        return any(self._matching_days(index) for index in months)

    def has_dates(self) -> bool:
        """Return whether any date can ever match: false for 31 February."""
        if not self.needs_both_days:
            return True
        return any(self.days & _bits_below(_MAX_DAYS[month - 1] + 1) for month in self.months)

    def _passed(self, wall: datetime) -> int:
        """Return how many of the day's times lie before `wall`."""
        started = bool(wall.second or wall.microsecond)
        return bisect_left(self.times, wall.hour * 60 + wall.minute + started)

    def _at(self, day: date | None, index: int) -> datetime | None:
        if day is None:
            return None
        return datetime.combine(day, time()) + timedelta(minutes=self.times[index])

    def _has_day(self, day: date) -> bool:
        return bool(self._matching_days(_month_index(day)) >> day.day & 1)

    def _day_from(self, day: date, last: date) -> date | None:
        """Return the first matching day from `day` on, looking to the end of `last`'s month."""
        begin = _month_index(day)
        for index in range(begin, _month_index(last) + 1):
            days = self._matching_days(index)
            if index == begin:
                days &= ~_bits_below(day.day)
            if days:
                return date(index // 12, index % 12 + 1, (days & -days).bit_length() - 1)
        return None

    def _day_back(self, day: date, first: date) -> date | None:
        """Return the last matching day up to `day`, looking to the start of `first`'s month."""
        begin = _month_index(day)
        for index in range(begin, _month_index(first) - 1, -1):
            days = self._matching_days(index)
            if index == begin:
                days &= _bits_below(day.day + 1)
            if days:
                return date(index // 12, index % 12 + 1, days.bit_length() - 1)
        return None

    def _matching_days(self, index: int) -> int:
        """Return the matching days of a month as bits 1 to 31."""
        year, month = index // 12, index % 12 + 1
        if month not in self.months:
            return 0
        first_weekday, length = monthrange(year, month)
        weeks = (self.weekdays * _SIX_WEEKS >> first_weekday) << 1
        days = self.days & weeks if self.needs_both_days else self.days | weeks
        return days & (_bits_below(length + 1) - 1)


def _month_index(day: date) -> int:
    return day.year * 12 + day.month - 1


def _bits_below(day: int) -> int:
    return (1 << day) - 1

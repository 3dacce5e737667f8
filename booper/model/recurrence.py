"""When a schedule runs next: cron in a time zone, or a fixed interval.

Pure arithmetic on times given as parameters. Everything goes in and comes out as aware UTC, and
planned times are strictly increasing.

A zone is seen as a row of stretches, each with one UTC offset. Inside a stretch wall-clock time
and UTC differ by a constant, so cron's wall-clock times are looked up in a `Calendar` and shifted.
Debian's daylight saving rule is then one question: from which wall-clock time on does a stretch
count? For a wildcard job from the time its clocks show; for a fixed-time job from the time the
clocks had reached before, so a skipped time is met at once and a repeated one not again.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from booper.model import cron
from booper.model.calendar import Calendar
from booper.model.timezones import Stretch, check_timezone, stretches

_TICK: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)

# A year's margin at both ends keeps every zone's wall clock inside datetime's range.
_FIRST_YEAR: Final = 2
_LAST_YEAR: Final = 9998

# The rarest date, 29 February on one weekday, comes at least every 40 years. A date that
# never comes in its zone (always inside a gap) must not search to the end of time.
_SEARCH_YEARS: Final = 50


@dataclass(frozen=True, slots=True)
class Cron:
    """The wall-clock times of a cron expression in one time zone.

    Build it with `Cron.parse`. Daylight saving follows Debian's cron (contract section 6): where
    the minute or the hour begins with `*`, real time counts. Otherwise the times inside a gap of up
    to 3 hours run once, together, at its end, and a repeated time runs at its first occurrence.

    Attributes:
        expression: as it was given.
        timezone: IANA name.
    """

    expression: str
    timezone: str
    _calendar: Calendar = field(repr=False, compare=False)

    @classmethod
    def parse(cls, expression: str, timezone: str = "UTC") -> Self:
        """Read a cron expression of five fields, or an alias such as `@daily`.

        Raises:
            InvalidCron: the expression is malformed, unsupported, or its date never comes.
            InvalidTimezone: no such IANA zone.
        """
        check_timezone(timezone)
        return cls(expression, timezone, cron.parse(expression))

    def next_after(self, t: datetime) -> datetime | None:
        """Return the first run strictly after `t`, or None if none comes within 50 years.

        Raises:
            ValueError: `t` has no zone.
        """
        now = _naive_utc(t)
        first, last = max(now.year, _FIRST_YEAR), min(now.year + _SEARCH_YEARS, _LAST_YEAR)
        for year in filter(self._calendar.has_day_near, range(first, last + 1)):
            for stretch in stretches(self.timezone, year):
                if stretch.ends <= now:
                    continue
                low = self._opening(stretch)
                if now >= stretch.begins:
                    low = max(low, now + stretch.offset + _TICK)
                wall = self._calendar.first(low, stretch.ends + stretch.offset)
                if wall is not None:
                    return stretch.instant(wall)
        return None

    def last_before(self, t: datetime) -> datetime | None:
        """Return the last run strictly before `t`, or None if there was none for 50 years.

        Raises:
            ValueError: `t` has no zone.
        """
        now = _naive_utc(t)
        last, first = min(now.year, _LAST_YEAR), max(now.year - _SEARCH_YEARS, _FIRST_YEAR)
        for year in filter(self._calendar.has_day_near, range(last, first - 1, -1)):
            for stretch in reversed(stretches(self.timezone, year)):
                if stretch.begins >= now:
                    continue
                high = min(now, stretch.ends) + stretch.offset
                wall = self._calendar.last(self._opening(stretch), high)
                if wall is not None:
                    return stretch.instant(wall)
        return None

    def count(self, first: datetime, last: datetime) -> int:
        """Return how many runs lie from `first` to `last`, both included.

        Costs by the month, not by the run.

        Raises:
            ValueError: `first` or `last` has no zone.
        """
        low, high = _naive_utc(first), _naive_utc(last) + _TICK
        years = range(max(low.year, _FIRST_YEAR), min(high.year, _LAST_YEAR) + 1)
        return sum(
            self._count_in(stretch, low, high)
            for year in filter(self._calendar.has_day_near, years)
            for stretch in stretches(self.timezone, year)
            if low < stretch.ends and stretch.begins < high
        )

    @property
    def shortest_gap(self) -> timedelta:
        """Return how far two runs lie apart at least, as the clock shows it; at most a day."""
        return timedelta(minutes=self._calendar.shortest_gap)

    def _count_in(self, stretch: Stretch, low: datetime, high: datetime) -> int:
        """Return how many runs of a stretch lie from `low` on and before `high`."""
        opening, clock = self._opening(stretch), stretch.begins + stretch.offset
        end = min(high, stretch.ends) + stretch.offset
        if stretch.begins < low or clock < opening:
            return self._calendar.count(max(opening, low + stretch.offset), end)
        # What was skipped and what is due as the stretch begins are one run.
        opens_with_run = self._calendar.first(opening, clock + _TICK) is not None
        return opens_with_run + self._calendar.count(clock + _TICK, end)

    def _opening(self, stretch: Stretch) -> datetime:
        """Return the wall-clock time from which a stretch counts (Debian's rule)."""
        if self._calendar.is_wildcard:
            return stretch.begins + stretch.offset
        return stretch.resumes


@dataclass(frozen=True, slots=True)
class Interval:
    """The fixed grid `anchor + n * every` with n from 0 on, so that it never drifts.

    Attributes:
        every: at least one second.
        anchor: the first run, kept as UTC.

    Raises:
        ValueError: `every` is under one second, or `anchor` has no zone.
    """

    every: timedelta
    anchor: datetime

    def __post_init__(self) -> None:
        """Check the values and keep the anchor as UTC, where a day has always 24 hours."""
        if self.every < _SECOND:
            raise ValueError(f"every must be at least 1 second, got {self.every}")
        object.__setattr__(self, "anchor", _naive_utc(self.anchor).replace(tzinfo=UTC))

    def next_after(self, t: datetime) -> datetime | None:
        """Return the first run strictly after `t`, or None past the end of year 9999."""
        return self._run(max((t - self.anchor) // self.every + 1, 0))

    def last_before(self, t: datetime) -> datetime | None:
        """Return the last run strictly before `t`, or None at or before the anchor."""
        return self._run(self._runs_before(t) - 1)

    def count(self, first: datetime, last: datetime) -> int:
        """Return how many runs lie from `first` to `last`, both included."""
        up_to_last = max((last - self.anchor) // self.every + 1, 0)
        return max(up_to_last - self._runs_before(first), 0)

    def _runs_before(self, t: datetime) -> int:
        # Floor division of timedeltas is exact; of a negated dividend it rounds up.
        return max(-((self.anchor - t) // self.every), 0)

    def _run(self, n: int) -> datetime | None:
        if n < 0:
            return None
        try:
            return self.anchor + n * self.every
        except OverflowError:
            return None


Recurrence = Cron | Interval


def _naive_utc(t: datetime) -> datetime:
    if t.utcoffset() is None:
        raise ValueError(f"time must have a zone, got {t.isoformat()}")
    return t.astimezone(UTC).replace(tzinfo=None)

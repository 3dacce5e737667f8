"""Decide when a schedule runs next: cron in a time zone, or a fixed interval.

Pure arithmetic on times given as parameters. Everything goes in and comes out as aware UTC, and
planned times are strictly increasing.

A zone is seen as a row of stretches, each with one UTC offset. Inside a stretch wall-clock time
and UTC differ by a constant, so cron's wall-clock times are looked up in a `Calendar` and shifted.
Debian's daylight saving rule is then one question: from which wall-clock time on does a stretch
count? For a wildcard job from the time its clocks show; for a fixed-time job from the time the
clocks had reached before, so a skipped time is met at once and a repeated one not again.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from booper.clock import plain
from booper.model import cron
from booper.model.cron import Calendar, InvalidCron

__all__ = ["Cron", "Interval", "InvalidCron", "InvalidTimezone", "Recurrence"]

_TICK: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)

# A year's margin at both ends keeps every zone's wall clock inside datetime's range.
_FIRST_YEAR: Final = 2
_LAST_YEAR: Final = 9998

# The rarest date, 29 February on one weekday, comes at least every 40 years. A date that
# never comes in its zone (always inside a gap) must not search to the end of time.
_SEARCH_YEARS: Final = 50

# Contract section 6: fixed times inside a longer gap (a zone that skips a day) do not run.
_MAX_GAP: Final = timedelta(hours=3)

# No clock is set back by more than 24 hours.
_FOLD_MARGIN: Final = timedelta(days=2)

# Shorter than any two changes of one zone lie apart (Africa/Freetown, 1939: 3 days 23:40).
_PROBE: Final = timedelta(days=3)

_MAX_ZONE_NAME: Final = 64
# Found beside the zones, but they mean another clock (with leap seconds) or this machine's own.
_NOT_ZONES: Final = frozenset({"Factory", "localtime", "posix", "posixrules", "right"})


class InvalidTimezone(ValueError):
    """A time zone is unknown; its text names the nearest known one, if there is one.

    It is looked for only where the text is asked for: that takes some milliseconds.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._name = name if len(name) <= _MAX_ZONE_NAME else f"{name[:_MAX_ZONE_NAME]}…"

    def __str__(self) -> str:
        return self.text()

    def text(self, *, suggests: bool = True) -> str:
        """Return what is wrong, and unless `suggests` is false what may be meant."""
        near = get_close_matches(self._name.lower(), _zones_by_name(), n=1) if suggests else []
        hint = (
            f"did you mean {_zones_by_name()[near[0]]!r}?"
            if near
            else "use an IANA name such as 'Europe/Berlin'"
        )
        return f"timezone {self._name!r} is unknown: {hint}"


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
            for stretch in _stretches(self.timezone, year):
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
            for stretch in reversed(_stretches(self.timezone, year)):
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
            for stretch in _stretches(self.timezone, year)
            if low < stretch.ends and stretch.begins < high
        )

    @property
    def shortest_gap(self) -> timedelta:
        """Return how far two runs lie apart at least, as the clock shows it; at most a day."""
        return timedelta(minutes=self._calendar.shortest_gap)

    def _count_in(self, stretch: "_Stretch", low: datetime, high: datetime) -> int:
        """Count the runs of a stretch from `low` on and before `high`."""
        opening, clock = self._opening(stretch), stretch.begins + stretch.offset
        end = min(high, stretch.ends) + stretch.offset
        if stretch.begins < low or clock < opening:
            return self._calendar.count(max(opening, low + stretch.offset), end)
        # What was skipped and what is due as the stretch begins are one run.
        opens_with_run = self._calendar.first(opening, clock + _TICK) is not None
        return opens_with_run + self._calendar.count(clock + _TICK, end)

    def _opening(self, stretch: "_Stretch") -> datetime:
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


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A time of one UTC offset. `begins` and `ends` (not included) are naive UTC.

    `resumes` is the wall-clock time from which fixed-time jobs count: the time the clocks had
    reached before, earlier than the clocks show after a gap, later after they were set back.
    """

    begins: datetime
    ends: datetime
    offset: timedelta
    resumes: datetime

    def instant(self, wall: datetime) -> datetime:
        """Return the aware UTC time of a wall-clock time; a skipped one is met as it begins."""
        return plain(max(wall - self.offset, self.begins).replace(tzinfo=UTC))


@lru_cache(maxsize=2048)
def _stretches(timezone: str, year: int) -> tuple[_Stretch, ...]:
    """Return the stretches that make up one UTC year of a zone. Raises: InvalidTimezone."""
    info = zone(timezone)
    new_year, end = datetime(year, 1, 1), datetime(year + 1, 1, 1)
    # Begin early, so that hours set back around midnight of New Year are still known.
    begin = new_year - _FOLD_MARGIN
    edges = sorted({begin, new_year, end, *_changes(info, begin, end)})
    stretches = []
    reached = begin + _offset(info, begin)
    for begins, ends in pairwise(edges):
        offset = _offset(info, begins)
        clock = begins + offset
        resumes = reached if clock - reached <= _MAX_GAP else clock
        stretches.append(_Stretch(begins, ends, offset, resumes))
        reached = max(resumes, ends + offset)
    return tuple(stretch for stretch in stretches if stretch.begins >= new_year)


def _changes(zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """Return when the zone's offset changes after `begin` and up to `end`, naive UTC."""
    changes = []
    offset = _offset(zone, begin)
    while begin < end:
        probe = min(begin + _PROBE, end)
        if _offset(zone, probe) != offset:
            probe = _change(zone, begin, probe)
            offset = _offset(zone, probe)
            changes.append(probe)
        begin = probe
    return changes


def _change(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime:
    """Return the second at which the offset of `begin` no longer holds."""
    offset = _offset(zone, begin)

    def has_changed(seconds: int) -> bool:
        return _offset(zone, begin + timedelta(seconds=seconds)) != offset

    span = (end - begin) // _SECOND
    return begin + timedelta(seconds=bisect_left(range(span), True, key=has_changed))


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    wall = zone.fromutc(moment.replace(tzinfo=zone))
    return wall.replace(tzinfo=None) - moment


def _naive_utc(t: datetime) -> datetime:
    if t.utcoffset() is None:
        raise ValueError(f"time must have a zone, got {t.isoformat()}")
    return t.astimezone(UTC).replace(tzinfo=None)


def check_timezone(name: str) -> None:
    """Check that a name is an IANA time zone. Raises: InvalidTimezone."""
    if name not in _zones():
        raise InvalidTimezone(name)


def zone(name: str) -> ZoneInfo:
    """Return the zone of a name. Raises: InvalidTimezone, also where its file is gone by now."""
    check_timezone(name)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidTimezone(name) from None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """Return the zones of this machine and of `tzdata`; to find them takes some milliseconds."""
    return frozenset(available_timezones() - _NOT_ZONES)


@lru_cache(maxsize=1)
def _zones_by_name() -> dict[str, str]:
    """Return the zones by lower-case name and, where that is free, by city alone."""
    zones = sorted(_zones())
    cities = {zone.rsplit("/", 1)[-1].lower(): zone for zone in zones}
    return cities | {zone.lower(): zone for zone in zones}

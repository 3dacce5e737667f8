"""The planned times of simple cron lines, by zoneinfo and plain arithmetic.

Nothing of booper is used here, since its recurrence is what this is compared with. Fields are `*`,
`*/n`, numbers, ranges and lists; of the two day fields at most one may be restricted.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def planned_times(line: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """Return the times of a cron line behind `after`, up to `until`, in order.

    Contract §6: where the minute or the hour begins with `*`, real time counts. Otherwise times
    inside a gap run once, at its end, and a repeated time runs at its first occurrence.
    """
    minute, hour, *_ = line.split()
    is_by_real_time = minute.startswith("*") or hour.startswith("*")
    find = _by_real_time if is_by_real_time else _by_wall_time
    return sorted({at for at in find(line, ZoneInfo(zone), after, until) if after < at <= until})


def _by_real_time(
    line: str, zone: ZoneInfo, after: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield each minute that passes and at which a clock on the wall shows what the line says."""
    minutes, hours, *_ = map(_numbers, line.split())
    is_its_day = _day_test(line)
    at = after.replace(second=0, microsecond=0)
    while at <= until:
        shown = at.astimezone(zone)
        if shown.minute in minutes and shown.hour in hours and is_its_day(shown.date()):
            yield at
        at += MINUTE


def _by_wall_time(
    line: str, zone: ZoneInfo, after: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield when each time of each day comes for the first time, or when its gap ends."""
    minutes, hours, *_ = map(_numbers, line.split())
    is_its_day = _day_test(line)
    day = after.date() - DAY  # the zone may be a day off
    while day <= until.date() + DAY:
        if is_its_day(day):
            for hour in hours:
                for minute in minutes:
                    yield _instant(datetime.combine(day, time(hour, minute)), zone)
        day += DAY


def _instant(shown: datetime, zone: ZoneInfo) -> datetime:
    """Return when a clock on the wall first shows a time, or what comes where it skips that."""
    while True:
        at = shown.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == shown:
            return at
        shown += MINUTE


def _day_test(line: str) -> Callable[[date], bool]:
    days, months, weekdays = map(_numbers, line.split()[2:])
    return lambda day: day.day in days and day.month in months and day.isoweekday() % 7 in weekdays


def _numbers(field: str) -> frozenset[int]:
    """Return the numbers of a field; of a `*` more than any field has."""
    found = set[int]()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0", "", "59") if span == "*" else span.partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return frozenset(found)

"""Time zones by name, each as a row of stretches with one UTC offset.

Inside a stretch wall-clock time and UTC differ by a constant.
"""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from booper.clock import plain

_SECOND: Final = timedelta(seconds=1)

# Contract section 6: fixed times inside a longer gap (a zone that skips a day) do not run.
_MAX_GAP: Final = timedelta(hours=3)

# No clock is set back by more than 24 hours.
_FOLD_MARGIN: Final = timedelta(days=2)

# Less than the time between any two changes of one zone (Africa/Freetown, 1939: 3 days 23:40).
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


class Stretch(msgspec.Struct, frozen=True):
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
def stretches(timezone: str, year: int) -> tuple[Stretch, ...]:
    """Return the stretches that make up one UTC year of a zone. Raises: InvalidTimezone."""
    info = zone(timezone)
    new_year, end = datetime(year, 1, 1), datetime(year + 1, 1, 1)
    # Begin early, so that hours set back around midnight of New Year are still known.
    begin = new_year - _FOLD_MARGIN
    edges = sorted({begin, new_year, end, *_changes(info, begin, end)})
    found = []
    reached = begin + _offset(info, begin)
    for begins, ends in pairwise(edges):
        offset = _offset(info, begins)
        clock = begins + offset
        resumes = reached if clock - reached <= _MAX_GAP else clock
        found.append(Stretch(begins, ends, offset, resumes))
        reached = max(resumes, ends + offset)
    return tuple(stretch for stretch in found if stretch.begins >= new_year)


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

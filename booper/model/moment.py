"""Moments as users write them: ISO 8601 text or a Unix time (contract §3).

The one reader of every time field, filter, form value and option. It reads the calendar, week and
ordinal dates of ISO 8601, basic and extended, with the leniences of RFC 3339 §5.6. What could be
two different times is refused, and the error names both.
"""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final

from booper.clock import EPOCH, plain
from booper.model.duration import MAX_DURATION

Moment = int | float | str
"""A point in time on the wire: ISO 8601 text, or a Unix time in seconds or milliseconds."""

# JavaScript's Date.now() counts milliseconds; 10^11 seconds would be the year 5138 (contract §3).
MILLISECONDS_FROM = 10**11

_UNIX_SECONDS: Final = (9, 10)
"""How many digits Unix seconds have as text: from 1973 to 2286."""

_UNIX_MILLISECONDS: Final = 13

_MAX_TEXT: Final = 64
"""Characters; a longer text is no time, and is not searched."""

_DATE: Final = (
    r"(?P<year>[0-9]{4})(?:"
    r"-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})|(?P<month_>[0-9]{2})(?P<day_>[0-9]{2})"
    r"|-W(?P<week>[0-9]{2})-(?P<weekday>[1-7])|W(?P<week_>[0-9]{2})(?P<weekday_>[1-7])"
    r"|-?(?P<ordinal>[0-9]{3}))"
)
_CLOCK: Final = (
    r"(?P<hour>[0-9]{2})(?:(?P<colon>:?)(?P<minute>[0-9]{2})"
    r"(?:(?P=colon)(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?)?"
)
_ZONE: Final = r"[Zz]|(?P<sign>[+-])(?P<zone_hour>[0-9]{2})(?::?(?P<zone_minute>[0-9]{2}))?"
_ISO_8601 = re.compile(f"{_DATE}(?:[Tt ]{_CLOCK}(?P<zone>{_ZONE})?)?")

_DIGITS = re.compile(r"(?P<whole>[0-9]+)(?:\.[0-9]+)?")
_COMPACT: Final = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
# `+` means a space in a query or a form (WHATWG URL, urlencoded parsing).
_LOST_PLUS = re.compile(r".*[0-9] [0-9]{2}:?[0-9]{2}")


class InvalidMoment(ValueError):
    """A description of what is wrong with a point in time, and of what would be right."""


def parse_moment(value: Moment, now: datetime | None, zone: tzinfo = UTC) -> datetime:
    """Read a point in time; text without a zone is in `zone`.

    Raises:
        InvalidMoment: it is no such time, or over a century from `now`, if that is given.
    """
    moment = _from_text(value, zone) if isinstance(value, str) else _from_unix(value)
    if now is not None and moment - now > MAX_DURATION:
        raise InvalidMoment(f"must be within a century from now, got {moment.isoformat()}")
    return moment


def is_unix_time(text: str) -> bool:
    """Return whether text is digits alone that mean the same as the number they spell."""
    digits = _DIGITS.fullmatch(text[: _MAX_TEXT + 1])
    counts = (*_UNIX_SECONDS, _UNIX_MILLISECONDS)
    return digits is not None and len(digits["whole"]) in counts and text[0] != "0"


def _from_text(text: str, zone: tzinfo) -> datetime:
    digits = _DIGITS.fullmatch(text[: _MAX_TEXT + 1])
    if digits is not None:
        return _from_digits(text, len(digits["whole"]))
    try:
        return plain(_from_iso(text[: _MAX_TEXT + 1], zone))
    except (ValueError, OverflowError):
        raise _not_a_time(text) from None


def _from_digits(text: str, count: int) -> datetime:
    """Read a Unix time that came as text; its digits say its unit.

    Raises:
        InvalidMoment: it has another number of digits.
    """
    if count in _UNIX_SECONDS:
        return _from_unix(float(text) if "." in text else int(text))
    if count == _UNIX_MILLISECONDS:
        return _from_milliseconds(float(text) if "." in text else int(text))
    if count == len(text) and (both := _two_readings(text)):
        raise InvalidMoment(f"{text!r} could be {both[0]} or {both[1]}; write the one you mean")
    raise InvalidMoment(
        f"digits alone are a Unix time: 9 or 10 digits of seconds, or 13 of milliseconds; "
        f"got {count} digits: {text[:40]!r}"
    )


def _two_readings(text: str) -> tuple[str, str] | None:
    """Return the date and the Unix time that digits could both mean, as ISO 8601."""
    try:
        as_date = datetime.strptime(text, _COMPACT[len(text)]).isoformat() + "Z"
    except (KeyError, ValueError):
        return None
    return as_date, _from_unix(int(text)).isoformat().replace("+00:00", "Z")


def _from_iso(text: str, zone: tzinfo) -> datetime:
    """Raises: ValueError or OverflowError, it is no time."""
    found = _ISO_8601.fullmatch(text)
    if found is None:
        raise ValueError
    day = datetime.combine(_date(found), datetime.min.time(), _zone(found, zone))
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    micro = int((found["fraction"] or "0")[:6].ljust(6, "0"))
    if hour == 24:  # ISO 8601: the end of the day
        if minute or second or (found["fraction"] or "").strip("0"):
            raise ValueError
        return (day + timedelta(days=1)).astimezone(UTC)
    # No clock here knows leap seconds; such a one is the start of the next minute (POSIX).
    is_leap = second == 60
    at = day.replace(hour=hour, minute=minute, second=second - is_leap, microsecond=micro)
    at = at.astimezone(UTC)
    if not is_leap:
        return at
    if not _has_leap_second(at):
        raise ValueError
    return at.replace(microsecond=0) + timedelta(seconds=1)


def _date(found: re.Match[str]) -> date:
    year = int(found["year"])
    if week := found["week"] or found["week_"]:
        return date.fromisocalendar(year, int(week), int(found["weekday"] or found["weekday_"]))
    if found["ordinal"]:
        day = date(year, 1, 1) + timedelta(days=int(found["ordinal"]) - 1)
        if day.year != year:
            raise ValueError
        return day
    return date(year, int(found["month"] or found["month_"]), int(found["day"] or found["day_"]))


def _zone(found: re.Match[str], default: tzinfo) -> tzinfo:
    if found["zone"] is None:
        return default
    if found["sign"] is None:
        return UTC
    hours, minutes = int(found["zone_hour"]), int(found["zone_minute"] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(offset if found["sign"] == "+" else -offset)


def _has_leap_second(at: datetime) -> bool:
    """Return whether a UTC minute can have a 61st second (RFC 3339 §5.7: at a month's end)."""
    return (at.day, at.hour, at.minute) == (monthrange(at.year, at.month)[1], 23, 59)


def _not_a_time(text: str) -> InvalidMoment:
    hint = "; write + as %2B" if _LOST_PLUS.fullmatch(text[:_MAX_TEXT]) else ""
    return InvalidMoment(
        f"expected an ISO 8601 time such as '2030-01-31T09:00:00Z', got {text[:40]!r}{hint}"
    )


def _from_unix(number: int | float) -> datetime:
    if not number >= 0:
        raise InvalidMoment(f"a Unix time must be a number from 0 up, got {number!r:.40}")
    if number >= MILLISECONDS_FROM:
        return _from_milliseconds(number)
    return EPOCH + timedelta(seconds=number)


def _from_milliseconds(number: int | float) -> datetime:
    try:
        return EPOCH + timedelta(seconds=number / 1000)
    except OverflowError:
        raise InvalidMoment(f"must be within a century from now, got {number!r:.40}") from None

"""Moments as users write them: ISO 8601 text or a Unix time (contract §3)."""

from datetime import UTC, datetime, timedelta, tzinfo

from booper.clock import EPOCH
from booper.model.duration import LONGEST

Moment = int | float | str
"""A point in time on the wire: ISO 8601 text, or a Unix time in seconds or milliseconds."""

# JavaScript's Date.now() counts milliseconds; 10^11 seconds would be the year 5138 (contract §3).
MILLISECONDS_FROM = 10**11


class InvalidMoment(ValueError):
    """Say what is wrong with a point in time and what would be right."""


def parse_moment(value: Moment, now: datetime | None, zone: tzinfo = UTC) -> datetime:
    """Read a point in time; text without a zone is in `zone`.

    Raises:
        InvalidMoment: it is no such time, or over a century from `now`, if that is given.
    """
    moment = _from_text(value, zone) if isinstance(value, str) else _from_unix(value)
    if now is not None and moment - now > LONGEST:
        raise InvalidMoment(f"must be within a century from now, got {moment.isoformat()}")
    return moment


def _from_text(text: str, zone: tzinfo) -> datetime:
    try:
        # Python 3.11 reads on past a NUL.
        moment = datetime.fromisoformat(text.replace("\0", "?"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidMoment(
            f"expected an ISO 8601 time such as '2030-01-31T09:00:00Z', got {text[:40]!r}"
        ) from None


def _from_unix(number: int | float) -> datetime:
    if not number >= 0:
        raise InvalidMoment(f"a Unix time must be a number from 0 up, got {number!r:.40}")
    try:
        seconds = number / 1000 if number >= MILLISECONDS_FROM else number
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise InvalidMoment(f"must be within a century from now, got {number!r:.40}") from None

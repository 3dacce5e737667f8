"""Times and durations that a test gives: read as anywhere else, with errors in its own words."""

from datetime import datetime, timedelta

from booper.clock import plain
from booper.model.duration import MAX_DURATION, InvalidDuration, parse_duration
from booper.model.moment import InvalidMoment, parse_moment

Duration = timedelta | float | str | tuple[float, str]
"""`timedelta(minutes=5)`, seconds, `(5, "minutes")`, or text such as `"5m"`."""

Moment = datetime | float | str
"""An aware datetime, ISO 8601 text (UTC where it names no zone), or a Unix time."""


def read_duration(duration: Duration, **amounts: float) -> timedelta:
    """Return a duration and what is added to it: amounts of weeks, days, hours, and so on.

    Raises:
        ValueError: it is no duration, or over a century.
        TypeError: it is of another kind, such as a time.
    """
    length = duration if isinstance(duration, timedelta) else _parsed(duration)
    for unit, amount in amounts.items():
        try:
            length += timedelta(**{unit: amount})
        except (TypeError, ValueError) as error:
            raise type(error)(f"{unit}: expected a number, got {amount!r:.80}") from None
        except OverflowError:
            raise ValueError(f"{unit}: must be at most a century, got {amount!r:.80}") from None
    if length > MAX_DURATION:
        raise ValueError(f"must be at most a century, got {length}")
    return length


def _parsed(duration: object) -> timedelta:
    expected = 'expected timedelta(minutes=5), seconds, (5, "minutes") or "5m"'
    if isinstance(duration, datetime):
        raise TypeError(f"{expected}, got the time {duration}; use advance_to")
    pair = tuple(duration) if isinstance(duration, list | tuple) else None
    is_pair = pair is not None and [type(part) for part in pair] in ([int, str], [float, str])
    if not is_pair and (isinstance(duration, bool) or not isinstance(duration, int | float | str)):
        raise TypeError(f"{expected}, got {duration!r:.80}")
    try:
        value: int | float | str | tuple[int | float, str] = pair or duration  # type: ignore[assignment]
        return parse_duration(value)
    except InvalidDuration as error:
        raise ValueError(f"{expected}: {error}") from None


def read_moment(name: str, moment: Moment) -> datetime:
    """Return a moment in UTC; `name` is what the caller knows it by.

    Raises:
        ValueError: it could be any of 24 hours, having no zone, or is no time.
        TypeError: it is of another kind, such as a duration.
    """
    expected = f"{name}: expected a datetime with a time zone, such as UTC"
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise ValueError(f"{expected}, got {moment!r}")
        return plain(moment)
    if isinstance(moment, timedelta):
        raise TypeError(f"{expected}, got the duration {moment}; use advance")
    if isinstance(moment, bool) or not isinstance(moment, int | float | str):
        raise TypeError(f"{expected}, ISO 8601 text or a Unix time, got {moment!r:.80}")
    try:
        return parse_moment(moment, None)
    except InvalidMoment as error:
        raise ValueError(f"{name}: {error}") from None

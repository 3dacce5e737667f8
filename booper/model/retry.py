"""When a failed attempt is made again: backoff and `Retry-After` (contract §8)."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final

import msgspec

from booper.model.duration import Duration, parse_duration

EXPONENTIAL: Final = "exponential"
MAX_RETRY_AFTER: Final = timedelta(hours=24)

# Oban's backoff: 15 s + 2^attempt s. Past 2^20 s (12 days) it no longer grows, so that no number
# of attempts overflows a date.
_BASE = timedelta(seconds=15)
_LARGEST_EXPONENT = 20
_JITTER = 0.1

MIN_DELAY: Final = timedelta(seconds=1)
"""No retry comes sooner, whatever a backoff says: each attempt is logged and takes disk space."""

MAX_QUICK_ATTEMPTS: Final = 100
MIN_LATE_DELAY: Final = timedelta(minutes=1)
"""After `MAX_QUICK_ATTEMPTS` no retry comes sooner than this."""


class Backoff(msgspec.Struct, frozen=True):
    """The waits after failed attempts: fixed delays, or none for the exponential."""

    delays: tuple[timedelta, ...] = ()

    def delay(self, attempt: int, random: Random) -> timedelta:
        """Return the wait after the `attempt`-th attempt (from 1) failed.

        The last of the fixed delays repeats. The exponential adds up to 10 % jitter, so that
        what failed together is not retried together. None is shorter than `MIN_DELAY`, and none
        after many attempts shorter than `MIN_LATE_DELAY`.
        """
        if self.delays:
            least = MIN_DELAY if attempt <= MAX_QUICK_ATTEMPTS else MIN_LATE_DELAY
            return max(self.delays[min(attempt, len(self.delays)) - 1], least)
        seconds = _BASE + timedelta(seconds=2 ** min(attempt, _LARGEST_EXPONENT))
        return seconds * (1 + _JITTER * random.random())


def parse_backoff(value: str | list[Duration]) -> Backoff:
    """Read `"exponential"` or a list of durations.

    Raises:
        ValueError: another word, an empty list, or a wrong duration.
    """
    if isinstance(value, str):
        if value != EXPONENTIAL:
            raise ValueError(f'expected "exponential" or a list of durations, got {value[:40]!r}')
        return Backoff()
    if not value:
        raise ValueError("a list of delays must name at least one")
    return Backoff(tuple(parse_duration(item) for item in value))


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a `Retry-After` header: seconds or an HTTP date (RFC 9110 §10.2.3), at most 24 hours.

    None where it is absent or unreadable: a target's bad header never fails an attempt twice.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        seconds = int(text.lstrip("0")[:10] or "0")
        return min(timedelta(seconds=seconds), MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year or an offset that no date can hold
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max(date - now, timedelta(0)), MAX_RETRY_AFTER)

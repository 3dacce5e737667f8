"""How times stand in a database: as whole microseconds since 1970, in UTC."""

from datetime import datetime, timedelta
from functools import lru_cache

from booper.clock import EPOCH

_MICROSECOND = timedelta(microseconds=1)


def stored(at: datetime) -> int:
    """Turn an aware time into microseconds since 1970."""
    since = at - EPOCH  # to divide it by a microsecond takes many times as long
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def stored_or_none(at: datetime | None) -> int | None:
    """Turn a time into microseconds, None into NULL."""
    return None if at is None else stored(at)


def stored_span(span: timedelta | None) -> int | None:
    """Turn a duration into microseconds, None into NULL."""
    return None if span is None else span // _MICROSECOND


@lru_cache(maxsize=1024)  # jobs that were created together, or are due at one time
def loaded(microseconds: int) -> datetime:
    """Turn stored microseconds into an aware UTC time."""
    return EPOCH + timedelta(microseconds=microseconds)


def loaded_or_none(microseconds: int | None) -> datetime | None:
    """Turn microseconds into a time, NULL into None."""
    return None if microseconds is None else loaded(microseconds)

"""How values stand in the tables: times as integer microseconds, UUIDs as 16 bytes."""

from collections.abc import Set
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from booper.clock import EPOCH
from booper.model.identity import uuid_of_bytes
from booper.model.job import FINISHED, UNFINISHED, WAITING, State

Row = tuple[Any, ...]
"""What SQLite returns of a row."""

_MICROSECOND = timedelta(microseconds=1)


def stored(at: datetime) -> int:
    """Turn an aware time into microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def stored_or_none(at: datetime | None) -> int | None:
    """Turn a time into microseconds, None into NULL."""
    return None if at is None else stored(at)


def stored_span(span: timedelta | None) -> int | None:
    """Turn a duration into microseconds, None into NULL."""
    return None if span is None else span // _MICROSECOND


def loaded(microseconds: int) -> datetime:
    """Turn stored microseconds into an aware UTC time."""
    return EPOCH + timedelta(microseconds=microseconds)


def loaded_or_none(microseconds: int | None) -> datetime | None:
    """Turn microseconds into a time, NULL into None."""
    return None if microseconds is None else loaded(microseconds)


def _any_of(states: Set[State]) -> str:
    named = [f"'{state}'" for state in State if state in states - {State.AVAILABLE}]
    return f"({', '.join(named)})"


# Partial indexes serve only what has their very words, and these are in their order.
IN_WAITING = f"state IN {_any_of(WAITING)}"
IN_UNFINISHED = f"state IN {_any_of(UNFINISHED)}"
IN_FINISHED = f"state IN {_any_of(FINISHED)}"


@lru_cache(maxsize=1024)  # the same few users stand in all rows
def user_of(value: bytes | str) -> UUID:
    """Turn the 16 bytes of a user's id, or their hex digits, into a UUID."""
    return uuid_of_bytes(value)

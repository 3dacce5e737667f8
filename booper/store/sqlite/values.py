"""How values stand in the tables: times as integer microseconds, UUIDs as 16 bytes."""

import sqlite3
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


def bind_plainly() -> None:
    """Make sqlite3 bind bytes and None as they are.

    It looks for an adapter of all but numbers, texts and bytearrays, and to find none costs more
    than the rest of the binding: an AttributeError is made (CPython, `_sqlite/microprotocols.c`).
    An adapter that the program has for them stays.
    """
    for kind, unchanged in (bytes, bytes.__bytes__), (type(None), {None: None}.get):
        sqlite3.adapters.setdefault((kind, sqlite3.PrepareProtocol), unchanged)


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

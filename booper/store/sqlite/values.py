"""How values stand in the tables: UUIDs as 16 bytes, states as their names."""

import sqlite3
from collections.abc import Set
from functools import lru_cache
from typing import Any
from uuid import UUID

from booper.model.identity import uuid_of_bytes
from booper.model.job import FINISHED, UNFINISHED, WAITING, State

Row = tuple[Any, ...]
"""What SQLite returns of a row."""


def bind_plainly() -> None:
    """Make sqlite3 bind bytes and None as they are.

    It looks for an adapter of all but numbers, texts and bytearrays, and to find none costs more
    than the rest of the binding: an AttributeError is made (CPython, `_sqlite/microprotocols.c`).
    An adapter that the program has for them stays.
    """
    for kind, unchanged in (bytes, bytes.__bytes__), (type(None), {None: None}.get):
        sqlite3.adapters.setdefault((kind, sqlite3.PrepareProtocol), unchanged)


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

"""The rows of a database in a form in which two that went the same way are equal."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DURATION: Final = re.compile(r'"duration_ms":[0-9.]+')

_FIRST: Final = ("users", "keys", "schedules", "jobs")
"""The tables whose rows name the others, in the order in which they were made."""

_MEASURED: Final = {"alerts", "buckets", "days", "incidents", "pulse", "sqlite_sequence"}
"""What depends on how long something took, and on when booper has looked at itself."""


def rows_of(path: Path) -> dict[str, list[str]]:
    """Return the rows of each table as text.

    Ids are random: each is written as the place where it comes first. So are digests; and how long
    an attempt took is left out.
    """
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        tables = {name for (name,) in connection.execute(query)} - _MEASURED
        order = [*_FIRST, *sorted(tables.difference(_FIRST))]
        names = dict[bytes, str]()
        return {table: _rows(connection, table, names) for table in order}


def _rows(connection: sqlite3.Connection, table: str, names: dict[bytes, str]) -> list[str]:
    query = f"SELECT * FROM {table}"
    order = " ORDER BY rowid" if table in _FIRST or table == "logs" else ""
    found = [
        str([_value(value, names) for value in row]) for row in connection.execute(query + order)
    ]
    return found if order else sorted(found)


def _value(value: object, names: dict[bytes, str]) -> object:
    match value:
        case bytes():
            return names.setdefault(value, f"id {len(names)}")
        case str():
            text = _UUID.sub(lambda found: _named(found[0], names), value)
            return _DURATION.sub('"duration_ms":…', text)
        case _:
            return value


def _named(text: str, names: dict[bytes, str]) -> str:
    return names.setdefault(bytes.fromhex(text.replace("-", "")), f"id {len(names)}")

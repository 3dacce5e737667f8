"""Rows of buckets: what happened is added to those there are.

What happened on a day is kept as well, so that whoever wants a month need not add up 8,640 rows.
"""

import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from itertools import compress
from typing import Final
from uuid import UUID

from booper.model.bucket import (
    DAY,
    HOUR,
    LIMITS,
    MINUTES,
    PARTS,
    Bucket,
    Happened,
    Histogram,
    begin_of,
)
from booper.store.counters import OriginCounts
from booper.store.sqlite.values import Row
from booper.store.stored import loaded, stored

_MICROSECOND: Final = timedelta(microseconds=1)
_NONE: Final = timedelta(0)

NUMBERS: Final = (
    *("completed", "failed", "discarded", "skipped", "late_sum", "took_sum"),
    *(f"late_{place}" for place in range(PARTS)),
    *(f"took_{place}" for place in range(PARTS)),
)
_FIRST: Final = 2
"""The place of the first number in a row; sums of nothing are NULL."""

_LATE: Final = NUMBERS.index("late_0")
_TOOK: Final = NUMBERS.index("took_0")

_BUCKETS: Final = ("buckets", ("user_id", "origin", "begins_at"))
_DAYS: Final = ("days", ("user_id", "begins_at"))
"""The tables, each with its key."""

_SUMS: Final = ", ".join(f"sum({name})" for name in NUMBERS)

FEW: Final = 6
"""So many numbers at most one attempt adds to: a statement for them alone takes a third less."""

# By users, since an index has them first.
EVERYBODY: Final = "user_id IN (SELECT id FROM users)"
OF_USER: Final = "user_id = :user_id"

# A user's own, or everybody's; the five minutes of all origins, or the hours of each.
READ: Final = f"""
SELECT origin, begins_at, {_SUMS} FROM buckets
WHERE {{whose}} AND origin {{origin}} '' AND begins_at >= :since AND begins_at < :until
GROUP BY origin, begins_at ORDER BY begins_at, origin
"""

# One statement a span: grouped by spans, SQLite would sort the rows, which takes twice as long.
SPAN: Final = f"""
SELECT '', :since, {_SUMS} FROM buckets
WHERE user_id = :user_id AND origin = '' AND begins_at >= :since AND begins_at < :until
"""

WHOLE_DAYS: Final = f"""
SELECT '', :since, {_SUMS} FROM days
WHERE user_id = :user_id AND begins_at >= :since AND begins_at < :until
"""

_DAY: Final = DAY // _MICROSECOND

FILL_DAYS: Final = f"""
INSERT INTO days (user_id, begins_at, {", ".join(NUMBERS)})
SELECT user_id, begins_at - begins_at % {_DAY} AS day, {_SUMS} FROM buckets
WHERE {EVERYBODY} AND origin = '' GROUP BY user_id, day
"""

MAX_HOURS: Final = 10_000
"""So many buckets of origins are added up at once: that takes 30 ms."""

# By time, since the other index has all hours of an origin together, however old.
ORIGINS: Final = f"""
SELECT origin, :since, {_SUMS}, count(*) FROM (
    SELECT origin, {", ".join(NUMBERS)} FROM buckets INDEXED BY buckets_by_time
    WHERE begins_at >= :since AND begins_at < :until AND origin <> ''
    ORDER BY begins_at DESC LIMIT {MAX_HOURS}
) GROUP BY origin ORDER BY origin
"""

# The last hour that is counted may lack some origins, where there are others behind it.
FIRST_LEFT_OUT: Final = f"""
SELECT begins_at FROM buckets INDEXED BY buckets_by_time
WHERE begins_at >= :since AND begins_at < :until AND origin <> ''
ORDER BY begins_at DESC LIMIT 1 OFFSET {MAX_HOURS}
"""

_ALL: Final = tuple(range(len(NUMBERS)))

_Key = tuple[bytes | str | int, ...]
_Table = tuple[str, tuple[str, ...]]


class BucketRows:
    """The buckets of one connection (`booper.store.records.BucketTable`)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, happened: Sequence[Happened]) -> None:
        """Add what happened, to its user's five minutes and day and to its origin's hour."""
        rows: dict[_Key, list[int]] = {}
        days: dict[_Key, list[int]] = {}
        for (user_id, origin, begins_at), numbers in _summed(happened).items():
            user = user_id.bytes
            _add(rows, (user, "", stored(begins_at)), numbers)
            _add(rows, (user, origin, stored(begin_of(begins_at, HOUR))), numbers)
            _add(days, (user, stored(begin_of(begins_at, DAY))), numbers)
        self._write(_BUCKETS, rows)
        self._write(_DAYS, days)

    def _write(self, table: _Table, rows: Mapping[_Key, list[int]]) -> None:
        for key, numbers in rows.items():
            added, places = list(filter(None, numbers)), tuple(compress(_ALL, numbers))
            if len(added) > FEW:
                added, places = numbers, _ALL
            if added and not self._execute(_add_statement(table, places), (*added, *key)):
                self._execute(_begin_statement(table), (*numbers, *key))

    def _execute(self, statement: str, values: Sequence[object]) -> int:
        return self._connection.execute(statement, values).rowcount


def read_buckets(
    connection: sqlite3.Connection,
    user_id: UUID | None,
    since: datetime,
    until: datetime,
    *,
    by_origin: bool,
) -> list[tuple[str, Bucket]]:
    """Return the buckets that begin between two times, of a user or of all, by time.

    Those of five minutes have no origin, those of an hour theirs.
    """
    statement = READ.format(
        whose=EVERYBODY if user_id is None else OF_USER, origin="<>" if by_origin else "="
    )
    values = {
        "user_id": user_id.bytes if user_id else None,
        "since": stored(since),
        "until": stored(until),
    }
    return [(row[0], _bucket(row)) for row in connection.execute(statement, values)]


def read_spans(
    connection: sqlite3.Connection,
    user_id: UUID,
    since: datetime,
    until: datetime,
    every: timedelta,
) -> list[Bucket]:
    """Return a bucket for each span of a time in which something happened to a user's jobs."""
    found, last, step = list[Bucket](), stored(until), every // _MICROSECOND
    for begin in range(stored(since), last, step):
        end = min(begin + step, last)
        values = {"user_id": user_id.bytes, "since": begin, "until": end}
        are_days = not begin % _DAY and not end % _DAY
        row = connection.execute(WHOLE_DAYS if are_days else SPAN, values).fetchone()
        if row[_FIRST] is not None:
            found.append(_bucket(row))
    return found


def read_origins(connection: sqlite3.Connection, since: datetime, until: datetime) -> OriginCounts:
    """Return a bucket for each origin: of all users, and of the hours that begin between two times.

    Of more than `MAX_HOURS` hours the newest are counted.
    """
    values = {"since": stored(since), "until": stored(until)}
    rows = connection.execute(ORIGINS, values).fetchall()
    buckets = [(row[0], _bucket(row[:-1])) for row in rows]
    if sum(row[-1] for row in rows) < MAX_HOURS:
        return OriginCounts(buckets)
    left_out = connection.execute(FIRST_LEFT_OUT, values).fetchone()
    return OriginCounts(buckets, None if left_out is None else loaded(left_out[0]) + HOUR)


@lru_cache(maxsize=256)
def _add_statement(table: _Table, places: tuple[int, ...]) -> str:
    """Return the statement that adds to the numbers in these places of a row that is there."""
    name, key = table
    added = ", ".join(f"{NUMBERS[place]} = {NUMBERS[place]} + ?" for place in places)
    return f"UPDATE {name} SET {added} WHERE {' AND '.join(f'{part} = ?' for part in key)}"


@lru_cache
def _begin_statement(table: _Table) -> str:
    """Return the statement that writes the first row of a key."""
    name, key = table
    columns = (*NUMBERS, *key)
    return f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _summed(happened: Sequence[Happened]) -> dict[tuple[UUID, str, datetime], list[int]]:
    """Return the numbers of each user, origin and five minutes: one step for each that happened."""
    sums: dict[tuple[UUID, str, datetime], list[int]] = {}
    for each in happened:
        key = (each.user_id, each.origin, begin_of(each.at, MINUTES))
        numbers = sums.get(key)
        if numbers is None:
            numbers = sums[key] = [0] * len(NUMBERS)
        for place, count in enumerate((each.completed, each.failed, each.discarded, each.skipped)):
            numbers[place] += count
        numbers[4] += sum(each.lateness, _NONE) // _MICROSECOND
        numbers[5] += sum(each.durations, _NONE) // _MICROSECOND
        for first, spans in (_LATE, each.lateness), (_TOOK, each.durations):
            for part, count in Counter(map(_part_of, spans)).items():
                numbers[first + part] += count
    return sums


_part_of = partial(bisect_left, LIMITS)
"""Return which part of a histogram a span is in."""


def _add(rows: dict[_Key, list[int]], key: _Key, numbers: list[int]) -> None:
    known = rows.get(key)
    rows[key] = numbers if known is None else [a + b for a, b in zip(known, numbers, strict=True)]


def _bucket(row: Row) -> Bucket:
    _, begins_at, *numbers = row
    late, took = numbers[_LATE:_TOOK], numbers[_TOOK:]
    return Bucket(
        loaded(begins_at),
        completed=numbers[0],
        failed=numbers[1],
        discarded=numbers[2],
        skipped=numbers[3],
        lateness=Histogram(tuple(late), numbers[4] * _MICROSECOND),
        duration=Histogram(tuple(took), numbers[5] * _MICROSECOND),
    )

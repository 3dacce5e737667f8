"""Rows of buckets: what happened is a new row, so that writers do not wait for each other.

Whoever reads adds the rows of a bucket up; now and then they are written as one.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from booper.model.bucket import HOUR, LIMITS, MINUTES, PARTS, Bucket, Happened, Histogram, begin_of
from booper.store.counters import OriginCounts
from booper.store.postgres.values import Row
from booper.store.stored import loaded, stored

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

_MICROSECOND: Final = timedelta(microseconds=1)
_NONE: Final = timedelta(0)

NUMBERS: Final = (
    *("completed", "failed", "discarded", "skipped", "late_sum", "took_sum"),
    *(f"late_{place}" for place in range(PARTS)),
    *(f"took_{place}" for place in range(PARTS)),
)
_COLUMNS: Final = f"user_id, origin, begins_at, {', '.join(NUMBERS)}"

# A sum of bigint is numeric.
_SUMS: Final = ", ".join(f"sum({name})::bigint AS {name}" for name in NUMBERS)

_LATE: Final = NUMBERS.index("late_0")
_TOOK: Final = NUMBERS.index("took_0")

ADD: Final = f"""
INSERT INTO buckets ({_COLUMNS})
SELECT user_id, origin, begins_at,
    {", ".join(f"(%(numbers)s::bigint[])[place][{at}]" for at in range(1, len(NUMBERS) + 1))}
FROM unnest(%(user_ids)s::uuid[], %(origins)s::text[], %(begins)s::bigint[])
    WITH ORDINALITY AS bucket (user_id, origin, begins_at, place)
"""

# A user's own, or everybody's; the five minutes of all origins, or the hours of each.
READ: Final = f"""
SELECT origin, begins_at, {_SUMS} FROM buckets
WHERE {{whose}} AND origin {{origin}} '' AND begins_at >= %(since)s AND begins_at < %(until)s
GROUP BY origin, begins_at ORDER BY begins_at, origin
"""

SPANS: Final = f"""
SELECT '', %(since)s + (begins_at - %(since)s) / %(step)s * %(step)s AS span, {_SUMS} FROM buckets
WHERE user_id = %(user_id)s AND origin = ''
    AND begins_at >= %(since)s AND begins_at < %(until)s
GROUP BY span ORDER BY span
"""

MAX_HOURS: Final = 10_000
"""So many buckets of origins are added up at once."""

# By time, since the other index has all hours of an origin together, however old.
ORIGINS: Final = f"""
SELECT origin, %(since)s, {_SUMS}, count(*) FROM (
    SELECT origin, {_SUMS} FROM buckets
    WHERE begins_at >= %(since)s AND begins_at < %(until)s AND origin <> ''
    GROUP BY begins_at, user_id, origin ORDER BY begins_at DESC LIMIT {MAX_HOURS}
) AS hours GROUP BY origin ORDER BY origin
"""

# The last hour that is counted may lack some origins, where there are others behind it.
FIRST_LEFT_OUT: Final = f"""
SELECT begins_at FROM buckets
WHERE begins_at >= %(since)s AND begins_at < %(until)s AND origin <> ''
GROUP BY begins_at, user_id, origin ORDER BY begins_at DESC LIMIT 1 OFFSET {MAX_HOURS}
"""

# By users, since an index has them first.
EVERYBODY: Final = "user_id IN (SELECT id FROM users)"
OF_USER: Final = "user_id = %(user_id)s"

# One node at a time; another's would wait for this one's rows, and find them gone.
ROLL_UP: Final = f"""
WITH several AS (
    SELECT user_id, origin, begins_at FROM buckets WHERE begins_at >= %(since)s
    GROUP BY user_id, origin, begins_at HAVING count(*) > 1
), gone AS (
    DELETE FROM buckets USING several
    WHERE buckets.user_id = several.user_id AND buckets.origin = several.origin
        AND buckets.begins_at = several.begins_at
    RETURNING buckets.*
), written AS (
    INSERT INTO buckets ({_COLUMNS})
    SELECT user_id, origin, begins_at, {_SUMS} FROM gone GROUP BY user_id, origin, begins_at
)
SELECT count(*) FROM gone
"""
ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('roll up buckets', 0))"

_Key = tuple[UUID, str, int]


class BucketRows:
    """The buckets of one transaction (`booper.store.records.BucketTable`)."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: "PostgresTransaction") -> None:
        self._transaction = transaction

    def add(self, happened: Sequence[Happened]) -> None:
        """Add what happened, to its user's five minutes and to its origin's hour."""
        rows: dict[_Key, list[int]] = {}
        for (user_id, origin, begins_at), numbers in _summed(happened).items():
            _add(rows, (user_id, "", stored(begins_at)), numbers)
            _add(rows, (user_id, origin, stored(begin_of(begins_at, HOUR))), numbers)
        kept = {key: numbers for key, numbers in rows.items() if any(numbers)}
        if kept:
            values = {
                "user_ids": [user_id for user_id, _, _ in kept],
                "origins": [origin for _, origin, _ in kept],
                "begins": [begins_at for _, _, begins_at in kept],
                "numbers": _array_of(kept.values()),
            }
            self._transaction.execute(ADD, values)


def read_buckets(
    transaction: "PostgresTransaction",
    user_id: UUID | None,
    since: datetime,
    until: datetime,
    *,
    by_origin: bool,
) -> list[tuple[str, Bucket]]:
    """Return the buckets that begin between two times, of a user or of all, by time.

    Those of five minutes have no origin, those of an hour theirs.
    """
    query = READ.format(
        whose=EVERYBODY if user_id is None else OF_USER, origin="<>" if by_origin else "="
    )
    values = {"user_id": user_id, "since": stored(since), "until": stored(until)}
    return [(row[0], _bucket(row)) for row in transaction.execute(query, values)]


def read_spans(
    transaction: "PostgresTransaction",
    user_id: UUID,
    since: datetime,
    until: datetime,
    every: timedelta,
) -> list[Bucket]:
    """Return a bucket for each span of a time in which something happened to a user's jobs."""
    values = {
        "user_id": user_id,
        "since": stored(since),
        "until": stored(until),
        "step": every // _MICROSECOND,
    }
    return [_bucket(row) for row in transaction.execute(SPANS, values)]


def read_origins(
    transaction: "PostgresTransaction", since: datetime, until: datetime
) -> OriginCounts:
    """Return a bucket for each origin: of all users, and of the hours that begin between two times.

    Of more than `MAX_HOURS` hours the newest are counted.
    """
    values = {"since": stored(since), "until": stored(until)}
    rows = transaction.execute(ORIGINS, values).fetchall()
    buckets = [(row[0], _bucket(row[:-1])) for row in rows]
    if sum(row[-1] for row in rows) < MAX_HOURS:
        return OriginCounts(buckets)
    left_out = transaction.execute(FIRST_LEFT_OUT, values).fetchone()
    return OriginCounts(buckets, None if left_out is None else loaded(left_out[0]) + HOUR)


def roll_up_buckets(transaction: "PostgresTransaction", since: int) -> int:
    """Write the rows of each bucket that begins at a time, in microseconds, or later as one.

    Return how many rows those were, 0 if another node is at it.
    """
    row = transaction.execute(ALONE).fetchone()
    if row is None or not row[0]:
        return 0
    row = transaction.execute(ROLL_UP, {"since": since}).fetchone()
    assert row is not None
    count: int = row[0]
    return count


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


def _array_of(rows: Iterable[Sequence[int]]) -> str:
    """Return rows of numbers as PostgreSQL writes an array of arrays.

    psycopg would make it one of a smaller type, which is cast again for each number that is taken
    from it.
    """
    return str([[*row] for row in rows]).replace("[", "{").replace("]", "}")


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

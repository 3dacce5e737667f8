"""Many rows by few statements.

Python's sqlite3 gives up the interpreter's lock at each step of a statement, and must wait for the
event loop to have it back; `executemany` makes a step for each row. One statement for many rows
makes one step, so the writing thread works beside the loop and not by turns with it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

MAX_ROWS = 64
"""How many rows one statement takes."""


def execute(
    connection: sqlite3.Connection,
    statement: str,
    rows: Sequence[Sequence[object]],
) -> int:
    """Run a statement with rows for its `{rows}`; return how many rows it changed.

    All rows are of one length. The statement must pass over a row of zeros: up to a power of two
    is filled with them, so that there are few statements to keep prepared (a NULL takes longer:
    see `values.bind_plainly`). One that fails leaves
    those of earlier parts written: whoever calls this is in a transaction.
    """
    return sum(cursor.rowcount for cursor in _run(connection, statement, rows))


def insert(
    connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[object]]
) -> Sequence[int]:
    """Insert rows into a table that numbers them itself; return their numbers, in order.

    An AUTOINCREMENT number is by one greater than the greatest there ever was
    (https://www.sqlite.org/autoinc.html), so those of one statement follow each other.
    """
    if len(rows) == 1:  # most often
        number = connection.execute(_sized(statement, len(rows[0]), 1), rows[0]).lastrowid
        assert number is not None
        return [number]
    numbers: list[int] = []
    for cursor in _run(connection, statement, rows):
        assert cursor.lastrowid is not None
        numbers += range(cursor.lastrowid - cursor.rowcount + 1, cursor.lastrowid + 1)
    return numbers


def _run(
    connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[object]]
) -> Iterator[sqlite3.Cursor]:
    for start in range(0, len(rows), MAX_ROWS):
        part = rows[start : start + MAX_ROWS]
        width, size = len(part[0]), 1 << (len(part) - 1).bit_length()
        values = [*chain.from_iterable(part), *[0] * (width * (size - len(part)))]
        yield connection.execute(_sized(statement, width, size), values)


@lru_cache(maxsize=256)
def _sized(statement: str, width: int, size: int) -> str:
    row = f"({', '.join('?' * width)})"
    return statement.format(rows=", ".join([row] * size))

"""Many rows by few statements.

Python's sqlite3 gives up the interpreter's lock at each step of a statement, and must wait for the
event loop to have it back; `executemany` makes a step for each row. One statement for many rows
makes one step, so the writing thread works beside the loop and not by turns with it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache

# The sizes of statements are powers of two, so that there are few to keep prepared.
MOST_ROWS = 64


def execute(
    connection: sqlite3.Connection,
    statement: str,
    rows: Sequence[Sequence[object]],
) -> int:
    """Run a statement with rows for its `{rows}`; return how many rows it changed.

    All rows are of one length. One that fails leaves those of earlier parts written: whoever calls
    this has a savepoint to go back to.
    """
    changed = 0
    for part in _parts(rows):
        values = [value for row in part for value in row]
        changed += connection.execute(_sized(statement, len(part[0]), len(part)), values).rowcount
    return changed


def _parts(rows: Sequence[Sequence[object]]) -> Iterator[Sequence[Sequence[object]]]:
    start, size = 0, MOST_ROWS
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size


@lru_cache(maxsize=256)
def _sized(statement: str, width: int, size: int) -> str:
    row = f"({', '.join('?' * width)})"
    return statement.format(rows=", ".join([row] * size))

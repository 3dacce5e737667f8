"""The steps of a move: write what is not there yet, batch by batch, then compare everything.

A batch and the note of how far its table is filled are one transaction of the target. So a move
that was ended at any point goes on behind its last batch, however it was ended.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b, sha256
from typing import Final

import msgspec

from booper.store.moving.ends import End, MoveRefused, MoveStopped
from booper.store.moving.tables import TABLES, USERS, Row, Table

MAX_ROWS: Final = 2_000
"""How many rows are written at once."""

MAX_BYTES: Final = 4_000_000
"""How much text is written at once, but for a single row that has more."""

_WHOLE: Final = 2**128


class Moved(msgspec.Struct, frozen=True):
    """A table that is the same in both databases, and how many rows it has."""

    name: str
    rows: int


class Sum(msgspec.Struct, frozen=True):
    """How many rows there are, and the sum of their hashes, whatever their order."""

    rows: int
    hashes: int


def begin(source: End, target: End) -> bool:
    """Begin a move, or go on with one from the same source; return False if it is finished.

    Raises:
        MoveRefused: the target has something else.
    """
    mark, begun = fingerprint(source), target.beginning()
    if begun is None or (begun.is_finished and begun.source != mark):
        filled = [table.name for table in TABLES if _has_rows(target, table)]
        if filled:
            raise MoveRefused(
                f"{target.shown} is not empty: it has rows in {', '.join(filled)}; "
                "move to a new database"
            )
        target.begin(mark, source.ends())
    elif begun.source != mark:
        raise MoveRefused(
            f"{target.shown} has a part of another database, or of {source.shown} before it was "
            "used again; move to a new database"
        )
    return begun is None or not begun.is_finished


def size_of(source: End) -> int:
    """Return how many rows a move reports: each is written, and read in both databases."""
    return 3 * sum(source.count(table) for table in TABLES)


def move(source: End, target: End, advance: Callable[[int], None]) -> Sequence[Moved]:
    """Fill the target with all that it does not have yet, compare, and note that it is finished.

    `advance` is called with numbers of rows, which are `size_of` the source in all.

    Raises:
        MoveStopped: the databases differ in the end.
    """
    for table in TABLES:
        last = target.last(table)
        if last is not None:
            advance(target.count(table))
        for batch in batches(source.rows(table, last)):
            source.check_held()
            target.check_held()
            target.write(table, batch)
            advance(len(batch))
    moved = [_compared(table, source, target, advance) for table in TABLES]
    target.finish(source.numbers())
    return moved


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in lists of at most `MAX_ROWS` and about `MAX_BYTES`."""
    batch, size = list[Row](), 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row if value.__class__ is str)
        if len(batch) >= MAX_ROWS or size >= MAX_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def sum_of(rows: Iterable[Row], advance: Callable[[int], None] = lambda count: None) -> Sum:
    """Return the sum of rows, reading each once."""
    encode = msgspec.msgpack.Encoder().encode
    count = hashes = 0
    for row in rows:
        hashes += int.from_bytes(blake2b(encode(row), digest_size=16).digest(), "big")
        count += 1
        if count % MAX_ROWS == 0:
            advance(MAX_ROWS)
    advance(count % MAX_ROWS)
    return Sum(count, hashes % _WHOLE)


def fingerprint(source: End) -> str:
    """Return what tells a database from others, and from itself before it was last used.

    Whoever opens one to change it draws a number of an owner.
    """
    users = sorted(row[0] for row in source.rows(USERS))
    told = msgspec.msgpack.encode((users, msgspec.structs.astuple(source.numbers())))
    return sha256(told).hexdigest()


def _has_rows(target: End, table: Table) -> bool:
    """Return whether a table has rows that an empty database has not."""
    return table.name != "pruning" and target.count(table) > 0


def _compared(table: Table, source: End, target: End, advance: Callable[[int], None]) -> Moved:
    """Return what both databases have of a table. Raises: MoveStopped, they differ."""
    ours = sum_of(source.rows(table), advance)
    theirs = sum_of(target.rows(table), advance)
    if ours != theirs:
        raise MoveStopped(
            f"{target.shown} differs from {source.shown} in {table.name} ({theirs.rows:,} and "
            f"{ours.rows:,} rows): something has changed one of them; move to a new database"
        )
    return Moved(table.name, ours.rows)

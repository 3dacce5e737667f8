"""`booper migrate-store`, which kills itself at a point of its work.

`POINT` in its environment is that point: a phase and a number. With `TWIN` how far a table is
filled is noted in a transaction before that of its rows. `ROWS` is how many a batch has at most.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Final

from booper.cli import main
from booper.store.moving import mover, postgres_end, postgres_rows, sqlite_end
from booper.store.moving.postgres_end import PostgresEnd
from booper.store.moving.sqlite_end import SQLiteEnd
from booper.store.moving.tables import Row, Table

POINT: Final = "POINT"
TWIN: Final = "TWIN"
ROWS: Final = "ROWS"


class Phase(StrEnum):
    """A part of a move, with the points in it, which are numbered from 0 on."""

    BEGINNING = "beginning"
    """Behind each statement that notes the begin, in its transaction, and behind its commit."""
    WRITING = "writing"
    """2 n before the commit of the batch with number n, 2 n + 1 behind it."""
    COMPARING = "comparing"
    """Behind the reading of each table in one of the databases."""
    FINISHING = "finishing"
    """Behind each statement that notes the end, in its transaction, and behind its commit."""


_reached = Counter[Phase]()
_last = os.environ.get(POINT, "")


def reach(phase: Phase) -> None:
    """Die if this is the point."""
    number, _reached[phase] = _reached[phase], _reached[phase] + 1
    if f"{phase} {number}" == _last:
        os.kill(os.getpid(), signal.SIGKILL)


def dying(phase: Phase, work: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same work, behind which is a point."""

    def work_and_reach(*arguments: Any) -> Any:
        result = work(*arguments)
        reach(phase)
        return result

    return work_and_reach


class Statements(tuple[str, ...]):
    """Statements that are made one after the other, with a point of a phase behind each."""

    phase: Phase

    def __iter__(self) -> Iterator[str]:
        for statement in super().__iter__():
            yield statement
            reach(self.phase)


def watched(phase: Phase, statements: Sequence[str]) -> Statements:
    """Return the same statements, with points."""
    made = Statements(statements)
    made.phase = phase
    return made


def watch() -> None:
    """Put the points where each phase works."""
    if ROWS in os.environ:
        vars(mover).update(MAX_ROWS=int(os.environ[ROWS]))
    vars(mover).update(sum_of=dying(Phase.COMPARING, mover.sum_of))
    for module in (sqlite_end, postgres_end):
        begin = watched(Phase.BEGINNING, module.BEGIN)
        vars(module).update(BEGIN=begin, FINISH=watched(Phase.FINISHING, module.FINISH))
    writing = partial(dying, Phase.WRITING)
    setattr(SQLiteEnd, "_insert", writing(SQLiteEnd._insert))  # noqa: B010 - before the commit
    setattr(postgres_end, "insert", writing(postgres_rows.insert))  # noqa: B010
    for end in (SQLiteEnd, PostgresEnd):
        setattr(end, "begin", dying(Phase.BEGINNING, end.begin))  # noqa: B010 - behind the commit
        written = _noted_before(end) if TWIN in os.environ else end.write
        setattr(end, "write", writing(written))  # noqa: B010
        setattr(end, "finish", dying(Phase.FINISHING, end.finish))  # noqa: B010


def _noted_before(end: type[SQLiteEnd] | type[PostgresEnd]) -> Callable[..., None]:
    """Return a way to write that notes the progress first, in a transaction of its own."""
    note = (sqlite_end.NOTE if end is SQLiteEnd else postgres_end.NOTE).strip()
    write = end.write

    def note_and_write(self: Any, table: Table, rows: Sequence[Row]) -> None:
        last = table.written(table.key_of(rows[-1]))
        self._connection.execute(note, (table.name, last))
        write(self, table, rows)

    return note_and_write


if __name__ == "__main__":
    watch()
    sys.exit(main())

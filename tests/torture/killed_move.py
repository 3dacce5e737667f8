"""`booper migrate-store` in small batches, which kills itself at a point of its work.

`POINT` in its environment is that point: 2 n before the commit of the batch with number n, 2 n + 1
behind it. With `TWIN` how far a table is filled is noted in a transaction before that of its rows.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final

from booper.cli import main
from booper.store.moving import mover, postgres_end, postgres_rows, sqlite_end
from booper.store.moving.postgres_end import PostgresEnd
from booper.store.moving.sqlite_end import SQLiteEnd
from booper.store.moving.tables import Row, Table

POINT: Final = "POINT"
TWIN: Final = "TWIN"
ROWS: Final = 25

_points = count()
_last = int(os.environ.get(POINT, -1))


def reach() -> None:
    """Die if this is the point."""
    if next(_points) == _last:
        os.kill(os.getpid(), signal.SIGKILL)


def dying(work: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same work, behind which is a point."""

    def work_and_reach(*arguments: Any) -> None:
        work(*arguments)
        reach()

    return work_and_reach


def watch() -> None:
    """Put the points where rows are written."""
    vars(mover).update(MAX_ROWS=ROWS)
    setattr(SQLiteEnd, "_insert", dying(SQLiteEnd._insert))  # noqa: B010 - before the commit
    setattr(postgres_end, "insert", dying(postgres_rows.insert))  # noqa: B010
    for end in (SQLiteEnd, PostgresEnd):
        written = _noted_before(end) if TWIN in os.environ else end.write
        setattr(end, "write", dying(written))  # noqa: B010 - behind the commit


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

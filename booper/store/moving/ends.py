"""What a move needs of either database: to be read in order, and to be filled step by step."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from booper.errors import BooperError, StartError
from booper.model.job import State
from booper.store.moving.tables import Key, Row, Table

UNFINISHED: Final = "unfinished_move"
"""The table of a database that is being filled, with what it is filled from. Nobody serves it."""

FINISHED: Final = "finished_move"
"""The name of that table from the end of the move on."""

PROGRESS: Final = "moved_rows"
"""The table of how far each table is filled; gone at the end of the move."""


class MoveRefused(StartError):
    """Neither database was changed: one of them cannot be moved, or not be filled."""


class MoveStopped(BooperError):
    """A move has ended before its end."""


class Numbers(msgspec.Struct, frozen=True):
    """The last number of each kind that a database has given; none of them may be given again."""

    jobs: int
    logs: int
    audit: int
    incidents: int
    owners: int


Ends = Mapping[State, tuple[int, int]]
"""When the first and the last job of a finished state has ended, as they are stored."""

ENDS: Final = """
SELECT state, min(coalesce(completed_at, discarded_at, cancelled_at)),
    max(coalesce(completed_at, discarded_at, cancelled_at))
FROM jobs
WHERE coalesce(completed_at, discarded_at, cancelled_at) IS NOT NULL
    AND schedule_id IS NULL AND keep_for IS NULL AND key_until IS NULL
GROUP BY state
"""


class Beginning(msgspec.Struct, frozen=True):
    """What the target says of a move: from which source, and whether it has been finished."""

    source: str
    is_finished: bool


def ends_of(rows: Iterable[Row]) -> Ends:
    """Return what the rows of `ENDS` say."""
    return {State(state): (first, last) for state, first, last in rows}


class End(Protocol):
    """A database that nobody serves meanwhile. Any method raises the errors of its driver."""

    @property
    def shown(self) -> str:
        """Return its name, as it may be shown."""

    def check_held(self) -> None:
        """Check that nobody can serve it still. Raises: an error of the driver."""

    def numbers(self) -> Numbers:
        """Return the last numbers that it has given."""

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""

    def rows(self, table: Table, after: Key | None = None) -> Iterator[Row]:
        """Yield the rows of a table in order of its key, those behind `after` if given.

        They are read as they are wanted, and nothing else may be read meanwhile.
        """

    def ends(self) -> Ends:
        """Return when jobs have ended that nothing keeps."""

    def beginning(self) -> Beginning | None:
        """Return what is known of a move to here, None if none has begun."""

    def begin(self, source: str, ends: Ends) -> None:
        """Make room for jobs that have ended, and note that a move from a source begins.

        From here on nobody can serve this.
        """

    def last(self, table: Table) -> Key | None:
        """Return the key of the last row that a move has written to a table."""

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows of a table and how far it is filled now, in one transaction."""

    def finish(self, numbers: Numbers) -> None:
        """Go on behind these numbers, and note that the move is finished."""

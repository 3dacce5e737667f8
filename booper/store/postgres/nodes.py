"""The nodes of a PostgreSQL database, as their rows are."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from booper.store.nodes import NodeInfo
from booper.store.postgres.connections import Readers
from booper.store.postgres.node_rows import LIST
from booper.store.postgres.values import Row
from booper.store.stored import loaded


class PostgresNodes:
    """The nodes of a database (`booper.store.nodes.Nodes`); `own` returns the number of this one.

    Whoever works on the database for a moment by the command line is one meanwhile.
    """

    def __init__(self, readers: Readers, own: Callable[[], int]) -> None:
        self._readers = readers
        self._own = own

    async def list(self) -> Sequence[NodeInfo]:
        """Return the nodes in order of their numbers; also one whose lease has just ended."""
        rows = await self._readers.run(lambda opened: opened.execute(LIST).fetchall())
        own = self._own()
        return [_node(row, own) for row in rows]


def _node(row: Row, own: int) -> NodeInfo:
    number, name, started_at, lease_age, clock_offset = row
    return NodeInfo(
        number=number,
        name=name,
        started_at=loaded(started_at),
        lease_age=timedelta(microseconds=lease_age),
        clock_offset=None if clock_offset is None else timedelta(microseconds=clock_offset),
        is_this=number == own,
    )

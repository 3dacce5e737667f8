"""The one node of a SQLite database: the process that holds it."""

import socket
from collections.abc import Sequence
from datetime import datetime, timedelta

from booper.store.nodes import NodeInfo


class SQLiteNodes:
    """The nodes of a database (`booper.store.nodes.Nodes`): this process alone."""

    def __init__(self, number: int, started_at: datetime) -> None:
        self._node = NodeInfo(
            number=number,
            name=socket.gethostname(),
            started_at=started_at,
            lease_age=None,
            clock_offset=timedelta(0),  # the database has no other clock
            is_this=True,
        )

    async def list(self) -> Sequence[NodeInfo]:
        """Return this process."""
        return [self._node]

"""What booper knows of the nodes of a database: the processes that serve it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves the database, under a number that no other one has had.

    `lease_age` is how long ago it renewed its lease, None where it needs none. `clock_offset` is
    how far its clock is ahead of the database's, None until it has measured that.
    """

    number: int
    name: str
    started_at: datetime
    lease_age: timedelta | None
    clock_offset: timedelta | None
    is_this: bool


class Nodes(Protocol):
    """The nodes of a database."""

    async def list(self) -> Sequence[NodeInfo]:
        """Return the nodes in order of their numbers; also one whose lease has just ended."""

"""A node as the client reads it: a process that serves the database."""

from typing import TYPE_CHECKING

import msgspec

from booper.clock import EPOCH

if TYPE_CHECKING:
    from datetime import datetime
else:  # imported while a test tool has replaced it, `datetime` would be a class msgspec cannot read
    datetime = type(EPOCH)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves the database; `is_this` is the one that has responded.

    `lease_age_seconds` is how long ago it renewed its lease, None over SQLite. Its clock is
    `clock_offset_seconds` ahead of the database's.
    """

    number: int
    name: str
    started_at: datetime
    lease_age_seconds: float | None = None
    clock_offset_seconds: float | None = None
    is_this: bool = False

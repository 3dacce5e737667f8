"""Rows of waits: written with the claim that ends each."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from booper.model.waiting import KeptWait
from booper.store.sqlite import bulk
from booper.store.stored import stored

# An attempt that is released begins again under the same number.
ADD: Final = """
INSERT OR REPLACE INTO waits (job_id, attempt, reason, target, since, until)
SELECT * FROM (VALUES {rows}) WHERE column1 <> 0
"""


class WaitRows:
    """The waits of one connection (`booper.store.records.WaitTable`)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, kept: Sequence[KeptWait]) -> None:
        """Write why attempts began late."""
        rows = [
            (
                each.job_id,
                each.attempt,
                str(each.wait.reason),
                each.wait.target,
                stored(each.wait.since),
                stored(each.until),
            )
            for each in kept
        ]
        bulk.execute(self._connection, ADD, rows)

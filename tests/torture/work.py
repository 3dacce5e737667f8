"""Work that is counted, not timed: it is the same on every machine, however busy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STRIDE = 100
"""How many instructions lie between two looks at their number."""


@dataclass
class Used:
    """How many instructions of SQLite's virtual machine were used."""

    count: int = 0


@contextmanager
def instructions(connection: sqlite3.Connection) -> Iterator[Used]:
    """Count the instructions that a connection runs until the end of the block."""
    used = Used()

    def tick() -> None:
        used.count += STRIDE

    connection.set_progress_handler(tick, STRIDE)
    try:
        yield used
    finally:
        connection.set_progress_handler(None, STRIDE)

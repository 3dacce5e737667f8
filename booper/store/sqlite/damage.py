"""Damage of a database file: told apart from other errors, remembered, and limited to its pages.

SQLite reports a damaged page when it reads it. What lies on other pages can still be read and
written, so one page should stop no more than the jobs on it.
"""

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

log = logging.getLogger("booper.store")

_DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})


class Watched(sqlite3.Connection):
    """A connection that remembers the first damage it has met, and the jobs that lie there.

    After an error of this kind nothing else can be written in the same transaction. So a job that
    has met one is set aside, and the others are claimed without it.
    """

    damage: str | None = None
    owner = 0
    """The number under which this process claims jobs: the writing connection's alone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_aside: set[int] = set()


def is_damage(error: BaseException) -> bool:
    """Return whether an error tells that the file is damaged (https://www.sqlite.org/rescode.html).

    Of an extended code, such as SQLITE_CORRUPT_INDEX, the first two words count.
    """
    name = getattr(error, "sqlite_errorname", None) or ""
    return isinstance(error, sqlite3.Error) and "_".join(name.split("_")[:2]) in _DAMAGED


def set_aside(connection: sqlite3.Connection, job_id: int, error: BaseException) -> None:
    """Exclude a job from claims while this connection is open."""
    note_damage(connection, error)
    if isinstance(connection, Watched) and job_id not in connection.set_aside:
        connection.set_aside.add(job_id)
        log.error("job %d lies on a damaged page, and is not sent: %s", job_id, error)


def without_set_aside(connection: sqlite3.Connection, job_ids: Sequence[int]) -> Sequence[int]:
    """Return these jobs without those that were set aside."""
    if not isinstance(connection, Watched) or not connection.set_aside:
        return job_ids
    return [number for number in job_ids if number not in connection.set_aside]


def note_damage(connection: sqlite3.Connection, error: BaseException) -> None:
    """Remember damage that a connection has met; log it the first time."""
    if isinstance(connection, Watched) and connection.damage is None and is_damage(error):
        connection.damage = str(error)
        log.critical(
            "the database file is damaged (%s); what lies on the damaged pages is neither read nor "
            "sent: stop booper and restore a backup, or try `sqlite3 FILE .recover`",
            error,
        )

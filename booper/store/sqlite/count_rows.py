"""Rows of `job_counts` as jobs move: changed once for all jobs that move alike.

New jobs are counted when there are many, or before one of them moves; those that are deleted, by a
trigger. The view `jobs_by_state` has the sum, which is right at any moment.
"""

import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import Final
from uuid import UUID

from booper.model.job import Job, Kind, State

MAX_NEW: Final = 256
"""So many new jobs are counted before more are written: whoever reads the sum counts the others."""

# A trigger counts what the mark passes.
COUNT_NEW: Final = """
UPDATE counted SET job_id = (SELECT max(id) FROM jobs) WHERE job_id < (SELECT max(id) FROM jobs)
"""

# One row goes down, the other up; a state that no job has had yet has no row. With the `+` SQLite
# compares the few rows of a kind: to look two states up it would fill a table with them first.
MOVE: Final = """
UPDATE job_counts SET count = count + iif(state = :after, :moved, -:moved)
WHERE user_id = :user_id AND kind = :kind AND +state IN (:before, :after)
"""
BEGIN: Final = "INSERT INTO job_counts VALUES (:user_id, :kind, :after, :moved)"


def count_new(connection: sqlite3.Connection) -> None:
    """Count the jobs that are new, as they are now: before a move, which may be of one of them."""
    connection.execute(COUNT_NEW)


def count_moves(connection: sqlite3.Connection, pairs: Sequence[tuple[Job, Job]]) -> None:
    """Count jobs, each before and after a move that is written, where they are now."""
    moves = [_move(*pair) for pair in pairs if pair[0].state is not pair[1].state]
    # Those of one kind follow each other: they were claimed or have ended together.
    for (user_id, kind, before, after), alike in groupby(moves):
        values = {
            "user_id": user_id.bytes,
            "kind": kind.value,
            "before": before.value,
            "after": after.value,
            "moved": len(list(alike)),
        }
        if connection.execute(MOVE, values).rowcount < 2:
            connection.execute(BEGIN, values)


def _move(before: Job, after: Job) -> tuple[UUID, Kind, State, State]:
    return before.user_id, before.kind, before.state, after.state

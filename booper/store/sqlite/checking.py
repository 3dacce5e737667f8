"""Whether a database is whole, and whether its rows agree with each other.

Each check is a function over a connection that returns a line for each problem. `CHECKS` has all
of them, in the order in which they are made.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from booper.store.sqlite.counters import WRONG_COUNTS
from booper.store.sqlite.values import IN_UNFINISHED, IN_WAITING

Check = Callable[[sqlite3.Connection], Sequence[str]]

MAX_SHOWN: Final = 5
"""How many of the rows that break one rule are named."""

# Pages, rows, indexes, CHECKs and NOT NULLs (https://www.sqlite.org/pragma.html).
INTEGRITY = "PRAGMA integrity_check(20)"
REFERENCES = "PRAGMA foreign_key_check"


class Invariant(msgspec.Struct, frozen=True):
    """A rule that the schema cannot state; `broken_by` selects the names of rows that break it."""

    rule: str
    broken_by: str


INVARIANTS: Final = (
    Invariant(
        "a schedule that goes on has a run waiting for its next time",
        f"""
        SELECT 'schedule ' || lower(hex(id)) FROM schedules
        WHERE disabled_at IS NULL AND ended_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM jobs
            WHERE schedule_id = schedules.id AND kind = 'run' AND planned_at = schedules.next_at
                AND {IN_WAITING}
        )
        """,
    ),
    Invariant(
        "a run belongs to the user of its schedule",
        """
        SELECT 'job ' || jobs.id FROM schedules JOIN jobs ON schedule_id = schedules.id
        WHERE jobs.user_id <> schedules.user_id
        """,
    ),
    Invariant(
        "a report that is not sent has the job that it reports",
        f"""
        SELECT 'job ' || id FROM jobs AS reports
        WHERE kind IN ('callback', 'webhook') AND {IN_UNFINISHED}
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = reports.parent_id)
        """,
    ),
    Invariant(
        "a tag belongs to a job",
        "SELECT DISTINCT 'job ' || job_id FROM job_tags WHERE job_id NOT IN (SELECT id FROM jobs)",
    ),
    Invariant(
        "a log entry belongs to a job",
        "SELECT DISTINCT 'job ' || job_id FROM logs WHERE job_id NOT IN (SELECT id FROM jobs)",
    ),
    Invariant(
        "what a job sends can be read",
        "SELECT 'job ' || id FROM jobs WHERE NOT json_valid(args)",
    ),
    Invariant(
        "what a schedule sends and keeps can be read",
        """
        SELECT 'schedule ' || lower(hex(id)) FROM schedules
        WHERE NOT (json_valid(args) AND json_valid(state) AND json_valid(previous))
        """,
    ),
    Invariant("the kept numbers of jobs are right; --repair counts them again", WRONG_COUNTS),
)
"""Of the newest schema."""


def check_integrity(connection: sqlite3.Connection) -> list[str]:
    """Return what is damaged, at most 20 lines; nothing of a file that is whole."""
    found = [str(line) for (line,) in connection.execute(INTEGRITY)]
    return [] if found == ["ok"] else found


def check_references(connection: sqlite3.Connection) -> list[str]:
    """Return a line for each row that refers to one that is not there."""
    return [
        f"{table}: {'a row' if row is None else f'row {row}'} refers to a row of {parent} that does"
        " not exist"
        for table, row, parent, _ in connection.execute(REFERENCES).fetchmany(MAX_SHOWN)
    ]


def check_invariants(connection: sqlite3.Connection) -> list[str]:
    """Return a line for each rule that is broken, with the rows that break it."""
    problems = list[str]()
    for invariant in INVARIANTS:
        names = [name for (name,) in connection.execute(invariant.broken_by)]
        if names:
            more = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
            problems.append(f"not so: {invariant.rule}: {', '.join(names[:MAX_SHOWN])}{more}")
    return problems


CHECKS: Final[Sequence[Check]] = (check_integrity, check_references, check_invariants)


def check_all(connection: sqlite3.Connection) -> list[str]:
    """Return the problems of a database that has the newest schema.

    Each check reads for itself, so that a long one holds back the log's checkpoints for no longer
    than it takes. What is damaged cannot be read: then the rest is not looked at.
    """
    for check in CHECKS:
        problems = list(check(connection))
        if problems:
            return problems
    return []

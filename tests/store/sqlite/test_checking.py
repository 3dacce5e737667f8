"""Checks of a database: each kind of problem is found and named; a file that is whole has none."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from booper.store.sqlite.checking import INVARIANTS, check_all
from booper.store.sqlite.counters import FORGET, RECOUNT
from booper.store.sqlite.schema import add_functions, migrations
from tests.store.sqlite.files import FILES, put_file

# A change that breaks each rule, in the file of a booper that has jobs in every state.
BROKEN = [
    (
        "a schedule that goes on has a run waiting for its next time",
        "UPDATE jobs SET planned_at = planned_at + 1 WHERE kind = 'run' AND state = 'scheduled'",
    ),
    (
        "a run belongs to the user of its schedule",
        "INSERT INTO users VALUES (zeroblob(16), 'eve', 0);"
        "UPDATE schedules SET user_id = zeroblob(16)",
    ),
    (
        "a report that is not sent has the job that it reports",
        "UPDATE jobs SET state = 'scheduled', completed_at = NULL, parent_id = 1000"
        f" WHERE kind = 'callback' AND state = 'completed'; {FORGET}; {RECOUNT}",
    ),
    ("a tag belongs to a job", "UPDATE job_tags SET job_id = 1000"),
    ("a log entry belongs to a job", "UPDATE logs SET job_id = 1000 WHERE seq = 1"),
    ("what a job sends can be read", "UPDATE jobs SET args = '{' WHERE id = 1"),
    ("what a schedule sends and keeps can be read", "UPDATE schedules SET state = ''"),
    (
        "the kept numbers of jobs are right; --repair counts them again",
        "UPDATE job_counts SET count = count + 1 WHERE state = 'completed'",
    ),
]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return a database with jobs in every state and schedules, of the newest schema."""
    path = tmp_path / "booper.db"
    put_file(max(FILES), path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        add_functions(connection)
        for script in migrations()[max(FILES) :]:
            connection.executescript(script)
        yield connection


def test_every_rule_has_a_case() -> None:
    """`BROKEN` is complete."""
    assert [rule for rule, _ in BROKEN] == [invariant.rule for invariant in INVARIANTS]


def test_what_booper_writes_has_no_problems(opened: sqlite3.Connection) -> None:
    """Also that of a process that was killed."""
    assert check_all(opened) == []


@pytest.mark.parametrize(("rule", "change"), BROKEN)
def test_rows_that_break_a_rule_are_named(
    opened: sqlite3.Connection, rule: str, change: str
) -> None:
    """With the rule, in one line."""
    opened.executescript(change)
    (problem,) = check_all(opened)
    assert problem.startswith(f"not so: {rule}: ")
    assert problem.split(": ")[2].startswith(("job ", "schedule "))


def test_of_many_rows_the_first_are_named(opened: sqlite3.Connection) -> None:
    """And the others counted: nine tags, five of them named."""
    opened.execute("DELETE FROM job_tags")
    opened.executemany("INSERT INTO job_tags VALUES ('x', ?)", [(1000 + n,) for n in range(9)])
    (problem,) = check_all(opened)
    assert problem.endswith("job 1000, job 1001, job 1002, job 1003, job 1004 and 4 more")


def test_a_reference_to_what_is_not_there_is_found(opened: sqlite3.Connection) -> None:
    """SQLite checks references only while they are switched on."""
    opened.execute("DELETE FROM users")
    problems = check_all(opened)
    assert "audit: row 1 refers to a row of users that does not exist" in problems
    assert "days: a row refers to a row of users that does not exist" in problems


def test_an_index_that_lacks_a_row_is_found(opened: sqlite3.Connection) -> None:
    """A list that is read from it would lack that row too, without an error."""
    opened.execute("PRAGMA writable_schema = ON")
    found = opened.execute("SELECT * FROM sqlite_schema WHERE name = 'logs_by_job'").fetchone()
    opened.execute("DELETE FROM sqlite_schema WHERE name = 'logs_by_job'")
    opened.execute("PRAGMA writable_schema = RESET")  # which reads the schema again
    opened.execute("DELETE FROM logs WHERE seq = 1")
    opened.execute("PRAGMA writable_schema = ON")
    opened.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", found)
    opened.execute("PRAGMA writable_schema = RESET")
    assert "wrong # of entries in index logs_by_job" in check_all(opened)

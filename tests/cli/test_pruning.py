"""`booper prune` and `booper vacuum`, as they are typed."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from booper.cli import main
from tests.support.databases import make_database
from tests.support.processes import Daemon, serving


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database with 50 jobs that were completed in 1970, and one that waits."""
    path = tmp_path / "booper.db"
    make_database(path)
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("INSERT INTO users VALUES (?, 'alice', 0)", (bytes(16),))
        for number in range(51):
            state, attempt = ("completed", 1) if number else ("scheduled", 0)
            opened.execute(
                "INSERT INTO jobs (uuid, user_id, kind, origin, args, state, attempt, max_attempts,"
                " interruptions, inserted_at, scheduled_at, planned_at, attempted_at, completed_at)"
                " VALUES (?, ?, 'request', 'https://a.test', ?, ?, ?, 15, 0, 1, 1, 1, ?, ?)",
                (
                    number.to_bytes(16, "big"),
                    bytes(16),
                    '{"url": "https://a.test/' + "x" * 20_000 + '"}',
                    state,
                    attempt,
                    1 if attempt else None,
                    2 if attempt else None,
                ),
            )
    return path


def typed(*words: str) -> str:
    """Type a command that succeeds, and return what it prints."""
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return done.output


def states(path: Path) -> list[str]:
    """Return the states of all jobs."""
    with closing(sqlite3.connect(path)) as opened:
        return [state for (state,) in opened.execute("SELECT state FROM jobs")]


def test_prune_deletes_old_jobs_where_booper_is_not_running(database: Path) -> None:
    """All that are older than the settings, also in a file whose seven days are not over."""
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("UPDATE pruning SET begins_at = NULL")
    printed = typed("prune", "--database", str(database))
    assert printed.startswith("50 jobs are deleted; ")
    assert states(database) == ["scheduled"]
    assert typed("prune", "--database", str(database)).startswith("0 jobs are deleted; ")


def test_prune_leaves_the_work_to_a_booper_that_runs(tmp_path: Path) -> None:
    """Nobody else writes to its database."""
    with serving(tmp_path) as daemon:
        assert isinstance(daemon, Daemon)
        printed = typed("prune", "--database", str(tmp_path / "booper.db"))
    assert printed == "booper is running, and deletes old jobs from now on\n"


def test_vacuum_makes_the_file_small_and_able_to_shrink(database: Path) -> None:
    """Of a file of an older booper, which cannot give space back: INCREMENTAL is 2."""
    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
        opened.execute("PRAGMA auto_vacuum = NONE")
        opened.execute("VACUUM")
        assert opened.execute("PRAGMA auto_vacuum").fetchone() == (0,)
        opened.execute("DELETE FROM jobs WHERE state = 'completed'")
    before = os.path.getsize(database)
    printed = typed("vacuum", "--database", str(database))
    after = os.path.getsize(database)
    assert printed == f"{database} has {after:,} bytes now; it had {before:,}\n"
    assert after < before - 50 * 20_000
    assert states(database) == ["scheduled"]
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("PRAGMA auto_vacuum").fetchone() == (2,)


@pytest.mark.parametrize("command", ["prune", "vacuum"])
def test_without_a_database_there_is_nothing_to_do(tmp_path: Path, command: str) -> None:
    """The line names the path that was looked at, and nothing is made there."""
    path = tmp_path / "absent.db"
    done = CliRunner().invoke(main, [command, "--database", str(path)])
    assert done.exit_code != 0
    assert f"there is no database {path}" in done.output
    assert not path.exists()


def test_vacuum_refuses_a_database_that_is_served(tmp_path: Path) -> None:
    """It would write beside the daemon."""
    with serving(tmp_path):
        done = CliRunner().invoke(main, ["vacuum", "--database", str(tmp_path / "booper.db")])
    assert done.exit_code != 0
    assert "is already served by another booper" in done.output


def test_vacuum_refuses_what_is_not_boopers(tmp_path: Path) -> None:
    """Another program's database stays as it is."""
    path = tmp_path / "songs.db"
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("CREATE TABLE songs (name TEXT)")
    content = path.read_bytes()
    done = CliRunner().invoke(main, ["vacuum", "--database", str(path)])
    assert done.exit_code != 0
    assert "is a database of another program" in done.output
    assert path.read_bytes() == content

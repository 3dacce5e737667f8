"""`booper migrate-store`: what it prints, how it ends, and that what it moved is served."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.postgres import postgres_url as postgres_url
from tests.support.processes import run, serving
from tests.support.varied import fill


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """Return a folder with the database of a booper that was stopped, with one job."""
    with serving(tmp_path) as daemon:
        daemon.post(f"{daemon.url}/api/echo", method="post", schedule_in=3600)
        assert daemon.stop() == 0
    return tmp_path


def refused(folder: Path, *arguments: str, code: int = 1) -> str:
    """Return the last line of a move that was refused."""
    done = run(folder, "migrate-store", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    return done.stderr.splitlines()[-1]


def test_what_was_moved_is_served(stopped: Path, postgres_url: str) -> None:
    """There and back, with the same keys and jobs; each table is printed with its rows."""
    there = run(stopped, "migrate-store", "booper.db", postgres_url)
    assert there.returncode == 0, there.stderr
    lines = [line.split() for line in there.stdout.splitlines()]
    assert ["jobs", "1", "rows,", "equal"] in lines
    assert there.stdout.splitlines()[-1].startswith(f"booper.db is moved to {shown(postgres_url)}.")
    again = run(stopped, "migrate-store", "booper.db", postgres_url)
    assert again.returncode == 0
    assert again.stdout.endswith(
        "was moved to " + shown(postgres_url) + " before; nothing is to be done\n"
    )
    assert run(stopped, "migrate-store", postgres_url, "back.db").returncode == 0
    with closing(sqlite3.connect(stopped / "back.db")) as connection:
        assert connection.execute("SELECT state FROM jobs").fetchall() == [("scheduled",)]
    (stopped / "booper.toml").write_text('[database]\npath = "back.db"\n', encoding="utf-8")
    with serving(stopped, "--config", "booper.toml") as daemon:
        assert daemon.job(1)["state"] == "scheduled"


def shown(url: str) -> str:
    """Return a URL without its user, as it is shown."""
    return url.replace("booper@", "")


def test_one_end_is_a_file_and_the_other_a_url(tmp_path: Path, postgres_url: str) -> None:
    """Two of a kind are a wrong command line."""
    for ends in (("a.db", "b.db"), (postgres_url, postgres_url)):
        assert "must be a SQLite file, and the other a URL" in refused(tmp_path, *ends, code=2)
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_is_one_line(stopped: Path, postgres_url: str) -> None:
    """A file that is not there, a server that is not, and a target that has something."""
    assert "there is no database absent.db" in refused(stopped, "absent.db", postgres_url)
    gone = "postgresql://booper:secret@127.0.0.1:1/booper"
    line = refused(stopped, "booper.db", gone)
    assert "the move has stopped" in line
    assert "secret" not in line
    fill(stopped / "other.db", 1)
    assert run(stopped, "migrate-store", "other.db", postgres_url).returncode == 0
    line = refused(stopped, "booper.db", postgres_url)
    assert "is not empty: it has rows in users, keys" in line


def test_a_served_file_is_refused(tmp_path: Path, postgres_url: str) -> None:
    """The line names the process."""
    with serving(tmp_path):
        assert "already served by another booper" in refused(tmp_path, "booper.db", postgres_url)


def test_without_the_driver_the_line_says_what_to_install(tmp_path: Path) -> None:
    """SQLite needs none, and so it may not be there."""
    program = (
        "import sys; sys.modules['psycopg'] = None; from booper.cli import main;"
        "sys.argv[0] = 'booper'; main()"
    )
    url = "postgresql://booper@127.0.0.1:1/booper"
    done = line_of(program, tmp_path, "migrate-store", "booper.db", url)
    assert done == "install it with pip install 'booper[postgres]'"


def line_of(program: str, folder: Path, *arguments: str) -> str:
    """Return the end of what a program writes to standard error, which ends with 1."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 1
    return done.stderr.strip().rpartition(": ")[2]

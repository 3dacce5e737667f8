"""`booper backup` and `restore`: what the copy holds, who can read it, what is never touched."""

import fcntl
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from booper.store.sqlite.unnamed import unnamed_file
from tests.store.sqlite.files import put_file
from tests.support.processes import Daemon, run, serving, until


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """Return a folder with the database of a booper that was stopped, with one job."""
    with serving(tmp_path) as daemon:
        waiting(daemon)
        assert daemon.stop() == 0
    return tmp_path


def waiting(daemon: Daemon) -> int:
    """Create a job that is due much later."""
    return daemon.post(f"{daemon.url}/api/echo", method="post", schedule_in=3600)


def jobs(path: Path) -> int:
    """Count the jobs in a copy, which SQLite must find whole."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (found,) = connection.execute("SELECT count(*) FROM jobs").fetchone()
    return int(found)


def refused(folder: Path, *arguments: str) -> str:
    """Return the one line with which a backup was refused."""
    done = run(folder, "backup", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_backup_of_a_running_booper_starts_as_it_was(tmp_path: Path) -> None:
    """Made while booper serves, the copy holds every accepted job, and serves in its turn."""
    with serving(tmp_path) as daemon:
        key, number = daemon.key, waiting(daemon)
        done = run(tmp_path, "backup", "copy.db")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1
        assert "copy.db" in done.stdout
        waiting(daemon)
    copy = tmp_path / "copy.db"
    assert jobs(copy) == 1
    with serving(tmp_path, "--database", "copy.db", key=key) as restored:
        assert restored.job(number)["state"] == "scheduled"


def test_a_backup_is_its_owners_alone(stopped: Path) -> None:
    """The copy can be read by its owner alone, and nothing else is left beside it."""
    before = {path.name for path in stopped.iterdir()}
    assert run(stopped, "backup", "copy.db").returncode == 0
    assert stat.S_IMODE((stopped / "copy.db").stat().st_mode) == 0o600
    left = {path.name for path in stopped.iterdir()} - before
    # SQLite's own files of a database that it has read; empty, and taken over by the next start.
    assert left - {"booper.db-wal", "booper.db-shm"} == {"copy.db"}


def test_a_backup_of_a_stopped_booper_holds_its_jobs(stopped: Path) -> None:
    """No daemon is needed, and the database is left as it was."""
    before = (stopped / "booper.db").read_bytes()
    assert run(stopped, "backup", "copy.db").returncode == 0
    assert jobs(stopped / "copy.db") == 1
    assert (stopped / "booper.db").read_bytes() == before


def test_an_existing_file_is_replaced_only_by_force(stopped: Path) -> None:
    """Without `--force` a file that is there stays as it is."""
    copy = stopped / "copy.db"
    copy.write_bytes(b"precious")
    assert "--force" in refused(stopped, "copy.db")
    assert copy.read_bytes() == b"precious"
    assert run(stopped, "backup", "--force", "copy.db").returncode == 0
    assert jobs(copy) == 1


def test_the_database_is_never_its_own_backup(stopped: Path) -> None:
    """Not even `--force` puts a copy over the database, by whatever name it is called."""
    before = (stopped / "booper.db").read_bytes()
    (stopped / "link.db").symlink_to("booper.db")
    for name in ("booper.db", "link.db"):
        assert "the database itself" in refused(stopped, "--force", name)
    assert (stopped / "booper.db").read_bytes() == before


def test_an_old_log_is_not_taken_for_the_copys(stopped: Path) -> None:
    """Beside a log that another file has left, SQLite would read that into the copy."""
    (stopped / "copy.db-wal").write_bytes(b"another's")
    assert "copy.db-wal" in refused(stopped, "copy.db")
    assert not (stopped / "copy.db").exists()


def test_where_there_is_no_database_nothing_is_made(tmp_path: Path) -> None:
    """A backup of nothing is an error, not an empty file or folder."""
    assert "booper.db" in refused(tmp_path, "copy.db")
    assert "booper.db" in refused(tmp_path, "backups", "--keep", "3")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_fails_leaves_nothing(stopped: Path) -> None:
    """A folder that is not there, and a file that is no database, end in a line."""
    assert "No such file" in refused(stopped, "absent/copy.db")
    (stopped / "broken.db").write_bytes(b"no database" * 1000)
    before = sorted(stopped.iterdir())
    assert "not a database" in refused(stopped, "--database", "broken.db", "copy.db")
    assert sorted(stopped.iterdir()) == before


@contextmanager
def under_way(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a backup that waits for the database, which somebody has locked."""
    with closing(sqlite3.connect(folder / "booper.db", isolation_level=None)) as database:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        database.execute("ROLLBACK")
        command = [sys.executable, "-m", "booper", "backup", "copy.db"]
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
            until(lambda: left(folder), "the backup has begun")
            yield process


def left(folder: Path) -> list[str]:
    """Return what there is of copies."""
    return [path.name for path in folder.iterdir() if "copy.db" in path.name]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_backup_that_is_told_to_end_leaves_nothing(stopped: Path, number: signal.Signals) -> None:
    """It ends at once, with the code that a shell gives to a signal."""
    with under_way(stopped) as process:
        process.send_signal(number)
        assert process.wait(3) == 128 + number
    assert left(stopped) == []


def test_a_copy_is_guarded_from_before_its_file_is_there(tmp_path: Path) -> None:
    """A signal that comes just then would find nobody who removes it."""
    seen = []

    @contextmanager
    def guarded(path: Path) -> Iterator[None]:
        seen.append(path.exists())
        yield
        seen.append(path.exists())

    with unnamed_file(tmp_path / "copy.db", guarded) as path:
        seen.append(path.exists())
        assert path.stat().st_mode & 0o777 == 0o600
    assert seen == [False, True, False]


def test_the_next_backup_removes_what_a_killed_one_has_left(stopped: Path) -> None:
    """Nothing can be done by who is killed; what another backup is writing stays."""
    with under_way(stopped) as process:
        process.kill()
        process.wait(3)
    assert len(left(stopped)) == 1
    with (stopped / ".copy.db.busy.part").open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        (stopped / ".copy.db.of_a_user").touch()
        assert run(stopped, "backup", "copy.db").returncode == 0
    assert sorted(left(stopped)) == [".copy.db.busy.part", ".copy.db.of_a_user", "copy.db"]


def test_backups_in_a_folder_are_named_by_their_times(stopped: Path) -> None:
    """`--keep` makes the folder and keeps the newest; without it nothing is removed."""
    folder = stopped / "kept"
    done = run(stopped, "backup", "kept", "--keep", "1")
    assert (done.returncode, done.stderr) == (0, "")
    (first,) = folder.iterdir()
    assert str(first.relative_to(stopped)) in done.stdout
    assert jobs(first) == 1
    old = folder / "booper-20200131T120000Z.db"
    first.rename(old)
    assert run(stopped, "backup", "kept").returncode == 0
    assert old.exists()
    assert len(list(folder.iterdir())) == 2
    assert "--force" in run(stopped, "backup", "kept", "--force").stderr


def test_a_backup_without_a_path_goes_to_the_folder_of_the_settings(stopped: Path) -> None:
    """Which is `backups` unless the configuration names another."""
    (stopped / "booper.toml").write_text('[backup]\nfolder = "elsewhere"\n')
    assert run(stopped, "backup").returncode == 0
    assert run(stopped, "backup", "--config", "booper.toml").returncode == 0
    for name in ("backups", "elsewhere"):
        (found,) = (stopped / name).iterdir()
        assert jobs(found) == 1


def test_a_restored_backup_serves(tmp_path: Path) -> None:
    """A running booper is not replaced; after its stop the backup takes its place."""
    with serving(tmp_path) as daemon:
        key, number = daemon.key, waiting(daemon)
        assert run(tmp_path, "backup", "copy.db").returncode == 0
        later = waiting(daemon)
        done = run(tmp_path, "restore", "copy.db", "--force")
        assert (done.returncode, done.stdout) == (1, "")
        assert "already served" in done.stderr
        daemon.kill()
    assert "--force" in run(tmp_path, "restore", "copy.db").stderr
    done = run(tmp_path, "restore", "copy.db", "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert "booper.db.replaced-" in done.stdout
    with serving(tmp_path, key=key) as restored:
        assert restored.job(number)["state"] == "scheduled"
        assert restored.api.get(f"/api/jobs/{later}").status_code == 404


def test_a_daemon_makes_backups(tmp_path: Path) -> None:
    """The first one at its start; one that fails is in the log, and stops nothing."""
    settings = '[backup]\nevery = [1, "day"]\n[logging]\nformat = "text"\n'
    (tmp_path / "booper.toml").write_text(settings)
    folder = tmp_path / "backups"
    with serving(tmp_path) as daemon:
        until(lambda: "INFO backup " in daemon.log, "a backup was made")
        assert daemon.stop() == 0
    (made,) = folder.iterdir()
    assert jobs(made) == 0
    made.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    with serving(tmp_path) as daemon:
        until(lambda: "ERROR the backup failed: " in daemon.log, "a backup failed")
        assert str(folder) in daemon.log
        assert daemon.api.get("/readyz").status_code == 200


def test_a_database_is_checked_while_it_is_served(tmp_path: Path) -> None:
    """By its place in the configuration, or by its name; problems are printed, with exit 1."""
    with serving(tmp_path) as daemon:
        waiting(daemon)
        for named in ([], ["booper.db"]):
            done = run(tmp_path, "check", "--database", *named)
            assert (done.returncode, done.stderr) == (0, "")
            assert "booper.db is fine" in done.stdout
        assert "booper.db" not in run(tmp_path, "check").stdout
        assert daemon.stop() == 0
    with closing(sqlite3.connect(tmp_path / "booper.db")) as database, database:
        database.execute("INSERT INTO job_tags VALUES ('lost', 1000)")
    done = run(tmp_path, "check", "--database")
    assert done.returncode == 1
    assert "not so: a tag belongs to a job: job 1000\n" in done.stdout
    assert done.stderr.startswith("booper: booper.db has problems; ")
    with closing(sqlite3.connect(tmp_path / "booper.db")) as database, database:
        database.execute("DELETE FROM job_tags")
        database.execute("UPDATE counted SET job_id = job_id + 1")  # which counts that job
        database.execute("UPDATE job_counts SET count = count + 1")
    done = run(tmp_path, "check", "--database")
    assert (
        "the kept numbers of jobs are right; --repair counts them again: job counter" in done.stdout
    )
    assert run(tmp_path, "check", "--database", "--repair").returncode == 0
    assert run(tmp_path, "check", "--database").returncode == 0
    assert run(tmp_path, "check", "--repair").returncode == 2
    done = run(tmp_path, "check", "--database", "absent.db")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_an_older_database_is_copied_before_its_upgrade_unless_told_not_to(tmp_path: Path) -> None:
    """By `serve`, which says so in its log; and by `keys`, which opens the database too."""
    database, copy = tmp_path / "booper.db", tmp_path / "booper.db.schema-1"
    for options, is_copied in (([], True), (["--no-copy"], False)):
        put_file(1, database)
        with serving(tmp_path, *options) as daemon:
            assert "booper.db has schema 1: it is " in daemon.log
            assert daemon.stop() == 0
        assert copy.exists() is is_copied
        copy.unlink(missing_ok=True)
    put_file(1, database)
    assert run(tmp_path, "keys", "list").returncode == 0
    assert copy.exists()

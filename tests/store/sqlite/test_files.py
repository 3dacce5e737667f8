"""The files of an open database: deleted, replaced, put back, and locked against others."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.processes import Daemon, run, serving, until

JOB = {"url": "https://8.8.8.8/", "schedule_in": 3600}


def delete(file: Path) -> None:
    """Delete a file."""
    file.unlink()


def move(file: Path) -> None:
    """Move a file away."""
    file.rename(file.with_name("elsewhere"))


def replace_by_a_copy(file: Path) -> None:
    """Put a copy of a file in its place, as whoever restores a backup does."""
    shutil.copy(file, file.with_name("elsewhere"))
    file.with_name("elsewhere").replace(file)


def replace_by_a_link(file: Path) -> None:
    """Put a link to another file in its place."""
    file.with_name("elsewhere").touch()
    file.unlink()
    file.symlink_to("elsewhere")


def move_the_folder(file: Path) -> None:
    """Move the folder that a file is in."""
    file.parent.rename(file.parent.with_name("moved"))


def create(daemon: Daemon) -> httpx.Response:
    """Post a job."""
    return daemon.api.post("/api/jobs", json=JOB)


def statuses(daemon: Daemon) -> tuple[int, int, int]:
    """Return how a create, a batch and the readiness probe are answered."""
    batch = daemon.api.post("/api/jobs/batch", json={"jobs": [JOB]})
    return create(daemon).status_code, batch.status_code, daemon.api.get("/readyz").status_code


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("booper.db", delete, "deleted"),
        ("booper.db", move, "deleted or moved"),
        ("booper.db", replace_by_a_copy, "replaced"),
        ("booper.db", replace_by_a_link, "replaced"),
        ("booper.db", move_the_folder, "deleted or moved"),
        ("booper.db-wal", delete, "deleted"),
        ("booper.db-wal", replace_by_a_copy, "replaced"),
        ("booper.db-shm", delete, "deleted"),
    ],
)
def test_nothing_is_accepted_once_a_file_is_not_the_one_that_was_opened(
    tmp_path: Path, name: str, change: Callable[[Path], None], word: str
) -> None:
    """What would be lost at the next start is 503, `/readyz` too, and the log tells which file."""
    folder = tmp_path / "data"
    folder.mkdir()
    database = folder / "booper.db"
    with serving(tmp_path, "--database", str(database)) as daemon:
        daemon.api.headers["Authorization"] = "Bearer " + first_key(database)
        assert statuses(daemon) == (201, 200, 200) or statuses(daemon) == (201, 201, 200)
        change(folder / name)
        until(lambda: name in daemon.log, "the log tells of it")
        assert word in daemon.log
        assert statuses(daemon) == (503, 503, 503)
        assert word in create(daemon).json()["detail"]
        assert daemon.api.get("/healthz").status_code == 200
        daemon.tell(signal.SIGTERM)
        assert daemon.wait_exit() == 0


def first_key(database: Path) -> str:
    """Return the first key, from the file beside a database."""
    return database.with_name("booper.db.first-key").read_text(encoding="utf-8").strip()


def test_a_file_that_is_put_back_is_used_again(tmp_path: Path) -> None:
    """It is the one that was opened, and holds all that was accepted."""
    with serving(tmp_path) as daemon:
        number = create(daemon).json()["data"]["job_id"]
        move(tmp_path / "booper.db")
        until(lambda: create(daemon).status_code == 503, "creates are refused")
        (tmp_path / "elsewhere").rename(tmp_path / "booper.db")
        until(lambda: create(daemon).status_code == 201, "creates are accepted again")
        assert daemon.api.get("/readyz").status_code == 200
        until(lambda: "back in its place" in daemon.log, "the log tells of it")
        daemon.kill()
    with serving(tmp_path) as daemon:
        assert daemon.job(number)["state"] == "scheduled"


@pytest.mark.parametrize("change", [delete, replace_by_a_copy])
def test_without_the_lock_file_a_second_daemon_is_refused_all_the_same(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """The database itself is locked as well, by whatever path; no command opens it either."""
    with serving(tmp_path) as daemon:
        change(tmp_path / "booper.db.lock")
        (tmp_path / "link.db").symlink_to("booper.db")
        (tmp_path / "hard.db").hardlink_to(tmp_path / "booper.db")
        for name in ("booper.db", "link.db", "hard.db"):
            second = run(tmp_path, "serve", "--port", "0", "--database", name)
            assert second.returncode == 1
            assert "is already served by another booper" in second.stderr
        assert create(daemon).status_code == 201
    (tmp_path / "hard.db").unlink()
    with serving(tmp_path) as daemon:
        assert create(daemon).status_code == 201


def test_a_database_that_was_served_can_be_served_again(tmp_path: Path) -> None:
    """The lock on the file itself goes with its process, however that ends."""
    for end in (Daemon.stop, Daemon.kill):
        with serving(tmp_path) as daemon:
            assert create(daemon).status_code == 201
            end(daemon)
    assert run(tmp_path, "keys", "list").returncode == 0
    assert run(tmp_path, "backup", "copy.db").returncode == 0


def test_a_backup_and_a_reader_work_beside_the_lock(tmp_path: Path) -> None:
    """SQLite's own locks know nothing of it."""
    with serving(tmp_path) as daemon:
        create(daemon)
        assert run(tmp_path, "backup", "copy.db").returncode == 0
        assert create(daemon).status_code == 201

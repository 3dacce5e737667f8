"""The first API key: shown on a terminal, or in a file beside the database; never in a log."""

import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.cli.test_serve import assert_refused
from tests.support.processes import Daemon, bearer, run, serving, until


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon for the first time in its folder, with nothing configured."""
    with serving(tmp_path_factory.mktemp("first")) as daemon:
        yield daemon


@contextmanager
def on_a_terminal(folder: Path, *arguments: str) -> Iterator[Callable[[], str]]:
    """Run `booper` on a terminal until the end of the block; yield what shows its output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "booper", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if "BOOPER" not in name},
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    read: list[bytes] = []

    def shown() -> str:
        with suppress(BlockingIOError):
            read.append(os.read(ours, 65_536))
        return b"".join(read).decode().replace("\r\n", "\n")

    try:
        yield shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_first_start_without_a_terminal_writes_a_key_beside_the_database(first: Daemon) -> None:
    """The key works, its owner alone can read it, and what was printed tells where, not what."""
    path = first.folder / "booper.db.first-key"
    assert oct(stat.S_IMODE(path.stat().st_mode)) == oct(0o600)
    key = path.read_text(encoding="utf-8").strip()
    assert first.api.get("/api/jobs", headers=bearer(key)).status_code == 200
    assert "booper.db.first-key" in first.output
    assert "sk_" not in first.output + first.log


def test_a_first_start_on_a_terminal_shows_its_key_once_and_writes_none(tmp_path: Path) -> None:
    """It is printed in one place, works, and is in no file; the next start shows nothing of it."""
    with on_a_terminal(tmp_path, "serve", "--port", "0") as shown:
        text = until(lambda: shown() if "api/logs" in shown() else "", "the greeting is shown")
        (key,) = re.findall(r"sk_\S+", text)
        url = re.findall(r"http://[\d.]+:\d+", text)[0]
        response = httpx.get(f"{url}/api/jobs", headers=bearer(key), trust_env=False)
        assert response.status_code == 200
        assert not (tmp_path / "booper.db.first-key").exists()
    with on_a_terminal(tmp_path, "serve", "--port", "0") as shown:
        text = until(lambda: shown() if "\n" in shown() else "", "where it listens is shown")
        assert "key" not in text


def test_the_file_of_the_first_key_goes_when_that_key_is_revoked(tmp_path: Path) -> None:
    """Another key's end leaves it; its own, by the API or by the command, does not."""
    with serving(tmp_path) as daemon:
        file = tmp_path / "booper.db.first-key"
        made = daemon.api.post("/api/keys", json={"name": "other", "scope": "admin"}).json()
        keys = {key["name"]: key["id"] for key in daemon.api.get("/api/keys").json()["data"]}
        daemon.api.delete(f"/api/keys/{keys['other']}")
        assert file.exists()
        assert made["data"]["key"] not in file.read_text()
        daemon.api.delete(f"/api/keys/{keys['first']}")
        assert not file.exists()


def test_the_command_that_revokes_the_first_key_removes_its_file(tmp_path: Path) -> None:
    """So it does where no daemon runs."""
    with serving(tmp_path) as daemon:
        daemon.stop()
    assert (tmp_path / "booper.db.first-key").exists()
    assert run(tmp_path, "keys", "revoke", "first").returncode == 0
    assert not (tmp_path / "booper.db.first-key").exists()


def test_a_first_start_that_fails_after_making_the_key_has_not_lost_it(tmp_path: Path) -> None:
    """A folder stands where the socket belongs; once it is gone, the key in the file works."""
    (tmp_path / "booper.db.sock").mkdir()
    assert_refused(run(tmp_path, "serve", "--port", "0"), 1, "booper.db.sock")
    key = (tmp_path / "booper.db.first-key").read_text(encoding="utf-8").strip()
    (tmp_path / "booper.db.sock").rmdir()
    with serving(tmp_path) as daemon:
        assert daemon.api.get("/api/jobs", headers=bearer(key)).status_code == 200
        until(lambda: "booper.db.first-key" in daemon.log, "the log tells where the key is")


def test_a_key_of_a_start_that_ended_too_early_is_not_left_lying(tmp_path: Path) -> None:
    """One that was written and never made is replaced at a first start, and removed later on."""
    file = tmp_path / "booper.db.first-key"
    file.write_text("sk_never_made_0123456789\n")
    with serving(tmp_path) as daemon:
        assert daemon.key != "sk_never_made_0123456789"
        assert daemon.api.get("/api/jobs").status_code == 200
        daemon.stop()
    file.write_text("sk_never_made_0123456789\n")
    with serving(tmp_path):
        assert not file.exists()


def test_a_first_key_that_cannot_be_written_is_not_made(tmp_path: Path) -> None:
    """A key that nobody could learn would keep the next start from making one."""
    (tmp_path / "booper.db.first-key").mkdir()
    assert_refused(run(tmp_path, "serve", "--port", "0"), 1, "booper.db.first-key")
    (tmp_path / "booper.db.first-key").rmdir()
    with serving(tmp_path) as daemon:
        assert daemon.first_key is not None

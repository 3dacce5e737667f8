"""The log stays small under load with constant listing, and backups made meanwhile are whole.

A reader that is never done keeps SQLite from starting its log anew, and it would grow for ever.
"""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.benchmarks import load
from tests.benchmarks.daemon import KEY, SERVE, Daemon, serving
from tests.benchmarks.jobs import microseconds
from tests.benchmarks.load import Load
from tests.benchmarks.target import Target, running
from tests.support.processes import bearer
from tests.torture.line import Line, Size, line
from tests.torture.small_log import PART

MAX_BYTES = 64_000_000
PER_SECOND = 500
CONNECTIONS = 8
LISTERS = 4
# More than can be answered: the listing goes on until it is ended.
LISTS_PER_SECOND = 1_000
LOOK_SECONDS = 0.01
BACKUP_SECONDS = 60.0


def measure(size: Size) -> Line:
    """Load for 5 minutes with 5 backups; in short 2 seconds with 1, and a tenth of the log."""
    seconds, backups = size.pick(300, 2), size.pick(5, 1)
    module, part = size.pick((SERVE, 1), ("tests.torture.small_log", PART))
    log, faults = Log(), []
    with TemporaryDirectory() as name, running() as target:
        folder = Path(name)
        with serving(folder, target, module) as daemon:
            listing, creates = (
                load.start(_lists(daemon, seconds)),
                load.start(_creates(daemon, seconds)),
            )
            try:
                with log.watched(folder / "booper.db-wal"):
                    for number in range(backups):
                        threading.Event().wait(seconds / (backups + 1))
                        faults += _back_up(daemon, folder, number)
                    created = len(load.finish(creates).milliseconds)
            finally:
                for process in (listing, creates):
                    _end(process)
        faults += _start(folder / f"copy{backups - 1}.db", target)
    most = MAX_BYTES / part / 1e6
    if log.largest > most:
        faults.append("too much")
    figure = (
        f"log at most {log.largest:.1f} MB (allowed {most:.1f}) in {seconds} s, "
        f"{created} creates and constant listing; {backups} backups whole"
    )
    return line("wal", figure, faults)


class Log:
    """How large a database's log has been, in megabytes."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.largest = 0.0

    @contextmanager
    def watched(self, path: Path) -> Iterator[None]:
        """Look at the file again and again until the end of the block."""
        thread = threading.Thread(target=self._watch, args=(path,))
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self, path: Path) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.largest = max(self.largest, path.stat().st_size / 1e6)


def _creates(daemon: Daemon, seconds: int) -> Load:
    return daemon.create_load(
        PER_SECOND * seconds,
        CONNECTIONS,
        due=microseconds(),
        step=1_000_000 // PER_SECOND,
        rate=PER_SECOND,
    )


def _lists(daemon: Daemon, seconds: int) -> Load:
    return Load(
        port=daemon.port,
        line="GET /api/jobs?limit=100",
        headers=bearer(KEY),
        count=LISTS_PER_SECOND * seconds,
        connections=LISTERS,
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()


def _back_up(daemon: Daemon, folder: Path, number: int) -> list[str]:
    """Make a backup under load; return what is wrong with it."""
    last = _create(daemon)
    copy = folder / f"copy{number}.db"
    command = [sys.executable, "-m", "booper", "backup", copy.name]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=BACKUP_SECONDS, check=False
    )
    if done.returncode:
        return [f"backup failed: {done.stderr}"]
    faults = [] if stat.S_IMODE(copy.stat().st_mode) == 0o600 else ["others can read the backup"]
    with closing(sqlite3.connect(copy)) as connection:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            faults.append("a backup is not whole")
        # Numbers are given in the order of commits, and no job is ever removed.
        (held,) = connection.execute("SELECT count(*) FROM jobs WHERE id <= ?", (last,)).fetchone()
    if held != last:
        faults.append(f"a backup lacks {last - held} jobs")
    return faults


def _create(daemon: Daemon) -> int:
    """Create one job that is due much later; return its number."""
    response = httpx.post(
        f"http://127.0.0.1:{daemon.port}/api/jobs",
        json={"url": daemon.target.url, "schedule_in": 3600},
        headers=bearer(KEY),
        trust_env=False,
    )
    return int(response.raise_for_status().json()["data"]["job_id"])


def _start(copy: Path, target: Target) -> list[str]:
    """Start a booper on a backup; return what is wrong with it."""
    with TemporaryDirectory() as name, closing(sqlite3.connect(copy)) as connection:
        (held,) = connection.execute("SELECT max(id) FROM jobs").fetchone()
        copy.rename(Path(name) / "booper.db")
        with serving(Path(name), target) as restored:
            return [] if _create(restored) == held + 1 else ["a backup does not go on"]

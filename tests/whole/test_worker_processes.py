"""Worker processes that embed booper: one writes and sends, and its crash loses nothing."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from booper.store.sqlite.lock import ProcessLock
from tests.support.processes import allow_local_targets, listening_target, until
from tests.support.workers import PER_HOST, Crash, Workers, crash, working

JOBS = 200
TAKEOVER_SECONDS = 5.0


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workers, Crash]]:
    """Run two workers, post jobs to both, and kill the one that sends in the middle."""
    folder = tmp_path_factory.mktemp("workers")
    allow_local_targets(folder)
    with listening_target() as target, working(folder) as workers:
        until(lambda: len(workers.processes()) == 2, "both of them respond")
        yield workers, crash(workers, target, JOBS)


def test_every_job_arrives(crashed: tuple[Workers, Crash]) -> None:
    """All creates were acknowledged in the end, and every one of them was sent."""
    _, seen = crashed
    assert len(seen.acknowledged) == JOBS
    assert set(seen.received) == seen.acknowledged


def test_none_is_sent_twice_but_those_in_flight(crashed: tuple[Workers, Crash]) -> None:
    """A job is sent again only if its request was on its way when the holder died."""
    _, seen = crashed
    sent = Counter(seen.received)
    assert {path for path, times in sent.items() if times > 1} <= seen.in_flight
    assert max(sent.values()) == 2
    assert len(seen.in_flight) == PER_HOST


def test_another_worker_takes_over(crashed: tuple[Workers, Crash]) -> None:
    """Within seconds it sends what is due, and it says that it does."""
    workers, seen = crashed
    assert seen.takeover_seconds < TAKEOVER_SECONDS
    assert "this process serves the database now" in workers.log


def test_a_worker_that_comes_back_follows(crashed: tuple[Workers, Crash]) -> None:
    """The one that the supervisor starts in place of the dead one is a follower, and answers."""
    workers, _ = crashed
    until(lambda: len(workers.processes()) == 2, "there are two again")
    assert workers.holder in workers.processes()
    with workers.client() as client:
        for _ in range(10):
            assert client.get("/api/jobs").status_code == 200


def test_nobody_knows_of_a_fault(crashed: tuple[Workers, Crash]) -> None:
    """Neither the kill nor the takeover has left a traceback."""
    workers, _ = crashed
    assert "Traceback" not in workers.log


def test_all_of_them_stop_at_once(tmp_path: Path) -> None:
    """Told to stop, the holder and its followers end, and the database is free."""
    allow_local_targets(tmp_path)
    with working(tmp_path, 3) as workers:
        pass
    assert workers.supervisor.returncode == 0
    assert "Traceback" not in workers.log
    with ProcessLock(tmp_path / "booper.db"):
        pass


FORKING = """
import os, sys
from pathlib import Path
from booper.store.sqlite.lock import ProcessLock

with ProcessLock(Path(sys.argv[1])):
    if os.fork() == 0:
        print("forked", flush=True)
        sys.stdin.read()
    os._exit(0)
"""


def test_a_lock_does_not_outlive_its_holder_in_a_fork(tmp_path: Path) -> None:
    """A process that the holder has forked, and that lives on, does not keep the database."""
    database = tmp_path / "booper.db"
    command = [sys.executable, "-c", FORKING, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"forked\n"
        assert parent.wait() == 0
        with ProcessLock(database):
            pass

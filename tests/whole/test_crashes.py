"""A crash in the middle of the work: nothing accepted is lost, only what was on its way repeats."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import (
    Daemon,
    LocalTarget,
    Received,
    allow_local_targets,
    database_copy,
    listening_target,
    monotonic,
    nap,
    serving,
    until,
)

JOBS = 300
POSTERS = 4
KILL_AFTER = 150
ANSWERED_BEFORE = 20
PER_HOST = 16  # the default of `[delivery] per_host` (contract §12)
UNFINISHED = ("scheduled", "available", "executing", "retryable")


class Posting:
    """Post job after job, each aimed at a path of its own, and note what booper answered."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._numbers = iter(range(JOBS))
        self._lock = threading.Lock()
        self.acknowledged: dict[str, int] = {}
        """The job's number by its path, for each create that was answered 201."""
        self.unanswered: set[str] = set()
        """The paths of creates that the crash left without a response."""

    def post_all(self, daemon: Daemon) -> None:
        """Post with several clients at once until all are posted or booper is gone."""
        with ThreadPoolExecutor(POSTERS) as pool:
            for poster in [pool.submit(self._post_some, daemon) for _ in range(POSTERS)]:
                poster.result()

    def _post_some(self, daemon: Daemon) -> None:
        while (number := self._next()) is not None:
            path = f"/{number}"
            try:
                # Due within the next second, spread over it.
                job = daemon.post(self._target + path, schedule_in=number % 10 / 10)
            except httpx.TransportError:
                self.unanswered.add(path)
                return
            self.acknowledged[path] = job
            for _ in range(2):
                nap()

    def _next(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)


@dataclass
class Crash:
    """What was seen of a crash.

    `executing` (path → job's number) is what the database called so after the kill, `held` what
    the target had then received and not answered.
    """

    acknowledged: dict[str, int]
    unanswered: set[str]
    acknowledged_before: int
    held: set[str]
    executing: dict[str, int]
    integrity: list[tuple[str]]
    back_at: float
    received: list[Received]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def by_attempt(self, path: str) -> dict[str, Received]:
        """Return the requests for a path by the attempt they name."""
        return {
            request.headers["booper-attempt"]: request
            for request in self.received
            if request.path == path
        }


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crash]:
    """Post 300 jobs, kill booper in the middle, start it again, and let all of them end."""
    folder = tmp_path_factory.mktemp("kill")
    allow_local_targets(folder)
    with listening_target() as target:
        posting = Posting(target.url)
        with serving(folder) as daemon:
            key = daemon.key
            kill_in_the_middle(daemon, posting, target)
        held = {request.path for request in tuple(target.held)}
        before = len(posting.acknowledged)
        executing, integrity = look_at_the_remains(folder, target.url)
        target.release()
        with serving(folder, key=key) as daemon:
            back_at = monotonic()
            posting.post_all(daemon)
            until(lambda: everything_ended(daemon), "every job has ended")
            yield Crash(
                acknowledged=posting.acknowledged,
                unanswered=posting.unanswered,
                acknowledged_before=before,
                held=held,
                executing=executing,
                integrity=integrity,
                back_at=back_at,
                received=list(target.received),
                jobs={path: daemon.job(number) for path, number in executing.items()},
                errors=interruptions(daemon),
            )


def kill_in_the_middle(daemon: Daemon, posting: Posting, target: LocalTarget) -> None:
    """Kill booper while jobs are posted, when some were answered and others are on their way."""
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(posting.post_all, daemon)
        until(lambda: len(target.received) >= ANSWERED_BEFORE, "some jobs were sent")
        target.hold()
        until(
            lambda: len(target.held) == PER_HOST and len(posting.acknowledged) >= KILL_AFTER,
            "all slots are taken and half of the jobs were accepted",
        )
        daemon.kill()
        posted.result()


def look_at_the_remains(folder: Path, target: str) -> tuple[dict[str, int], list[tuple[str]]]:
    """Return the executing jobs (path → number) and SQLite's verdict on the database."""
    with database_copy(folder) as connection:
        integrity = connection.execute("PRAGMA integrity_check").fetchall()
        rows = connection.execute(
            "SELECT args ->> 'url', id FROM jobs WHERE state = 'executing'"
        ).fetchall()
    return {url.removeprefix(target): number for url, number in rows}, integrity


def everything_ended(daemon: Daemon) -> bool:
    """Return whether no job waits or runs."""
    return not any(
        daemon.api.get("/api/jobs", params={"state": state, "limit": 1}).json()["data"]
        for state in UNFINISHED
    )


def interruptions(daemon: Daemon) -> list[dict[str, Any]]:
    """Return the log entries about errors."""
    response = daemon.api.get("/api/logs", params={"event": "worker.http.error", "limit": 100})
    entries: list[dict[str, Any]] = response.json()["data"]
    return entries


def test_the_kill_comes_in_the_middle_of_everything(crash: Crash) -> None:
    """When booper is killed, some jobs were answered, some are on their way, some to be posted."""
    assert KILL_AFTER <= crash.acknowledged_before < JOBS
    assert len(crash.held) == PER_HOST
    assert crash.unanswered


def test_every_acknowledged_job_reaches_the_target(crash: Crash) -> None:
    """A job whose create was answered 201 is sent, whatever happens to the process."""
    assert len(crash.acknowledged) == JOBS - len(crash.unanswered)
    assert set(crash.acknowledged) <= {request.path for request in crash.received}


def test_nothing_reaches_the_target_that_nobody_asked_for(crash: Crash) -> None:
    """Every request belongs to a job that was posted, under the number its create was told."""
    for request in crash.received:
        if request.path not in crash.unanswered:
            number = crash.acknowledged[request.path]
            assert request.headers["booper-job-id"] == str(number)


def test_only_what_was_on_its_way_is_sent_twice(crash: Crash) -> None:
    """A job is sent a second time only if its attempt had begun and its result was not kept."""
    sent = Counter(request.path for request in crash.received)
    assert {path for path, times in sent.items() if times > 1} <= set(crash.executing)
    assert max(sent.values()) <= 2


def test_a_request_on_its_way_was_recorded_before_it_left(crash: Crash) -> None:
    """What the target held at the kill is `executing` in the database: claimed, then sent."""
    assert crash.held <= set(crash.executing)


def test_the_database_survives_whole(crash: Crash) -> None:
    """SQLite finds nothing wrong with the file that the crash left."""
    assert crash.integrity == [("ok",)]


def test_what_was_cut_off_is_sent_again_within_a_second(crash: Crash) -> None:
    """After the restart an attempt that was cut off is made again at once, as the second."""
    for path in crash.executing:
        again = crash.by_attempt(path)["2"]
        assert again.at - crash.back_at < 1


def test_an_attempt_that_was_cut_off_counts(crash: Crash) -> None:
    """A job whose first attempt died with the process completes in attempt 2."""
    ends = {path: (job["state"], job["attempt"]) for path, job in crash.jobs.items()}
    assert ends == dict.fromkeys(crash.executing, ("completed", 2))


def test_the_interruption_stands_in_the_log(crash: Crash) -> None:
    """Each attempt that was cut off has one log entry that says so, and no other job has any."""
    assert all(entry["payload"]["error"] == "interrupted" for entry in crash.errors)
    cut_off = sorted(crash.executing.values())
    assert sorted(entry["job_id"] for entry in crash.errors) == cut_off

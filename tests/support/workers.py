"""A web program with worker processes that embed booper, as a user would run it, and its crash."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.processes import DEADLINE_SECONDS, LocalTarget, bearer, monotonic, nap, until

KEY = "sk_the_key_of_the_workers"
POSTERS = 4
PER_HOST = 16  # the default of `[delivery] per_host` (contract §12)
# What a client does with a 503 or a lost connection: it sends the same create again.
MAX_TRIES = 200

_URL = re.compile(r"running on (http://\S+)")


class Workers:
    """A program whose workers share a database in its folder."""

    def __init__(self, folder: Path, supervisor: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.url = ""

    @property
    def log(self) -> str:
        """Return what all of them have printed."""
        return (self.folder / "workers.log").read_text(encoding="utf-8")

    @property
    def holder(self) -> int:
        """Return the process that holds the database, 0 if none ever did."""
        lock = self.folder / "booper.db.lock"
        return int(lock.read_text().strip() or 0) if lock.exists() else 0

    def processes(self) -> set[int]:
        """Return the processes that answer: each new connection is taken by one of them."""
        responses = (httpx.get(f"{self.url}/process", trust_env=False) for _ in range(20))
        return {response.json()["process"] for response in responses}

    def client(self) -> httpx.Client:
        """Make a client whose every call is taken by whichever worker is first."""
        return httpx.Client(
            base_url=f"{self.url}/booper",
            headers=bearer(KEY),
            trust_env=False,
            timeout=DEADLINE_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def kill_holder(self) -> float:
        """End the process that holds the database as a crash would; return when.

        Nobody is started in its place until `let_supervise`, or that one might be the first to
        find the database free.
        """
        self.supervisor.send_signal(signal.SIGSTOP)
        os.kill(self.holder, signal.SIGKILL)
        return monotonic()

    def let_supervise(self) -> None:
        """Wait until the supervisor has started a worker in place of the dead one."""
        self.supervisor.send_signal(signal.SIGCONT)


@contextmanager
def working(folder: Path, count: int = 2) -> Iterator[Workers]:
    """Run the program with this many workers, which all answer, until the end of the block."""
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "--workers", str(count)]
    command += ["--no-access-log", "--app-dir", str(Path(__file__).parent), "worker_program:app"]
    with (folder / "workers.log").open("wb") as log:
        supervisor = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "WORKERS_KEY": KEY},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            workers = Workers(folder, supervisor)
            workers.url = until(lambda: _URL.search(workers.log), "it said where it listens")[1]  # type: ignore[index]
            until(lambda: workers.log.count("startup complete") >= count, "all of them are there")
            yield workers
        finally:
            supervisor.send_signal(signal.SIGCONT)
            supervisor.terminate()
            try:
                supervisor.wait(timeout=DEADLINE_SECONDS)
            finally:
                _end(supervisor)


def _end(supervisor: "subprocess.Popen[bytes]") -> None:
    """End whatever is left of a program, which has a session of its own."""
    try:
        os.killpg(supervisor.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        supervisor.wait(timeout=DEADLINE_SECONDS)


@dataclass
class Posting:
    """Creates of jobs with a path each, made until they are acknowledged, as a client makes them.

    `answers` counts the statuses other than success, 0 for a connection that was lost.
    """

    workers: Workers
    target: str
    jobs: int
    acknowledged: set[str] = field(default_factory=set)
    responses: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = iter(range(self.jobs))
        self._lock = threading.Lock()

    def post_all(self) -> None:
        """Post with several clients at once."""
        with ThreadPoolExecutor(POSTERS) as pool:
            for poster in [pool.submit(self._post_some) for _ in range(POSTERS)]:
                poster.result()

    def _post_some(self) -> None:
        with self.workers.client() as client:
            while (number := self._next()) is not None:
                self._post(client, f"/{number}")
                nap()

    def _post(self, client: httpx.Client, path: str) -> None:
        body = {
            "url": self.target + path,
            "idempotency_key": path,
            "idempotency_ttl": [1, "hour"],
        }
        for _ in range(MAX_TRIES):
            try:
                status = client.post("/api/jobs", json=body).status_code
            except httpx.TransportError:
                status = 0
            if status in (200, 201):
                self.acknowledged.add(path)
                return
            with self._lock:
                self.responses[status] = self.responses.get(status, 0) + 1
            nap()

    def _next(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)


@dataclass(frozen=True)
class Crash:
    """What was seen of a crash: paths, and seconds from the kill to the next request sent.

    `in_flight` is what the target had received and not answered at the kill.
    """

    acknowledged: set[str]
    in_flight: set[str]
    received: list[str]
    takeover_seconds: float
    responses: dict[int, int]


def crash(workers: Workers, target: LocalTarget, jobs: int) -> Crash:
    """Post jobs, kill the holder in the middle, and wait until every job has arrived."""
    posting = Posting(workers, target.url, jobs)
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(posting.post_all)
        until(lambda: len(posting.acknowledged) >= jobs // 2, "half of the jobs were accepted")
        target.hold()
        until(lambda: len(target.held) == PER_HOST, "all slots are taken")
        in_flight = {request.path for request in tuple(target.held)}
        before = len(target.received)
        killed_at = workers.kill_holder()
        until(lambda: len(target.received) > before, "something was sent after the kill")
        taken_over_at = target.received[before].at
        workers.let_supervise()
        target.release()
        posted.result()
    until(lambda: len(set(target.paths())) >= jobs, "every job has arrived")
    with workers.client() as client:
        until(lambda: _is_idle(client), "every job has ended")
    return Crash(
        posting.acknowledged,
        in_flight,
        target.paths(),
        taken_over_at - killed_at,
        posting.responses,
    )


def _is_idle(client: httpx.Client) -> bool:
    states = ["scheduled", "available", "executing", "retryable"]
    response = client.get("/api/jobs", params={"state": states, "limit": 1})
    return response.status_code == 200 and not response.json()["data"]

"""SIGKILL again and again, under creates and deliveries: nothing accepted is lost.

Each life posts jobs at 50 a second that are due at once or a little later, and ends at a random
moment, often with the target holding its responses back. After each kill the database says which
attempts it cut off: only their jobs may reach the target a second time.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import httpx

from tests.support.processes import (
    Daemon,
    LocalTarget,
    allow_local_targets,
    database_copy,
    listening_target,
    monotonic,
    run,
    serving,
    until,
)
from tests.torture.line import Line, Size, line

KEY = "sk_torture_torture_torture"
POSTERS = 2
PER_SECOND = 50
READY_SECONDS = 2.0

# A life after it is ready, and how long of it the target holds its responses back, in seconds.
MIN_SECONDS, MAX_SECONDS = 0.1, 0.6
HELD = 0.2


@dataclass
class Record:
    """What was posted, answered and seen over all lives; a job is known by its path."""

    posted: set[str] = field(default_factory=set)
    acknowledged: dict[str, int] = field(default_factory=dict)
    cut_off: Counter[str] = field(default_factory=Counter)
    ready_seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def measure(size: Size) -> Line:
    """Kill 200 times (in short 3), then let everything end, and compare."""
    kills = size.pick(200, 3)
    record, random, numbers = Record(), Random(1), count()
    with TemporaryDirectory() as name, listening_target() as target:
        folder = Path(name)
        # Whoever forks the boopers of tests imports booper first: that is no part of a start.
        run(folder, "--version")
        allow_local_targets(folder, f"[delivery]\nper_host = {PER_SECOND}\n")
        for _ in range(kills):
            with _life(folder, record) as daemon:
                _live(daemon, target, record, random, numbers)
            target.release()
            _look(folder, target, record)
        with _life(folder, record) as daemon:
            until(lambda: _everything_ended(daemon), "every job has ended")
        present = _jobs(folder, target)
    return _judged(kills, record, target, present)


@contextmanager
def _life(folder: Path, record: Record) -> Iterator[Daemon]:
    begun = monotonic()
    with serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon:
        assert daemon.api.get("/readyz").status_code == 200
        record.ready_seconds.append(monotonic() - begun)
        yield daemon


def _live(
    daemon: Daemon, target: LocalTarget, record: Record, random: Random, numbers: Iterator[int]
) -> None:
    """Post until a random moment, and kill."""
    stop = threading.Event()
    with ThreadPoolExecutor(POSTERS) as pool:
        posters = [
            pool.submit(_post, daemon, target.url, record, numbers, stop) for _ in range(POSTERS)
        ]
        wait(posters, random.uniform(MIN_SECONDS, MAX_SECONDS))
        target.hold()
        wait(posters, random.uniform(0, HELD))
        daemon.kill()
        stop.set()
        for poster in posters:
            poster.result()


def _post(
    daemon: Daemon, target: str, record: Record, numbers: Iterator[int], stop: threading.Event
) -> None:
    """Post at this poster's part of the rate until told to stop or booper is gone."""
    while not stop.wait(POSTERS / PER_SECOND):
        number = next(numbers)
        path = f"/{number}"
        record.posted.add(path)
        try:
            record.acknowledged[path] = daemon.post(target + path, schedule_in=number % 4 / 10)
        except httpx.TransportError:
            return


def _look(folder: Path, target: LocalTarget, record: Record) -> None:
    """Note which attempts a kill cut off, and whether it left the file whole."""
    with database_copy(folder) as connection:
        for (verdict,) in connection.execute("PRAGMA integrity_check"):
            if verdict != "ok":
                record.faults.append(f"integrity: {verdict}")
        found = connection.execute("SELECT args ->> 'url' FROM jobs WHERE state = 'executing'")
        record.cut_off.update(url.removeprefix(target.url) for (url,) in found)


def _jobs(folder: Path, target: LocalTarget) -> dict[str, int]:
    with database_copy(folder) as connection:
        found = connection.execute("SELECT args ->> 'url', id FROM jobs").fetchall()
    return {url.removeprefix(target.url): number for url, number in found}


def _everything_ended(daemon: Daemon) -> bool:
    states = ["scheduled", "available", "executing", "retryable"]
    response = daemon.api.get("/api/jobs", params={"state": states, "limit": 1})
    return not response.json()["data"]


def _judged(kills: int, record: Record, target: LocalTarget, present: dict[str, int]) -> Line:
    sent = Counter(target.paths())
    again = {path: times - 1 for path, times in sent.items() if times > 1}
    faults = [
        *record.faults,
        *_each("lost", record.acknowledged.items() - present.items()),
        *_each("never sent", present.keys() - sent.keys()),
        *_each("sent and not asked for", sent.keys() - record.posted),
        *_each("sent and not kept", sent.keys() - present.keys()),
        *_each("sent too often", [p for p, more in again.items() if more > record.cut_off[p]]),
        *_each("slow start", [f"{s:.2f} s" for s in record.ready_seconds if s > READY_SECONDS]),
    ]
    figure = (
        f"{kills} kills, {len(record.acknowledged)} jobs acknowledged; "
        f"{record.cut_off.total()} attempts cut off, {sum(again.values())} sent again; "
        f"ready within {max(record.ready_seconds):.2f} s"
    )
    return line("kill", figure, faults)


def _each(what: str, items: Iterable[object]) -> list[str]:
    return [f"{what}: {item}" for item in items]

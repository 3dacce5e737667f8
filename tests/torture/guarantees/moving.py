"""A database is moved to PostgreSQL and back by a command that is killed again and again.

What has come back is compared with the file that it began as, by SQL that no move uses. The twin
notes how far it is before it has written that far: the same comparison must find what that loses.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from signal import SIGKILL
from tempfile import TemporaryDirectory
from typing import Final

import psycopg

from tests.benchmarks.fill import copy_rows, uuid_of
from tests.support.postgres import database
from tests.support.processes import monotonic
from tests.support.varied import differences, drawn, fill
from tests.torture.killed_move import POINT, ROWS, TWIN
from tests.torture.line import Line, Size, line

JOBS: Final = 1_000_000
KILLS: Final = 20
"""On each way: at points of the other phases, and as it writes."""
MAX_SECONDS: Final = 3600.0
LOOK_SECONDS: Final = 0.1
SEED: Final = 1

BASE: Final = 500
"""The jobs that the others are copies of."""

FEW_JOBS: Final = 120
FEW_ROWS: Final = 25
"""The most rows of a batch in the short form."""

# The begin is noted by what is undone, and then committed; the two databases are read in turn; the
# end is noted by what is undone. Behind its commit a move has nothing left to do.
BEGINNING: Final = ("beginning 1", "beginning 2")
ENDING: Final = ("comparing 2", "comparing 21", "finishing 0", "finishing 2")
FEW_POINTS: Final = (
    "beginning 1",
    *("writing 7", "writing 24", "writing 63"),  # batches of jobs, of log entries, of buckets
    "comparing 21",
    *("finishing 2", "finishing 3"),
)
NEVER: Final = "writing 1000000"
"""A point that no move reaches."""

COUNT_KEY: Final = "idempotency_key || ' ' || number"

# What PostgreSQL makes of the rows itself.
FAULTS: Final = {
    "what is due": """
        (SELECT id, scheduled_at, origin, path FROM live_jobs WHERE state <> 'executing'
        EXCEPT SELECT job_id, at, origin, path FROM due)
        UNION ALL (SELECT * FROM (SELECT job_id, at, origin, path FROM due) AS has
        EXCEPT SELECT id, scheduled_at, origin, path FROM live_jobs WHERE state <> 'executing')
    """,
    "planned times": """
        SELECT schedule_id, planned_at, id FROM jobs WHERE kind = 'run' AND state <> 'cancelled'
        EXCEPT SELECT schedule_id, at, job_id FROM planned
    """,
    "counts": """
        SELECT user_id, kind, state, count(*) FROM jobs GROUP BY 1, 2, 3
        EXCEPT SELECT user_id, kind, state, sum(count) FROM job_counts GROUP BY 1, 2, 3
    """,
    "places of logs": """
        SELECT FROM logs LEFT JOIN ended_jobs ON ended_jobs.id = job_id
        WHERE (logs.class, logs.ended_at)
            <> (coalesce(ended_jobs.class, 'live'), coalesce(ended_jobs.ended_at, 0))
    """,
}


def measure(size: Size) -> Line:
    """Move a database there and back, killed many times on each way."""
    with TemporaryDirectory() as folder, database() as url:
        first, second = Path(folder) / "first.db", Path(folder) / "second.db"
        if size is Size.SHORT:
            return _short(first, url, second)
        fill(first, SEED, BASE)
        rows = _multiply(first, JOBS // BASE - 1)
        began, ends = monotonic(), list[int]()
        for way in _ways(first, url, second):
            ends += _killed_everywhere(*way, rows)
            _complete(*way)
        seconds = monotonic() - began
        figure = (
            f"{JOBS:,} jobs and {rows - JOBS:,} log entries, {len(ends)} kills, {seconds:.0f} s"
        )
        return line("moving", figure, [*_spared(ends), *_faults(first, url, second)])


def _short(first: Path, url: str, second: Path) -> Line:
    fill(first, SEED, FEW_JOBS)
    small, ends = {ROWS: str(FEW_ROWS)}, list[int]()
    for way in _ways(first, url, second):
        ends += _killed_at_points(*way, FEW_POINTS, small)
        _complete(*way)
    faults = [*_spared(ends), *_faults(first, url, second), *_twin_faults(first)]
    return line("moving", f"{FEW_JOBS} jobs, {len(ends)} kills, and a twin that lost", faults)


def _ways(first: Path, url: str, second: Path) -> Iterator[tuple[str, str]]:
    yield str(first), url
    yield url, str(second)


def _faults(first: Path, url: str, second: Path) -> list[str]:
    """Return what is wrong with the database in between, and with what has come back."""
    found = [f"differs in {table}" for table in differences(first, second)]
    if drawn(first) != drawn(second):
        found.append(f"numbers: {drawn(first)} and {drawn(second)}")
    with psycopg.connect(url) as connection:
        for what, query in FAULTS.items():
            wrong = len(connection.execute(query).fetchall())
            found += [f"{what}: {wrong} wrong in PostgreSQL"] * bool(wrong)
    return found


def _multiply(path: Path, copies: int) -> int:
    """Copy all jobs and log entries so many times; return how many rows there are of both."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("uuid_of", 1, uuid_of, deterministic=True)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        connection.execute("BEGIN")
        connection.execute("DELETE FROM logs WHERE job_id > (SELECT max(id) FROM jobs)")
        jobs = {
            "id": f"id + number * {BASE}",
            "uuid": f"uuid_of(id + number * {BASE})",
            "planned_at": f"planned_at + number * {BASE}",
            "idempotency_key": COUNT_KEY,
        }
        copy_rows(connection, "jobs", jobs, copies)
        [(entries,)] = connection.execute("SELECT max(seq) FROM logs")
        logs = {
            "seq": f"seq + number * {entries}",
            "id": f"uuid_of(seq + number * {entries})",
            "job_id": f"job_id + number * {BASE}",
        }
        copy_rows(connection, "logs", logs, copies)
        tags = {"job_id": f"job_id + number * {BASE}"}
        copy_rows(connection, "job_tags", tags, copies)
        connection.execute("UPDATE counted SET job_id = (SELECT max(id) FROM jobs)")
        connection.execute("COMMIT")
        query = "SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM logs)"
        return int(connection.execute(query).fetchone()[0])


# --- kills by the clock of the work ---


def _killed_everywhere(source: str, target: str, rows: int) -> list[int]:
    """Kill the command `KILLS` times, in each phase of its work; return how it ended each time."""
    beginning = _killed_at_points(source, target, BEGINNING)
    kills = KILLS - len(BEGINNING) - len(ENDING)
    writing = _killed_by_progress(source, target, rows, kills)
    return [*beginning, *writing, *_killed_at_points(source, target, ENDING)]


def _killed_by_progress(source: str, target: str, rows: int, kills: int) -> list[int]:
    """Kill the command so often as it writes; return how it ended each time."""
    random, ends = Random(SEED), list[int]()
    for part in range(1, kills + 1):
        wanted = (part - random.random()) * rows / kills
        with _command(source, target) as process:
            while process.poll() is None and _done(target) < wanted:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
            process.kill()
            ends.append(process.wait())
    return ends


def _complete(source: str, target: str) -> None:
    """Run the command to its end."""
    with _command(source, target) as process:
        text, _ = process.communicate(timeout=MAX_SECONDS)
    if process.returncode:
        raise AssertionError(f"the command ended with {process.returncode}: {text}")


def _spared(ends: Sequence[int]) -> list[str]:
    """Return what is wrong with the ends of commands that were to be killed."""
    spared = [end for end in ends if end != -SIGKILL]
    return [f"{len(spared)} of {len(ends)} kills did not take place: {spared}"] * bool(spared)


def _done(target: str) -> float:
    """Return how many jobs and log entries have been moved: both are numbered from 1 on."""
    query = "SELECT last FROM moved_rows WHERE name IN ('jobs', 'logs')"
    try:
        if target.startswith("postgresql:"):
            with psycopg.connect(target) as opened:
                found = opened.execute(query).fetchall()
        else:
            with closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as file:
                found = file.execute(query).fetchall()
    except (psycopg.Error, sqlite3.Error):  # nothing has begun, or everything is done
        return 0
    return sum(int(last.strip("[]")) for (last,) in found)


# --- kills at points of the work ---


def _killed_at_points(
    source: str, target: str, points: Sequence[str], environment: Mapping[str, str] | None = None
) -> list[int]:
    """End the command at each of these points; return how it ended each time."""
    given = environment or {}
    return [_end(source, target, {**given, POINT: point}) for point in points]


def _twin_faults(first: Path) -> list[str]:
    """Return what is wrong with the twins.

    One must lose rows, and notice that itself; the other, which nobody kills, must be noticed.
    """
    small = {ROWS: str(FEW_ROWS), TWIN: "yes"}
    with database() as url:
        died = _end(str(first), url, {**small, POINT: "writing 6"})
        ended = _end(str(first), url, small)
    faults = [] if (died, ended) == (-SIGKILL, 1) else [f"the twin ended with {died}, then {ended}"]
    with database() as url:
        spared = _spared(_killed_at_points(str(first), url, [NEVER]))
    return [*faults, *(["a kill that did not take place was not noticed"] * (not spared))]


def _end(source: str, target: str, environment: Mapping[str, str]) -> int:
    """Run the command that may kill itself; return how it ended."""
    with _command(source, target, "tests.torture.killed_move", environment) as process:
        process.communicate(timeout=MAX_SECONDS)
    return process.returncode


def _command(
    source: str,
    target: str,
    program: str = "booper",
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[str]":
    command: Sequence[str] = [sys.executable, "-m", program, "migrate-store", source, target]
    return subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

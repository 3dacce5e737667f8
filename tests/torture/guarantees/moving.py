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
from tempfile import TemporaryDirectory
from typing import Final

import psycopg

from tests.benchmarks.fill import copy_rows, uuid_of
from tests.support.postgres import database
from tests.support.processes import monotonic
from tests.support.varied import differences, drawn, fill
from tests.torture.killed_move import POINT, TWIN
from tests.torture.line import Line, Size, line

JOBS: Final = 1_000_000
KILLS: Final = 20
MAX_SECONDS: Final = 3600.0
LOOK_SECONDS: Final = 0.1
SEED: Final = 1

BASE: Final = 500
"""The jobs that the others are copies of."""

FEW_JOBS: Final = 120
POINTS: Final = (7, 24, 63)
"""Where the command of the short form ends: in batches of jobs, of log entries, and of buckets."""

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
            fill(first, SEED, FEW_JOBS)
            kills = sum(_killed_at_points(*way) for way in _ways(first, url, second))
            faults = [*_faults(first, url, second), *_twin_faults(first)]
            return line("moving", f"{FEW_JOBS} jobs, {kills} kills, and a twin that lost", faults)
        fill(first, SEED, BASE)
        rows = _multiply(first, JOBS // BASE - 1)
        began, kills = monotonic(), 0
        for source, target in _ways(first, url, second):
            kills += _killed_by_progress(source, target, rows)
        seconds = monotonic() - began
        figure = f"{JOBS:,} jobs and {rows - JOBS:,} log entries, {kills} kills, {seconds:.0f} s"
        return line("moving", figure, _faults(first, url, second))


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


def _killed_by_progress(source: str, target: str, rows: int) -> int:
    """Kill the command at `KILLS` times, and run it to its end then; return how often it died."""
    random = Random(SEED)
    died = 0
    for part in range(1, KILLS + 1):
        wanted = (part - random.random()) * rows / KILLS
        with _command(source, target) as process:
            while process.poll() is None and _done(target) < wanted:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
            process.kill()
            died += process.wait() < 0
    with _command(source, target) as process:
        text, _ = process.communicate(timeout=MAX_SECONDS)
    if process.returncode:
        raise AssertionError(f"the command ended with {process.returncode}: {text}")
    return died


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


def _killed_at_points(source: str, target: str) -> int:
    """End the command at each of `POINTS`, and run it to its end then; return how often it died."""
    ends = [_end(source, target, {POINT: str(point)}) for point in POINTS]
    last = _end(source, target, {})
    if last:
        raise AssertionError(f"the command ended with {last}")
    return sum(end < 0 for end in ends)


def _twin_faults(first: Path) -> list[str]:
    """Return what is wrong with the twin: it must lose rows, and say so itself."""
    with database() as url:
        died = _end(str(first), url, {POINT: str(POINTS[0] - 1), TWIN: "yes"})
        ended = _end(str(first), url, {TWIN: "yes"})
    return [] if (died, ended) == (-9, 1) else [f"the twin ended with {died} and then {ended}"]


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

"""Whatever is overdue behind one target, jobs of others leave on time, and readiness tells so."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from booper.clock import SystemClock
from tests.benchmarks.processes import free_port
from tests.support.processes import Daemon, monotonic, nap, serving
from tests.torture.line import Line, Size, line
from tests.torture.listener import header, listening

CONFIG = '[targets]\nrequire_https = false\nallow = ["127.0.0.0/8"]\n'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HEALTHY, HANGING = "127.0.0.2", "127.0.1.1"
EVERY_SECONDS = 0.05
MAX_SECONDS = 1.0
PATIENCE_SECONDS = 30.0
COUNTS = (9_999, 10_001, 100_000)

NUMBERS = """
WITH RECURSIVE numbers (number) AS (
    SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :count
)
"""

# Copies of the one job that is there, long overdue, at its target or each at a host of its own.
COPY = f"""
INSERT INTO jobs (uuid, user_id, kind, origin, path, args, state, attempt, max_attempts,
    interruptions, inserted_at, scheduled_at, planned_at)
{NUMBERS}
SELECT randomblob(16), user_id, kind, {{origin}}, path, {{args}}, state, attempt, max_attempts,
    interruptions, inserted_at, number, number
FROM numbers CROSS JOIN jobs
"""
PAUSE_EACH = f"INSERT INTO pauses {NUMBERS} SELECT 'h' || number || '.test', 1 FROM numbers"
OWN_HOST = {
    "origin": "'https://h' || number || '.test'",
    "args": "json_set(args, '$.url', 'https://h' || number || '.test/')",
}
SAME_HOST = {"origin": "origin", "args": "args"}


class Sink:
    """A healthy host that notes how late each job came, and one that never answers."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes over one connection, or do not."""
        while head := await reader.readuntil(b"\r\n\r\n"):
            if writer.get_extra_info("sockname")[0] == HANGING:
                await reader.read()
                return
            planned = datetime.fromisoformat(header(head, "booper-scheduled-at") or "")
            self.late.append((SystemClock().now() - planned).total_seconds())
            writer.write(OK)


def measure(size: Size) -> Line:
    """Send 20 jobs a second while 9,999 to 100,000 others are overdue, in four ways."""
    counts, others = size.pick((COUNTS, 200), ((10_001,), 20))
    faults, figures = [], []
    for way in ("paused", "each paused", "refusing", "hanging"):
        for count in counts:
            late, wrong = _late(way, count, others)
            figures.append(f"{way} {count}: {late:.3f}")
            faults += [f"{way}, {count}: {fault}" for fault in wrong]
    figure = "others' p99 lateness in s behind overdue jobs: " + ", ".join(figures)
    return line("backlog", figure, faults)


def _late(way: str, count: int, others: int) -> tuple[float, list[str]]:
    """Return the 99th percentile of how late others left, and what went wrong."""
    sink = Sink()
    with TemporaryDirectory() as name, listening(sink.talk, "0.0.0.0") as port:
        folder = Path(name)
        (folder / "booper.toml").write_text(CONFIG)
        blocked = {"refusing": f"127.0.2.1:{free_port()}"}.get(way, f"{HANGING}:{port}")
        key = _fill(folder, way, count, blocked)
        with _again(folder, key) as daemon:
            _create(daemon, port, others)
            ready = daemon.api.get("/readyz").status_code
            _wait(sink, others)
    late = sorted(sink.late)
    p99 = late[len(late) * 99 // 100] if late else 0.0
    faults = [] if len(late) == others else [f"{len(late)} of {others} arrived"]
    if p99 > MAX_SECONDS:
        faults.append(f"others were late by {p99:.3f} s")
    if ready != 200:
        faults.append(f"/readyz is {ready}")
    return p99, faults


def _fill(folder: Path, way: str, count: int, blocked: str) -> str:
    """Write a database with so many overdue jobs; return a key for it."""
    with serving(folder) as daemon:
        if way == "paused":
            daemon.api.post("/api/pause", json={"host": blocked}).raise_for_status()
        body = {"url": f"http://{blocked}/", "schedule_in": [1, "day"]}
        daemon.api.post("/api/jobs", json=body).raise_for_status()
        key = daemon.key
    assert key is not None
    with closing(sqlite3.connect(folder / "booper.db")) as connection, connection:
        where = OWN_HOST if way == "each paused" else SAME_HOST
        connection.execute(COPY.format(**where), {"count": count})
        if way == "each paused":
            connection.execute(PAUSE_EACH, {"count": count})
    return key


@contextmanager
def _again(folder: Path, key: str) -> Iterator[Daemon]:
    with serving(folder, key=key) as daemon:
        yield daemon


def _create(daemon: Daemon, port: int, count: int) -> None:
    first = SystemClock().now() + timedelta(seconds=1)
    times = [first + timedelta(seconds=EVERY_SECONDS * number) for number in range(count)]
    jobs = [{"url": f"http://{HEALTHY}:{port}/", "scheduled_at": at.isoformat()} for at in times]
    daemon.api.post("/api/jobs/batch", json={"jobs": jobs}).raise_for_status()


def _wait(sink: Sink, count: int) -> None:
    """Return when so many jobs have arrived, or none has for a while."""
    until = monotonic() + PATIENCE_SECONDS + count * EVERY_SECONDS
    while len(sink.late) < count and monotonic() < until:
        nap()

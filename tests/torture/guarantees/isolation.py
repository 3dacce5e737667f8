"""A host that hangs delays no other; one that refuses is probed, and what waits for it stays."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from booper.clock import SystemClock
from tests.benchmarks.processes import free_port
from tests.support.processes import Daemon, database_copy, monotonic, nap, serving
from tests.torture.line import Line, Size, line
from tests.torture.listener import header, listening

CONFIG = '[targets]\nrequire_https = false\nallow = ["127.0.0.0/8"]\n'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HANGING, REFUSING = "127.0.1.1", "127.0.2.1"
BATCH = 1_000
WAITING = """
    SELECT args ->> 'url', attempt FROM jobs
    WHERE state IN ('scheduled', 'retryable', 'executing')
"""

LATEST_SECONDS = 1.0
# Long enough for any job to arrive that still will.
PATIENCE_SECONDS = 30.0
# A host is spared after 20 failures in a row; 15 more may be on their way by then (per host: 16).
BEFORE_IT_IS_SPARED = 20 + 15


class Hosts:
    """Every host of this machine: `HANGING` never answers, the others note when a job came."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.hung = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes over one connection, or do not."""
        while head := await reader.readuntil(b"\r\n\r\n"):
            if writer.get_extra_info("sockname")[0] == HANGING:
                self.hung += 1
                await reader.read()
                return
            planned = datetime.fromisoformat(header(head, "booper-scheduled-at") or "")
            self.late.append((SystemClock().now() - planned).total_seconds())
            writer.write(OK)


def measure(size: Size) -> Line:
    """5,000 hang while 100 hosts get a job a second for 30 seconds; in short 300 and 10 hosts."""
    hanging, refused = size.pick((5_000, 500), (300, 100))
    hosts = Hosts()
    with TemporaryDirectory() as name, listening(hosts.talk, "0.0.0.0") as port:
        folder = Path(name)
        (folder / "booper.toml").write_text(CONFIG)
        with serving(folder) as daemon:
            begun = monotonic()
            _create(daemon, [_job(HANGING, port, timeout=size.pick(5, 1))] * hanging)
            closed = free_port()
            _create(daemon, [_job(REFUSING, closed)] * refused)
            healthy = _healthy(port, *size.pick((100, 30, 1.0), (10, 5, 0.1)))
            _create(daemon, healthy)
            _wait(hosts, len(healthy))
            seconds = monotonic() - begun
            spared = {item["origin"] for item in daemon.api.get("/api/breakers").json()["data"]}
            daemon.kill()
        tried, kept = _waiting(folder)
    faults = _faults(hosts, len(healthy))
    for host, number in ((HANGING, hanging), (REFUSING, refused)):
        if kept[host] != number:
            faults.append(f"{kept[host]} of {number} jobs of {host} are kept")
    allowed = BEFORE_IT_IS_SPARED + _probes(seconds)
    if tried[REFUSING] > allowed or f"http://{REFUSING}:{closed}" not in spared:
        faults.append(f"hammered: {tried[REFUSING]} attempts, {allowed} allowed, spared {spared}")
    figure = (
        f"{hanging} jobs hang ({hosts.hung} sent): {len(healthy)} jobs of other hosts were late by "
        f"{_p99(hosts.late):.3f} s (p99); {refused} refused in {seconds:.0f} s: "
        f"{tried[REFUSING]} attempts, all kept"
    )
    return line("isolation", figure, faults)


def _job(host: str, port: int, **fields: object) -> dict[str, Any]:
    return {"url": f"http://{host}:{port}/", **fields}


def _healthy(port: int, hosts: int, rounds: int, every: float) -> list[dict[str, Any]]:
    """Return a job for each host in each round, a round in every so many seconds."""
    first = SystemClock().now() + timedelta(seconds=every)
    times = [first + timedelta(seconds=every * number) for number in range(rounds)]
    return [
        _job(f"127.0.0.{2 + host}", port, scheduled_at=at.isoformat())
        for at in times
        for host in range(hosts)
    ]


def _create(daemon: Daemon, jobs: list[dict[str, Any]]) -> None:
    for start in range(0, len(jobs), BATCH):
        response = daemon.api.post("/api/jobs/batch", json={"jobs": jobs[start : start + BATCH]})
        assert {item["status"] for item in response.json()["data"]} == {201}, response.text[:500]


def _wait(hosts: Hosts, count: int) -> None:
    """Return when so many jobs have arrived, or none has for a while."""
    seen, until = 0, monotonic() + PATIENCE_SECONDS
    while len(hosts.late) < count and monotonic() < until:
        if len(hosts.late) > seen:
            seen, until = len(hosts.late), monotonic() + PATIENCE_SECONDS
        nap()


def _waiting(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Return how many attempts each host's unfinished jobs have had, and how many jobs wait."""
    tried: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    with database_copy(folder) as connection:
        for url, attempt in connection.execute(WAITING):
            host = url.removeprefix("http://").partition(":")[0]
            tried[host] += attempt
            kept[host] += 1
    return tried, kept


def _faults(hosts: Hosts, wanted: int) -> list[str]:
    faults = [] if hosts.hung else ["nothing was sent to the hanging host"]
    if len(hosts.late) != wanted:
        faults.append(f"{len(hosts.late)} of {wanted} arrived")
    if _p99(hosts.late) > LATEST_SECONDS:
        faults.append("too late")
    return faults


def _p99(late: list[float]) -> float:
    return sorted(late)[len(late) * 99 // 100] if late else 0.0


def _probes(seconds: float) -> int:
    """Return how often a host may be probed: after 1, 3, 7, 15 ... seconds."""
    return int(seconds + 1).bit_length() - 1

"""`booper serve` as a process of its own, and what is asked of it."""

import http.client
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.benchmarks.jobs import HOUR, create_body, microseconds
from tests.benchmarks.load import Load, Measured, run
from tests.benchmarks.processes import started, wait_for_line
from tests.benchmarks.target import Target

ROOT = Path(__file__).parents[2]
KEY = "sk_benchmark_benchmark_benchmark_benchmark"
SERVE = "booper"
INSTANT = "tests.benchmarks.instant"

BATCH = 1_000
BATCH_CONNECTIONS = 4

SLOTS = 128
"""How many requests booper may have on their way.

It commits a claim before it sends the request: with the 64 of a client without a store it waits for
its commits a third of the time, with nothing to send. With 256 it is as fast as with 128. The bare
clients and the peers' workers have 64, with which aiohttp is faster than with 128.
"""

CONFIG = f"""
[targets]
require_https = false
allow = ["127.0.0.1"]
[delivery]
concurrency = {SLOTS}
per_host = {SLOTS}
"""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A booper that runs: durable at every commit, `SLOTS` requests on their way to one host."""

    pid: int
    port: int
    target: Target
    ready_seconds: float

    def creates(self, count: int, connections: int) -> Measured:
        """Create jobs that are due much later, one per request."""
        return run(self.create_load(count, connections, due=microseconds() + HOUR))

    def batches(self, requests: int) -> float:
        """Create jobs that are due much later, a thousand per request; return jobs a second."""
        return BATCH * run(self._batch_load(requests, microseconds() + HOUR, 0)).per_second

    def echoes(self, count: int, connections: int) -> Measured:
        """Echo as many bytes as a create has."""
        body = create_body(self.target.url)
        return run(self._load("POST /api/echo", count, connections, body, due=microseconds()))

    def lists(self, path: str, count: int) -> Measured:
        """Request a page, one request after the other."""
        return run(self._load(f"GET {path}", count, 1))

    def schedule(self, count: int, due: int, step: int) -> None:
        """Create jobs in batches: the first due at `due`, each further one `step` later."""
        size = min(count, BATCH)
        run(self._batch_load(count // size, due, step, size))

    def create_load(
        self, count: int, connections: int, *, due: int, step: int = 0, rate: float = 0.0
    ) -> Load:
        """Return a load of creates, one per request."""
        body = create_body(self.target.url)
        return self._load("POST /api/jobs", count, connections, body, due, step, rate=rate)

    def _batch_load(self, requests: int, due: int, step: int, size: int = BATCH) -> Load:
        body = create_body(self.target.url)
        connections = min(requests, BATCH_CONNECTIONS)
        line = "POST /api/jobs/batch"
        return self._load(line, requests, connections, body, due, step, batch=size)

    def _load(
        self,
        line: str,
        count: int,
        connections: int,
        body: str = "",
        due: int = 0,
        step: int = 0,
        *,
        batch: int = 0,
        rate: float = 0.0,
    ) -> Load:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        return Load(
            port=self.port,
            line=line,
            headers=headers,
            body=body,
            count=count,
            connections=connections,
            due=due,
            step=step,
            batch=batch,
            rate=rate,
        )


@contextmanager
def serving(
    folder: Path, target: Target, module: str = SERVE, settings: str = ""
) -> Iterator[Daemon]:
    """Run a booper over the database in a folder until the end of the block.

    `INSTANT` in place of `SERVE` has a store that answers creates at once. `settings` are tables of
    the configuration beside those that are always set.
    """
    (folder / "booper.toml").write_text(CONFIG + settings)
    command = [sys.executable, "-m", module, "serve", "--config", "booper.toml", "--port", "0"]
    environment = {"BOOPER_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    begun = perf_counter()
    with started(command, folder, "serve.log", environment) as process:
        found = wait_for_line(folder, "serve.log", r"booper \S+ serves \S+ on \S+:(\d+)\b", process)
        port = int(found[1])
        _check_ready(port)
        yield Daemon(process.pid, port, target, perf_counter() - begun)


def _check_ready(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 200:
        raise RuntimeError(f"booper is not ready: {status}")

"""Quirrel on Redis: an HTTP API to which one posts a URL and a delay, as to booper."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.benchmarks.jobs import DUE_ISO, PAYLOAD
from tests.benchmarks.load import Load, run
from tests.benchmarks.peers.base import HERE, install_npm, install_redis, redis
from tests.benchmarks.processes import free_port, started, wait_for_port
from tests.benchmarks.target import Target

PACKAGE = "quirrel@1.14.1"


@dataclass(frozen=True, slots=True)
class RunningQuirrel:
    """A Quirrel that runs, API and worker in one process, beside its redis."""

    pids: Sequence[int]
    port: int
    target: Target

    def enqueue(self, count: int, in_flight: int, due: int, step: int) -> float:
        """Enqueue jobs over HTTP, one per request."""
        payload = PAYLOAD.replace('"', '\\"')
        load = Load(
            port=self.port,
            line=f"POST /queues/{quote(self.target.url, safe='')}",
            headers={"Content-Type": "application/json"},
            body=f'{{"body": "{payload}", "runAt": "{DUE_ISO}"}}',
            count=count,
            connections=in_flight,
            due=due,
            step=step,
        )
        return run(load).seconds


class Quirrel:
    """Quirrel with its limit of 10,000 requests a minute lifted."""

    name = "quirrel"
    title = "Quirrel (HTTP; Redis, sync each second)"
    _cache: Path

    def install(self, cache: Path) -> None:
        """Install it from npm, and redis."""
        install_redis(cache)
        self._cache, self._package = cache, install_npm(cache, PACKAGE)

    @contextmanager
    def running(self, folder: Path, target: Target) -> Iterator[RunningQuirrel]:
        """Run a redis and a Quirrel."""
        with redis(self._cache, folder, "everysec") as (redis_pid, redis_port):
            port = free_port()
            package = str(self._package)
            command = ["node", str(HERE / "quirrel.js"), package, str(port), str(redis_port)]
            with started(command, folder, "quirrel.log") as process:
                wait_for_port(port, process)
                yield RunningQuirrel([process.pid, redis_pid], port, target)

"""BullMQ on Redis: a client in the enqueuing process, a worker in another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.base import (
    HERE,
    IN_FLIGHT,
    enqueue_by,
    install_npm,
    install_redis,
    redis,
)
from tests.benchmarks.processes import started, wait_for_line
from tests.benchmarks.target import Target

PACKAGES = ("bullmq@6.7.0", "ioredis@5")


@dataclass(frozen=True, slots=True)
class RunningBullMQ:
    """A BullMQ worker that runs beside its redis."""

    pids: Sequence[int]
    command: Sequence[str]
    folder: Path

    def enqueue(self, count: int, in_flight: int, due: int, step: int) -> float:
        """Enqueue jobs in a process of their own."""
        return enqueue_by([*self.command, "enqueue"], self.folder, count, in_flight, due, step)


class BullMQ:
    """BullMQ; `fsync` is redis's `everysec` or `always`."""

    _cache: Path

    def __init__(self, name: str, fsync: str, title: str) -> None:
        self.name, self.title = name, title
        self._fsync = fsync

    def install(self, cache: Path) -> None:
        """Install it from npm, and redis."""
        install_redis(cache)
        self._cache, self._package = cache, install_npm(cache, *PACKAGES)

    @contextmanager
    def running(self, folder: Path, target: Target) -> Iterator[RunningBullMQ]:
        """Run a redis and a worker."""
        with redis(self._cache, folder, self._fsync) as (redis_pid, redis_port):
            package = str(self._package)
            command = ["node", str(HERE / "bullmq.js"), package, str(redis_port)]
            work = [*command, "work", target.url, str(IN_FLIGHT)]
            with started(work, folder, "bullmq.log") as process:
                wait_for_line(folder, "bullmq.log", "ready", process)
                yield RunningBullMQ([process.pid, redis_pid], command, folder)

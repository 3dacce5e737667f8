"""beanstalkd with a worker on aiohttp: jobs in memory and in a log, a protocol over TCP.

Its delays are whole seconds; jobs for one instant are held back until then by pausing their tube.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.base import (
    IN_FLIGHT,
    PYTHON,
    ROOT,
    enqueue_by,
    install_debian,
    libraries,
)
from tests.benchmarks.processes import free_port, started, wait_for_line, wait_for_port
from tests.benchmarks.target import Target

MODULE = "tests.benchmarks.peers.beanstalkd_tasks"
LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RunningBeanstalkd:
    """A beanstalkd that runs beside its worker."""

    pids: Sequence[int]
    port: int

    def enqueue(self, count: int, in_flight: int, due: int, step: int) -> float:
        """Enqueue jobs in a process of their own."""
        command = [PYTHON, "-m", MODULE, "enqueue", str(self.port)]
        return enqueue_by(command, ROOT, count, in_flight, due, step)


class Beanstalkd:
    """beanstalkd with a log that is synced at most every `sync_milliseconds`."""

    _root: Path

    def __init__(self, name: str, sync_milliseconds: int, title: str) -> None:
        self.name, self.title = name, title
        self._sync_milliseconds = sync_milliseconds

    def install(self, cache: Path) -> None:
        """Unpack it from Debian's package."""
        self._root = install_debian(cache, "beanstalkd")

    @contextmanager
    def running(self, folder: Path, target: Target) -> Iterator[RunningBeanstalkd]:
        """Run a beanstalkd and a worker."""
        port = free_port()
        binary = str(self._root / "usr/bin/beanstalkd")
        command = [binary, "-l", LOCAL, "-p", str(port), "-b", str(folder)]
        command += ["-f", str(self._sync_milliseconds)]
        with started(command, folder, "beanstalkd.log", libraries(self._root)) as process:
            wait_for_port(port, process)
            work = [PYTHON, "-m", MODULE, "work", str(port), target.url, str(IN_FLIGHT)]
            with started(work, folder, "worker.log", {"PYTHONPATH": str(ROOT)}) as worker:
                wait_for_line(folder, "worker.log", "ready", worker)
                yield RunningBeanstalkd([process.pid, worker.pid], port)

"""huey on SQLite: a client in the enqueuing process, a consumer with threads in another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.base import HERE, IN_FLIGHT, PYTHON, enqueue_by, shell
from tests.benchmarks.processes import started, wait_for_line
from tests.benchmarks.target import Target

PACKAGE = "huey==3.5.4"


@dataclass(frozen=True, slots=True)
class RunningHuey:
    """A huey consumer that runs."""

    pids: Sequence[int]
    command: Sequence[str]
    folder: Path

    def enqueue(self, count: int, in_flight: int, due: int, step: int) -> float:
        """Enqueue jobs in a process of their own, with a thread for each in flight."""
        return enqueue_by([*self.command, "enqueue"], self.folder, count, in_flight, due, step)


class Huey:
    """huey, durable at every commit."""

    name = "huey"
    title = "huey (SQLite, sync each write; in process)"
    _environment: Path

    def install(self, cache: Path) -> None:
        """Install it from PyPI, into an environment of its own."""
        self._environment = cache / "huey"
        if not (self._environment / "installed").exists():
            shell([PYTHON, "-m", "venv", str(self._environment)], cache)
            shell([str(self._environment / "bin/pip"), "install", "-q", PACKAGE], cache)
            (self._environment / "installed").touch()

    @contextmanager
    def running(self, folder: Path, target: Target) -> Iterator[RunningHuey]:
        """Run a consumer."""
        python = str(self._environment / "bin/python")
        # Without this folder on the path, whose huey.py is not the one meant.
        command = [python, "-P", str(HERE / "huey_tasks.py"), target.url]
        with started([*command, "work", str(IN_FLIGHT)], folder, "huey.log") as process:
            wait_for_line(folder, "huey.log", "ready", process)
            yield RunningHuey([process.pid], command, folder)

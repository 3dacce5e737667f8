"""Procrastinate on PostgreSQL: a client in the enqueuing process, workers in others."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.base import HERE, IN_FLIGHT, PYTHON, enqueue_by, shell
from tests.benchmarks.processes import started, wait_for_line
from tests.benchmarks.target import Target

PACKAGES = ("procrastinate==3.10.0", "psycopg[binary]", "aiohttp")


@dataclass(frozen=True, slots=True)
class RunningProcrastinate:
    """Procrastinate's workers that run."""

    pids: Sequence[int]
    command: Sequence[str]
    folder: Path

    def enqueue(self, count: int, in_flight: int, due: int, step: int) -> float:
        """Enqueue jobs in a process of their own, many by one statement."""
        return enqueue_by([*self.command, "enqueue"], self.folder, count, due, step)


class Procrastinate:
    """Procrastinate."""

    name = "procrastinate"
    title = "Procrastinate"
    _environment: Path

    def install(self, cache: Path) -> None:
        """Install it from PyPI, into an environment of its own."""
        self._environment = cache / "procrastinate"
        if not (self._environment / "installed").exists():
            shell([PYTHON, "-m", "venv", str(self._environment)], cache)
            shell([str(self._environment / "bin/pip"), "install", "-q", *PACKAGES], cache)
            (self._environment / "installed").touch()

    @contextmanager
    def running(
        self, folder: Path, target: Target, url: str, workers: int
    ) -> Iterator[RunningProcrastinate]:
        """Run workers."""
        python = str(self._environment / "bin/python")
        command = [python, "-P", str(HERE / "procrastinate_tasks.py"), url, target.url]
        enqueue_by([*command, "prepare"], folder)
        with ExitStack() as stack:
            pids = list[int]()
            for number in range(workers):
                log, work = f"{number}.log", [*command, "work", str(IN_FLIGHT)]
                process = stack.enter_context(started(work, folder, log))
                wait_for_line(folder, log, "ready", process)
                pids.append(process.pid)
            yield RunningProcrastinate(pids, command, folder)

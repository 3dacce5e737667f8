"""pg-boss on PostgreSQL: a client in the enqueuing process, workers in others."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.base import HERE, IN_FLIGHT, enqueue_by, install_npm
from tests.benchmarks.processes import started, wait_for_line
from tests.benchmarks.target import Target

PACKAGE = "pg-boss@12.38.0"


@dataclass(frozen=True, slots=True)
class RunningPgBoss:
    """pg-boss's workers that run."""

    pids: Sequence[int]
    command: Sequence[str]
    folder: Path

    def enqueue(self, count: int, in_flight: int, due: int, step: int) -> float:
        """Enqueue jobs in a process of their own, many by one statement."""
        return enqueue_by([*self.command, "enqueue"], self.folder, count, due, step)


class PgBoss:
    """pg-boss."""

    name = "pg-boss"
    title = "pg-boss"
    _package: Path

    def install(self, cache: Path) -> None:
        """Install it from npm."""
        self._package = install_npm(cache, PACKAGE)

    @contextmanager
    def running(
        self, folder: Path, target: Target, url: str, workers: int
    ) -> Iterator[RunningPgBoss]:
        """Run workers."""
        entry = self._package / "dist" / "index.js"
        command = ["node", str(HERE / "pgboss.mjs"), str(entry), url, target.url]
        enqueue_by([*command, "prepare"], folder)
        with ExitStack() as stack:
            pids = list[int]()
            for number in range(workers):
                log, work = f"{number}.log", [*command, "work", str(IN_FLIGHT)]
                process = stack.enter_context(started(work, folder, log))
                wait_for_line(folder, log, "ready", process)
                pids.append(process.pid)
            yield RunningPgBoss(pids, command, folder)

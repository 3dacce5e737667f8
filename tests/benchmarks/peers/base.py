"""What the benchmarks need of a peer, and installing one into the cache folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from tests.benchmarks.processes import free_port, started, wait_for_port
from tests.benchmarks.target import Target

INSTALL_SECONDS = 600
ENQUEUE_SECONDS = 600
IN_FLIGHT = 64
"""How many requests a peer's worker sends at once; see `daemon.SLOTS`."""


class NotInstalled(Exception):
    """A peer cannot be installed here; the text says why."""


class Running(Protocol):
    """A peer that runs, with its worker."""

    @property
    def pids(self) -> Sequence[int]:
        """Return its processes."""
        ...

    def enqueue(self, count: int, in_flight: int, due: int, step: int) -> float:
        """Enqueue jobs due at `due` + n times `step` (microseconds); return the seconds it took.

        Each posts `jobs.PAYLOAD` to the target at its time.
        """
        ...


class Peer(Protocol):
    """A program that people would pick instead."""

    @property
    def name(self) -> str:
        """Return what it is called on the command line."""
        ...

    @property
    def title(self) -> str:
        """Return what it is called in the table, with its durability."""
        ...

    def install(self, cache: Path) -> None:
        """Install it into the cache folder, unless it is there. Raises: NotInstalled."""
        ...

    def running(self, folder: Path, target: Target) -> AbstractContextManager[Running]:
        """Run it in an empty folder until the end of the block."""
        ...


class SharedPeer(Protocol):
    """A program that people would pick instead where several machines share a PostgreSQL."""

    @property
    def name(self) -> str:
        """Return what it is called on the command line."""
        ...

    @property
    def title(self) -> str:
        """Return what it is called in the table."""
        ...

    def install(self, cache: Path) -> None:
        """Install it into the cache folder, unless it is there. Raises: NotInstalled."""
        ...

    def running(
        self, folder: Path, target: Target, url: str, workers: int
    ) -> AbstractContextManager[Running]:
        """Run so many worker processes of an empty database until the end of the block."""
        ...


def shell(command: Sequence[str], folder: Path) -> None:
    """Run an installer in a folder. Raises: NotInstalled, with the last thing it said."""
    if shutil.which(command[0]) is None:
        raise NotInstalled(f"there is no {command[0]} here")
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{' '.join(command)} did not end") from None
    if done.returncode:
        last = done.stdout.decode(errors="replace").strip().rpartition("\n")[2]
        raise NotInstalled(f"{' '.join(command)}: {last}")


def install_npm(cache: Path, *packages: str) -> Path:
    """Install npm packages, without what their scripts would do; return the first one's folder."""
    name = packages[0].rpartition("@")[0]
    folder = cache / packages[0].replace("@", "-")
    if not (folder / "installed").exists():
        folder.mkdir(exist_ok=True)
        shell(["npm", "init", "--yes"], folder)
        options = ["--no-audit", "--no-fund", "--ignore-scripts"]
        shell(["npm", "install", *options, *packages], folder)
        (folder / "installed").touch()
    return folder / "node_modules" / name


def install_debian(cache: Path, *packages: str) -> Path:
    """Unpack Debian packages beside each other, where they change nothing; return the root."""
    folder = cache / packages[0]
    root = folder / "root"
    if not (folder / "installed").exists():
        folder.mkdir(exist_ok=True)
        shell(["apt-get", "download", "-q", *packages], folder)
        for archive in folder.glob("*.deb"):
            shell(["dpkg", "-x", str(archive), str(root)], folder)
        (folder / "installed").touch()
    return root


def install_redis(cache: Path) -> None:
    """Install redis, which two peers keep their jobs in."""
    install_debian(cache, "redis-server", "redis-tools", "libjemalloc2", "liblzf1")


@contextmanager
def redis(cache: Path, folder: Path, fsync: str) -> Iterator[tuple[int, int]]:
    """Run a redis with a log that is synced `everysec` or `always`; yield its process and port."""
    root = cache / "redis-server" / "root"
    port = free_port()
    command = [str(root / "usr/bin/redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "yes", "--appendfsync", fsync]
    with started(command, folder, "redis.log", libraries(root)) as process:
        wait_for_port(port, process)
        yield process.pid, port


def libraries(root: Path) -> dict[str, str]:
    """Return the environment in which unpacked programs find unpacked libraries."""
    found = {str(path.parent) for path in root.glob("usr/lib/**/*.so*")}
    return {"LD_LIBRARY_PATH": os.pathsep.join(sorted(found))} if found else {}


def enqueue_by(command: Sequence[str], folder: Path, *numbers: int) -> float:
    """Run a peer's own client, which prints how many seconds its enqueueing took."""
    done = subprocess.run(
        [*command, *map(str, numbers)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=ENQUEUE_SECONDS,
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip()[:300]
        raise RuntimeError(f"enqueueing failed: {last}")
    return float(done.stdout)


PYTHON = sys.executable
HERE = Path(__file__).parent
ROOT = HERE.parents[2]

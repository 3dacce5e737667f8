"""Other processes: starting and ending them, and what the system says that they use."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

STOP_SECONDS = 15.0
START_SECONDS = 30.0

_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What a process has used so far: CPU seconds, times it was woken; and holds: megabytes."""

    cpu_seconds: float
    wakeups: int
    resident_mb: float


@dataclass(frozen=True, slots=True)
class Idle:
    """How a process idles: the share of one core in percent, wake-ups a second, megabytes."""

    cpu_percent: float
    wakeups: float
    resident_mb: float


def usage(pid: int) -> Usage:
    """Read what a process has used, in all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    switches = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread may end while we look
            switches += _number(task / "status", "voluntary_ctxt_switches")
    ticks = int(fields[11]) + int(fields[12])
    return Usage(ticks / _TICKS, switches, _number(Path(f"/proc/{pid}/status"), "VmRSS") / 1024)


def cpu_seconds(pid: int) -> float:
    """Read the CPU seconds of a process in user and kernel mode, with its child processes.

    Those of children that have ended are with their parent's.
    """
    tasks = Path(f"/proc/{pid}/task")
    used, children = 0.0, list[str]()
    with suppress(OSError):  # it may end while we look
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used = sum(map(int, fields[11:15])) / _TICKS
        children = [child for task in tasks.iterdir() for child in _children(task)]
    return used + sum(cpu_seconds(int(child)) for child in children)


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _number(status: Path, name: str) -> int:
    """Read a number from a `status` file of /proc."""
    found = re.search(rf"^{name}:\s+(\d+)", status.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def idle(pids: Sequence[int], seconds: float) -> Idle:
    """Watch processes do nothing."""
    before = [usage(pid) for pid in pids]
    nap(seconds)
    after = [usage(pid) for pid in pids]
    spent = sum(b.cpu_seconds - a.cpu_seconds for a, b in zip(before, after, strict=True))
    woken = sum(b.wakeups - a.wakeups for a, b in zip(before, after, strict=True))
    memory = sum(item.resident_mb for item in after)
    return Idle(100 * spent / seconds, woken / seconds, memory)


def nap(seconds: float) -> None:
    """Wait a moment."""
    time.sleep(seconds)


@contextmanager
def started(
    command: Sequence[str],
    folder: Path,
    log: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command in a folder until the end of the block; its output goes to a file there."""
    with (folder / log).open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a process listens on a port. Raises: RuntimeError, TimeoutError."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        check_alive(process)
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on port {port}")
        nap(0.01)


def wait_for_line(
    folder: Path, log: str, pattern: str, process: "subprocess.Popen[bytes]"
) -> "re.Match[str]":
    """Wait until a process has printed a line. Raises: RuntimeError, TimeoutError."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        text = (folder / log).read_text(errors="replace")
        if found := re.search(pattern, text, re.MULTILINE):
            return found
        check_alive(process)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{pattern!r} was not printed: {text[-500:]}")
        nap(0.002)


def check_alive(process: "subprocess.Popen[bytes]") -> None:
    """Check that a process still runs. Raises: RuntimeError."""
    if process.poll() is not None:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")

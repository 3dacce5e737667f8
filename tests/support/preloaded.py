"""Processes of `booper` that are forked by a server that has imported it (`fork_server.py`).

Most commands take a tenth of the time that an interpreter takes to start and to import booper. A
process from here has the arguments, environment, folder and files that it is given; signals end it,
and it has an exit code. What an interpreter reads at its start alone, such as `PYTHONUTF8` or
`LC_ALL`, must be as it is in this process (`can_start`).
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = "tests.support.fork_server"
MAX_MESSAGE = 1 << 17
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_")


class Forked:
    """A process that the server forked, with what tests use of `subprocess.Popen`."""

    def __init__(self, status: socket.socket) -> None:
        self._status = status
        self.pid = int(status.recv(MAX_MESSAGE))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                told = self._status.recv(MAX_MESSAGE)
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self.returncode = int(told)
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to it, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Stop it."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def can_start(environment: Mapping[str, str]) -> bool:
    """Return whether a forked process is what one of its own would be."""
    names = {name for name in {**os.environ, **environment} if name.startswith(READ_AT_START)}
    is_same = all(environment.get(name) == os.environ.get(name) for name in names)
    return is_same and hasattr(os, "pidfd_open")


def start(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    streams: Mapping[int, int],
) -> Forked:
    """Start `booper` with these arguments.

    `streams` are the files for the numbers 0 to 2; one that is not there is closed, as by `>&-`.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = [list(arguments), str(folder), dict(environment), list(streams)]
    with theirs:
        files = [*streams.values(), theirs.fileno()]
        socket.send_fds(_server(), [json.dumps(request).encode()], files)
    return Forked(ours)


@cache
def _server() -> socket.socket:
    """Start the server of this process and return the socket that it listens to."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", SERVER, str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )
    atexit.register(_end, ours, server)
    return ours


def _end(requests: socket.socket, server: "subprocess.Popen[bytes]") -> None:
    requests.close()
    server.wait()

"""A service manager in small: it holds the port of a booper, starts it, and hears from it.

It speaks systemd's protocols: LISTEN_FDS (sd_listen_fds(3)) and NOTIFY_SOCKET (sd_notify(3)).
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import DEADLINE_SECONDS, monotonic

BACKLOG = 4_096
KEY = "sk_a_key_for_the_service_manager"
BOOPER = (sys.executable, "-m", "booper")

# systemd passes sockets from descriptor 3 on, and names the process that they are for. (Other
# shells than bash know no descriptors above 9.)
PASSING = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&{}'


class ServiceManager:
    """The manager of one service; `told` is what that has told, a datagram each.

    Where it `passes` no socket, booper listens on the port by itself.
    """

    def __init__(
        self,
        folder: Path,
        port: socket.socket,
        ear: socket.socket,
        *,
        passes: bool,
        environment: Mapping[str, str],
        options: Sequence[str],
        program: Sequence[str],
    ) -> None:
        self.folder = folder
        self.host, self.port = port.getsockname()[:2]
        self.told: list[str] = []
        self._port = port
        self._ear = ear
        self._passes = passes
        self._environment = environment
        self._options = options
        self._program = program
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Return what the service has written to its standard error."""
        return (self.folder / "service.err").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start the service; return once it says that it is ready."""
        self.begin()
        self.wait_told("READY=1")

    def begin(self) -> None:
        """Start the service, and wait for nothing."""
        self.told.clear()
        command = [*self._program, "serve", *self._options]
        if self._passes:
            command = ["bash", "-c", PASSING.format(self._port.fileno()), "bash", *command]
        else:
            command += ["--port", str(self.port)]
        with (self.folder / "service.err").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "BOOPER_API_KEY": KEY, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=[self._port.fileno()] if self._passes else [],
            )

    def wait_told(self, assignment: str) -> None:
        """Return once the service has told this since its start. Raises: TimeoutError."""
        deadline = monotonic() + DEADLINE_SECONDS
        while not any(assignment in each.split("\n") for each in self.told):
            try:
                self.hear(max(0.0, deadline - monotonic()))
            except TimeoutError as error:
                heard = f"no {assignment} in {self.told}; the log:\n{self.log}"
                raise TimeoutError(heard) from error

    def hear(self, seconds: float) -> None:
        """Hear the next datagram. Raises: TimeoutError, none came in this time."""
        self._ear.settimeout(seconds)
        try:
            self.told.append(self._ear.recv(1 << 16).decode())
        except BlockingIOError as error:
            raise TimeoutError from error

    def signal(self, number: signal.Signals) -> None:
        """Send the service a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """Stop the service and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=DEADLINE_SECONDS)


@contextmanager
def managing(
    folder: Path,
    *options: str,
    passes: bool = True,
    is_abstract: bool = False,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = BOOPER,
) -> Iterator[ServiceManager]:
    """Manage a service in a folder until the end of the block; it is started by the caller.

    `is_abstract` is whether it is heard at an abstract address, which is no file.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
    ):
        port.bind(("127.0.0.1", 0))
        name = f"booper-test-{os.getpid()}-{port.getsockname()[1]}"
        ear.bind(f"\0{name}" if is_abstract else str(folder / "notify"))
        address = f"@{name}" if is_abstract else str(folder / "notify")
        if passes:
            port.listen(BACKLOG)
        else:  # the number is known; others do not take it at once
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        manager = ServiceManager(
            folder,
            port,
            ear,
            passes=passes,
            environment={"NOTIFY_SOCKET": address, **(environment or {})},
            options=options,
            program=program,
        )
        if not passes:
            port.close()
        try:
            yield manager
        finally:
            if manager.process is not None:
                manager.process.kill()
                manager.process.wait()

"""The single executable in an empty root: run there, killed with its loader, and what it leaves."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support import empty_root
from tests.support.processes import Daemon, Process, serving, until
from tests.torture.line import NotMeasured

EXECUTABLE = Path(__file__).parents[2] / "dist" / "booper"
DEADLINE_SECONDS = 30.0


class Root:
    """A root folder that holds the executable and libc; `folder` is the working folder in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "work"
        empty_root.make(root, EXECUTABLE)

    @property
    def program(self) -> list[str]:
        """Return the command that runs the executable in the root, from a folder below it."""
        return [sys.executable, "-I", empty_root.__file__, str(self.root), "/booper"]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of booper to its end."""
        return subprocess.run(
            [*self.program, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )

    @contextmanager
    def serving(
        self, *options: str, environment: Mapping[str, str] | None = None
    ) -> Iterator[Daemon]:
        """Serve the database of the working folder; nothing of it runs at the end of the block."""
        with ExitStack() as stack:
            daemon = stack.enter_context(
                serving(
                    self.folder,
                    *options,
                    environment=environment,
                    wrapped=lambda command: [*self.program, *command[3:]],
                )
            )
            stack.callback(kill, daemon.process)
            yield daemon

    def left(self) -> list[Path]:
        """Return the folders of executables, running or not."""
        return sorted(self.root.glob("tmp/*"))


@contextmanager
def empty() -> Iterator[Root]:
    """Make a root until the end of the block. Raises: NotMeasured."""
    if not EXECUTABLE.exists():
        raise NotMeasured("there is no dist/booper; build it with `bash .ci/build`")
    if os.geteuid() != 0:
        raise NotMeasured("only root can change the root folder")
    with TemporaryDirectory(prefix="booper-root-") as name:
        yield Root(Path(name) / "root")


def child_of(process: Process) -> int:
    """Return the process that a loader has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(until(lambda: children.read_text().split(), "the loader has started booper")[0])


def kill(process: Process) -> None:
    """End the loader, and then the process that it has started, as a crash of both would."""
    if process.poll() is not None:
        return
    child = child_of(process)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=DEADLINE_SECONDS)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{child}").exists(), "booper is gone with its loader")


def hold(stack: ExitStack, folder: Path) -> None:
    """Lock a folder, as the process that runs from it does."""
    descriptor = os.open(folder, os.O_RDONLY)
    stack.callback(os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

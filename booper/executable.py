"""The single executable that PyInstaller makes: its folder, its modules and its signals.

Its loader is a process of its own. It unpacks the libraries into a folder, starts this process,
passes its signals on and removes the folder at the end. One that is killed leaves its folder.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from math import inf
from pathlib import Path
from types import FrameType
from typing import Any, Final

from booper.clock import monotonic
from booper.temporary import lock, remove_abandoned

UNPACKED: Final = ".booper-unpacked"
"""The file that `.ci/build` has unpacked first: what tells booper's folders from others'."""

RUNNING: Final = ".booper-running"
"""The name of that file once the process has locked its folder."""

_PREFIX: Final = "_MEI"
_PID: Final = slice(len(_PREFIX), len(_PREFIX) + 8)
"""Where the name of a folder has the loader's process id, in hexadecimal digits."""

_MODULES: Final = "modules.pyz"

_ZONES: Final = "tzdata.zip"
"""The package tzdata in one file: it has 600, most of a kilobyte, and each start unpacks all."""

ECHO_SECONDS: Final = 0.5
"""The loader passes a signal on in less than that, and nobody repeats one as fast."""


def is_executable() -> bool:
    """Return whether this process runs from the single executable."""
    return bool(getattr(sys, "frozen", False))


@contextmanager
def unpacked() -> Iterator[None]:
    """Keep what the executable has unpacked until the end of the block, and remove old folders."""
    with ExitStack() as stack:
        if is_executable():
            folder = Path(sys._MEIPASS)  # type: ignore[attr-defined] # PyInstaller sets it
            keep(stack, folder)
            sys.path.append(str(folder / _ZONES))
            _keep_modules(import_module("pyimod02_importers").pyz_archive, folder / _MODULES)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, _interrupt_once())
        yield


def keep(stack: ExitStack, folder: Path) -> None:
    """Lock a folder until the stack is closed, and remove those that killed processes have left.

    systemd-tmpfiles spares a locked folder too, however old its files are (tmpfiles.d(5), "Age").
    """
    if lock(stack, folder):
        with suppress(OSError):  # whoever built it otherwise has no such file
            os.replace(folder / UNPACKED, folder / RUNNING)
    remove_abandoned(filter(_is_left, folder.parent.glob(f"{_PREFIX}*")))


class Signals:
    """Tells a signal from its echo.

    What a terminal or a service manager sends to the whole process group reaches this process
    twice: the loader passes its own on.
    """

    def __init__(self, echo_seconds: float, seconds: Callable[[], float] = monotonic) -> None:
        self._echo_seconds = echo_seconds
        self._seconds = seconds
        self._last_at = -inf

    def is_new(self) -> bool:
        """Return whether the signal that has just come is no echo of the one before."""
        now = self._seconds()
        if now - self._last_at < self._echo_seconds:
            return False
        self._last_at = now
        return True


def signals() -> Signals:
    """Return what tells the signals of this process from their echoes, if it can have any."""
    return Signals(ECHO_SECONDS if is_executable() else 0.0)


def _is_left(folder: Path) -> bool:
    """Return whether a folder of booper is not being unpacked now; its process may still run."""
    if (folder / RUNNING).is_file():
        return True  # its lock tells the rest
    return (folder / UNPACKED).is_file() and not _may_unpack(folder.name[_PID])


def _may_unpack(digits: str) -> bool:
    """Return whether the process with this id may be a loader that unpacks now.

    This process's own loader has done so. In a container each run's loader can have the same id.
    """
    try:
        pid = int(digits, 16)
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        return True
    return pid != os.getppid()


def _keep_modules(archive: Any, copy: Path) -> None:
    """Read modules from a copy from now on: the executable may be replaced while it runs.

    PyInstaller opens the executable again for each module, and only at the first import of it.
    """
    try:
        with open(archive._filename, "rb") as executable, copy.open("xb") as kept:
            executable.seek(archive._start_offset)
            shutil.copyfileobj(executable, kept)
    except OSError:  # no space is left: the executable itself will do
        copy.unlink(missing_ok=True)
    else:
        archive._filename, archive._start_offset = str(copy), 0


def _interrupt_once() -> Callable[[int, FrameType | None], None]:
    """Return a handler of SIGINT as Python's own is, which passes over an echo."""
    own = signals()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if own.is_new():
            raise KeyboardInterrupt

    return interrupt

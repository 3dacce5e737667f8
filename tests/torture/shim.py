"""The shim in `shim.c`: building it, running a program behind it, and steering it from inside."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from tests.torture.line import NotMeasured

SOURCE = Path(__file__).with_name("shim.c")
ALWAYS = 2**31


@contextmanager
def built() -> Iterator[Path]:
    """Compile the shim, for the length of the block. Raises: NotMeasured."""
    compiler = which("cc") or which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        raise NotMeasured("it needs Linux and a C compiler")
    with TemporaryDirectory() as name:
        library = Path(name) / "shim.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        yield library


def run(module: str, *arguments: str, seconds: float) -> str:
    """Run a module behind the shim; return what it prints. Raises: NotMeasured."""
    with built() as library:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "LD_PRELOAD": str(library)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=True,
        )
    return done.stdout


class Shim:
    """The shim that stands before this process's own calls."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])

    def watch(self, folder: Path, recording: int = -1) -> None:
        """Look at the calls on files in a folder alone; record them to a descriptor, if given."""
        self._library.shim_watch(str(folder.resolve()).encode(), recording)

    def fail(self, calls: Sequence[int], errno: int) -> None:
        """Fail calls from the first to the last of these, the next one being number 1."""
        self._library.shim_fail(ctypes.c_long(calls[0]), ctypes.c_long(calls[-1]), errno)

    def mend(self) -> None:
        """Stop failing calls."""
        self.fail((0, 0), 0)

    @property
    def calls(self) -> int:
        """Return how many calls there were since `fail`."""
        return int(self._library.shim_calls())

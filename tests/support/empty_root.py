"""A root folder that holds a program and libc, and nothing else: no Python, no /proc, no /etc.

`python empty_root.py ROOT PROGRAM ARGUMENT…` runs a program in it. The working folder, which is
below ROOT, stays. Standard library only, so that any Python can run it.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Debian's libc6 has these (dpkg -L libc6); what else a program needs is missing in the root.
LIBC = (
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
)
# Variables that a program in the root still has; the others name files that are not there.
PASSED = ("BOOPER_", "LISTEN_", "NOTIFY_", "WATCHDOG_")
_LIBRARY = re.compile(r"(/\S+)")


def make(root: Path, program: Path) -> None:
    """Make the root, with the program as `/booper`, a folder `/tmp` and a folder `/work`."""
    for folder in ("tmp", "work"):
        (root / folder).mkdir(parents=True)
    shutil.copy(program, root / "booper")
    for library in libc():
        copy = root / library.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, copy)


def libraries(program: Path) -> list[Path]:
    """Return the libraries that a program is linked to, by the paths at which they are found."""
    shown = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True)
    return [Path(found) for found in _LIBRARY.findall(shown.stdout)]


def libc() -> Iterator[Path]:
    """Yield the files of libc."""
    linked = libraries(Path(sys.executable).resolve())
    folder = next(path.parent for path in linked if path.name == "libc.so.6")
    yield next(path for path in linked if path.name == LIBC[0])
    yield from (folder / name for name in LIBC[1:] if (folder / name).exists())


def enter(root: Path, command: list[str]) -> None:
    """Become a program in a root."""
    folder = Path("/") / Path.cwd().relative_to(root.resolve())
    environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
    os.chroot(root)
    os.chdir(folder)
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    enter(Path(sys.argv[1]), sys.argv[2:])

"""Servers that are one test run's own, each kept by a shell.

When the process that started it ends, however it ends, the shell ends the server and removes its
folder. Both have a session of their own, so that a terminal's Ctrl-C does not reach them first.
"""

import atexit
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import pytest

MEMORY: Final = Path("/dev/shm")
OWNER: Final = "postgres"
"""Who runs a server where the tests run as root, which those of PostgreSQL refuse."""

ATTEMPTS: Final = 5
"""Somebody else may take the free port first."""


def keep(name: str, script: str, arguments: Callable[[Path, int], Sequence[str]]) -> int:
    """Start a server by a shell's script, and return its port.

    The script is given a folder, which it owns, and the arguments for that folder and a port. It
    prints "ready" once the server accepts connections, or else what went wrong; then it ends the
    server when its standard input ends.
    """
    said = ""
    for _ in range(ATTEMPTS):
        port = _free_port()
        keeper = _start(name, script, arguments, port)
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        if (said := keeper.stdout.readline()) == "ready\n":
            atexit.register(_end, keeper)
            return port
        said += keeper.stdout.read()
        _end(keeper)
        if "could not bind" not in said and "Address already in use" not in said:
            break
    pytest.fail(f"{name} did not start:\n{said}", pytrace=False)


def _start(
    name: str, script: str, arguments: Callable[[Path, int], Sequence[str]], port: int
) -> "subprocess.Popen[str]":
    is_in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    prefix = f"booper-{name.lower()}-"
    folder = Path(mkdtemp(prefix=prefix, dir=MEMORY if is_in_memory else None))
    given = arguments(folder, port)
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, OWNER, OWNER)
        owner = {"user": OWNER, "group": OWNER, "extra_groups": []}
    return subprocess.Popen(
        ["/bin/sh", "-c", script, "keeper", str(folder), *given],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **owner,
    )


def _end(keeper: "subprocess.Popen[str]") -> None:
    """End a server, which takes a moment, with what it has made."""
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    keeper.stdin.close()
    keeper.wait()
    keeper.stdout.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port

"""A program that upgrades copies of a database, and is killed at another step of each.

    python -m tests.store.sqlite.kills DATABASE FOLDER

A step is a statement of the upgrade, a part of a long one, or a call of the system that opens,
renames, locks or removes a file. Copy number N lies in FOLDER/N/booper.db. The number of copies is
printed once one was upgraded unharmed.
"""

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from booper.store.sqlite.schema import migrate
from booper.store.sqlite.upgrade_copy import copy_before_upgrade

MAX_STEPS = 500
CALLS = {"open", "sqlite3.connect", "os.rename", "os.remove", "fcntl.flock"}
# https://docs.python.org/3/library/audit_events.html


def main(original: Path, folder: Path) -> None:
    """Upgrade a copy for each step, in a process that is killed there."""
    for step in range(MAX_STEPS):
        path = folder / str(step) / "booper.db"
        path.parent.mkdir()
        shutil.copy(original, path)
        if not _is_killed(step, path):
            shutil.rmtree(path.parent)
            print(step)
            return
    raise SystemExit(f"more than {MAX_STEPS} steps")


def _is_killed(step: int, path: Path) -> bool:
    child = os.fork()
    if not child:
        _upgrade(path, _killing(step))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), f"step {step} ended with {status}"
    return status == signal.SIGKILL


def _killing(left: int) -> Callable[..., None]:
    """Return what counts steps, and kills this process after `left` of them."""

    def count(*_: object) -> None:
        nonlocal left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    return count


def _upgrade(path: Path, step: Callable[..., None]) -> None:
    sys.addaudithook(lambda event, _: step() if event in CALLS else None)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.set_trace_callback(step)
    connection.set_progress_handler(step, 100)
    migrate(connection, str(path), partial(copy_before_upgrade, path))
    step()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Files that have their name only when they are whole and on disk."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

_SUFFIX = ".part"

Guarded = Callable[[Path], AbstractContextManager[object]]
"""Return what guards a file from before it is there until it is renamed or removed."""


@contextmanager
def unnamed_file(target: Path, guarded: Guarded = nullcontext) -> Iterator[Path]:
    """Create an empty file of mode 0600 beside the target; what is not renamed is removed.

    It is locked meanwhile: one that is not was left by a process that was killed, and is removed.
    """
    prefix = f".{target.name}."
    remove_left(target.parent, prefix)
    path = target.with_name(f"{prefix}{secrets.token_hex(8)}{_SUFFIX}")
    with guarded(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def sync(path: Path) -> None:
    """Return once a file or a folder is on disk. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_left(folder: Path, prefix: str) -> None:
    """Remove what killed processes have left of files whose unnamed form begins with `prefix`."""
    for path in folder.iterdir():
        if not (path.name.startswith(prefix) and path.name.endswith(_SUFFIX)):
            continue
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()

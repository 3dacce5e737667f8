"""Folders for temporary files, and the removal of those that killed processes have left.

A folder is locked while its process lives: the system gives up the lock with the process, however
that ends. Only folders of this user without a lock are removed.
"""

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Final

from booper.errors import StartError

TRIES: Final = 3
"""Another process may take a new folder for abandoned just before it is locked."""


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Return a new folder, which is deleted with all it holds at the end of the block.

    Raises:
        StartError: no folder for temporary files can be written.
    """
    try:
        folder = TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise StartError(
            f"no folder for temporary files can be written ({reason}): set TMPDIR to one that can"
        ) from error
    with folder as name:
        yield Path(name)


@contextmanager
def locked_folder(prefix: str) -> Iterator[Path]:
    """Return a new folder as above, and remove those beside it that dead processes have left.

    Raises:
        StartError: no folder for temporary files can be written.
    """
    with ExitStack() as stack:
        for _ in range(TRIES):
            folder = stack.enter_context(temporary_folder(prefix))
            if lock(stack, folder):
                break
        remove_abandoned(folder.parent.glob(f"{prefix}*"))
        yield folder


def lock(stack: ExitStack, folder: Path) -> bool:
    """Lock a folder until the stack is closed; return whether it could be locked.

    Where the file system knows no locks nobody gets one, and no folder is ever removed.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), os.lstat(folder))
    except OSError:
        return False


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove those that are this user's and not locked; symbolic links are not followed."""
    for folder in folders:
        with ExitStack() as stack:
            if _is_ours(folder) and lock(stack, folder):
                rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Return whether this user has made a folder, for itself alone."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    is_private = stat.S_IMODE(found.st_mode) == stat.S_IRWXU
    return stat.S_ISDIR(found.st_mode) and is_private and found.st_uid == os.geteuid()

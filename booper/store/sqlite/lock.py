"""One process per database: a lock on a file beside it.

SQLite's own exclusive mode would shut out backups and readers; an advisory lock of the operating
system does not, and dies with its holder.
"""

import fcntl
import os
from pathlib import Path

from booper.errors import StartError

# A lock is its holder's until all copies of its descriptor are closed, and fork makes one: a child
# that outlives its parent would keep everybody else from the database.
_held: set[int] = set()


def _let_go() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


class DatabaseLocked(StartError):
    """Say that another process serves this database."""


class ProcessLock:
    """Hold `<database>.lock` while inside `with`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        # Of the file itself: two names of one database must not be two locks.
        real = database.resolve()
        self._path = real.parent / f"{real.name}.lock"
        self._descriptor = -1

    def __enter__(self) -> "ProcessLock":
        """Take the lock.

        Raises:
            DatabaseLocked: another process holds it.
            StartError: the lock file cannot be opened or written.
        """
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as error:
            folder = self._path.parent
            raise StartError(
                f"cannot open {self._database}: there is no folder {folder}"
            ) from error
        except OSError as error:
            raise StartError(f"cannot open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip() or "?"
            os.close(self._descriptor)
            raise DatabaseLocked(
                f"{self._database} is already served by another booper (process {holder})"
            ) from error
        except OSError as error:  # some file systems know no locks
            os.close(self._descriptor)
            raise StartError(f"cannot lock {self._path}: {error.strerror}") from error
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._descriptor)
            raise StartError(f"cannot write {self._path}: {error.strerror}") from error
        _held.add(self._descriptor)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Give the lock back; the file stays, for removing it would race with the next holder."""
        if self._descriptor in _held:  # or this is a fork
            _held.remove(self._descriptor)
            os.close(self._descriptor)

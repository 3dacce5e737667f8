"""One process per database: a lock on a file beside it, and one on the database itself.

SQLite's own exclusive mode would shut out backups and readers; an advisory lock of the operating
system does not, and dies with its holder. The file beside it names the holder; it may be removed,
and then a second process could lock another file of that name. The database itself may not.
"""

import fcntl
import os
import sys
from pathlib import Path

from booper.errors import StartError

# A lock is its holder's until all copies of its descriptor are closed, and fork makes one: a child
# that outlives its parent would keep everybody else from the database.
_held: set[int] = set()

# The databases whose own files are locked by this process, by device and inode.
_databases: set[tuple[int, int]] = set()


def _let_go() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()
    _databases.clear()


os.register_at_fork(after_in_child=_let_go)


class DatabaseLocked(StartError):
    """Another process serves this database."""


class ProcessLock:
    """A lock on `<database>.lock`, for the length of a `with`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        # Of the file itself: two names of one database must not be two locks.
        real = database.resolve()
        self._path = real.parent / f"{real.name}.lock"
        self._descriptor = -1

    def __enter__(self) -> "ProcessLock":
        """Acquire the lock.

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
        """Release the lock; the file stays, for removing it would race with the next holder."""
        if self._descriptor in _held:  # or this is a fork
            _held.remove(self._descriptor)
            os.close(self._descriptor)


class FileLock:
    """Keep a lock on the database's own file while inside `with`, where SQLite is used within.

    flock(2) and SQLite's own locks, of fcntl(2), know nothing of each other on Linux. Elsewhere
    they may be the same, and SQLite would wait for us: there the file beside has to do.

    To close any descriptor of a file gives up all fcntl locks of this process on it
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled). So ours is opened
    before SQLite's and closed after them, and never where this process has the database open.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._descriptor = -1
        self._identity = (0, 0)

    def __enter__(self) -> "FileLock":
        """Acquire the lock.

        Raises:
            DatabaseLocked: another process, or this one, has the database open to serve it.
        """
        if sys.platform != "linux":
            return self
        try:
            found = self._database.stat()
            self._identity = found.st_dev, found.st_ino
            if self._identity in _databases:
                raise self._locked()
            self._descriptor = os.open(self._database, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return self  # SQLite says what is wrong
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise self._locked() from error
        except OSError:  # some file systems know no locks
            pass
        _held.add(self._descriptor)
        _databases.add(self._identity)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release the lock."""
        if self._descriptor in _held:  # or this is a fork
            _held.remove(self._descriptor)
            _databases.discard(self._identity)
            os.close(self._descriptor)

    def _locked(self) -> DatabaseLocked:
        return DatabaseLocked(
            f"{self._database} is already served by another booper, whose lock file "
            f"{self._database}.lock was removed; stop that one first"
        )

"""A watch on the files of an open database: what is written into a deleted file is lost.

A file keeps its contents while it is open, whatever happens to its name. So everything would seem
to go well until the next start, which opens what stands under the name then.
"""

import logging
from datetime import timedelta
from pathlib import Path

from booper.clock import SystemClock, monotonic
from booper.errors import StoreUnavailable

log = logging.getLogger("booper.store")

# What SQLite has open beside the database in WAL mode (https://www.sqlite.org/walformat.html).
_SUFFIXES = ("-wal", "-shm")

# How long one check is valid. A check takes 5 µs.
FRESH_SECONDS = 0.05
LOOK_EVERY = timedelta(seconds=1)

Identity = tuple[int, int] | None


class Files:
    """The files of a database that this process has opened."""

    def __init__(self, database: Path) -> None:
        path = database.absolute()  # wherever this process goes
        real = path.resolve()
        paths = [path, *(real.with_name(real.name + suffix) for suffix in _SUFFIXES)]
        self._opened = {path: _identity(path) for path in paths}
        self._fresh_until = 0.0
        self._problem: str | None = None

    def check(self) -> None:
        """Check that the paths lead to what was opened. Raises: StoreUnavailable, if not."""
        now = monotonic()
        if now >= self._fresh_until:
            self._look()
            self._fresh_until = now + FRESH_SECONDS
        if self._problem is not None:
            raise StoreUnavailable(self._problem)

    async def watch(self) -> None:
        """Look once a second, so that the log tells what happened even if nobody calls."""
        while True:
            self._look()
            await SystemClock().pause(LOOK_EVERY)

    def _look(self) -> None:
        problem = self._find_problem()
        if problem == self._problem:
            return
        self._problem = problem
        if problem is not None:
            log.critical("%s", problem)
        else:
            log.warning("the database file is back in its place; booper goes on")

    def _find_problem(self) -> str | None:
        for path, opened in self._opened.items():
            found = _identity(path)
            if found == opened:
                continue
            what = "deleted or moved away" if found is None else "replaced by another"
            return (
                f"the file {path} was {what} while booper has it open, so nothing more is "
                "written; put the file back, or restart booper to begin with what is there"
            )
        return None


def _identity(path: Path) -> Identity:
    """Return what tells a file from every other, None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

"""The backup agent: a backup every so often, and what came of the last one."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from booper.clock import Clock, monotonic
from booper.errors import BooperError

T = TypeVar("T")

log = logging.getLogger("booper")

# Bounds how late a backup is after the machine has slept.
LOOK_EVERY: Final = timedelta(minutes=10)
RETRY_AFTER: Final = timedelta(minutes=10)


class Folder(Protocol):
    """Where backups are made, by functions that block."""

    def newest_at(self, now: datetime) -> datetime | None:
        """Return when the newest backup until `now` was made, if any. Raises: BooperError."""
        ...

    def make(self, now: datetime, is_stopped: Callable[[], bool]) -> tuple[Path, int]:
        """Make a backup unless it is stopped; return its path and size. Raises: BooperError."""
        ...


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """What came of the backups: times are None and texts empty where there is nothing to tell.

    `error` is that of the newest attempt, empty once one succeeds.
    """

    every: timedelta
    began_at: datetime
    last_at: datetime | None = None
    last_path: str = ""
    last_bytes: int = 0
    failed_at: datetime | None = None
    error: str = ""

    def is_late(self, now: datetime) -> bool:
        """Return whether the newest backup is older than two periods."""
        return now - (self.last_at or self.began_at) > 2 * self.every


class Backups:
    """Backups in a folder, one `every` so often; `status` is for whoever watches them."""

    def __init__(self, folder: Folder, every: timedelta, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self.status = BackupStatus(every, clock.now())

    async def run(self) -> None:
        """Make backups until cancelled; the first one at once, unless one is new enough."""
        every = self.status.every
        due_at = await self._first_at()
        while True:
            now = self._clock.now()
            due_at = min(due_at, now + every)  # the clock may have been set back
            if due_at > now:
                await self._clock.pause(min(due_at - now, LOOK_EVERY))
            elif await self._make(now):
                due_at = now + every
            else:
                due_at = now + min(RETRY_AFTER, every)

    async def _first_at(self) -> datetime:
        """Return when the first backup is due: those of earlier runs count."""
        now = self._clock.now()
        try:
            newest = await asyncio.to_thread(self._folder.newest_at, now)
        except BooperError:  # the backup itself will fail for the same reason, and tell it
            newest = None
        self.status = replace(self.status, last_at=newest)
        return now if newest is None else newest + self.status.every

    async def _make(self, now: datetime) -> bool:
        """Make a backup; return whether it succeeded."""
        began = monotonic()
        try:
            path, size = await _stopped_if_cancelled(partial(self._folder.make, now))
        except BooperError as error:
            log.error("the backup failed: %s", error)
            self.status = replace(self.status, failed_at=now, error=str(error))
            return False
        log.info("backup %s: %d bytes in %.1f s", path, size, monotonic() - began)
        self.status = BackupStatus(self.status.every, self.status.began_at, now, str(path), size)
        return True


async def _stopped_if_cancelled(work: Callable[[Callable[[], bool]], T]) -> T:
    """Run blocking work in a thread; where this is cancelled it is told to stop, and waited for."""
    stopped = threading.Event()
    task = asyncio.get_running_loop().run_in_executor(None, work, stopped.is_set)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait({task})
        task.exception()  # that it was stopped
        raise

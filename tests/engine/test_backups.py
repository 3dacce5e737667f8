"""The backup agent: when backups are due, and what others see of those that fail."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from anyio.lowlevel import checkpoint

from booper.clock import VirtualClock
from booper.engine.backups import LOOK_EVERY, RETRY_AFTER, Backups
from booper.errors import BooperError
from tests.conftest import START

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Recorded:
    """A folder that records when a backup was asked for; `problem` is what they fail with."""

    def __init__(self, newest: datetime | None = None) -> None:
        self.newest = newest
        self.asked: list[datetime] = []
        self.problem = ""
        self.holds = False
        self.begun = threading.Event()
        self.was_stopped = False

    def newest_at(self, now: datetime) -> datetime | None:
        """Return the time of the newest backup."""
        return self.newest

    def make(self, now: datetime, is_stopped: Callable[[], bool]) -> tuple[Path, int]:
        """Make a backup of 5 bytes; while it holds, only until it is stopped."""
        self.asked.append(now)
        self.begun.set()
        while self.holds and not is_stopped():
            threading.Event().wait(0.001)
        self.was_stopped = is_stopped()
        if self.problem:
            raise BooperError(self.problem)
        return Path("a.db"), 5


@asynccontextmanager
async def running(backups: Backups) -> AsyncIterator[None]:
    """Run the agent until the end of the block."""
    task = asyncio.create_task(backups.run())
    try:
        async with asyncio.timeout(10):
            yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def asked(folder: Recorded, *times: datetime) -> None:
    """Wait until backups were asked for at just these times."""
    while len(folder.asked) < len(times):
        await checkpoint()
    for _ in range(100):
        await checkpoint()
    assert folder.asked == list(times)


async def moved(clock: VirtualClock, to: datetime) -> None:
    """Move the clock in the steps in which the agent looks at it."""
    while clock.now() < to:
        for _ in range(10):
            await checkpoint()
        clock.set(min(to, clock.now() + LOOK_EVERY))
    for _ in range(10):
        await checkpoint()


async def test_a_backup_is_made_at_once_and_then_every_so_often(clock: VirtualClock) -> None:
    """A folder without any gets one at the start; the status tells of the newest."""
    folder = Recorded()
    backups = Backups(folder, DAY, clock)
    async with running(backups):
        await asked(folder, START)
        await moved(clock, START + DAY - LOOK_EVERY)
        await asked(folder, START)
        await moved(clock, START + DAY)
        await asked(folder, START, START + DAY)
        while backups.status.last_at != START + DAY:
            await checkpoint()
    assert (backups.status.last_path, backups.status.last_bytes) == ("a.db", 5)
    assert (backups.status.failed_at, backups.status.error) == (None, "")


async def test_a_backup_of_an_earlier_run_counts(clock: VirtualClock) -> None:
    """A restart makes no backup while the newest one is new enough."""
    folder = Recorded(newest=START - HOUR)
    backups = Backups(folder, DAY, clock)
    async with running(backups):
        await moved(clock, START + DAY - HOUR - LOOK_EVERY)
        await asked(folder)
        assert backups.status.last_at == START - HOUR
        await moved(clock, START + DAY - HOUR)
        await asked(folder, START + DAY - HOUR)


async def test_a_backup_that_failed_is_seen_and_made_again(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The status has the time and the reason until one succeeds; the log has the reason."""
    folder = Recorded()
    folder.problem = "the disk is full"
    backups = Backups(folder, DAY, clock)
    async with running(backups):
        await asked(folder, START)
        while backups.status.failed_at is None:
            await checkpoint()
        assert (backups.status.failed_at, backups.status.error) == (START, "the disk is full")
        assert backups.status.last_at is None
        folder.problem = ""
        await moved(clock, START + RETRY_AFTER)
        await asked(folder, START, START + RETRY_AFTER)
        while backups.status.error:
            await checkpoint()
    assert backups.status.last_at == START + RETRY_AFTER
    assert "the backup failed: the disk is full" in caplog.text


async def test_backups_go_on_after_the_clock_is_set_back(clock: VirtualClock) -> None:
    """The next one is due a period after the present time at the latest, not a year later."""
    folder = Recorded()
    async with running(Backups(folder, DAY, clock)):
        await asked(folder, START)
        back = START - 365 * DAY
        clock.set(back)
        await moved(clock, back + DAY)
        await asked(folder, START, back + DAY)


async def test_an_agent_that_is_cancelled_stops_its_backup(clock: VirtualClock) -> None:
    """A stop does not wait for a long copy; nothing goes on in a thread after it."""
    folder = Recorded()
    folder.holds = True
    async with running(Backups(folder, DAY, clock)):
        while not folder.begun.is_set():
            await checkpoint()
    assert folder.was_stopped


async def test_a_backup_is_late_after_two_periods(clock: VirtualClock) -> None:
    """Counted from the newest one, or from the start where there never was one."""
    folder = Recorded(newest=START - DAY)
    folder.problem = "no"
    backups = Backups(folder, DAY, clock)
    assert not backups.status.is_late(START + 2 * DAY)
    assert backups.status.is_late(START + 2 * DAY + HOUR)
    async with running(backups):
        await asked(folder, START)
    assert not backups.status.is_late(START + DAY)
    assert backups.status.is_late(START + DAY + HOUR)

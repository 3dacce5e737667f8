"""The agent that rolls up kept numbers."""

import asyncio
from datetime import datetime
from typing import cast

import anyio
import pytest

from booper.clock import VirtualClock
from booper.engine.roll_ups import RollUps
from booper.errors import StoreUnavailable
from booper.store.counters import Counters
from tests.conftest import START
from tests.support.stores import HOUR, MINUTE, SECOND

pytestmark = pytest.mark.anyio

JOBS_NOW = START + 100 * HOUR


class Asked:
    """Numbers that note since when they are rolled up, and fail while they are told to."""

    def __init__(self) -> None:
        self.since: list[datetime | None] = []
        self.fails = False

    async def roll_up(self, since: datetime | None) -> int:
        """Note the time. Raises: StoreUnavailable, if told to."""
        self.since.append(since)
        if self.fails:
            raise StoreUnavailable("the server is gone")
        return 0


async def test_all_is_rolled_up_at_first_and_each_hour_and_what_is_new_each_minute() -> None:
    """New is what begins within two hours, by the clock of the jobs; a failure is made up for."""
    counters, machine = Asked(), VirtualClock(START)
    clock = VirtualClock(JOBS_NOW)
    agent = asyncio.create_task(RollUps(cast(Counters, counters), clock, machine).run())
    for duration, fails in (
        (59 * SECOND, False),
        (SECOND, True),
        (MINUTE, False),
        (MINUTE, False),
        (HOUR, False),
        (MINUTE, False),
    ):
        counters.fails = fails
        await anyio.wait_all_tasks_blocked()
        machine.advance(duration)
        await anyio.wait_all_tasks_blocked()
    agent.cancel()
    await asyncio.wait({agent})
    new = JOBS_NOW - 2 * HOUR
    assert counters.since == [None, None, new, None, new]

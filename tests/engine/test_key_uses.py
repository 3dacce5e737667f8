"""The agent that writes when keys were last used."""

import asyncio
from typing import cast

import anyio
import pytest

from booper.clock import VirtualClock
from booper.engine.key_uses import KeyUses
from booper.errors import StoreUnavailable
from booper.store.keys import Keys
from tests.conftest import START
from tests.support.stores import MINUTE, SECOND

pytestmark = pytest.mark.anyio


class Written:
    """Keys that count how often their uses are written, and fail while they are told to."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = False

    async def write_uses(self) -> None:
        """Count. Raises: StoreUnavailable, if told to."""
        self.count += 1
        if self.fails:
            raise StoreUnavailable("the disk is full")


async def test_uses_are_written_once_a_minute_also_after_a_failure() -> None:
    """Not before a minute of the machine's clock has passed."""
    keys, machine = Written(), VirtualClock(START)
    agent = asyncio.create_task(KeyUses(cast(Keys, keys), machine).run())
    counts = []
    for duration, fails in (
        (59 * SECOND, False),
        (SECOND, False),
        (MINUTE, True),
        (MINUTE, False),
    ):
        keys.fails = fails
        await anyio.wait_all_tasks_blocked()
        machine.advance(duration)
        await anyio.wait_all_tasks_blocked()
        counts.append(keys.count)
    agent.cancel()
    await asyncio.wait({agent})
    assert counts == [0, 1, 2, 3]


async def test_a_failure_at_the_stop_is_no_error() -> None:
    """booper ends as it would without it."""
    keys = Written()
    keys.fails = True
    await KeyUses(cast(Keys, keys)).write()
    assert keys.count == 1

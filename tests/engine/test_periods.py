"""The agent that has the database prepare for the days to come."""

import asyncio
from datetime import datetime, timedelta
from typing import cast

import anyio
import pytest

from booper.clock import VirtualClock
from booper.engine.periods import PeriodMaker
from booper.errors import StoreUnavailable
from booper.model.retention import Retention
from booper.store.pruning import Pruning
from tests.conftest import START
from tests.support.stores import HOUR, SECOND

pytestmark = pytest.mark.anyio

KEPT = Retention(
    completed=None,
    cancelled=None,
    discarded=None,
    audit=None,
    buckets=None,
    schedule_runs=1,
    max_bytes=0,
)


class Prepared:
    """A database that notes when it was prepared, and fails while it is told to."""

    def __init__(self) -> None:
        self.at: list[timedelta] = []
        self.fails = False

    async def prepare(self, retention: Retention, now: datetime) -> None:
        """Note the time. Raises: StoreUnavailable, if told to."""
        assert retention == KEPT
        self.at.append(now - START)
        if self.fails:
            raise StoreUnavailable("the server is gone")


async def test_a_database_is_prepared_each_hour_and_soon_after_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At the start, an hour later, 10 seconds after that failed, and again an hour later."""
    database, clock = Prepared(), VirtualClock(START)
    maker = PeriodMaker(cast(Pruning, database), KEPT, clock)
    await maker.prepare()
    agent = asyncio.create_task(maker.run())
    for duration, fails in (
        (HOUR - SECOND, False),
        (SECOND, True),
        (9 * SECOND, False),
        (SECOND, False),
        (HOUR, False),
    ):
        database.fails = fails
        await anyio.wait_all_tasks_blocked()
        clock.advance(duration)
        await anyio.wait_all_tasks_blocked()
    agent.cancel()
    await asyncio.wait([agent])
    assert database.at == [0 * HOUR, HOUR, HOUR + 10 * SECOND, 2 * HOUR + 10 * SECOND]
    assert caplog.text.count("not prepared for the next days: the server is gone") == 1

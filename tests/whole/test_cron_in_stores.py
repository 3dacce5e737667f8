"""The table of cron expressions through each store: all rows at once, in one booper.

The rows' schedules are created when the clock shows `after`, in the order of these times, and
deleted at the last time of the row. What a row misses in between is made up for, and so seen.
"""

from collections import Counter
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import KEY
from tests.model.test_cron_table import DATES, FIELDS, ZONES, Row, utc
from tests.support.api import Api
from tests.support.configs import Kind, fresh_config
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

ROWS = [*FIELDS, *DATES, *ZONES]


class Table:
    """The rows, and which of their schedules are there."""

    def __init__(self, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget) -> None:
        self._booper = booper
        self._api = api
        self._clock = clock
        self._target = target
        self._schedules: dict[int, str] = {}
        self.faults: list[str] = []

    async def live(self, rows: list[Row]) -> None:
        """Create each row's schedule at its time; compare what is sent at the others."""
        times = [(utc(after), [utc(at) for at in expected]) for _, _, after, expected in rows]
        for now in sorted({at for after, expected in times for at in (after, *expected)}):
            self._clock.set(now)
            await self._booper.wait_idle()
            came = Counter(int(request.url.path[1:]) for request in self._target.received)
            self._target.received.clear()
            due = Counter(number for number, (_, expected) in enumerate(times) if now in expected)
            self.faults += [
                f"{rows[number]} came {came[number]} times at {now}"
                for number in came.keys() | due.keys()
                if came[number] != due[number]
            ]
            for number, (after, expected) in enumerate(times):
                if after == now:
                    await self._create(number, rows[number])
                elif expected[-1] == now:
                    await self._api.delete(self._schedules.pop(number))

    async def _create(self, number: int, row: Row) -> None:
        cron, zone, _, _ = row
        url = f"https://target.test/{number}"
        self._schedules[number] = await self._api.create_schedule(
            url=url, cron=cron, timezone=zone, misfire="all", overlap="allow"
        )


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
async def test_each_row_runs_at_its_times_whatever_the_store(
    kind: Kind, tmp_path: Path, target: FakeTarget
) -> None:
    """Each run of the table is sent once, at its time, and none is beside them."""
    config, clock = fresh_config(tmp_path / "booper.db", kind), VirtualClock(first(ROWS))
    async with (
        Booper(config, api_key=KEY, clock=clock, random=Random(1), transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        table = Table(booper, api, clock, target)
        await table.live(ROWS)
    assert table.faults == []
    assert len(ROWS) > 100


def first(rows: list[Row]) -> datetime:
    """Return the earliest time of rows."""
    return min(utc(after) for _, _, after, _ in rows)

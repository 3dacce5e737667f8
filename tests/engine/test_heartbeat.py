"""The heartbeat: it comes only if the loop turns and the store responds."""

import asyncio
from datetime import datetime, timedelta
from typing import cast

import anyio
import pytest

from booper.app import Booper
from booper.clock import Signal, VirtualClock
from booper.engine.heartbeat import Heartbeat
from booper.engine.turns import Turns
from booper.errors import StoreFull, StoreUnavailable
from booper.store.base import Store
from tests.support.api import Api

pytestmark = pytest.mark.anyio


async def test_a_booper_that_works_has_one(booper: Booper) -> None:
    """Without a job, and without waiting for its clock."""
    assert await booper.beat() is None
    assert await booper.beat() is None


async def test_a_loop_that_waits_for_a_far_time_still_turns(
    booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """Its turn sends nothing that is not due."""
    number = await api.create_id(schedule_in=[1, "hour"])
    clock.advance(timedelta(minutes=59))
    assert await booper.beat() is None
    assert (await api.job(number))["state"] == "scheduled"


class OneStore:
    """A store that responds when it is let, by an error if there is one."""

    def __init__(self, error: StoreUnavailable | None = None) -> None:
        self.responds = asyncio.Event()
        self.error = error

    async def check_writable(self, now: datetime) -> None:
        """Return once it is let. Raises: StoreUnavailable."""
        await self.responds.wait()
        if self.error is not None:
            raise self.error


async def beaten(turns: bool, writes: bool, clock: VirtualClock) -> bool:
    """Return whether there is a heartbeat where the loop turns or not, and the store or not."""
    wake, store = Signal(), OneStore()
    heartbeat = Heartbeat(Turns(wake), cast(Store, store), clock)
    if writes:
        store.responds.set()
    beat = asyncio.create_task(heartbeat.beat())
    await anyio.wait_all_tasks_blocked()
    assert wake.is_set()
    if turns:
        heartbeat.turns.begin()
    await anyio.wait_all_tasks_blocked()
    is_done = beat.done()
    beat.cancel()
    return is_done


@pytest.mark.parametrize(
    ("turns", "writes", "beats"),
    [(True, True, True), (False, True, False), (True, False, False), (False, False, False)],
)
async def test_there_is_none_unless_both_respond(
    clock: VirtualClock, turns: bool, writes: bool, beats: bool
) -> None:
    """A loop or a writer that is stuck keeps it from coming."""
    assert await beaten(turns, writes, clock) is beats


async def test_a_store_that_refuses_cleanly_is_alive(clock: VirtualClock) -> None:
    """Its error is returned: a new start would not mend the disk."""
    turns, store = Turns(Signal()), OneStore(StoreFull("the disk is full"))
    store.responds.set()
    beat = asyncio.create_task(Heartbeat(turns, cast(Store, store), clock).beat())
    await anyio.wait_all_tasks_blocked()
    turns.begin()
    assert await beat is store.error

"""The clock of `booper dev`: it runs as the machine's does, stands still, and can be moved."""

import asyncio
from datetime import timedelta

import pytest

from booper.clock import RunningClock, Signal
from tests.conftest import START

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
SOON = timedelta(milliseconds=20)


class Awaited(Signal):
    """A signal that tells when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_awaited = asyncio.Event()

    def begin_waiting(self) -> asyncio.Future[None]:
        """Note it, and begin."""
        self.is_awaited.set()
        return super().begin_waiting()


async def test_a_running_one_wakes_who_waits_by_itself() -> None:
    """The time a waiter asked for comes without anybody's doing, and not before."""
    clock = RunningClock(START)
    await clock.wait(Signal(), START + SOON)
    assert START + SOON <= clock.now() < START + DAY


def test_a_frozen_one_stands_still_until_it_is_moved() -> None:
    """It shows the time that it was given, then the time that it was moved to."""
    clock = RunningClock(START, is_frozen=True)
    assert clock.now() == START
    clock.advance(DAY)
    assert clock.now() == START + DAY


async def test_moving_it_wakes_who_waits() -> None:
    """A waiter for tomorrow goes on when the clock is moved there; it runs on from there."""
    clock = RunningClock(START)
    waiting = asyncio.create_task(clock.wait(Signal(), START + DAY))
    clock.advance(DAY)
    await waiting
    assert START + DAY <= clock.now() < START + 2 * DAY


async def test_one_that_is_set_going_wakes_who_began_to_wait_before() -> None:
    """Who waits on a clock that stands still is not forgotten when it runs."""
    clock = RunningClock(START, is_frozen=True)
    never = Awaited()
    waiting = asyncio.create_task(clock.wait(never, START + SOON))
    await never.is_awaited.wait()
    assert not waiting.done()
    clock.run()
    await waiting
    assert clock.now() >= START + SOON


def test_holding_it_is_for_a_while() -> None:
    """It stands still within the block and goes on as before behind it."""
    running, frozen = RunningClock(START), RunningClock(START, is_frozen=True)
    with running.held(), frozen.held():
        assert running.is_frozen
        assert running.now() == running.now()
    assert not running.is_frozen
    assert frozen.is_frozen

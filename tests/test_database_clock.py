"""The time of a database: its own once it is known, whatever the machine's wall clock shows."""

import asyncio
from datetime import timedelta

import pytest

from booper.clock import Signal, SystemClock, VirtualClock
from booper.database_clock import DatabaseClock, counted, real_clock
from tests.conftest import START

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def test_it_is_the_wall_clock_until_the_databases_time_is_known() -> None:
    """Something has to be read before the first measurement."""
    before = SystemClock().now()
    assert before <= DatabaseClock().now() <= SystemClock().now()


def test_it_goes_on_by_the_machines_count() -> None:
    """From what was measured; the wall clock has no part in it."""
    clock = DatabaseClock()
    clock.ahead = counted() - START
    assert START <= clock.now() < START + HOUR
    first = clock.now()
    assert clock.now() >= first


async def test_a_moment_of_the_database_is_waited_for() -> None:
    """An hour of the wall clock's distance changes nothing."""
    clock = DatabaseClock()
    clock.ahead = counted() - (SystemClock().now() + HOUR)
    until = clock.now() + timedelta(milliseconds=5)
    await clock.wait(Signal(), until)
    assert until <= clock.now() < until + HOUR


async def test_a_new_measurement_ends_a_wait() -> None:
    """The database's clock was set on: a moment that has come meanwhile is seen within a second."""
    clock = DatabaseClock()
    clock.ahead = counted() - START
    waiting = asyncio.create_task(clock.wait(Signal(), START + HOUR))
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()
    clock.ahead = counted() - (START + HOUR)
    await waiting


def test_real_time_is_the_databases_or_the_machines() -> None:
    """Receivers of what is signed compare it with theirs."""
    clock = DatabaseClock()
    assert real_clock(clock) is clock
    assert abs(real_clock(VirtualClock(START)).now() - SystemClock().now()) < 60 * SECOND

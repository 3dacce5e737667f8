"""Clocks: what they tell, and when a wait ends. No test here waits for real time to pass."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from random import Random

import anyio
import pytest
from anyio.lowlevel import checkpoint

from booper.clock import EPOCH, NAP_SECONDS, Clock, Signal, SystemClock, VirtualClock, monotonic

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FAR = datetime.max.replace(tzinfo=UTC)


async def settled() -> None:
    """Run everything that can run now; ten rounds are more than a wake-up takes."""
    for _ in range(10):
        await checkpoint()


async def begun(wait: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Start a wait and let it get to where it waits."""
    task = asyncio.create_task(wait)
    await settled()
    return task


async def ended(task: asyncio.Task[None]) -> bool:
    """Return whether a wait has ended by itself; one that has not is cancelled."""
    await settled()
    if task.done():
        return task.exception() is None
    task.cancel()
    await settled()
    return False


# --- both clocks ---


@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock(START)])
async def test_a_clock_tells_aware_utc(clock: Clock) -> None:
    """Inside booper a time is an aware UTC datetime."""
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock(START)])
@pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=1), timedelta(days=4_000)])
async def test_a_wait_for_what_has_come_returns_at_once(clock: Clock, late: timedelta) -> None:
    """The present and the past need no waiting and no event."""
    with anyio.fail_after(1):
        await clock.wait(Signal(), clock.now() - late)


@pytest.mark.parametrize("until", [None, FAR])
@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock(START)])
async def test_an_event_that_is_set_already_ends_a_wait(
    clock: Clock, until: datetime | None
) -> None:
    """A wake-up that came before the wait is not lost."""
    event = Signal()
    event.set()
    with anyio.fail_after(1):
        await clock.wait(event, until)


@pytest.mark.parametrize("until", [None, FAR])
@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock(START)])
async def test_an_event_ends_a_running_wait(clock: Clock, until: datetime | None) -> None:
    """Setting the event wakes the waiter in the same turn of the loop, not at the next nap."""
    event = Signal()
    task = await begun(clock.wait(event, until))
    assert not task.done()
    event.set()
    assert await ended(task)


@pytest.mark.parametrize("until", [None, FAR])
@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock(START)])
async def test_a_cancelled_wait_leaves_nothing_running(
    clock: Clock, until: datetime | None
) -> None:
    """Cancelling a wait raises out of it, and no task of its own stays behind."""
    before = asyncio.all_tasks()
    task = await begun(clock.wait(Signal(), until))
    task.cancel()
    await settled()
    assert task.cancelled()
    assert asyncio.all_tasks() == before


# --- VirtualClock ---


async def test_a_virtual_clock_stands_until_it_is_moved() -> None:
    """It tells its start, then what it was moved to, to the microsecond."""
    clock = VirtualClock(START)
    assert clock.now() == clock.now() == START
    clock.advance(HOUR + timedelta(microseconds=1))
    assert clock.now() == START + HOUR + timedelta(microseconds=1)
    clock.set(START)
    assert clock.now() == START


async def test_a_virtual_wait_ends_at_its_moment_and_not_before() -> None:
    """A microsecond short of the moment nothing happens; at the moment the wait ends."""
    clock = VirtualClock(START)
    task = await begun(clock.wait(Signal(), START + HOUR))
    clock.advance(HOUR - timedelta(microseconds=1))
    await settled()
    assert not task.done()
    clock.advance(timedelta(microseconds=1))
    assert await ended(task)


async def test_an_advance_between_reading_and_waiting_is_not_lost() -> None:
    """A deadline is absolute: what passed before the wait began has passed."""
    clock = VirtualClock(START)
    until = clock.now() + HOUR
    clock.advance(HOUR)
    with anyio.fail_after(1):
        await clock.wait(Signal(), until)


async def test_many_small_advances_add_up() -> None:
    """Sixty minutes, one by one, end a wait of an hour."""
    clock = VirtualClock(START)
    task = await begun(clock.wait(Signal(), START + HOUR))
    for _ in range(60):
        assert not task.done()
        clock.advance(timedelta(minutes=1))
    assert await ended(task)


async def test_waiters_wake_in_the_order_of_their_moments() -> None:
    """One advance over many moments wakes the earliest first, however they began to wait."""
    clock = VirtualClock(START)
    moments = [START + n * HOUR for n in range(1, 21)]
    shuffled = moments[:]
    Random(1).shuffle(shuffled)
    woken: list[datetime] = []

    async def wait(until: datetime) -> None:
        await clock.wait(Signal(), until)
        woken.append(until)

    tasks = [await begun(wait(until)) for until in shuffled]
    clock.advance(20 * HOUR)
    assert all([await ended(task) for task in tasks])
    assert woken == moments


async def test_an_advance_wakes_those_who_are_due_and_no_others() -> None:
    """Of three waiters an advance to the second's moment wakes two."""
    clock = VirtualClock(START)
    tasks = [await begun(clock.wait(Signal(), START + n * HOUR)) for n in (1, 2, 3)]
    clock.advance(2 * HOUR)
    assert [await ended(task) for task in tasks] == [True, True, False]


async def test_one_event_wakes_its_own_waiter_only() -> None:
    """Waiters of the same moment with different events are apart."""
    clock = VirtualClock(START)
    mine, other = Signal(), Signal()
    first = await begun(clock.wait(mine, START + HOUR))
    second = await begun(clock.wait(other, START + HOUR))
    mine.set()
    assert [await ended(first), await ended(second)] == [True, False]


async def test_a_clock_stepped_back_makes_waiters_wait_longer() -> None:
    """After a step back of an hour the same moment is two hours away."""
    clock = VirtualClock(START)
    task = await begun(clock.wait(Signal(), START + HOUR))
    clock.advance(-HOUR)
    assert clock.now() == START - HOUR
    clock.advance(HOUR)
    await settled()
    assert not task.done()
    clock.advance(HOUR)
    assert await ended(task)


async def test_a_moment_that_came_is_not_taken_back() -> None:
    """A waiter whose moment came wakes, even if the clock is stepped back before it runs."""
    clock = VirtualClock(START)
    task = await begun(clock.wait(Signal(), START + HOUR))
    clock.advance(HOUR)
    clock.advance(-HOUR)
    assert await ended(task)


async def test_moving_twice_before_a_waiter_runs_does_no_harm() -> None:
    """A waiter that is woken already is left alone by the next move."""
    clock = VirtualClock(START)
    task = await begun(clock.wait(Signal(), START + HOUR))
    clock.advance(HOUR)
    clock.advance(HOUR)
    assert await ended(task)


async def test_moment_and_event_together_end_a_wait_once() -> None:
    """Both in the same turn are as good as either."""
    clock = VirtualClock(START)
    event = Signal()
    task = await begun(clock.wait(event, START + HOUR))
    event.set()
    clock.advance(HOUR)
    assert await ended(task)


async def test_without_a_moment_no_move_ends_a_wait() -> None:
    """None waits for the event alone, whatever the clock does."""
    clock = VirtualClock(START)
    task = await begun(clock.wait(Signal(), None))
    clock.set(FAR)
    assert not await ended(task)


async def test_a_wait_that_ended_by_its_event_is_forgotten() -> None:
    """The move to its former moment finds nobody, and no task stays behind."""
    clock = VirtualClock(START)
    before = asyncio.all_tasks()
    event = Signal()
    task = await begun(clock.wait(event, START + HOUR))
    event.set()
    assert await ended(task)
    clock.advance(HOUR)
    await settled()
    assert asyncio.all_tasks() == before


# --- SystemClock ---


async def test_the_system_clock_goes_forward() -> None:
    """Two readings are in order, and after the day these lines were written."""
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert datetime(2023, 9, 1, tzinfo=UTC) < first <= second


async def test_a_system_wait_ends_when_its_moment_has_come_and_not_before() -> None:
    """Two milliseconds ahead: the wait ends, and then the moment lies behind."""
    clock = SystemClock()
    until = clock.now() + timedelta(milliseconds=2)
    with anyio.fail_after(1):
        await clock.wait(Signal(), until)
    assert clock.now() >= until


class SteppedClock(SystemClock):
    """A wall clock that shows these times, one at each reading."""

    def __init__(self, *readings: datetime) -> None:
        self.readings = list(readings)

    def now(self) -> datetime:
        """Return the next reading."""
        return self.readings.pop(0)


async def test_a_system_wait_reads_the_clock_again_after_each_nap() -> None:
    """The wall clock decides, not the time slept: one stepped back is waited for again."""
    until = START + HOUR
    millisecond = timedelta(milliseconds=1)
    clock = SteppedClock(until - millisecond, until - 2 * millisecond, until)
    with anyio.fail_after(1):
        await clock.wait(Signal(), until)
    assert clock.readings == []


async def test_a_clock_stepped_past_the_moment_ends_the_wait_after_a_nap() -> None:
    """A machine that slept through the moment does not wait for what was left of it."""
    clock = SteppedClock(START - timedelta(milliseconds=1), START + 24 * HOUR)
    with anyio.fail_after(1):
        await clock.wait(Signal(), START)
    assert clock.readings == []


async def test_naps_are_at_most_a_second() -> None:
    """That bounds what a step of the clock or a suspended machine costs."""
    assert 0 < NAP_SECONDS <= 1


# --- origins ---


async def test_the_epoch_is_that_of_unix() -> None:
    """Stored times count from 1970-01-01T00:00:00Z."""
    assert EPOCH.timestamp() == 0
    assert EPOCH.tzinfo is UTC


async def test_the_monotonic_clock_never_goes_back() -> None:
    """A thousand readings never decrease."""
    readings = [monotonic() for _ in range(1_000)]
    assert readings == sorted(readings)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_pause_ends_when_the_clock_moves_past_it_or_back(step: timedelta) -> None:
    """A pause of an hour: half of it is not enough, a step back does not prolong it."""
    clock = VirtualClock(START)
    pause = await begun(clock.pause(HOUR))
    clock.advance(HOUR / 2)
    await settled()
    assert not pause.done()
    clock.advance(step)
    assert await ended(pause)


async def test_waits_for_one_moment_end_in_the_order_in_which_they_began() -> None:
    """Twenty waits for the same moment, so that no order but theirs comes about by chance."""
    clock, ended_in = VirtualClock(START), list[int]()

    async def wait(number: int) -> None:
        await clock.wait(Signal(), START + HOUR)
        ended_in.append(number)

    waits = [await begun(wait(number)) for number in range(20)]
    clock.advance(HOUR)
    await asyncio.gather(*waits)
    assert ended_in == list(range(20))

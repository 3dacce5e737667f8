"""How far a machine's clock is from the database's: measured, shown, and warned of."""

from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from booper.clock import SystemClock, VirtualClock
from booper.database_clock import DatabaseClock
from booper.fence import Fence
from booper.store.postgres.clock_offset import DRIFT, ClockOffset
from booper.store.postgres.connections import Connector
from booper.store.postgres.lease import Lease
from tests.conftest import START
from tests.support.postgres import postgres, url_in

pytestmark = pytest.mark.anyio

MS = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)

# Round trips: by how much the clock is ahead, how long the way there and the way back take; then
# what is known after them, in milliseconds. A trip of 2 and 6 ms has its middle 2 ms too late.
TRIPS = [
    ([(0, 1, 1)], 0),
    ([(500, 1, 1)], 500),
    ([(-500, 3, 3)], -500),
    ([(0, 2, 6)], 2),
    ([(0, 6, 2)], -2),
    ([(100, 2, 6), (100, 1, 1)], 100),  # the shorter one counts
    ([(100, 1, 1), (100, 2, 6)], 100),
    ([(100, 1, 1), (3_600_100, 2, 6)], 3_600_102),  # the clock was set
    ([(3_600_100, 1, 1), (100, 20, 20), (100, 5, 5)], 100),
]


@pytest.mark.parametrize(("trips", "expected"), TRIPS)
def test_the_shortest_trip_tells_the_offset(
    trips: Sequence[tuple[int, int, int]], expected: int
) -> None:
    """Its middle is taken for the moment at which the database's clock was read."""
    offset = ClockOffset()
    for number, (ahead, there, back) in enumerate(trips):
        database_at = START + timedelta(seconds=number)
        began_at = database_at + (ahead - there) * MS
        offset.note(began_at, (there + back) * MS, database_at)
    assert offset.value == expected * MS


def test_an_offset_that_was_measured_long_ago_gives_way() -> None:
    """Clocks drift: 4 ms of error are worth less than 8 ms of another trip after 40 seconds."""
    assert DRIFT == 0.1 * MS
    offset = ClockOffset()
    offset.note(START, 8 * MS, START + 4 * MS)
    for second in range(1, 40):
        at = START + timedelta(seconds=second)
        offset.note(at, 16 * MS, at + 9 * MS)
    assert offset.value == timedelta(0)
    offset.note(START + HOUR, 16 * MS, START + HOUR + 9 * MS)
    assert offset.value == -MS


@pytest.fixture
async def clock() -> VirtualClock:
    """Return the clock of a machine, which is ten minutes ahead."""
    return VirtualClock(SystemClock().now() + timedelta(minutes=10))


@pytest.fixture
async def lease(clock: VirtualClock, tmp_path: Path) -> AsyncIterator[Lease]:
    """Return the lease of a node on that machine."""
    lease = Lease(Connector(url_in(tmp_path)), Fence(), "ahead", clock)
    yield lease
    await lease.end()


async def test_a_node_shows_how_far_its_clock_is_ahead(lease: Lease, tmp_path: Path) -> None:
    """From its start on, to all."""
    await lease.begin()
    async with postgres(tmp_path) as store:
        ahead, this = await store.nodes.list()
    assert ahead.clock_offset == lease.clock_offset
    assert abs(seconds_of(ahead.clock_offset) - 600) < 60
    assert abs(seconds_of(this.clock_offset)) < 1


async def test_a_renewal_measures_anew(lease: Lease, clock: VirtualClock, tmp_path: Path) -> None:
    """A clock that is set is seen at the next one, and written with the one after that."""
    await lease.begin()
    clock.set(SystemClock().now() - timedelta(minutes=10))
    await lease.renew()
    assert abs(seconds_of(lease.clock_offset) + 600) < 60
    await lease.renew()
    with closing(Connector(url_in(tmp_path)).open()) as opened:
        [(number, offset)] = opened.execute("SELECT number, clock_offset FROM nodes").fetchall()
    assert number == lease.number
    assert abs(offset / 1_000_000 + 600) < 60


async def test_a_wrong_clock_is_warned_of_once_and_once_more_when_it_is_right(
    lease: Lease, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each time that it becomes so."""
    wrong, right = "s ahead of the database's", "agrees with the database's again"

    def warnings() -> tuple[int, int]:
        return caplog.text.count(wrong), caplog.text.count(right)

    await lease.begin()
    await lease.renew()
    assert warnings() == (1, 0)
    for expected in ((1, 1), (1, 1)):
        clock.set(SystemClock().now() + timedelta(seconds=0.5))
        await lease.renew()
        assert warnings() == expected
    clock.advance(HOUR)
    await lease.renew()
    assert warnings() == (2, 1)


async def test_the_time_to_serve_by_is_the_databases(clock: VirtualClock, tmp_path: Path) -> None:
    """Neither a wrong wall clock nor a step of it matters; the machine's own clock is right."""
    machine, time = SystemClock(), DatabaseClock()
    lease = Lease(Connector(url_in(tmp_path)), Fence(), "ahead", clock, time)
    await lease.begin()
    assert abs(time.now() - machine.now()) < timedelta(minutes=1)
    clock.advance(HOUR)
    assert abs(time.now() - machine.now()) < timedelta(minutes=1)
    await lease.renew()
    assert abs(time.now() - machine.now()) < timedelta(minutes=1)
    await lease.end()


def seconds_of(offset: timedelta | None) -> float:
    """Return an offset that is known in seconds."""
    assert offset is not None
    return offset.total_seconds()

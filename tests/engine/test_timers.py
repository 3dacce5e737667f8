"""The window of nearest due times."""

from datetime import UTC, datetime, timedelta

from booper.engine.timers import Timers
from booper.store.values import Due, Scan

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def due(second: int, number: int = 0, origin: str = "https://a.test") -> Due:
    """Return an entry some seconds after noon."""
    return Due(NOON + timedelta(seconds=second), number or second, origin)


def refill(timers: Timers, table: list[Due]) -> None:
    """Refill from a table as the loop does."""
    after, limit = timers.read_begins()
    behind = [entry for entry in sorted(table) if after is None or entry[:2] > after[:2]]
    timers.read_ends(scan(behind[:limit], limit))


def scan(found: list[Due], limit: int) -> Scan:
    """Return what a table answers that was asked for so many."""
    return Scan(found, found[-1] if len(found) == limit else None)


def test_what_is_due_is_popped_in_order_of_time() -> None:
    """Entries leave nearest first, and only when their time has come."""
    timers = Timers()
    refill(timers, [due(3), due(1), due(2)])
    assert list(timers.pop_due(NOON + timedelta(seconds=2))) == [due(1), due(2)]
    assert timers.next_at == due(3).at


def test_a_window_pages_through_a_table_without_losing_ties() -> None:
    """Ten jobs of one instant pass through a window of four, each once."""
    table = [due(5, number) for number in range(1, 11)]
    timers, seen = Timers(window=4), []
    while timers.wants_read:
        refill(timers, table)
        seen += list(timers.pop_due(NOON + timedelta(seconds=5)))
    assert seen == table


def test_a_job_behind_the_horizon_is_left_to_the_table() -> None:
    """With a full window, a farther job costs no memory; a nearer one is taken in."""
    timers = Timers(window=2)
    refill(timers, [due(1), due(2), due(9)])
    timers.arm(due(8))
    assert len(timers) == 2
    timers.arm(due(1, 7))
    assert len(timers) == 3


def test_a_job_written_during_a_refill_is_not_lost() -> None:
    """The table is read, a job is written and armed, then the response arrives: it is there."""
    timers = Timers(window=2)
    timers.read_begins()
    timers.arm(due(4))
    timers.read_ends(scan([due(1), due(5)], 2))
    assert list(timers.pop_due(NOON + timedelta(seconds=9))) == [due(1), due(4), due(5)]


def test_a_window_that_overflows_drops_its_far_half_and_asks_for_it_again() -> None:
    """Nearer jobs that keep arriving push the far ones back to the table, which still has them."""
    timers, table = Timers(window=2), [due(10), due(20)]
    refill(timers, table)
    for second in (5, 4, 3):
        table.append(due(second))
        timers.arm(due(second))
    assert len(timers) == 2
    seen = list(timers.pop_due(NOON + timedelta(seconds=30)))
    while timers.wants_read:
        refill(timers, table)
        seen += list(timers.pop_due(NOON + timedelta(seconds=30)))
    assert sorted(set(seen)) == sorted(table)


def test_a_failed_refill_leaves_the_window_as_it_was() -> None:
    """A table that cannot be read is asked again from the same place."""
    timers = Timers(window=2)
    refill(timers, [due(1), due(2)])
    before = timers.horizon
    timers.read_begins()
    timers.read_ends(None)
    assert timers.horizon == before


def test_a_sweep_finds_what_was_missed_up_to_the_horizon() -> None:
    """Whatever the timers missed is in the table, and in the window after a sweep, once each."""
    timers = Timers(window=3)
    refill(timers, [due(1), due(3), due(5), due(9)])
    timers.sweep()
    table = [due(0, 7), due(1), due(2), due(3), due(4), due(5), due(9)]
    while timers.wants_read:
        refill(timers, table)
    at_nine = NOON + timedelta(seconds=9)
    assert list(timers.pop_due(at_nine)) == [due(0, 7), due(1), due(2), due(3), due(4), due(5)]


def test_a_sweep_of_what_is_due_lately_begins_there() -> None:
    """What is due before that is not read; a whole sweep that goes on is not cut short by it."""
    timers, nine = Timers(window=3), NOON + timedelta(seconds=9)
    refill(timers, [due(1), due(3), due(5), due(9)])
    list(timers.pop_due(nine))
    timers.arm(due(5))
    table = [due(0, 7), due(2), due(4), due(5)]
    timers.sweep(NOON + timedelta(seconds=2))
    refill(timers, table)
    assert list(timers.pop_due(nine)) == [due(2), due(4), due(5)]
    timers.arm(due(5))
    timers.sweep()
    timers.sweep(NOON + timedelta(seconds=2))
    assert timers.read_begins()[0] is None


def test_a_job_armed_twice_is_there_once() -> None:
    """A change and a reading of the table may both tell of it."""
    timers = Timers()
    refill(timers, [due(1)])
    timers.arm(due(1))
    timers.arm(due(1))
    assert list(timers.pop_due(NOON + timedelta(seconds=1))) == [due(1)]


def test_a_sweep_goes_on_where_parts_hold_nothing() -> None:
    """A part whose jobs are all left out has no end of its own: the table says how far it went."""
    timers = Timers(window=2)
    refill(timers, [due(1), due(2), due(3)])
    timers.sweep()
    assert timers.read_begins() == (None, 2)
    timers.read_ends(Scan([], due(1)))
    assert timers.read_begins() == (due(1), 2)
    timers.read_ends(Scan([], due(2)))
    assert len(timers) == 2

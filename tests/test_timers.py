"""The window of nearest due times, and the queues of what is due."""

from datetime import UTC, datetime, timedelta

from booper.engine.breakers import Breakers
from booper.engine.timers import Ready, Timers
from booper.store.base import ALL_HOSTS, Due, Seen

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def due(second: int, number: int = 0, host: str = "a.test") -> Due:
    """Return an entry some seconds after noon."""
    return Due(NOON + timedelta(seconds=second), number or second, host)


def refill(timers: Timers, table: list[Due]) -> None:
    """Refill from a table as the loop does."""
    after, limit = timers.refill_begins()
    behind = [entry for entry in sorted(table) if after is None or entry[:2] > after[:2]]
    timers.refill_ends(behind[:limit])


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
    while timers.wants_refill:
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
    """The table is read, a job is written and armed, then the answer arrives: it is there."""
    timers = Timers(window=2)
    timers.refill_begins()
    timers.arm(due(4))
    timers.refill_ends([due(1), due(5)])
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
    while timers.wants_refill:
        refill(timers, table)
        seen += list(timers.pop_due(NOON + timedelta(seconds=30)))
    assert sorted(set(seen)) == sorted(table)


def test_a_failed_refill_leaves_the_window_as_it_was() -> None:
    """A table that cannot be read is asked again from the same place."""
    timers = Timers(window=2)
    refill(timers, [due(1), due(2)])
    before = timers.horizon
    timers.refill_begins()
    timers.refill_ends(None)
    assert timers.horizon == before


def test_a_window_that_is_forgotten_is_read_anew() -> None:
    """Whatever the timers missed is in the table, and in the window after the next refill."""
    timers = Timers(window=2)
    refill(timers, [due(1), due(2)])
    timers.forget()
    assert (len(timers), timers.horizon, timers.next_at) == (0, None, None)
    assert timers.wants_refill
    refill(timers, [due(1), due(2), due(0, 3)])
    assert list(timers.pop_due(NOON + timedelta(seconds=9))) == [due(0, 3), due(1)]


# --- what is due ----------------------------------------------------------------------------------


def put(ready: Ready, *dues: Due) -> None:
    """Queue entries, all seen at noon."""
    for entry in dues:
        ready.put(Seen(entry, NOON))


def taken(ready: Ready) -> list[int]:
    """Take what may go, and return its numbers."""
    return [seen.due.id for seen in ready.take(NOON)]


def test_slots_are_limited_in_all_and_per_host() -> None:
    """Of three slots one host may have two: the third goes to the other host."""
    ready = Ready(concurrency=3, per_host=2, breakers=Breakers())
    put(ready, *(due(number, number, "busy.test") for number in (1, 2, 3)))
    put(ready, due(4, 4, "calm.test"), due(5, 5, "calm.test"))
    assert taken(ready) == [1, 4, 2]
    assert taken(ready) == []
    ready.free("busy.test")
    assert taken(ready) == [3]
    assert len(ready) == 1


def test_what_is_taken_says_when_it_was_seen() -> None:
    """Waiting for a slot is no lateness: the time of the finding goes along."""
    ready = Ready(concurrency=1, per_host=1, breakers=Breakers())
    seen = Seen(due(1), NOON + timedelta(seconds=2))
    ready.put(seen)
    assert ready.take(NOON) == [seen]


def test_a_paused_host_keeps_its_jobs_and_no_other_host_waits() -> None:
    """Nothing of it is taken until it is resumed; then it goes in order."""
    ready = Ready(concurrency=9, per_host=9, breakers=Breakers())
    ready.pause("a.test")
    put(ready, due(1, 1, "a.test"), due(2, 2, "b.test"), due(3, 3, "a.test"))
    assert taken(ready) == [2]
    assert (len(ready), ready.has_open(NOON)) == (2, False)
    ready.resume("a.test", NOON)
    assert ready.has_open(NOON)
    assert taken(ready) == [1, 3]
    assert not ready.has_open(NOON)


def test_a_pause_counts_as_lateness() -> None:
    """What a resumed host had queued is seen at the resume; other hosts' times stay."""
    ready, later = Ready(concurrency=9, per_host=9, breakers=Breakers()), NOON + timedelta(hours=1)
    ready.pause("a.test")
    ready.pause("b.test")
    put(ready, due(1, 1, "a.test"), due(2, 2, "b.test"))
    ready.resume("a.test", later)
    assert ready.take(NOON) == [Seen(due(1, 1, "a.test"), later)]
    ready.resume("b.test", later + timedelta(hours=1))
    assert ready.take(NOON) == [Seen(due(2, 2, "b.test"), later + timedelta(hours=1))]


def test_all_hosts_can_be_paused_and_resumed_at_once() -> None:
    """`*` holds back every host, and its resume ends the pauses of single hosts too."""
    ready = Ready(concurrency=9, per_host=9, breakers=Breakers())
    ready.pause(ALL_HOSTS)
    ready.pause("a.test")
    put(ready, due(1, 1, "a.test"), due(2, 2, "b.test"))
    assert taken(ready) == []
    ready.resume("a.test", NOON)
    assert taken(ready) == [], "all hosts are still paused"
    ready.pause("a.test")
    ready.resume(ALL_HOSTS, NOON)
    assert taken(ready) == [1, 2]


def test_a_running_request_of_a_paused_host_still_gives_its_slot_back() -> None:
    """The pause stops what has not begun; the slot is there for others."""
    ready = Ready(concurrency=1, per_host=1, breakers=Breakers())
    put(ready, due(1, 1, "a.test"), due(2, 2, "b.test"))
    assert taken(ready) == [1]
    ready.pause("a.test")
    ready.free("a.test")
    assert taken(ready) == [2]


def test_a_host_with_no_end_of_due_jobs_takes_no_end_of_memory() -> None:
    """With room for four, a fifth is left to the table, which is asked when two or fewer wait."""
    ready = Ready(concurrency=9, per_host=9, breakers=Breakers(), room=4)
    put(ready, *(due(number, number, "busy.test") for number in range(1, 6)))
    put(ready, due(9, 9, "calm.test"))
    assert (len(ready), ready.hungry()) == (5, [])
    assert sorted(taken(ready)) == [1, 2, 3, 4, 9]
    assert ready.hungry() == ["busy.test"]
    later = NOON + timedelta(seconds=7)
    ready.refill("busy.test", [due(5, 5, "busy.test")], later)
    assert ready.hungry() == []
    assert ready.take(NOON) == [Seen(due(5, 5, "busy.test"), later)]


def test_a_full_refill_is_asked_for_again() -> None:
    """The table may have more than was room for, until it answers with less."""
    ready = Ready(concurrency=99, per_host=99, breakers=Breakers(), room=2)
    put(ready, *(due(number, number) for number in (1, 2, 3, 4, 5, 6)))
    assert taken(ready) == [1, 2]
    for batch in ([3, 4], [5, 6]):
        assert ready.hungry() == ["a.test"]
        ready.refill("a.test", [due(number, number) for number in batch], NOON)
        assert taken(ready) == batch
    ready.refill("a.test", [], NOON)
    assert ready.hungry() == []


def test_a_refill_does_not_queue_twice_what_waits_already() -> None:
    """The table still holds what is queued here; its times stay as they were seen."""
    ready, later = (
        Ready(concurrency=9, per_host=9, breakers=Breakers(), room=4),
        NOON + timedelta(hours=1),
    )
    put(ready, due(1))
    ready.refill("a.test", [due(1), due(2)], later)
    assert ready.take(NOON) == [Seen(due(1), NOON), Seen(due(2), later)]

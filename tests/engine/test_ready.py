"""The queues of what is due: slots, turns, pauses, probes, and what is left to the table."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from booper.engine.breakers import MAX_FAILURES, Breakers
from booper.engine.elsewhere import FIRST_PAUSE
from booper.engine.ready import Ready
from booper.model.job import Failed
from booper.store.limits import Limits
from booper.store.values import ALL_TARGETS, Due, DueJob

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
A, B = "https://a.test", "https://b.test"
BAD, GOOD = 1, 2


def due(number: int, origin: str = A, path: int = BAD) -> Due:
    """Return an entry due some seconds after noon."""
    return Due(NOON + number * SECOND, number, origin, path)


def put(ready: Ready, *dues: Due) -> None:
    """Queue entries, all seen at noon."""
    for entry in dues:
        ready.put(DueJob(entry, NOON))


def taken(ready: Ready) -> list[int]:
    """Take what may go, and return its numbers."""
    return [seen.due.id for seen in ready.take()]


def backlog(origins: list[str], count: int) -> list[Due]:
    """Return so many entries of each origin."""
    return [due(number, origin) for number in range(count) for origin in origins]


def queues(concurrency: int = 9, per_origin: int = 9, queue_limit: int = 1000) -> Ready:
    """Return empty queues with room for everything."""
    return Ready(Limits(concurrency, per_origin).of, Breakers(), queue_limit)


def failing(breakers: Breakers, origin: str = A, path: int = BAD, at: datetime = NOON) -> None:
    """Fail an origin until its breaker opens."""
    for _ in range(MAX_FAILURES):
        breakers.record(origin, path, Failed("connect", "refused", timedelta(0)), at)


def test_slots_are_limited_in_all_and_per_origin() -> None:
    """Of three slots one origin may have two: the third goes to the other origin."""
    ready = queues(concurrency=3, per_origin=2)
    put(ready, *(due(number) for number in (1, 2, 3)))
    put(ready, due(4, B), due(5, B))
    assert taken(ready) == [1, 4, 2]
    assert taken(ready) == []
    ready.free(A)
    assert taken(ready) == [5], "it is the other one's turn"
    ready.free(A)
    assert taken(ready) == [3]
    assert (len(ready), ready.busy) == (0, 3)


def test_origins_with_a_backlog_are_served_in_turn() -> None:
    """Eight origins and 1,000 ends: each has had 125 turns, whoever's slot was freed."""
    origins = [f"https://h{number}.test" for number in range(8)]
    ready = queues(concurrency=64, per_origin=16)
    put(ready, *backlog(origins, 200))
    running = [seen.due.origin for seen in ready.take()]
    served: Counter[str] = Counter()
    for end in range(1000):
        ready.free(running.pop((7 * end) % len(running)))
        (seen,) = ready.take()
        running.append(seen.due.origin)
        served[seen.due.origin] += 1
    assert max(served.values()) - min(served.values()) <= 1


def test_a_newcomer_has_its_turn_when_each_other_has_had_one() -> None:
    """Twenty origins keep all slots busy; the 21st waits for twenty ends at most."""
    ready = queues(concurrency=64, per_origin=16)
    others = [f"https://h{number}.test" for number in range(20)]
    put(ready, *backlog(others, 100))
    running = [seen.due.origin for seen in ready.take()]
    put(ready, due(9_999, "https://new.test"))
    for ends in range(1, 22):
        ready.free(running.pop(0))
        (seen,) = ready.take()
        if seen.due.origin == "https://new.test":
            assert ends <= 21
            return
    pytest.fail("the newcomer had no turn")


def test_what_is_taken_says_when_it_was_seen() -> None:
    """Waiting for a slot is no lateness: the time of the finding goes along."""
    ready = queues(1, 1)
    seen = DueJob(due(1), NOON + 2 * SECOND)
    ready.put(seen)
    assert ready.oldest_at() == NOON + 2 * SECOND
    assert ready.take() == [seen]
    assert ready.oldest_at() is None


@pytest.mark.parametrize("target", [A, "a.test:443", "a.test", ALL_TARGETS])
def test_what_is_paused_is_left_to_the_table(target: str) -> None:
    """By any of its names; after the resume it is asked for, and seen then."""
    ready = queues()
    put(ready, due(1))
    ready.pause(target, NOON)
    put(ready, due(2))
    assert (taken(ready), len(ready), ready.has_open()) == ([], 0, False)
    assert ready.pauses.of(A) is not None
    means_all_ports = target in ("a.test", ALL_TARGETS)
    assert ready.pauses.include("http://a.test:8080") == means_all_ports
    ready.resume(target)
    assert (ready.origins_to_refill(), ready.has_open()) == ([A], True)
    ready.refill(A, [due(1), due(2)], 1000, NOON + SECOND)
    assert ready.take() == [DueJob(due(1), NOON + SECOND), DueJob(due(2), NOON + SECOND)]
    assert not ready.has_open()


def test_all_targets_can_be_resumed_at_once() -> None:
    """The resume of everything ends the pauses of single hosts too."""
    ready = queues()
    ready.pause(ALL_TARGETS, NOON)
    ready.pause("a.test", NOON)
    put(ready, due(1))
    ready.resume("a.test")
    assert ready.origins_to_refill() == [], "everything is still paused"
    ready.pause("a.test", NOON)
    ready.resume(ALL_TARGETS)
    assert ready.origins_to_refill() == [A]


def test_a_running_request_of_a_paused_origin_still_gives_its_slot_back() -> None:
    """The pause stops what has not begun; the slot is there for others."""
    ready = queues(1, 1)
    put(ready, due(1), due(2, B))
    assert taken(ready) == [1]
    ready.pause(A, NOON)
    ready.free(A)
    assert taken(ready) == [2]


def test_an_origin_with_no_end_of_due_jobs_takes_no_end_of_memory() -> None:
    """With room for four, a fifth is left to the table, which is asked when fewer than two wait."""
    ready = queues(queue_limit=4)
    put(ready, *(due(number) for number in range(1, 6)))
    put(ready, due(9, B))
    assert (len(ready), ready.origins_to_refill(), ready.partial()) == (5, [], [A])
    assert sorted(taken(ready)) == [1, 2, 3, 4, 9]
    assert ready.origins_to_refill() == [A]
    ready.refill(A, [due(5)], ready.wanted(A), NOON + SECOND)
    assert (ready.origins_to_refill(), ready.partial()) == ([], [])
    assert ready.take() == [DueJob(due(5), NOON + SECOND)]


def test_a_full_refill_is_asked_for_again() -> None:
    """The table may have more than was room for, until it answers with less."""
    ready = queues(99, 99, queue_limit=2)
    put(ready, *(due(number) for number in (1, 2, 3, 4, 5, 6)))
    assert taken(ready) == [1, 2]
    for batch in ([3, 4], [5, 6]):
        assert (ready.origins_to_refill(), ready.wanted(A)) == ([A], 2)
        ready.refill(A, [due(number) for number in batch], 2, NOON)
        assert taken(ready) == batch
    ready.refill(A, [], 2, NOON)
    assert ready.origins_to_refill() == []


def test_what_is_newly_due_does_not_overtake_what_the_table_has() -> None:
    """While the table has older jobs of an origin, a newer one is left there as well."""
    ready = queues(queue_limit=2)
    put(ready, due(1), due(2), due(3))
    assert taken(ready) == [1, 2]
    put(ready, due(4))
    assert taken(ready) == []
    ready.refill(A, [due(3), due(4)], 2, NOON)
    assert taken(ready) == [3, 4]


def test_many_origins_share_the_room() -> None:
    """With 1,000 origins each has room for 20 jobs, not for 1,000."""
    ready = queues(concurrency=1)
    put(ready, *(due(number, f"https://h{number}.test") for number in range(1, 1000)))
    put(ready, *(due(10_000 + number) for number in range(100)))
    assert ready.wanted(A) == 0
    assert len(ready.queued_ids(A)) == 20


def test_a_queued_job_is_not_queued_twice() -> None:
    """The timers may name a job again."""
    ready = queues()
    put(ready, due(1), due(1))
    assert taken(ready) == [1]


# --- probes ---------------------------------------------------------------------------------------


def test_an_open_breaker_lets_one_probe_through() -> None:
    """A second after the last failure one job is asked for; the others wait for its end."""
    breakers = Breakers()
    ready = Ready(Limits(9, 9).of, breakers)
    put(ready, due(1), due(2))
    failing(breakers)
    ready.consider(A)
    assert (taken(ready), ready.probing.next_at()) == ([], NOON + SECOND)
    assert list(ready.probing.pop_due(NOON)) == []
    assert list(ready.probing.pop_due(NOON + SECOND)) == [A]
    ready.probe(A, due(1), NOON + SECOND)
    assert taken(ready) == [1]
    assert (taken(ready), ready.probing.next_at()) == ([], None)
    breakers.close(A)
    ready.free(A)
    assert taken(ready) == [2]


def test_a_path_that_was_not_probed_lately_is_probed_soon() -> None:
    """A probe of the bad path fails: it rests for 2 s. A job of another path waits for 1 s only."""
    breakers = Breakers()
    ready = Ready(Limits(9, 9).of, breakers)
    put(ready, due(1))
    failing(breakers)
    ready.consider(A)
    (origin,) = ready.probing.pop_due(NOON + SECOND)
    ready.probe(origin, due(1), NOON + SECOND)
    assert taken(ready) == [1]
    failed = Failed("connect", "refused", timedelta(0))
    breakers.record(A, BAD, failed, NOON + SECOND)
    put(ready, due(3))
    ready.free(A)
    assert ready.probing.next_at() == NOON + 3 * SECOND
    put(ready, due(4, path=GOOD))
    assert ready.probing.next_at() == NOON + 2 * SECOND


def test_a_probe_that_another_node_has_is_tried_again_after_a_while() -> None:
    """Not in each turn of the loop: the origin is left alone as one whose slots others have."""
    breakers = Breakers()
    ready = Ready(Limits(9, 9).of, breakers)
    put(ready, due(1), due(2))
    failing(breakers)
    ready.consider(A)
    assert list(ready.probing.pop_due(NOON + SECOND)) == [A]
    ready.probe(A, due(1), NOON + SECOND)
    [probe] = ready.take()
    ready.free(A)
    ready.put_back(probe, NOON + SECOND)
    assert ready.probing.next_at() is None
    assert list(ready.probing.pop_due(NOON + SECOND)) == []
    again = NOON + SECOND + FIRST_PAUSE
    assert ready.elsewhere.next_at() == again
    ready.ask_again(again)
    assert list(ready.probing.pop_due(again)) == [A]


def test_nothing_is_probed_for_an_origin_that_has_nothing_due() -> None:
    """The table has none: the origin is forgotten until something of it falls due."""
    breakers = Breakers()
    ready = Ready(Limits(9, 9).of, breakers)
    failing(breakers)
    put(ready, due(1))
    assert list(ready.probing.pop_due(NOON + SECOND)) == [A]
    ready.probe(A, None, NOON + SECOND)
    assert (len(ready), ready.probing.next_at()) == (0, None)


def test_a_paused_origin_is_not_probed() -> None:
    """Until it is resumed."""
    breakers = Breakers()
    ready = Ready(Limits(9, 9).of, breakers)
    failing(breakers)
    put(ready, due(1))
    ready.pause("a.test", NOON)
    assert ready.probing.next_at() is None
    ready.resume("a.test")
    assert ready.probing.next_at() == NOON + SECOND

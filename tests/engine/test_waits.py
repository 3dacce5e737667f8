"""What a late job has waited for last, and since when."""

from datetime import timedelta

import pytest

from booper.engine.breakers import MAX_FAILURES, Breakers
from booper.engine.pauses import Pauses
from booper.engine.waits import MAX_ENDED, Waits
from booper.model.job import Failed
from booper.model.waiting import Reason, Wait
from booper.store.values import ALL_TARGETS, Due, DueJob
from tests.conftest import START

SECOND = timedelta(seconds=1)
ORIGIN = "https://target.test"
HOST = "target.test"


class Past:
    """Pauses, breakers and what they were, at seconds after `START`."""

    def __init__(self) -> None:
        self.pauses = Pauses()
        self.breakers = Breakers()
        self.waits = Waits(self.pauses, self.breakers)

    def pause(self, target: str, since: float, until: float | None = None) -> None:
        """Pause a target, until a time if one is given."""
        self.pauses[target] = START + since * SECOND
        if until is not None:
            self.waits.pause_ended(target, START + until * SECOND)
            self.pauses.end(target)

    def fail(self, since: float, until: float | None = None) -> None:
        """Open the breaker of the origin, until a time if one is given."""
        for _ in range(MAX_FAILURES):
            failed = Failed("connect", "refused", timedelta(0))
            self.breakers.record(ORIGIN, 1, failed, START + since * SECOND)
        if until is not None:
            breaker = self.breakers.find(ORIGIN)
            assert breaker is not None
            self.breakers.close(ORIGIN)
            self.waits.breaker_ended(breaker, START + until * SECOND)

    def of(self, due: float, now: float) -> tuple[Reason, float, str]:
        """Return why a job that was due waits, since how many seconds, and for which target."""
        wait = self.waits.of(Due(START + due * SECOND, 1, ORIGIN), START + now * SECOND)
        return wait.reason, (wait.since - START) / SECOND, wait.target


def test_without_anything_else_it_waits_for_a_slot() -> None:
    """Since it was due."""
    assert Past().of(5, 9) == (Reason.SLOT, 5, ORIGIN)


@pytest.mark.parametrize("target", [ALL_TARGETS, HOST, "target.test:443", ORIGIN])
@pytest.mark.parametrize("until", [None, 60])
def test_a_pause_holds_from_when_both_it_and_the_job_are_there(
    target: str, until: float | None
) -> None:
    """A job due before the pause waits since the pause, one due after it since it was due."""
    past = Past()
    past.pause(target, 10, until)
    assert past.of(5, 60) == (Reason.PAUSE, 10, target)
    assert past.of(20, 60) == (Reason.PAUSE, 20, target)


def test_the_last_reason_counts_from_a_second_on() -> None:
    """A slot is waited for since the end of the pause; up to a second after it, for the pause."""
    past = Past()
    past.pause(HOST, 0, 60)
    assert past.of(5, 61) == (Reason.PAUSE, 5, HOST)
    assert past.of(5, 61.5) == (Reason.SLOT, 60, ORIGIN)
    assert past.of(60, 70) == (Reason.SLOT, 60, ORIGIN)


def test_of_several_the_one_that_ended_last_counts() -> None:
    """The breaker closed after the pause ended."""
    past = Past()
    past.fail(0, 30)
    past.pause(HOST, 0, 20)
    assert past.of(5, 30) == (Reason.BREAKER, 5, ORIGIN)


def test_an_open_breaker_is_named_and_a_pause_before_it() -> None:
    """Whoever resumes the target learns of the breaker then."""
    past = Past()
    past.fail(3)
    assert past.of(0, 9) == (Reason.BREAKER, 3, ORIGIN)
    past.pause(HOST, 4)
    assert past.of(0, 9) == (Reason.PAUSE, 4, HOST)


def test_what_fell_due_while_nobody_looked_waited_for_booper() -> None:
    """Since it was due; a wait that ended in time is no sleep."""
    past = Past()
    past.waits.woke(START + 60 * SECOND, START + 61 * SECOND)
    assert past.of(5, 61) == (Reason.SLOT, 5, ORIGIN)
    past.waits.woke(START + 60 * SECOND, START + 3600 * SECOND)
    assert past.of(5, 3600) == (Reason.STOPPED, 5, "")
    assert past.of(5, 3605) == (Reason.SLOT, 3600, ORIGIN)


def test_only_what_is_late_by_more_than_a_second_is_told() -> None:
    """Of jobs that are claimed together, the others cost nothing."""
    taken = [DueJob(Due(START + late * SECOND, late, ORIGIN), START) for late in range(3)]
    waits = Past().waits
    now = START + 2 * SECOND
    assert waits.of_taken(taken, now, alone=False) == {0: Wait(Reason.SLOT, START, ORIGIN)}
    assert waits.of_taken(taken, now, alone=True) == {0: Wait(Reason.ALONE, START)}


def test_what_is_remembered_is_bounded() -> None:
    """The pause that ended first is forgotten."""
    past = Past()
    past.pause(HOST, 0, 1)
    for number in range(MAX_ENDED):
        past.pause(f"{number}.test", 0, 1)
    assert past.of(0, 1) == (Reason.SLOT, 0, ORIGIN)

"""When the table is looked at, and how much of it."""

from datetime import datetime, timedelta

import pytest

from booper.engine.looks import EVERY, LATELY, REST, SHARED_EVERY, SOONEST, WHOLE_EVERY, Looks
from tests.conftest import START

MOMENT = timedelta(microseconds=1)


def looked(looks: Looks, now: datetime) -> bool:
    """Return whether all is looked at now."""
    assert looks.is_due(now)
    return looks.begin(now) is None


def test_one_process_looks_at_everything_once_a_minute() -> None:
    """Nobody else writes; it knows what it has written."""
    looks = Looks(START, are_shared=False)
    assert not looks.is_due(START + EVERY - MOMENT)
    assert looked(looks, START + EVERY)
    assert looked(looks, START + 2 * EVERY)


def test_one_of_several_looks_each_second_and_at_everything_each_half_minute() -> None:
    """The first look is at everything."""
    looks = Looks(START, are_shared=True)
    seconds = range(1, 62)
    whole = [second for second in seconds if looked(looks, START + second * SHARED_EVERY)]
    assert whole == [1, 31, 61]


def test_most_looks_are_at_what_is_due_lately() -> None:
    """Which is what commits may bring that were slow."""
    looks = Looks(START, are_shared=True)
    looks.begin(START + SHARED_EVERY)
    assert looks.begin(START + 2 * SHARED_EVERY) == START + 2 * SHARED_EVERY - LATELY


def test_a_look_at_everything_is_rarer_where_it_takes_long() -> None:
    """It takes at most half a percent of the time; other looks put off nothing."""
    looks, first = Looks(START, are_shared=True), START + SHARED_EVERY
    looks.took(10.0)
    assert looked(looks, first)
    looks.took(0.5)
    looks.begin(first + SHARED_EVERY)
    looks.took(10.0)
    whole = first + REST * timedelta(seconds=0.5)
    assert whole > first + WHOLE_EVERY
    assert not looked(looks, whole - MOMENT)
    looks.put_off(MOMENT - SHARED_EVERY)
    assert looked(looks, whole)


@pytest.mark.parametrize("are_shared", [False, True])
def test_a_clock_that_is_set_back_brings_a_look_at_everything(are_shared: bool) -> None:
    """What was found due may not be due now."""
    looks = Looks(START, are_shared=are_shared)
    looks.begin(START + EVERY)
    assert looked(looks, START - EVERY)


def test_a_look_comes_sooner_but_not_too_soon() -> None:
    """However often others tell of jobs."""
    looks = Looks(START, are_shared=True)
    looks.come_sooner(START + SOONEST / 2)
    assert looks.next_at == START + SOONEST
    looks.come_sooner(START + 2 * SOONEST)
    assert looks.next_at == START + SOONEST
    looks.begin(START + SOONEST)
    looks.come_sooner(START + 3 * SOONEST)
    assert looks.next_at == START + 3 * SOONEST


def test_a_look_is_put_off_by_a_journey() -> None:
    """Time that was skipped brings no jobs that nobody told of."""
    looks = Looks(START, are_shared=False)
    looks.put_off(EVERY)
    assert not looks.is_due(START + 2 * EVERY - MOMENT)
    assert looks.is_due(START + 2 * EVERY)

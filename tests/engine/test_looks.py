"""When the table is looked at, and how much of it."""

from datetime import datetime, timedelta

import pytest

from booper.engine.looks import EVERY, LATELY, RAREST, REST, SHARED_EVERY, SOONEST, Looks
from tests.conftest import START

MOMENT = timedelta(microseconds=1)
NO_TIME = timedelta(0)


def looked(looks: Looks, now: datetime, takes: timedelta = NO_TIME) -> bool:
    """Look at the table, which takes a while; return whether all was looked at."""
    assert looks.is_due(now)
    is_whole = looks.begin(now) is None
    looks.read(now)
    looks.ended(now + takes)
    return is_whole


def whole(looks: Looks, seconds: int, takes: timedelta = NO_TIME) -> list[int]:
    """Look once a second; return in which of these seconds all was looked at."""
    return [
        second
        for second in range(1, seconds + 1)
        if looked(looks, START + second * SHARED_EVERY, takes)
    ]


def test_one_process_looks_at_everything_once_a_minute() -> None:
    """Nobody else writes; it knows what it has written."""
    looks = Looks(START, are_shared=False)
    assert not looks.is_due(START + EVERY - MOMENT)
    assert looked(looks, START + EVERY, EVERY)
    assert looked(looks, START + 2 * EVERY)


def test_one_of_several_looks_at_everything_each_second() -> None:
    """Where that takes a few milliseconds at most: half a percent of the time."""
    assert whole(Looks(START, are_shared=True), 4, SHARED_EVERY / REST) == [1, 2, 3, 4]


def test_a_look_at_everything_is_rarer_where_it_takes_long() -> None:
    """Others are at what is due lately; those may take as long as they like."""
    looks = Looks(START, are_shared=True)
    assert whole(looks, 11, 5 * SHARED_EVERY / REST) == [1, 6, 11]
    at = START + 12 * SHARED_EVERY
    assert looks.begin(at) == at - LATELY


def test_everything_is_looked_at_each_few_minutes_however_long_it_takes() -> None:
    """One that met a database that was gone would be the last for hours."""
    looks, first = Looks(START, are_shared=True), START + SHARED_EVERY
    assert looked(looks, first, timedelta(minutes=10))
    looks.put_off(RAREST - SHARED_EVERY - MOMENT)
    assert not looked(looks, first + RAREST - MOMENT)
    looks.put_off(MOMENT - SHARED_EVERY)
    assert looked(looks, first + RAREST)


def test_a_read_that_failed_and_one_before_all_looks_count_for_nothing() -> None:
    """They say nothing of how long a look takes."""
    looks = Looks(START, are_shared=True)
    looks.read(START)
    looks.ended(START + timedelta(minutes=1))
    assert looked(looks, START + SHARED_EVERY)
    looks.read(START + SHARED_EVERY)
    looks.read(START + timedelta(minutes=1))
    looks.ended(START + timedelta(minutes=1))
    looks.ended(START + timedelta(minutes=2))
    assert looked(looks, START + timedelta(minutes=1))


@pytest.mark.parametrize("are_shared", [False, True])
def test_a_clock_that_is_set_back_brings_a_look_at_everything(are_shared: bool) -> None:
    """What was found due may not be due now."""
    looks = Looks(START, are_shared=are_shared)
    assert looked(looks, START + EVERY, SHARED_EVERY)
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

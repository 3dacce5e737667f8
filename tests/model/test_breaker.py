"""When a failing origin may be probed, where several nodes could do so."""

from datetime import UTC, datetime, timedelta

import pytest

from booper.model.breaker import MAX_REST, Breaker

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FAILING, OTHER = 1, 2
PROBE_AT, NEW_PATH_AT = NOON + 30 * SECOND, NOON + 5 * SECOND


def breaker(rest: timedelta = 20 * SECOND) -> Breaker:
    """Return an open one whose failing path rests for longer than others."""
    return Breaker("https://target.test", 25, NOON, PROBE_AT, NEW_PATH_AT, rest, (FAILING,))


@pytest.mark.parametrize(
    ("path", "claimed", "at", "may"),
    [
        # Nobody has probed it: each path at its own time.
        (FAILING, None, 29, False),
        (FAILING, None, 30, True),
        (OTHER, None, 4, False),
        (OTHER, None, 5, True),
        # One that was claimed uses up the times before it, and no later one.
        (OTHER, 5, 6, False),
        (FAILING, 5, 30, True),
        (FAILING, 30, 31, False),
        (OTHER, 30, 31, False),
        # As if the probe had failed at once: after twice the pause of 20 s.
        (FAILING, 30, 69, False),
        (FAILING, 30, 70, True),
        (OTHER, 5, 44, False),
        (OTHER, 5, 45, True),
        # A clock that was an hour ahead.
        (FAILING, 3_600, 30, True),
    ],
)
def test_one_probe_is_let_through_for_each_time(
    path: int, claimed: int | None, at: int, may: bool
) -> None:
    """All times are seconds after the breaker was opened; the last probe was `claimed` then."""
    claimed_at = None if claimed is None else NOON + claimed * SECOND
    assert breaker().may_probe(path, claimed_at, NOON + at * SECOND) is may


def test_a_probe_that_nobody_tells_of_holds_up_others_for_the_longest_pause_at_most() -> None:
    """A minute, not the two that twice the pause would be."""
    rested = breaker(rest=MAX_REST)
    assert not rested.may_probe(FAILING, PROBE_AT, PROBE_AT + MAX_REST - SECOND)
    assert rested.may_probe(FAILING, PROBE_AT, PROBE_AT + MAX_REST)

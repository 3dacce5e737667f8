"""Origins that other nodes have the slots of: how long each is left alone."""

from datetime import timedelta

from booper.engine.elsewhere import FIRST_PAUSE, MAX_PAUSE, Elsewhere
from tests.conftest import START

ORIGIN = "https://target.test"


def test_an_origin_is_left_alone_for_its_pause() -> None:
    """It may be asked for when the pause is over, and not before."""
    elsewhere = Elsewhere()
    assert not elsewhere
    elsewhere.refused(ORIGIN, START)
    assert elsewhere
    assert ORIGIN in elsewhere
    assert elsewhere.next_at() == START + FIRST_PAUSE
    assert list(elsewhere.pop_over(START + FIRST_PAUSE - timedelta(microseconds=1))) == []
    assert list(elsewhere.pop_over(START + FIRST_PAUSE)) == [ORIGIN]
    assert ORIGIN not in elsewhere
    assert elsewhere.next_at() is None


def test_each_pause_in_vain_is_twice_as_long_up_to_the_longest() -> None:
    """20, 40, 80, 160, 320, 320 ms; after a job has begun, 20 ms again."""
    elsewhere, now, pauses = Elsewhere(), START, list[timedelta]()
    for _ in range(6):
        elsewhere.refused(ORIGIN, now)
        at = elsewhere.next_at()
        assert at is not None
        pauses.append(at - now)
        now = at
        list(elsewhere.pop_over(now))
    assert [pause // timedelta(milliseconds=1) for pause in pauses] == [20, 40, 80, 160, 320, 320]
    elsewhere.admitted(ORIGIN)
    elsewhere.refused(ORIGIN, now)
    assert elsewhere.next_at() == now + FIRST_PAUSE


def test_a_second_refusal_does_not_prolong_a_pause() -> None:
    """Ten jobs of a claim are refused: that is once."""
    elsewhere = Elsewhere()
    for _ in range(10):
        elsewhere.refused(ORIGIN, START)
    assert elsewhere.next_at() == START + FIRST_PAUSE


def test_a_clock_that_is_set_back_ends_all_pauses() -> None:
    """Nothing waits for a time that is an hour away."""
    elsewhere = Elsewhere()
    elsewhere.refused(ORIGIN, START)
    assert list(elsewhere.pop_over(START - timedelta(hours=1))) == [ORIGIN]
    assert timedelta(hours=1) > MAX_PAUSE

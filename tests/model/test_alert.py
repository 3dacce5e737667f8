"""When an alert is sent: its opening, its repetitions, its end, and what lies between."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from booper.model.alert import (
    MOMENTARY,
    Alert,
    AlertKind,
    Finding,
    Interests,
    Telling,
    closed,
    is_over,
    is_quiet,
    parse_interests,
    raised,
    telling_of,
    told,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LOW = Finding(AlertKind.DISK_LOW, "", "disk", "9 bytes are free")
GONE = Finding(AlertKind.JOB_DISCARDED, "tag a", "a", "job 1 was discarded", count=2)


def opened(finding: Finding = LOW, now: datetime = NOW, known: Alert | None = None) -> Alert:
    """Return the alert of a finding."""
    return raised(known, finding, now, UUID(int=int(now.timestamp())))


def sent(alert: Alert, now: datetime = NOW, telling: Telling = Telling.OPENED) -> Alert:
    """Return an alert about which something was sent."""
    return told(alert, telling, alert, now)


def test_an_opening_is_sent_at_once_and_not_again_before_repeat() -> None:
    """While it lasts, once each time; with 0, once."""
    assert telling_of(opened(), NOW, HOUR) is Telling.OPENED
    alert = sent(opened())
    assert telling_of(alert, NOW + HOUR - MINUTE, HOUR) is Telling.NOTHING
    assert telling_of(alert, NOW + HOUR, HOUR) is Telling.OPENED
    assert telling_of(alert, NOW + 100 * HOUR, timedelta(0)) is Telling.NOTHING


def test_an_end_is_sent_of_what_was_sent() -> None:
    """What was over before anybody heard of it is forgotten at once."""
    unheard = closed(opened(), NOW + MINUTE, "room")
    assert telling_of(unheard, NOW + MINUTE, HOUR) is Telling.NOTHING
    assert is_over(unheard, NOW + MINUTE, HOUR)
    heard = closed(sent(opened()), NOW + MINUTE, "room")
    assert (telling_of(heard, NOW + MINUTE, HOUR), heard.detail) == (Telling.CLOSED, "room")
    assert not is_over(heard, NOW + 2 * HOUR, HOUR)


def test_one_that_comes_back_is_another_that_waits_for_repeat() -> None:
    """Counted from when the opening before was sent; it is remembered for as long."""
    ended = sent(closed(sent(opened()), NOW + MINUTE, ""), NOW + MINUTE, Telling.CLOSED)
    assert telling_of(ended, NOW + MINUTE, HOUR) is Telling.NOTHING
    assert not is_over(ended, NOW + HOUR - MINUTE, HOUR)
    assert is_over(ended, NOW + HOUR, HOUR)
    back = opened(now=NOW + 2 * MINUTE, known=ended)
    assert back.id != ended.id
    assert back.since == NOW + 2 * MINUTE
    assert telling_of(back, NOW + HOUR - MINUTE, HOUR) is Telling.NOTHING
    assert telling_of(back, NOW + HOUR, HOUR) is Telling.OPENED
    assert telling_of(closed(back, NOW + 3 * MINUTE, ""), NOW + HOUR, HOUR) is Telling.NOTHING


def test_one_whose_end_could_not_be_sent_goes_on() -> None:
    """Whoever heard of it has heard of no end."""
    ended = closed(sent(opened()), NOW + MINUTE, "")
    back = opened(now=NOW + 2 * MINUTE, known=ended)
    assert (back.id, back.is_open, back.since) == (ended.id, True, NOW)


def test_what_happens_again_is_counted_and_told_with_the_repetition() -> None:
    """And not repeated if it has not happened again."""
    alert = sent(opened(GONE))
    assert telling_of(alert, NOW + HOUR, HOUR) is Telling.NOTHING
    more = opened(GONE, NOW + MINUTE, alert)
    assert (more.id, more.count, more.last_at) == (alert.id, 4, NOW + MINUTE)
    assert telling_of(more, NOW + MINUTE, HOUR) is Telling.NOTHING
    assert telling_of(more, NOW + HOUR, HOUR) is Telling.OPENED


def test_what_happens_ends_when_it_has_not_happened_again_for_a_while() -> None:
    """For `repeat`, and for an hour if that is 0."""
    alert = opened(GONE)
    assert not is_quiet(alert, NOW + HOUR - MINUTE, HOUR)
    assert is_quiet(alert, NOW + HOUR, HOUR)
    assert is_quiet(alert, NOW + MINUTE, MINUTE)
    assert not is_quiet(alert, NOW + MINUTE, timedelta(0))
    assert is_quiet(alert, NOW + HOUR, timedelta(0))


def test_what_lasts_is_not_counted() -> None:
    """Each look finds it again."""
    alert = opened(known=opened())
    assert (alert.count, alert.last_at) == (1, NOW)


def test_a_clock_that_was_set_back_silences_nothing_for_longer_than_repeat() -> None:
    """A time in the future is no time that was."""
    alert = sent(opened(), NOW + 5 * HOUR)
    assert telling_of(alert, NOW, HOUR) is Telling.OPENED


def test_an_opening_that_began_while_the_one_before_was_sent_is_sent_at_its_time() -> None:
    """The sender took its time."""
    first = opened()
    second = opened(now=NOW + MINUTE, known=closed(first, NOW + MINUTE, ""))
    after = told(second, Telling.OPENED, first, NOW + 2 * MINUTE)
    assert (after.told, after.told_at) == (Telling.NOTHING, NOW + 2 * MINUTE)
    assert telling_of(after, NOW + HOUR, HOUR) is Telling.NOTHING
    assert telling_of(after, NOW + HOUR + 2 * MINUTE, HOUR) is Telling.OPENED


def test_kinds_that_happen_are_kinds() -> None:
    """The others last."""
    assert len(MOMENTARY) == 4
    assert set(AlertKind) > MOMENTARY


@pytest.mark.parametrize(
    ("events", "kind", "tags", "tag"),
    [
        ([], True, ("a", "b"), "a"),
        (["disk.low"], False, ("a",), "a"),
        (["job.discarded"], True, ("a",), "a"),
        (["job.discarded:b"], True, ("a", "b"), "b"),
        (["job.discarded:b"], True, ("a",), None),
        (["job.discarded:b", "job.discarded"], True, ("a",), "a"),
        (["job.discarded:b:c"], True, ("b:c",), "b:c"),
    ],
)
def test_events_choose_kinds_and_tags(
    events: list[str], kind: bool, tags: tuple[str, ...], tag: str | None
) -> None:
    """Whether discarded jobs are told of, and by which of their tags."""
    interests = parse_interests(events)
    assert (interests.has(AlertKind.JOB_DISCARDED), interests.tag_of(tags)) == (kind, tag)


def test_without_a_choice_everything_is_told() -> None:
    """As with an empty list."""
    assert parse_interests([]) == Interests()
    assert all(Interests().has(kind) for kind in AlertKind)

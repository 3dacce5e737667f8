"""What a node tells the others: due jobs that it has not begun, and messages; once, and in time."""

from datetime import datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from booper.clock import VirtualClock
from booper.model.args import Args
from booper.model.job import Attempt, Job, State
from booper.store.postgres.notices import LOOK_EVERY, MAX_KNOWN, PATIENCE, Notices
from booper.store.sharing import Notice
from booper.store.values import Claims, Due
from tests.conftest import START
from tests.support.jobs import executing

MS = timedelta(milliseconds=1)
MAX_PAYLOAD = 8_000
"""Of a notification: it must be shorter (PostgreSQL, NOTIFY)."""


@pytest.fixture
def notices(clock: VirtualClock) -> Notices:
    """Return the notices of a node that has told nothing yet."""
    return Notices(clock)


def waiting(number: int, at: datetime = START, origin: str = "https://target.test") -> Job:
    """Return a job that waits for a time."""
    return replace(
        executing(START), id=number, state=State.SCHEDULED, scheduled_at=at, origin=origin
    )


def begun(*jobs: Job) -> Claims:
    """Return a claim that has begun jobs."""
    return Claims([Attempt(job, Args(url="https://target.test/")) for job in jobs], [])


def told(notices: Notices) -> list[int]:
    """Return of which jobs is told now."""
    notice = notices.take()
    return [] if notice is None else [due.id for due in notice.due]


def test_a_job_that_is_not_begun_is_told_of(notices: Notices, clock: VirtualClock) -> None:
    """When it was due for so long that this node should have begun it, and no more after that."""
    assert notices.note_waiting([waiting(1)])
    assert notices.seconds_left() == PATIENCE.total_seconds()
    clock.advance(PATIENCE - MS)
    assert notices.take() is None
    clock.advance(MS)
    assert notices.take() == Notice((Due.of(waiting(1)),))
    clock.advance(LOOK_EVERY)
    assert notices.take() is None
    assert notices.seconds_left() is None


def test_a_job_that_is_begun_is_nobody_elses(notices: Notices, clock: VirtualClock) -> None:
    """Nor one that is held for the run before it."""
    notices.note_waiting([waiting(1), waiting(2), waiting(3)])
    notices.note_committed([begun(waiting(2)), Claims([], [], held=[waiting(3)])])
    clock.advance(PATIENCE)
    assert told(notices) == [1]


def test_what_others_find_by_themselves_is_not_told(notices: Notices, clock: VirtualClock) -> None:
    """They look each second. A job that is due before that is told of at its time."""
    notices.note_waiting([waiting(1, START + LOOK_EVERY + MS), waiting(2, START + LOOK_EVERY)])
    clock.advance(LOOK_EVERY)
    assert notices.take() is None
    clock.advance(PATIENCE)
    assert told(notices) == [2]
    clock.advance(PATIENCE)
    assert told(notices) == []


def test_a_job_that_was_moved_is_told_of_at_its_new_time(
    notices: Notices, clock: VirtualClock
) -> None:
    """Not at the old one; and not at all where it is far away by now."""
    later = START + LOOK_EVERY / 2
    notices.note_waiting([waiting(1), waiting(2)])
    notices.note_waiting([waiting(1, later), waiting(2, START + 2 * LOOK_EVERY)])
    clock.advance(PATIENCE)
    assert told(notices) == []
    clock.set(later + PATIENCE)
    assert told(notices) == [1]


def test_an_earlier_job_is_waited_for_less(notices: Notices) -> None:
    """Whoever waits is told so."""
    assert notices.note_waiting([waiting(1, START + LOOK_EVERY)])
    assert notices.note_waiting([waiting(2)])
    assert not notices.note_waiting([waiting(3)])
    assert notices.seconds_left() == PATIENCE.total_seconds()


def test_at_most_twenty_notices_a_second(notices: Notices, clock: VirtualClock) -> None:
    """However many jobs and messages there are; together they have all of them."""
    assert timedelta(seconds=1) / PATIENCE == 20
    notices.note_waiting([waiting(number, START + number * MS) for number in range(1000)])
    found, notes = list[int](), 0
    for _ in range(2000):
        notices.note_message()
        if (notice := notices.take()) is not None:
            found += [due.id for due in notice.due]
            notes += 1
        clock.advance(MS)
    assert found == list(range(1000))
    assert notes == 40


def test_a_message_is_told_of_at_once(notices: Notices, clock: VirtualClock) -> None:
    """If nothing was told just before."""
    clock.advance(PATIENCE)
    notices.note_message()
    assert notices.seconds_left() == 0
    assert notices.take() == Notice(are_messages=True)
    notices.note_message()
    assert notices.seconds_left() == PATIENCE.total_seconds()


def test_a_notice_is_shorter_than_postgresql_allows(notices: Notices, clock: VirtualClock) -> None:
    """Whatever the origins: that there are more is told with the first of them."""
    origin = f"https://{'a.' * 120}test:65535"
    jobs = [replace(waiting(2**53 + n, origin=origin), path=-(2**63)) for n in range(500)]
    notices.note_waiting(jobs)
    clock.advance(PATIENCE)
    notice = notices.take()
    assert notice is not None
    assert notice.are_more
    assert list(notice.due) == [Due.of(job) for job in jobs[: len(notice.due)]]
    assert MAX_PAYLOAD / 2 < len(msgspec.json.encode(("x" * 16, notice))) < MAX_PAYLOAD


def test_how_many_jobs_are_known_is_bounded(notices: Notices, clock: VirtualClock) -> None:
    """Of the others is told that there are more."""
    notices.note_waiting([waiting(number) for number in range(MAX_KNOWN + 1)])
    notices.note_committed([begun(*(waiting(number) for number in range(MAX_KNOWN)))])
    clock.advance(PATIENCE)
    assert notices.take() == Notice(are_more=True)
    clock.advance(PATIENCE)
    assert notices.take() is None


def test_a_node_that_stops_tells_all(notices: Notices) -> None:
    """Also what others would be told of a bit later."""
    notices.note_waiting([waiting(1), waiting(2, START + LOOK_EVERY)])
    notices.note_message()
    jobs = (waiting(1), waiting(2, START + LOOK_EVERY))
    assert notices.take_all() == Notice(tuple(map(Due.of, jobs)), are_messages=True)
    assert notices.take_all() is None


def test_a_clock_that_is_set_back_keeps_nobody_silent(
    notices: Notices, clock: VirtualClock
) -> None:
    """What is told then is told by the new time, and is looked for each second until then."""
    notices.note_message()
    clock.advance(PATIENCE)
    assert notices.take() is not None
    clock.advance(-timedelta(hours=1))
    notices.note_waiting([waiting(1, START - timedelta(hours=1))])
    seconds = notices.seconds_left()
    assert seconds is not None
    assert 0 < seconds <= (LOOK_EVERY + PATIENCE).total_seconds()
    clock.advance(PATIENCE * 2)
    assert told(notices) == [1]


def test_a_notice_is_read_as_it_was_told(notices: Notices, clock: VirtualClock) -> None:
    """Times, ids, origins and paths of jobs: they are armed without a look at the table."""
    at = START + 123_456 * timedelta(microseconds=1)
    job = replace(waiting(2**40, at), path=-(2**62))
    notices.note_waiting([job])
    clock.advance(LOOK_EVERY)
    notice = notices.take()
    text = msgspec.json.encode(("name", notice))
    assert msgspec.json.decode(text, type=tuple[str, Notice]) == ("name", notice)
    assert notice == Notice((Due.of(job),))

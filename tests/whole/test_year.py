"""The simulated year: its reader finds whatever is wrong; without the pruner it does not hold."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from booper.config import Retention
from tests.torture.guarantees import year
from tests.torture.line import Size
from tests.torture.year.planned import planned_times
from tests.torture.year.reader import Skipped, read
from tests.torture.year.script import SCHEDULES, Course, OneOff, fate
from tests.torture.year.sink import GONE, Received

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

# What is shown -> line, zone, night, and when it runs there (UTC), as the zone's own rule has it.
NIGHTS = {
    # 2030-03-31: 02:00 becomes 03:00, UTC+1 becomes UTC+2 at 01:00 UTC.
    "a time in the gap runs at its end": ("30 2 * * *", "Europe/Berlin", "03-31", "01:00"),
    "two times in it run once": ("15,45 2 * * *", "Europe/Berlin", "03-31", "01:00"),
    "what follows runs, too": ("30 2,3 * * *", "Europe/Berlin", "03-31", "01:00 01:30"),
    "with a star it does not exist": ("*/30 2 * * *", "Europe/Berlin", "03-31", ""),
    # 2030-10-27: 03:00 becomes 02:00, UTC+2 becomes UTC+1 at 01:00 UTC.
    "a repeated time runs once": ("30 2 * * *", "Europe/Berlin", "10-27", "00:30"),
    "with a star each time": ("*/30 2 * * *", "Europe/Berlin", "10-27", "00:00 00:30 01:00 01:30"),
    # 2030-10-06: 02:00 becomes 02:30, UTC+10:30 becomes UTC+11 at 15:30 UTC of the day before.
    "a gap of half an hour": ("15 2 * * *", "Australia/Lord_Howe", "10-05", "15:30"),
    # 2030-03-31: 01:00 becomes 03:00, UTC+0 becomes UTC+2 at 01:00 UTC; 23:30 is the next day's.
    "a gap of two hours": ("30 1,2 * * *", "Antarctica/Troll", "03-31", "01:00 23:30"),
    "a zone without such nights": ("0 12 * * *", "Asia/Kathmandu", "06-01", "06:15"),
}

HOURLY = 1
"""The number of a schedule that is due each hour."""

COURSE = Course(
    start=datetime(2030, 3, 30, tzinfo=UTC),
    days=1,
    per_day=lambda day: 250,
    answer_bytes=lambda day: 0,
    cap=1,
    retention=Retention(),
    paused=[],
    disabled=[],
    dead=(timedelta(0), timedelta(0)),
)
FIRST = COURSE.start + HOUR
"""When the schedule of each hour is due first."""


@pytest.mark.parametrize("what", NIGHTS)
def test_planned_times_are_those_of_the_zone(what: str) -> None:
    """The reader knows the rule for both nights (contract §6) by itself."""
    line, zone, night, times = NIGHTS[what]
    begin = datetime.fromisoformat(f"2030-{night}T00:00:00+00:00")
    found = planned_times(line, zone, begin - MINUTE, begin + 24 * HOUR - MINUTE)
    assert " ".join(f"{at:%H:%M}" for at in found) == times


def test_a_day_without_a_fault_has_none() -> None:
    """So it is the change that the next test sees."""
    assert read(COURSE, _day(), {}).faults == []


def _is_first_hour(received: Received) -> bool:
    return (received.kind, received.number, received.planned) == ("schedule", HOURLY, FIRST)


def _is_job(received: Received, number: int) -> bool:
    return (received.kind, received.number) == ("one", number)


CHANGES: dict[str, tuple[Callable[[list[Received]], list[Received]], str]] = {
    "a run is missing": (
        lambda day: [it for it in day if not _is_first_hour(it)],
        "was sent or skipped 0 times",
    ),
    "a run came twice": (
        lambda day: day + [it for it in day if _is_first_hour(it)],
        "was sent or skipped 2 times",
    ),
    "a run came at another time": (
        lambda day: [
            it._replace(planned=FIRST + MINUTE) if _is_first_hour(it) else it for it in day
        ],
        "was sent and not planned",
    ),
    "a job is missing": (
        lambda day: [it for it in day if not _is_job(it, 1)],
        "was never sent",
    ),
    "a job came early": (
        lambda day: [it._replace(at=it.at - 3 * HOUR) if _is_job(it, 1) else it for it in day],
        "was sent early",
    ),
    "a job came again": (
        lambda day: day + [it._replace(attempt=2) for it in day if _is_job(it, 1)],
        "has not ended as it had to",
    ),
    "an attempt is missing": (
        lambda day: [it for it in day if not (_is_job(it, 3) and it.attempt == 1)],
        "attempt 2 came as number 1",
    ),
    "a retry is missing": (
        lambda day: [it for it in day if not (_is_job(it, 3) and it.attempt == 2)],
        "has not ended as it had to",
    ),
    "a cancelled job came": (
        lambda day: day + [it._replace(number=21) for it in day if _is_job(it, 1)],
        "was cancelled and sent",
    ),
    "a job came that nobody created": (
        lambda day: day + [it._replace(number=999) for it in day if _is_job(it, 1)],
        "was sent and not created",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_record_has_a_fault(what: str) -> None:
    """Whatever was not sent, or should not have been, is found."""
    change, fault = CHANGES[what]
    faults = read(COURSE, change(list(_day())), {}).faults
    assert any(fault in text for text in faults), faults


def test_what_was_skipped_needs_a_reason_of_the_script() -> None:
    """A run that was left out though nothing was paused is told of, whatever the log says."""
    day = [it for it in _day() if not _is_first_hour(it)]
    skipped = {HOURLY: [Skipped("misfire", FIRST, FIRST, 1)]}
    (fault,) = read(COURSE, day, skipped).faults
    assert "has no reason in the script" in fault


def test_what_was_skipped_has_its_count() -> None:
    """An entry that counts other times than the schedule has between its ends is told of."""
    day = [it for it in _day() if not _is_first_hour(it)]
    skipped = {HOURLY: [Skipped("misfire", FIRST, FIRST, 2)]}
    assert any("has 1 planned times" in fault for fault in read(COURSE, day, skipped).faults)


def _day() -> Iterator[Received]:
    """Yield what the targets receive on a day on which all goes well."""
    for number, schedule in enumerate(SCHEDULES):
        for at in planned_times(schedule.cron, schedule.zone, COURSE.start, COURSE.end):
            yield Received("schedule", number, 1, at, at, 200)
    for jobs in COURSE.one_offs():
        for job in jobs:
            if not job.is_cancelled:
                yield from _attempts(job)


def _attempts(job: OneOff) -> Iterator[Received]:
    for attempt in range(1, job.max_attempts + 1):
        failure = fate(job.number, attempt)
        status = 200 if failure is None else GONE
        if isinstance(failure, httpx.Response):
            status = failure.status_code
        yield Received("one", job.number, attempt, job.due, job.due + attempt * HOUR, status)
        if status in (200, 410):
            return


def test_without_the_pruner_the_file_outgrows_its_size() -> None:
    """So it is the pruner that keeps it: the same days, with nothing deleted, do not hold."""
    lived = year.measure(Size.SHORT, is_pruned=False)
    assert not lived.holds
    assert "the file has" in lived.figure, lived.figure

"""The reader of a year's record: each planned time was sent, or skipped for a reason of the script.

It knows the script, the record and the entries of what was skipped; of booper's code it uses none.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.torture.year.planned import planned_times
from tests.torture.year.script import DEAD, HELD, SCHEDULES, Course, OneOff, Scheduled
from tests.torture.year.sink import Received

RECOVERED = timedelta(hours=1)
"""How long after its end a dead origin may still have runs that wait for it."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """What an entry of the log says that was not run: from a time to a time, and how many."""

    reason: str
    first: datetime
    last: datetime
    count: int


@dataclass(slots=True)
class _Sent:
    """What the record has of a one-off."""

    attempts: int = 0
    successes: int = 0
    first_at: datetime | None = None
    statuses: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the reader has found: faults, and how many times were planned, sent and skipped."""

    faults: list[str]
    planned: int
    sent: int
    skipped: int
    one_offs: int


def read(
    course: Course, record: Iterable[Received], skipped: Mapping[int, Collection[Skipped]]
) -> Verdict:
    """Compare a record with the script; `skipped` are the entries of each schedule."""
    runs: defaultdict[int, Counter[datetime]] = defaultdict(Counter)
    jobs: defaultdict[int, _Sent] = defaultdict(_Sent)
    faults = []
    for received in record:
        if received.kind == "schedule":
            if received.attempt == 1:
                runs[received.number][received.planned] += 1
        elif (fault := _note(jobs[received.number], received)) is not None:
            faults.append(fault)
    planned = sent = left_out = 0
    for number, schedule in enumerate(SCHEDULES):
        expected = planned_times(schedule.cron, schedule.zone, course.start, course.end)
        entries = skipped.get(number, ())
        faults += _runs_faults(schedule, expected, runs[number], entries)
        faults += _reason_faults(course, schedule, entries)
        planned, sent = planned + len(expected), sent + runs[number].total()
        left_out += sum(entry.count for entry in entries)
    one_offs = [job for day in course.one_offs() for job in day]
    faults += _one_off_faults(one_offs, jobs)
    return Verdict(faults, planned, sent, left_out, len(one_offs))


def _note(sent: _Sent, received: Received) -> str | None:
    """Note a request for a one-off; return what is wrong with it."""
    sent.attempts += 1
    sent.successes += received.status == 200
    sent.first_at = sent.first_at or received.at
    sent.statuses.append(received.status)
    if received.attempt != sent.attempts:
        return f"job {received.number}: attempt {received.attempt} came as number {sent.attempts}"
    return None


def _runs_faults(
    schedule: Scheduled,
    expected: list[datetime],
    sent: Counter[datetime],
    skipped: Collection[Skipped],
) -> Iterator[str]:
    """Yield what is wrong where a planned time is not either sent once or skipped once."""
    told = Counter(sent)
    for entry in skipped:
        within = [at for at in expected if entry.first <= at <= entry.last]
        told.update(within)
        if (len(within), within[:1], within[-1:]) != (entry.count, [entry.first], [entry.last]):
            yield f"{schedule}: {entry} has {len(within)} planned times"
    known = set(expected)
    for at in sorted(known | set(told)):
        if at not in known:
            yield f"{schedule}: {at} was sent and not planned"
        elif told[at] != 1:
            yield f"{schedule}: {at} was sent or skipped {told[at]} times"


def _reason_faults(
    course: Course, schedule: Scheduled, skipped: Collection[Skipped]
) -> Iterator[str]:
    """Yield what was skipped for another reason than the script gives, or without one."""
    begin, end = course.dead
    reasons = {
        "misfire": course.paused if schedule.host == HELD else (),
        "overlap": [(begin, end + RECOVERED)] if schedule.host == DEAD else (),
        "disabled": course.disabled if schedule.is_switched else (),
    }
    for entry in skipped:
        windows = reasons.get(entry.reason, ())
        if not (course.is_in(windows, entry.first) and course.is_in(windows, entry.last)):
            yield f"{schedule}: {entry} has no reason in the script"


def _one_off_faults(jobs: Collection[OneOff], sent: Mapping[int, _Sent]) -> Iterator[str]:
    for number in sent.keys() - {job.number for job in jobs}:
        yield f"job {number} was sent and not created"
    for job in jobs:
        found = sent.get(job.number)
        if job.is_cancelled:
            if found is not None:
                yield f"{job} was cancelled and sent"
        elif found is None or found.first_at is None:
            yield f"{job} was never sent"
        elif found.first_at < job.due:
            yield f"{job} was sent early, at {found.first_at}"
        elif not _has_ended(job, found):
            yield f"{job} has not ended as it had to: {found.statuses}"


def _has_ended(job: OneOff, sent: _Sent) -> bool:
    """Return whether a job was sent until it succeeded, was refused for good or had no more try."""
    *before, last = sent.statuses
    if 200 in before or 410 in before:
        return False
    return last in (200, 410) or sent.attempts == job.max_attempts

"""A year of 40 schedules and 500,000 jobs: the file keeps its size, and no planned time is lost.

The year is that of a virtual clock. Its days bring more than may be kept, targets fail, one is
paused, one is dead, schedules are disabled for months.
"""

import asyncio
import logging
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from booper.config import Retention
from tests.support.processes import monotonic
from tests.torture.line import Line, Size, line
from tests.torture.year.living import Lived, Look, Year
from tests.torture.year.reader import Verdict, read
from tests.torture.year.script import DAY, HOUR, Course
from tests.torture.year.sink import read_record

MAX_SECONDS = 1_800
MAX_LOG = 64_000_000
MB = 1_000_000

FIRST_DAYS = 2
BUSY_DAYS = range(200, 212)


def _per_day(day: int) -> int:
    """Return how many one-offs a day of the year brings: 500,000 and a few in all.

    The first two days bring a month's, so that memory has then what it has to the end. Those of a
    dozen days, whose responses are large, are more than the size that is kept.
    """
    if day < FIRST_DAYS:
        return 20_000
    return 5_000 if day in BUSY_DAYS else 1_140


YEAR = Course(
    start=datetime(2030, 1, 1, tzinfo=UTC),
    days=365,
    per_day=_per_day,
    answer_bytes=lambda day: 4_000 if day in BUSY_DAYS else 200,
    cap=100 * MB,
    retention=Retention(completed=(30, "days"), discarded=(90, "days")),
    paused=[(day * DAY + 5 * HOUR, day * DAY + 17 * HOUR) for day in range(20, 360, 40)],
    disabled=[(50 * DAY, 110 * DAY), (200 * DAY, 290 * DAY)],
    dead=(100 * DAY + HOUR, 101 * DAY + 13 * HOUR),
)

# Three days around the night on which Europe's clocks go forward.
DAYS = Course(
    start=datetime(2030, 3, 29, tzinfo=UTC),
    days=3,
    per_day=lambda day: 3_000,
    answer_bytes=lambda day: 5_000,
    cap=20 * MB,
    retention=Retention(completed=(1, "day"), discarded=(3, "days")),
    paused=[(30 * HOUR, 36 * HOUR)],
    disabled=[(20 * HOUR, 70 * HOUR)],
    dead=(40 * HOUR, 46 * HOUR),
)


COURSES = {Size.LONG: YEAR, Size.SHORT: DAYS}


def measure(size: Size, *, is_pruned: bool = True) -> Line:
    """Live through a year (in short a few days), in a process whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_lived, size, is_pruned).result()


def _lived(size: Size, is_pruned: bool) -> Line:
    logging.disable()  # what booper says of targets that fail on purpose
    course, began = COURSES[size], monotonic()
    with TemporaryDirectory() as name:
        year = Year(course, Path(name), is_pruned=is_pruned)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            lived = runner.run(year.live())
        verdict = read(course, read_record(year.record), lived.skipped)
    took = monotonic() - began
    faults = [*_size_faults(course, lived.looks), *verdict.faults]
    if took > MAX_SECONDS:
        faults.append(f"more than {MAX_SECONDS} s")
    return line("year", _figure(course, lived, verdict, took), faults)


def _size_faults(course: Course, looks: list[Look]) -> list[str]:
    """Return on which days anything was larger than it may be."""
    most = {
        "file": course.cap * 11 // 10,
        "log": MAX_LOG,
        "memory": looks[1].memory * 11 // 10,
    }
    return [
        f"day {look.day}: the {what} has {getattr(look, what) / MB:.1f} MB of {most[what] / MB:.1f}"
        for look in looks
        for what in most
        if getattr(look, what) > most[what]
    ]


def _figure(course: Course, lived: Lived, verdict: Verdict, took: float) -> str:
    file, log, memory = (max(getattr(look, it) for look in lived.looks) / MB for it in Look.SIZES)
    return (
        f"{len(lived.looks)} days in {took:.0f} s: {verdict.one_offs:,} jobs, "
        f"{verdict.planned:,} planned times, of which {verdict.sent:,} were sent and "
        f"{verdict.skipped:,} skipped, {lived.requests:,} requests; at most: file {file:.1f} MB of "
        f"{course.cap / MB:.0f}, log {log:.1f} MB, memory {memory:.1f} MB, on day 2 "
        f"{lived.looks[1].memory / MB:.1f} MB"
    )

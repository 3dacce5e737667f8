"""What happens in a simulated year: what is created, what its targets respond, what is stopped.

All of it follows from numbers, so that whoever reads the record knows what had to come.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from booper.config import Retention

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

STEADY, HELD, DEAD = "steady.test", "held.test", "dead.test"
"""Hosts of schedules: one that is always there, one that is paused, one that is dead for a time."""

Window = tuple[timedelta, timedelta]
"""From when to when, counted from the start of the year."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule; an `is_switched` one is disabled for a time."""

    cron: str
    zone: str
    host: str = STEADY
    misfire: str = "latest"
    is_switched: bool = False


SCHEDULES = (
    # What real time counts for.
    Scheduled("*/15 * * * *", "Asia/Kathmandu"),
    Scheduled("0 * * * *", "Europe/Berlin"),
    Scheduled("20 * * * *", "Australia/Lord_Howe"),
    Scheduled("5 */2 * * *", "America/New_York"),
    Scheduled("*/30 1-3 * * *", "Europe/Berlin"),
    Scheduled("*/20 2 * * *", "Antarctica/Troll"),
    Scheduled("45 */6 * * 1-5", "America/St_Johns"),
    # Times that both nights touch, each in the zone of another rule.
    Scheduled("30 2 * * *", "Europe/Berlin"),
    Scheduled("0 2 * * *", "Europe/Berlin"),
    Scheduled("59 2 * * *", "Europe/Berlin"),
    Scheduled("0,30 2,3 * * *", "Europe/Berlin"),
    Scheduled("30 1 * * *", "Europe/London"),
    Scheduled("30 1 * * *", "America/New_York"),
    Scheduled("30 2 * * *", "America/New_York"),
    Scheduled("15,45 1-3 * * *", "America/Chicago"),
    Scheduled("15 2 * * *", "Australia/Lord_Howe"),
    Scheduled("45 1 * * *", "Australia/Lord_Howe"),
    Scheduled("30 2 * * *", "Australia/Sydney"),
    Scheduled("0 3 * * *", "Pacific/Auckland"),
    Scheduled("50 2 * * *", "Pacific/Chatham"),
    Scheduled("30 0 * * *", "America/Santiago"),
    Scheduled("30 0 * * *", "Asia/Beirut"),
    Scheduled("10 0 * * *", "America/Havana"),
    Scheduled("30 0 * * 5", "Africa/Cairo"),
    Scheduled("30 2 * * *", "Africa/Casablanca"),
    Scheduled("30 1,2 * * *", "Antarctica/Troll"),
    Scheduled("30 22 * * 6", "Pacific/Easter"),
    Scheduled("30 23 * * *", "America/Nuuk"),
    # Zones without such nights, and what is rare.
    Scheduled("15 4 * * *", "Asia/Kolkata"),
    Scheduled("0 9 * * 1-5", "Asia/Tokyo"),
    Scheduled("0 0 1 * *", "Europe/Paris"),
    Scheduled("30 2 31 3 *", "Europe/Berlin"),
    Scheduled("0 12 * 1,7 *", "America/Sao_Paulo"),
    # What is paused, dead or disabled for a time.
    Scheduled("*/30 * * * *", "UTC", HELD, "latest"),
    Scheduled("10 * * * *", "Europe/Madrid", HELD, "skip"),
    Scheduled("40 * * * *", "Asia/Tehran", HELD, "all"),
    Scheduled("*/30 * * * *", "UTC", DEAD),
    Scheduled("25 * * * *", "America/Denver", DEAD),
    Scheduled("0 6 * * *", "Europe/Rome", is_switched=True),
    Scheduled("35 * * * *", "Asia/Karachi", is_switched=True),
)


@dataclass(frozen=True, slots=True)
class OneOff:
    """A job that is created at the start of a day, for an hour of it."""

    number: int
    due: datetime

    @property
    def is_cancelled(self) -> bool:
        """Return whether it is cancelled as soon as it is created."""
        return self.number % 250 == 21

    @property
    def host(self) -> str:
        """Return where it goes."""
        return DEAD if self.number % 300 == 17 else f"h{self.number % 8}.test"

    @property
    def max_attempts(self) -> int:
        """Return how often it is attempted at most."""
        return 3 if self.number % 400 == 9 else 15


@dataclass(frozen=True, slots=True)
class Course:
    """How long the year is, what it brings each day, and what may be kept of it.

    After `days` with new jobs come `REST` without, for the last retries.
    """

    start: datetime
    days: int
    per_day: Callable[[int], int]
    answer_bytes: Callable[[int], int]
    cap: int
    retention: Retention
    paused: Sequence[Window]
    disabled: Sequence[Window]
    dead: Window

    @property
    def end(self) -> datetime:
        """Return the moment up to which everything planned is sent or skipped."""
        return self.start + self.days * DAY + REST

    def one_offs(self) -> Iterator[Sequence[OneOff]]:
        """Yield the jobs of each day, due at its hours."""
        number = 0
        for day in range(self.days):
            begins = self.start + day * DAY
            count = self.per_day(day)
            yield [
                OneOff(it, begins + HOUR * (1 + it % 23)) for it in range(number, number + count)
            ]
            number += count

    def is_in(self, windows: Sequence[Window], at: datetime) -> bool:
        """Return whether a moment is in one of these windows."""
        return any(begin < at - self.start <= end for begin, end in windows)


REST = 2 * DAY

FAILS_FIRST: Mapping[int, Callable[[], httpx.Response | Exception]] = {
    3: lambda: httpx.Response(500),
    5: lambda: httpx.Response(429, headers={"Retry-After": "1800"}),
    7: lambda: httpx.ReadTimeout("no response"),
    11: lambda: httpx.ConnectError("refused"),
    13: lambda: httpx.Response(503, headers={"Retry-After": "7200"}),
}
"""What the first attempt of a job meets, by the rest of its number."""

ONE_IN = 120


def fate(number: int, attempt: int) -> httpx.Response | Exception | None:
    """Return how an attempt of a one-off fails, None if it succeeds."""
    if number % 400 == 9:
        return httpx.Response(500)
    if number % 1_000 == 31:
        return httpx.Response(410)
    fails = FAILS_FIRST.get(number % ONE_IN)
    return fails() if fails is not None and attempt == 1 else None

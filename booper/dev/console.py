"""The console of `booper dev`: what becomes of each job, as it happens.

A job of the user's has a line when it is created and one for each attempt. The requests that
report a job (callbacks, webhook events) stand indented behind it. On a terminal, lines fit its
width at the moment they are printed; elsewhere each is one whole line with its full time.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime
from typing import Final, Protocol
from uuid import UUID

import click
import msgspec

from booper.clock import Clock, monotonic
from booper.dev.bench import Watcher
from booper.dev.entries import Entry, created, reported, settled, waiting
from booper.dev.layout import columns, shorten, wrap
from booper.model.duration import duration_in_words
from booper.model.job import OWN_KINDS, Attempt, Job, Outcome, Request
from booper.travel import Journey, ran

# More than anybody reads; a year's travel has 70,000.
MAX_LINES_PER_SECOND: Final = 200
MAX_REMEMBERED: Final = 100_000

SLOW_SECONDS: Final = 1.0
"""How long a request may take before the console shows that it is under way."""

# Details stand in the line of their request only where its URL keeps this much room.
_READABLE = 24
_INDENT = 9


class Screen(msgspec.Struct, frozen=True):
    """Where lines go: `width` returns the columns of a terminal, None where there is none.

    `is_plain` says that only ASCII can be shown.
    """

    write: Callable[[str], None]
    width: Callable[[], int | None] = lambda: None
    is_colored: bool = False
    is_plain: bool = False


class Handle(Protocol):
    """A call that will be made later, unless it is cancelled."""

    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Handle]
"""Call a function after so many seconds of real time."""


class Console(Watcher):
    """A watcher that prints what it is told. Times in front are those of the bench's clock."""

    def __init__(self, clock: Clock, screen: Screen, later: Later | None = None) -> None:
        self._clock = clock
        self._screen = screen
        self._later = later
        self._shows_reports = True
        self._second = 0
        self._lines = self._left_out = 0
        self._forget()

    def armed(self, job: Job) -> None:
        """Show that a job was created; one that waits once more is known."""
        # Of a schedule's runs the first one shows that it was created.
        subject = job.schedule_id or job.uuid
        if job.attempt or subject in self._known or job.kind not in OWN_KINDS:
            return
        self._known[subject] = None
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        self._created += 1
        self._show(created(job, self._clock.now()))

    def sent(self, attempt: Attempt, request: Request) -> None:
        """Show that a request is under way, unless its response comes soon."""
        if self._later is None:
            return
        entry = waiting(attempt, request, SLOW_SECONDS)
        self._under_way[attempt.job.id] = self._later(SLOW_SECONDS, lambda: self._show(entry))

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Show what came of it; a report that arrived only where reports are shown."""
        if (handle := self._under_way.pop(job.id, None)) is not None:
            handle.cancel()
        told = ran(attempt, request, outcome, job)
        if job.kind in OWN_KINDS:
            self._attempts += 1
            self._show(settled(told, attempt, outcome, job))
            return
        entry = reported(told, outcome, job)
        if self._shows_reports or not entry.is_dim:
            self._show(entry)

    def went(self, journey: Journey) -> None:
        """Show where the clock went, and what happened on the way."""
        moved = journey.ended_at - journey.began_at
        states = ", ".join(f"{count:,} {state}" for state, count in journey.states.items())
        count = f"{journey.count:,} attempt{'' if journey.count == 1 else 's'}"
        attempts = f"{count}: {states}" if states else "nothing was due"
        went = f"{duration_in_words(moved)} on" if moved else "the clock did not move"
        self.say(f"it is {_whole(journey.ended_at)}", went, attempts)

    def told_time(self, *, is_frozen: bool) -> None:
        """Show the time, and whether it goes on."""
        state = "the clock stands still" if is_frozen else "the clock runs"
        self.say(f"it is {_whole(self._clock.now())}", state)

    def reset(self, caught: int) -> None:
        """Show what a reset has forgotten: `caught` are the requests that the sink had."""
        counts = f"{self._created:,} created, {self._attempts:,} attempts, {caught:,} in the sink"
        for handle in self._under_way.values():
            handle.cancel()
        self._forget()
        self.say(
            "reset: all jobs, schedules, logs and keys are gone",
            counts,
            f"it is {_whole(self._clock.now())}",
        )

    def toggle_reports(self) -> None:
        """Show callbacks and webhook events that arrive from now on, or do not."""
        self._shows_reports = not self._shows_reports
        state = "shown" if self._shows_reports else "hidden unless they fail"
        self.say(f"callbacks and webhook events are {state}")

    def say(self, *parts: str) -> None:
        """Print lines of the console's own."""
        self._tell_left_out()
        self._say(list(parts))

    def _say(self, parts: list[str]) -> None:
        width = self._screen.width()
        for line in wrap(parts, width) if width else ["; ".join(parts)]:
            self._write(self._styled(line, fg="cyan"))

    def _forget(self) -> None:
        self._known: OrderedDict[UUID, None] = OrderedDict()
        self._under_way: dict[int, Handle] = {}
        self._created = self._attempts = 0
        self._day: date | None = None

    def _show(self, entry: Entry) -> None:
        second = int(monotonic())
        if second != self._second:
            self._tell_left_out()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > MAX_LINES_PER_SECOND:
            self._left_out += 1
            return
        now, width = self._clock.now(), self._screen.width()
        if width is None:
            self._write(_plain(entry, now))
            return
        if now.date() != self._day:
            self._day = now.date()
            self._write(self._styled(f"{now:%a %Y-%m-%d}", fg="cyan"))
        for line in self._fitted(entry, now, width):
            self._write(line)

    def _fitted(self, entry: Entry, now: datetime, width: int) -> list[str]:
        """Return an entry's lines: in one if there is room, else its details below it."""
        status = f"{entry.status:9} " if width >= 60 else f"{entry.status} "
        arrow = "  -> " if entry.is_report else ""
        front = f"{now:%H:%M:%S} {arrow}"
        head = f"#{entry.job_id} {entry.method} "
        room = width - columns(front + status + head)
        details = " · ".join(entry.details)
        beside = room - columns(details) - 2
        is_one = beside >= min(columns(entry.url), _READABLE) if details else True
        url = _fitting(entry.url, max(beside if is_one and details else room, 1))
        shown = self._styled(status, fg=entry.color, dim=entry.is_dim)
        line = self._dimmed(front, entry) + shown + self._dimmed(head + url, entry)
        if is_one:
            return [line + self._dimmed(f"  {details}", entry) if details else line]
        indent = " " * min(_INDENT, width // 8)
        below = wrap(list(entry.details), width - len(indent))
        return [line, *(self._dimmed(indent + each, entry) for each in below)]

    def _tell_left_out(self) -> None:
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self._say([f"… {count:,} lines left out"])

    def _dimmed(self, text: str, entry: Entry) -> str:
        return self._styled(text, dim=True) if entry.is_dim else text

    def _styled(self, text: str, *, fg: str | None = None, dim: bool = False) -> str:
        if not self._screen.is_colored or not (fg or dim):
            return text
        return click.style(text, fg=fg, dim=dim or None)

    def _write(self, line: str) -> None:
        plain = line.replace("…", "...").replace(" · ", "; ")
        self._screen.write(plain if self._screen.is_plain else line)


def _fitting(url: str, width: int) -> str:
    """Return a URL that takes at most `width` columns, its scheme left out first."""
    return url if columns(url) <= width else shorten(url.partition("://")[2] or url, width)


def _plain(entry: Entry, now: datetime) -> str:
    """Return an entry as one line for a file."""
    arrow = "-> " if entry.is_report else ""
    head = f"#{entry.job_id} {entry.method} {entry.url}"
    details = "".join(f"; {detail}" for detail in entry.details)
    return f"{now:%Y-%m-%dT%H:%M:%SZ} {arrow}{entry.status} {head}{details}"


def _whole(at: datetime) -> str:
    return f"{at:%a %Y-%m-%d %H:%M:%S} UTC"

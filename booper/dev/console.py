"""The console of `booper dev`: a line for each job as it is created, sent and answered."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import click

from booper.clock import Clock, monotonic
from booper.model.args import decode_args
from booper.model.job import Attempt, Job, Outcome, Request, State
from booper.travel import Journey, Ran, ran

# More than anybody reads; a year's travel has 70,000.
MOST_LINES_PER_SECOND = 200
MOST_REMEMBERED = 100_000

_COLORS = {
    State.COMPLETED: "green",
    State.RETRYABLE: "yellow",
    State.DISCARDED: "red",
    State.CANCELLED: "red",
}


class Console:
    """An observer that prints what it is told. Times in front are those of the bench's clock."""

    def __init__(self, clock: Clock, write: Callable[[str], None], *, is_colored: bool) -> None:
        self._clock = clock
        self._write = write
        self._is_colored = is_colored
        self._known: OrderedDict[UUID, None] = OrderedDict()
        self._second = 0
        self._lines = self._left_out = 0

    def armed(self, job: Job) -> None:
        """Say that a job was created; one that waits once more is known."""
        if job.attempt or job.uuid in self._known:
            return
        self._known[job.uuid] = None
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        args = decode_args(job.args)
        what = f"{(args.method or 'get').upper()} {args.url}"
        self._say("created", None, f"#{job.id}  {what}  for {_moment(job.scheduled_at)}")

    def sent(self, attempt: Attempt, request: Request) -> None:
        """Say that a request leaves."""
        self._say("sent", None, f"#{attempt.job.id}  {request.method} {request.url}")

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Say what came of it."""
        told = ran(attempt, request, outcome, job)
        next_at = f", again at {_moment(job.scheduled_at)}" if told.state is State.RETRYABLE else ""
        self._say(
            str(told.status or told.error), _COLORS.get(told.state), _answered(told) + next_at
        )

    def went(self, journey: Journey) -> None:
        """Say where the clock went, and what happened on the way."""
        self._tell_left_out()
        states = ", ".join(f"{count:,} {state}" for state, count in journey.states.items())
        attempts = f"{_counted(journey.count)}: {states}" if states else "nothing was due"
        self.say(f"it is {_moment(journey.ended_at)}; {attempts}")

    def say(self, text: str) -> None:
        """Print a line of the console's own."""
        self._write(self._styled(text, "cyan"))

    def _say(self, what: str, color: str | None, rest: str) -> None:
        second = int(monotonic())
        if second != self._second:
            self._tell_left_out()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > MOST_LINES_PER_SECOND:
            self._left_out += 1
            return
        self._write(f"{_moment(self._clock.now())}  {self._styled(f'{what:8}', color)} {rest}")

    def _tell_left_out(self) -> None:
        if self._left_out:
            self.say(f"… {self._left_out:,} lines left out")
            self._left_out = 0

    def _styled(self, text: str, color: str | None) -> str:
        return click.style(text, fg=color) if self._is_colored and color else text


def _answered(told: Ran) -> str:
    took, late = _milliseconds(told.duration), _milliseconds(told.late)
    where = f"#{told.job_id}  {told.method} {told.url}"
    return f"{where}  attempt {told.attempt}, in {took}, {late} late, {told.state}"


def _counted(attempts: int) -> str:
    return f"{attempts:,} attempt{'' if attempts == 1 else 's'}"


def _milliseconds(duration: timedelta) -> str:
    return f"{duration / timedelta(milliseconds=1):,.0f} ms"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"

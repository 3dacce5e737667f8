"""What came of the attempts of this process, in numbers that only grow.

Lateness and durations are those of requests and runs; booper's own reports are counted apart.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from booper.engine.observer import Observer
from booper.model.bucket import LIMITS
from booper.model.job import (
    OWN_KINDS,
    Attempt,
    Failed,
    Job,
    Outcome,
    Refused,
    Request,
    Responded,
    State,
)
from booper.model.tally import Tally

OUTCOMES: Final[Mapping[State, str]] = {
    State.COMPLETED: "completed",
    State.DISCARDED: "discarded",
    State.CANCELLED: "cancelled",
}
"""What an attempt led to, by the state of its job after it; any other is `RETRIED`."""

RETRIED: Final = "retried"

MAX_ORIGINS: Final = 1_000
"""Origins whose failed attempts are counted; above that the one that failed first is forgotten."""

_FAILED: Final = frozenset({RETRIED, "discarded"})

_LIMITS: Final = tuple(limit.total_seconds() for limit in LIMITS)
_NONE: Final = timedelta(0)
_CLASSES: Final = tuple(f"{first}xx" for first in range(10))


class AttemptCounts(Observer):
    """The numbers, and when a run of each of `schedules` (names or ids) completed last.

    `attempts` are counted by the kind of job, what they led to, and what came back; `errors` are
    the failed ones of each origin by what came back.
    """

    def __init__(self, schedules: Collection[str] = ()) -> None:
        self.lateness = Tally(_LIMITS)
        self.durations = {outcome: Tally(_LIMITS) for outcome in (*OUTCOMES.values(), RETRIED)}
        self.attempts = Counter[tuple[str, str, str]]()
        self.errors: dict[str, Counter[str]] = {}
        self.completed_at: dict[str, datetime] = {}
        self.schedules: Final = frozenset(schedules)

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Count an attempt whose result is written."""
        claimed = attempt.job
        is_completed = job.state is State.COMPLETED  # nearly always; a look-up costs more
        led_to = "completed" if is_completed else OUTCOMES.get(job.state, RETRIED)
        result = _result_of(outcome)
        self.attempts[claimed.kind, led_to, result] += 1
        if led_to in _FAILED:
            self._note_error(claimed.origin, result)
        if claimed.kind not in OWN_KINDS:
            return
        if claimed.attempted_at is not None and not attempt.was_held:
            lateness = claimed.attempted_at - claimed.scheduled_at
            self.lateness.add(lateness.total_seconds() if lateness > _NONE else 0.0)
        if not isinstance(outcome, Refused):
            self.durations[led_to].add(outcome.duration.total_seconds())
        if self.schedules and job.schedule_id is not None and job.completed_at is not None:
            self.note_completed({str(job.schedule_id), job.name}, job.completed_at)

    def note_completed(self, names: Collection[str | None], at: datetime) -> None:
        """Note that a run of the schedule with these names or ids completed."""
        for name in names:
            if name in self.schedules and name is not None:
                self.completed_at[name] = max(at, self.completed_at.get(name, at))

    def _note_error(self, origin: str, result: str) -> None:
        counted = self.errors.get(origin)
        if counted is None:
            if len(self.errors) >= MAX_ORIGINS:
                del self.errors[next(iter(self.errors))]
            counted = self.errors[origin] = Counter()
        counted[result] += 1


def _result_of(outcome: Outcome) -> str:
    """Return the class of a response's status, or why there was none, in one word."""
    match outcome:
        case Responded(response=response):
            return _CLASSES[response.status // 100]
        case Failed(error=error):
            return error
        case _:
            return "refused"

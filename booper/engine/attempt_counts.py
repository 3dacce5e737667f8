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
    Kind,
    Outcome,
    Request,
    Responded,
    State,
)
from booper.model.tally import MAX_KEPT, Tallied, Tally

OUTCOMES: Final[Mapping[State, str]] = {
    State.COMPLETED: "completed",
    State.DISCARDED: "discarded",
    State.CANCELLED: "cancelled",
}
"""What an attempt led to, by the state of its job after it; any other is `RETRIED`."""

RETRIED: Final = "retried"

REFUSED: Final = "refused"

MAX_ORIGINS: Final = 1_000
"""Origins whose failed attempts are counted; above that the one that failed first is forgotten."""

_UNFAILED: Final = (State.COMPLETED, State.CANCELLED)

_LIMITS: Final = tuple(limit.total_seconds() for limit in LIMITS)
_NONE: Final = timedelta(0)

_Settled = tuple[Kind, State, int | str, timedelta | None, timedelta | None]
"""Kind and state of a job, status or error of its attempt, how late that was, how long it took."""


class AttemptCounts(Observer):
    """The numbers, and when a run of each of `schedules` (names or ids) completed last.

    Attempts are kept until they are many or somebody reads, and are counted at once then. `errors`
    are the failed ones of each origin by what came back.
    """

    def __init__(self, schedules: Collection[str] = ()) -> None:
        self._lateness = Tally(_LIMITS)
        self._durations = {outcome: Tally(_LIMITS) for outcome in (*OUTCOMES.values(), RETRIED)}
        self._attempts = Counter[tuple[str, str, str]]()
        self._kept: list[_Settled] = []
        self.errors: dict[str, Counter[str]] = {}
        self.completed_at: dict[str, datetime] = {}
        self.schedules: Final = frozenset(schedules)

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Count an attempt whose result is written."""
        claimed = attempt.job
        result: int | str = REFUSED
        late, took = None, None
        if isinstance(outcome, Responded):  # nearly always
            result, took = outcome.response.status, outcome.duration
        elif isinstance(outcome, Failed):
            result, took = outcome.error, outcome.duration
        if claimed.attempted_at is not None and not attempt.was_held:
            late = claimed.attempted_at - claimed.scheduled_at
        self._kept.append((claimed.kind, job.state, result, late, took))
        if len(self._kept) >= MAX_KEPT:
            self._count()
        if job.state not in _UNFAILED:
            self._note_error(claimed.origin, _in_a_word(result))
        if self.schedules and job.schedule_id is not None and job.completed_at is not None:
            self.note_completed({str(job.schedule_id), job.name}, job.completed_at)

    def note_completed(self, names: Collection[str | None], at: datetime) -> None:
        """Note that a run of the schedule with these names or ids completed."""
        for name in names:
            if name in self.schedules and name is not None:
                self.completed_at[name] = max(at, self.completed_at.get(name, at))

    def attempts(self) -> Mapping[tuple[str, str, str], int]:
        """Return the attempts by the kind of job, what they led to, and what came back.

        The last is the class of a response's status, or why there was none, in one word.
        """
        self._count()
        return dict(self._attempts)

    def lateness(self) -> Tallied:
        """Return by how many seconds attempts began late."""
        self._count()
        return self._lateness.read()

    def durations(self) -> Mapping[str, Tallied]:
        """Return how many seconds attempts took, by what they led to."""
        self._count()
        return {led_to: tally.read() for led_to, tally in self._durations.items()}

    def _note_error(self, origin: str, result: str) -> None:
        counted = self.errors.get(origin)
        if counted is None:
            if len(self.errors) >= MAX_ORIGINS:
                del self.errors[next(iter(self.errors))]
            counted = self.errors[origin] = Counter()
        counted[result] += 1

    def _count(self) -> None:
        kept, self._kept = self._kept, []
        for (kind, state, result), count in Counter(each[:3] for each in kept).items():
            self._attempts[kind, OUTCOMES.get(state, RETRIED), _in_a_word(result)] += count
        for kind, state, _, late, took in kept:
            if kind not in OWN_KINDS:
                continue
            if late is not None:
                self._lateness.add(max(late, _NONE).total_seconds())
            if took is not None:
                self._durations[OUTCOMES.get(state, RETRIED)].add(took.total_seconds())


def _in_a_word(result: int | str) -> str:
    """Return the class of a status; an error is a word already."""
    return result if isinstance(result, str) else f"{result // 100}xx"

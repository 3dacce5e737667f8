"""The nouns: a job, its states, one attempt of it, what was sent and what came back.

Values only. `lifecycle` decides how a job moves from state to state.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from booper.model.args import Args, decode_args


class State(StrEnum):
    """Where a job is in its life (contract §4, Oban's names)."""

    SCHEDULED = "scheduled"
    AVAILABLE = "available"
    EXECUTING = "executing"
    RETRYABLE = "retryable"
    COMPLETED = "completed"
    DISCARDED = "discarded"
    CANCELLED = "cancelled"


WAITING = frozenset({State.SCHEDULED, State.RETRYABLE})
"""States that wait for a time. AVAILABLE is never stored: it is SCHEDULED whose time has come."""

FINISHED = frozenset({State.COMPLETED, State.DISCARDED, State.CANCELLED})
"""States that nothing leaves."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One request to be sent at its time, and how far it has come.

    `scheduled_at` is when the next attempt is due and moves with retries; `planned_at` is when the
    first one was. `attempt` counts the attempts begun; `interruptions` those in a row that ended
    with the death of the process. `host` is the target's host, for the limits per host.
    """

    id: int
    uuid: UUID
    user_id: UUID
    schedule_id: UUID | None = None
    idempotency_key: str | None
    name: str | None
    description: str | None
    host: str
    args: str
    state: State
    attempt: int
    max_attempts: int
    interruptions: int = 0
    inserted_at: datetime
    scheduled_at: datetime
    planned_at: datetime
    attempted_at: datetime | None = None
    completed_at: datetime | None = None
    discarded_at: datetime | None = None
    cancelled_at: datetime | None = None
    last_error: str | None = None

    def state_at(self, now: datetime) -> State:
        """Return the state a reader sees: `available` once a scheduled job's time has come."""
        if self.state is State.SCHEDULED and self.scheduled_at <= now:
            return State.AVAILABLE
        return self.state


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that was asked for and has no identity yet; the store gives it one."""

    user_id: UUID
    args: Args
    host: str
    scheduled_at: datetime
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as it leaves: header names as written, `content` empty for no body."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A target's answer: `body` holds what was read, `is_cut` says that more would have come."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The target answered, with whatever status."""

    response: Response
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer: `error` is a short stable word such as `timeout`, `message` is for people."""

    error: str
    message: str
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Refused:
    """The guard does not let this request out; it will never be sent."""

    message: str


Outcome = Answered | Failed | Refused


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed job on its way: the executing job and what its user asked for."""

    job: Job
    args: Args

    @classmethod
    def of(cls, job: Job) -> "Attempt":
        """Read a claimed job's args once, for rendering and for settling."""
        return cls(job, decode_args(job.args))

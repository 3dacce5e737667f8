"""The nouns: a job, its states, one attempt of it, what was sent and what came back.

Values only. `lifecycle` decides how a job moves from state to state.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
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
"""States that a job leaves only when a user asks for it again."""

UNFINISHED = frozenset(State) - FINISHED
"""States in which a job may still be sent; it holds its idempotency key."""


SUSPECT_CRASHES = 3
"""After so many crashes in a row during its attempts a job is sent alone."""


class Kind(StrEnum):
    """The purpose of a job: a user's request, a planned run, or booper's own report of one."""

    REQUEST = "request"
    RUN = "run"
    CALLBACK = "callback"
    WEBHOOK = "webhook"
    CHANNEL = "channel"


OWN_KINDS = (Kind.REQUEST, Kind.RUN)
"""What users asked for; the others are listed only when asked for."""

REPORTS = (Kind.CALLBACK, Kind.WEBHOOK)
"""What tells users of a job."""


class Job(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request to be sent at its time, and how far it has come.

    `scheduled_at` is when the next attempt is due and moves with retries; `planned_at` is when the
    first one was. `attempt` counts the attempts begun; `interruptions` those in a row that ended
    with the death of the process. `origin` is the target's, for the limits per origin, and `path`
    tells the paths of one origin apart (`model.origin`). No retry may fall at or after
    `retry_until`. `parent_id` is the job an internal one reports.

    `owner` is the process that has claimed it last, 0 if none has, and `epoch` counts its claims.
    `held_since` is since when a run that is due has waited for its predecessor.
    """

    id: int
    uuid: UUID
    user_id: UUID
    kind: Kind = Kind.REQUEST
    schedule_id: UUID | None = None
    parent_id: int | None = None
    idempotency_key: str | None
    name: str | None
    description: str | None
    origin: str
    path: int = 0
    args: str
    state: State
    attempt: int
    max_attempts: int
    interruptions: int = 0
    inserted_at: datetime
    scheduled_at: datetime
    planned_at: datetime
    retry_until: datetime | None = None
    attempted_at: datetime | None = None
    completed_at: datetime | None = None
    discarded_at: datetime | None = None
    cancelled_at: datetime | None = None
    last_error: str | None = None
    owner: int = 0
    epoch: int = 0
    held_since: datetime | None = None

    @property
    def is_suspect(self) -> bool:
        """Return whether it was in flight at enough crashes in a row to be their possible cause."""
        return self.interruptions >= SUSPECT_CRASHES

    def state_at(self, now: datetime) -> State:
        """Return the state a reader sees: `available` once a scheduled job's time has come."""
        if self.state is State.SCHEDULED and self.scheduled_at <= now:
            return State.AVAILABLE
        return self.state


class NewJob(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job that was asked for and has no identity yet; the store gives it one.

    `key_until` is how long its idempotency key stays taken even if it has finished, `keep_for` how
    long it is kept after its end, None where its state decides.
    """

    user_id: UUID
    args: str
    origin: str
    path: int = 0
    scheduled_at: datetime
    planned_at: datetime
    max_attempts: int
    kind: Kind = Kind.REQUEST
    schedule_id: UUID | None = None
    parent_id: int | None = None
    idempotency_key: str | None = None
    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    key_until: datetime | None = None
    keep_for: timedelta | None = None


class Request(msgspec.Struct, frozen=True, gc=False):
    """An HTTP request as it leaves: header names as written, `content` empty for no body.

    `user_headers` and `query` are the user's part of it, as they were rendered. `query_text` is
    how `url` ends where `query` adds to it.
    """

    method: str
    url: str
    headers: dict[str, str]
    content: bytes
    user_headers: dict[str, str]
    query: dict[str, Any]
    query_text: str = ""


class Response(msgspec.Struct, frozen=True, gc=False):
    """A target's response: `body` is what was read, `is_cut` is whether there was more.

    `fault` is what was wrong with it behind its status line, empty if nothing was. The status then
    counts, and the body is not relied on.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    is_cut: bool
    fault: str = ""


class Responded(msgspec.Struct, frozen=True, gc=False):
    """The target responded, with whatever status."""

    response: Response
    duration: timedelta


class Failed(msgspec.Struct, frozen=True, gc=False):
    """No response: `error` is a short stable word such as `timeout`, `message` is for people."""

    error: str
    message: str
    duration: timedelta


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The guard refused this request; it will never be sent."""

    message: str


Outcome = Responded | Failed | Refused


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """A claimed job on its way: the executing job and what its user asked for.

    `previous` and `state` are the JSON texts of its schedule's dynamic fields, None for a job that
    belongs to none. `was_held` is whether it had to wait for the run before it.
    """

    job: Job
    args: Args
    previous: str | None = None
    state: str | None = None
    was_held: bool = False

    @classmethod
    def of(
        cls,
        job: Job,
        previous: str | None = None,
        state: str | None = None,
        *,
        was_held: bool = False,
    ) -> "Attempt":
        """Read a claimed job's args once, for rendering and for settling."""
        return cls(job, decode_args(job.args), previous, state, was_held)

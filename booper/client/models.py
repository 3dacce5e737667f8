"""What booper responds, as frozen values; times are aware. Keys that are not here are ignored."""

from datetime import UTC
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec.structs import force_setattr

from booper.client.errors import Problem
from booper.clock import EPOCH

if TYPE_CHECKING:
    from datetime import datetime
else:  # imported while a test tool has replaced it, `datetime` would be a class msgspec cannot read
    datetime = type(EPOCH)

FINISHED = frozenset({"completed", "discarded", "cancelled"})


class HeldBy(msgspec.Struct, frozen=True, kw_only=True):
    """A pause or a breaker (`reason`) that holds a waiting job back, its target and beginning."""

    reason: str
    target: str
    since: datetime


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a job and its times."""

    id: int
    state: str
    scheduled_at: datetime
    inserted_at: datetime
    attempted_at: datetime | None = None
    completed_at: datetime | None = None
    discarded_at: datetime | None = None
    cancelled_at: datetime | None = None
    has_conflict: bool = msgspec.field(default=False, name="has_confict")
    attempt: int = 0
    max_attempts: int | None = None
    last_error: str | None = None
    held_by: HeldBy | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job: `id` is its UUID, `job_id` its number; `args` are the fields it was created with."""

    id: UUID
    job_id: int
    job: JobState
    args: dict[str, Any]
    inserted_at: datetime
    user_id: UUID
    schedule_id: UUID | None = None
    idempotency_key: str | None = None
    name: str | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        _make_aware(self)

    @property
    def state(self) -> str:
        """Return scheduled, available, executing, retryable, completed, discarded or cancelled."""
        return self.job.state

    @property
    def scheduled_at(self) -> datetime:
        """Return when it is sent, or sent again."""
        return self.job.scheduled_at

    @property
    def has_conflict(self) -> bool:
        """Return whether this is the earlier job that held the idempotency key of a create."""
        return self.job.has_conflict

    @property
    def is_finished(self) -> bool:
        """Return whether it has ended."""
        return self.job.state in FINISHED


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule; `frequency` is its `repeat_every`, or its `cron` and `timezone`.

    `error` says why no run can be planned, such as a time zone that this machine does not have.
    `next_run_at` is the planned time of the run that waits, None while it is disabled and once it
    has ended.
    """

    id: UUID
    args: dict[str, Any]
    frequency: dict[str, Any]
    inserted_at: datetime
    user_id: UUID
    disabled_at: datetime | None = None
    ended_at: datetime | None = None
    next_run_at: datetime | None = None
    name: str | None = None
    description: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        _make_aware(self)


class ScheduleDetail(Schedule, frozen=True, kw_only=True):
    """A schedule, when it runs next in UTC and in its own zone, `$state` and `$previous`."""

    next_runs: tuple[datetime, ...] = ()
    next_runs_local: tuple[datetime, ...] = ()
    state: dict[str, Any] = {}
    state_version: str = ""
    previous: Any = None


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the log: a request, a response, an error or skipped runs, by `event`."""

    id: UUID
    event: str
    inserted_at: datetime
    job_id: int
    payload: Any
    user_id: UUID


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, without the key.

    `last_used_at` is to the minute, None if it was not used since that is counted.
    """

    id: UUID
    name: str
    user: str
    user_id: UUID
    scope: str
    inserted_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made: the only time `key` is shown."""

    id: UUID
    name: str
    user: str
    scope: str
    key: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a schedule without what it sends.

    `planned_at` is its planned time, `scheduled_at` when it was or is due. `duration_ms` is how
    long its last attempt took, None until it has been completed or discarded.
    """

    job_id: int
    state: str
    attempt: int
    planned_at: datetime
    scheduled_at: datetime
    attempted_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: float | None = None


class TimelineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event in the history of a job or a schedule: its time, its kind (`event`) and a sentence.

    `reason` is what a job waited for, or why planned times were skipped. `job_id` is None where it
    concerns the schedule as a whole.
    """

    at: datetime
    event: str
    text: str
    job_id: int | None = None
    reason: str | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who changed what, and when: by which key (None: the administrator of the machine).

    `object` is the number of a job, the id of a schedule or a key, or a target; None for many jobs.
    """

    id: int
    at: datetime
    action: str
    kind: str
    object: str | None = None
    key_id: UUID | None = None
    key_name: str | None = None
    user_id: UUID | None = None
    jobs: int = 0
    detail: dict[str, Any] = {}


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """An origin that failed so often that it is only probed for now."""

    origin: str
    failures: int
    opened_at: datetime | None = None
    probe_at: datetime | None = None


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A pause of an origin, a host with a port, a host, or `*` for all, and its beginning."""

    target: str
    paused_at: datetime


class BulkResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The numbers of jobs that matched and could change, and of those that did.

    Of a dry run, `through` is the highest number of a job that it has looked at. One that
    `is_partial` has looked at `max_count` jobs, and not at all.
    """

    matched: int
    changed: int
    through: int | None = None
    is_partial: bool = False


class PreviewedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it would be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None = None


class GuardVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of the guard: whether the request may reach its target."""

    allowed: bool
    reason: str | None = None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a dry run: what a create would do.

    `conflict` is the job that has its idempotency key; `held_by` is what holds its target back.
    """

    request: PreviewedRequest
    next_runs: tuple[datetime, ...]
    retries: tuple[datetime, ...]
    guard: GuardVerdict
    conflict: Job | None = None
    held_by: HeldBy | None = None


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one create of many: its job, or the problem it has."""

    status: int
    data: Job | None = None
    error: Problem | None = None


class LiveChange(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed since the event before: ids, and the user's numbers by state.

    Where there `are_more`, others have changed as well, and what is shown is to be read anew.
    """

    jobs: tuple[int, ...]
    schedules: tuple[UUID, ...]
    are_more: bool
    counts: dict[str, int]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it was posted to a channel."""

    content: str
    channel: str | None = None
    author: str | None = None


def _make_aware(value: Job | Schedule) -> None:
    """Add the zone to the one time that comes without: UTC (contract §4)."""
    if value.inserted_at.tzinfo is None:
        force_setattr(value, "inserted_at", value.inserted_at.replace(tzinfo=UTC))

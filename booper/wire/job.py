"""Jobs as the contract shows them (§4): in responses, in callbacks, and as `$job` to a target."""

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.model.job import Job
from booper.wire.redaction import Redaction
from booper.wire.timestamps import SECONDS, precise


class HeldBy(msgspec.Struct, frozen=True, gc=False):
    """A hold on a waiting job, and its beginning; `reason` is "pause" or "breaker"."""

    reason: str
    target: str
    since: str


class JobState(msgspec.Struct, frozen=True, gc=False):
    """The inner `job` of a job resource; `has_confict` is spelled as the hosted service does."""

    attempted_at: str | None
    cancelled_at: str | None
    completed_at: str | None
    discarded_at: str | None
    has_confict: bool
    id: int
    inserted_at: str
    scheduled_at: str
    state: str
    attempt: int
    max_attempts: int
    last_error: str | None
    held_by: HeldBy | msgspec.UnsetType = msgspec.UNSET


class JobResource(msgspec.Struct, frozen=True, gc=False):
    """A job as it is created, read, listed and cancelled (§4)."""

    id: UUID
    idempotency_key: str | None
    inserted_at: str
    name: str | None
    description: str | None
    user_id: UUID
    schedule_id: UUID | None
    job_id: int
    job: JobState
    args: msgspec.Raw


def new_job_resource(job: Job, now: datetime) -> JobResource:
    """Return a job as its creator sees it: its args as they came."""
    return _job_resource(job, now, job.args, has_conflict=False)


def job_resource(
    job: Job,
    now: datetime,
    redaction: Redaction,
    *,
    has_conflict: bool = False,
    held_by: HeldBy | None = None,
) -> JobResource:
    """Return a stored job as it is shown: the values of secret headers are hidden."""
    shown = _job_resource(job, now, redaction.args(job.args), has_conflict=has_conflict)
    return shown if held_by is None else replace(shown, job=replace(shown.job, held_by=held_by))


def _job_resource(job: Job, now: datetime, args: str, *, has_conflict: bool) -> JobResource:
    state = job_state(job, now, has_conflict=has_conflict)
    return JobResource(
        id=job.uuid,
        idempotency_key=job.idempotency_key,
        inserted_at=state.inserted_at[:SECONDS],
        name=job.name,
        description=job.description,
        user_id=job.user_id,
        schedule_id=job.schedule_id,
        job_id=job.id,
        job=state,
        args=msgspec.Raw(args),
    )


def job_state(job: Job, now: datetime, *, has_conflict: bool = False) -> JobState:
    """Return how far a job has come."""
    return JobState(
        attempted_at=precise(job.attempted_at) if job.attempted_at else None,
        cancelled_at=precise(job.cancelled_at) if job.cancelled_at else None,
        completed_at=precise(job.completed_at) if job.completed_at else None,
        discarded_at=precise(job.discarded_at) if job.discarded_at else None,
        has_confict=has_conflict,
        id=job.id,
        inserted_at=precise(job.inserted_at),
        scheduled_at=precise(job.scheduled_at),
        state=job.state_at(now),
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        last_error=job.last_error,
    )

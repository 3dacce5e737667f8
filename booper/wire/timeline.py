"""Why it did or did not run: the past of a job or a schedule in order of time, a sentence each."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from booper.model.audit import Action, Change
from booper.model.event import ERROR, RESPONSE, SKIPPED, STATE_REJECTED
from booper.model.history import Fact, JobHistory, ScheduleHistory
from booper.model.job import WAITING, Job, Kind, State
from booper.model.waiting import Wait
from booper.wire.timestamps import precise
from booper.wire.words import lasting, moment, on_job, on_schedule, skipped, waited_for

EVENTS: Final = (
    "created",
    "planned",
    "changed",
    "waited",
    "attempted",
    "responded",
    "failed",
    "refused",
    "retried",
    "skipped",
    "noted",
    "completed",
    "discarded",
    "cancelled",
    "ended",
    "executing",
    "waiting",
)
"""What can happen; of one time, in this order."""

_REFUSALS: Final = frozenset({"guard", "refused"})
_UNPLANNABLE: Final = "schedule"
_CANCELS: Final = frozenset(
    {
        Action.JOB_CANCEL,
        Action.JOBS_CANCEL,
        Action.SCHEDULE_DISABLE,
        Action.SCHEDULE_DELETE,
        Action.SCHEDULE_CHANGE,
    }
)
_RETRIES: Final = frozenset({Action.JOB_RETRY, Action.JOBS_RETRY})


class TimelineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event in the history of a job or a schedule: its time, its kind (`event`) and a sentence.

    `reason` is what a job waited for, or why planned times were skipped. `job_id` is None where it
    concerns the schedule as a whole.
    """

    at: str
    event: str
    text: str
    job_id: int | None = None
    reason: str | None = None


class _Moment(msgspec.Struct, frozen=True):
    at: datetime
    event: str
    text: str
    job_id: int | None = None
    reason: str | None = None


def of_job(
    history: JobHistory, wait: Wait | None, now: datetime, until: datetime | None = None
) -> list[TimelineEvent]:
    """Return what happened to a job, and what it waits for; up to a time, if one is given."""
    moments = _of_job(history, wait, now)
    return _shown(one for one in moments if until is None or one.at <= until)


def of_schedule(
    history: ScheduleHistory, waits: Mapping[int, Wait], now: datetime
) -> list[TimelineEvent]:
    """Return what happened to a schedule and its runs; `waits` are by the numbers of the runs."""
    schedule = history.schedule
    moments = [_Moment(schedule.inserted_at, "created", "the schedule was created")]
    moments += [_Moment(one.at, "changed", on_schedule(one)) for one in history.changes]
    if schedule.ended_at is not None:
        text = "the schedule ended: it has no further planned time"
        moments.append(_Moment(schedule.ended_at, "ended", text))
    for run in history.runs:
        moments += _of_job(run, waits.get(run.job.id), now)
    return _shown(moments)


def _shown(moments: "Iterator[_Moment] | Sequence[_Moment]") -> list[TimelineEvent]:
    ordered = sorted(moments, key=lambda one: (one.at, EVENTS.index(one.event)))
    return [
        TimelineEvent(
            at=precise(one.at),
            event=one.event,
            text=one.text,
            job_id=one.job_id,
            reason=one.reason,
        )
        for one in ordered
    ]


def _of_job(history: JobHistory, wait: Wait | None, now: datetime) -> list[_Moment]:
    job = history.job
    moments = [_begin(job), *_waits(history), *_attempts(history)]
    moments += [moment for fact in history.facts for moment in _beside(job, fact)]
    moments += [_changed(job, one) for one in history.changes if not _has_ended(job, one)]
    return [*moments, *_end(history), *_present(job, wait, now)]


def _begin(job: Job) -> _Moment:
    if job.kind is Kind.RUN:
        return _Moment(job.inserted_at, "planned", f"planned for {moment(job.planned_at)}", job.id)
    is_at_once = job.planned_at <= job.inserted_at
    when = "at once" if is_at_once else f"at {moment(job.planned_at)}"
    return _Moment(job.inserted_at, "created", f"created, to be sent {when}", job.id)


def _waits(history: JobHistory) -> Iterator[_Moment]:
    for kept in history.waits:
        wait, until = kept.wait, kept.until
        text = (
            f"waited {lasting(until - wait.since)} for {waited_for(wait)}; attempt "
            f"{kept.attempt} began at {moment(until)}"
        )
        yield _Moment(wait.since, "waited", text, history.job.id, wait.reason)


def _attempts(history: JobHistory) -> Iterator[_Moment]:
    """Yield the attempts that have ended, each with what came of it."""
    job, facts = history.job, [fact for fact in history.facts if _is_outcome(fact)]
    ended = job.attempt - (job.state is State.EXECUTING)
    for place, fact in enumerate(facts):
        number = max(ended - len(facts) + place, 0) + 1
        if fact.requested_at is not None:
            text = f"attempt {number} was sent to {job.origin}"
            yield _Moment(fact.requested_at, "attempted", text, job.id)
        yield _Moment(fact.at, _event_of(fact), f"attempt {number} {_outcome(fact)}", job.id)
        following = facts[place + 1] if place + 1 < len(facts) else None
        if (retried := _retried(history, fact, following, number + 1)) is not None:
            yield retried


def _is_outcome(fact: Fact) -> bool:
    return fact.event == RESPONSE or (fact.event == ERROR and fact.error != _UNPLANNABLE)


def _event_of(fact: Fact) -> str:
    if fact.event == RESPONSE:
        return "responded"
    return "refused" if fact.error in _REFUSALS else "failed"


def _outcome(fact: Fact) -> str:
    """Return what came of an attempt, as it stands behind its number."""
    if fact.event == RESPONSE:
        return f"got the response {fact.status}"
    if fact.error == "guard":
        return f"was refused by the guard: {fact.message}"
    if fact.error == "refused":
        return f"was refused: {fact.message}"
    return f"failed: {fact.error}: {fact.message}"


def _retried(
    history: JobHistory, fact: Fact, following: Fact | None, number: int
) -> _Moment | None:
    """Return why an attempt was followed by another, None if it was not or a user asked for it."""
    job = history.job
    if following is not None:
        next_at = following.requested_at or following.at
        if any(one.action in _RETRIES and fact.at <= one.at <= next_at for one in history.changes):
            return None
        when = f"began at {moment(next_at)}"
    elif job.state is State.RETRYABLE:
        if any(one.action in _RETRIES and fact.at <= one.at for one in history.changes):
            return None
        when = f"is due at {moment(job.scheduled_at)}"
    else:
        return None
    text = f"retried because {_why(fact)}; attempt {number} {when}"
    return _Moment(fact.at, "retried", text, job.id)


def _why(fact: Fact) -> str:
    if fact.event == RESPONSE:
        return f"the target responded {fact.status}"
    if fact.error == "guard":
        return f"the guard refused the target's address: {fact.message}"
    return f"the attempt failed ({fact.error}: {fact.message})"


def _beside(job: Job, fact: Fact) -> Iterator[_Moment]:
    """Yield what a log entry tells beside an attempt."""
    if fact.event == SKIPPED and fact.gap is not None:
        yield _Moment(fact.at, "skipped", skipped(fact.gap), job.id, fact.gap.reason)
    elif fact.event == STATE_REJECTED:
        yield _Moment(fact.at, "noted", "its $set was not stored; its log says why", job.id)
    elif fact.event == ERROR and fact.error == _UNPLANNABLE:
        yield _Moment(fact.at, "noted", str(fact.message), job.id)


def _has_ended(job: Job, change: Change) -> bool:
    """Return whether a change is what cancelled a job."""
    return job.cancelled_at == change.at and change.action in _CANCELS


def _changed(job: Job, change: Change) -> _Moment:
    event = "cancelled" if change.action in _CANCELS - {Action.SCHEDULE_CHANGE} else "changed"
    return _Moment(change.at, event, on_job(change), job.id)


def _end(history: JobHistory) -> Iterator[_Moment]:
    job = history.job
    if job.completed_at is not None:
        yield _Moment(job.completed_at, "completed", "completed", job.id)
    if job.discarded_at is not None:
        text = f"discarded because {job.last_error}"
        yield _Moment(job.discarded_at, "discarded", text, job.id)
    if job.cancelled_at is not None:
        by = [one for one in history.changes if _has_ended(job, one)]
        # Of a job that was attempted, the last error is its attempt's.
        why = f" because {job.last_error}" if job.last_error and not job.attempt else ""
        text = on_job(by[-1]) if by else f"cancelled{why}"
        yield _Moment(job.cancelled_at, "cancelled", text, job.id)


def _present(job: Job, wait: Wait | None, now: datetime) -> Iterator[_Moment]:
    """Yield what an unfinished job does now."""
    if job.state is State.EXECUTING:
        text = f"attempt {job.attempt} is on its way to {job.origin}"
        yield _Moment(job.attempted_at or now, "executing", text, job.id)
    elif wait is not None:
        text = f"waits for {waited_for(wait)}, since {moment(wait.since)}"
        yield _Moment(wait.since, "waiting", text, job.id, wait.reason)
    elif job.state in WAITING:
        text = f"waits for its time, {moment(job.scheduled_at)}"
        yield _Moment(now, "waiting", text, job.id)

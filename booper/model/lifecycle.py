"""The life of a job: one table of transitions, one function for each, and the only writer of state.

                     ┌──────── release ───────┐
                     ▼                        │
    create ──▶ scheduled ──── claim ────▶ executing ──▶ completed
                     │                    ▲   │  │
                     │             claim  │   │  └────▶ discarded
                     │                    │   ▼
                     │                 retryable  (fail, rescue, release)
                     │                        │
                     └────── cancel ──────────┴──────▶ cancelled  (from executing as well)

    discarded, cancelled ── retry ──▶ retryable, or scheduled where no attempt was made

Each function is pure: it takes a job, returns the job that follows, and raises `WrongState` where
the table has no such arrow. The store writes what these functions return, and nothing else.
"""

from datetime import datetime
from random import Random

from msgspec.structs import replace

from booper.model.job import (
    FINISHED,
    WAITING,
    Attempt,
    Failed,
    Job,
    Outcome,
    Refused,
    Responded,
    State,
)
from booper.model.retry import Backoff, parse_backoff, parse_retry_after

TRANSITIONS: dict[State, frozenset[State]] = {
    State.SCHEDULED: frozenset({State.EXECUTING, State.CANCELLED}),
    State.AVAILABLE: frozenset(),  # never stored: a reader's name for scheduled
    State.EXECUTING: frozenset(
        {
            State.SCHEDULED,
            State.RETRYABLE,
            State.COMPLETED,
            State.DISCARDED,
            State.CANCELLED,
        }
    ),
    State.RETRYABLE: frozenset({State.EXECUTING, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.DISCARDED: frozenset({State.RETRYABLE}),
    State.CANCELLED: frozenset({State.SCHEDULED, State.RETRYABLE}),
}

_EXECUTING = frozenset({State.EXECUTING})
_GIVEN_UP = frozenset({State.DISCARDED, State.CANCELLED})

_GONE = 410
_SUCCESS = range(200, 300)


class WrongState(Exception):
    """The table has no arrow between two states."""

    def __init__(self, job: Job, to: State) -> None:
        super().__init__(f"job {job.id} cannot go from {job.state} to {to}")


def claim(job: Job, now: datetime, owner: int) -> Job:
    """Begin an attempt: it counts from here on, before anything is sent.

    `owner` is the process that makes it; `epoch` tells this claim from every other.
    """
    return _move(
        job,
        State.EXECUTING,
        since=WAITING,
        attempt=job.attempt + 1,
        attempted_at=now,
        owner=owner,
        epoch=job.epoch + 1,
        held_since=None,
    )


def release(job: Job, due_at: datetime | None = None) -> Job:
    """Release an attempt that a stop or a shortage of ours ended, as if it had never begun.

    It is due again at `due_at`; None leaves its time.
    """
    return _move(
        job,
        State.SCHEDULED if job.attempt == 1 else State.RETRYABLE,
        since=_EXECUTING,
        attempt=job.attempt - 1,
        attempted_at=None if job.attempt == 1 else job.attempted_at,
        scheduled_at=due_at or job.scheduled_at,
    )


def rescue(job: Job, now: datetime, *, was_alone: bool = False) -> Job:
    """Return a job whose attempt died with the process, due again at once; it stays counted.

    That holds for the last attempt too: nobody knows whether its request was sent (contract §8).
    A suspect that `was_alone` when the process died is what killed it, and is discarded.
    """
    if job.is_suspect and was_alone:
        crashes = job.interruptions + 1
        return discard(
            job,
            now,
            f"interrupted: booper died in {crashes} attempts in a row, the last time with "
            "nothing else on its way",
        )
    return _move(
        job,
        State.RETRYABLE,
        since=_EXECUTING,
        scheduled_at=now,
        interruptions=job.interruptions + 1,
        last_error="interrupted: booper stopped during the attempt",
    )


def cancel(job: Job, now: datetime) -> Job:
    """Cancel a job; a finished one is returned unchanged (contract §2)."""
    if job.state in FINISHED:
        return job
    return _move(job, State.CANCELLED, since=WAITING | _EXECUTING, cancelled_at=now)


def retry(job: Job, now: datetime) -> Job:
    """Return a discarded or cancelled job, due again, with one more attempt if all were used."""
    to = State.RETRYABLE if job.attempt else State.SCHEDULED
    return _move(
        job,
        to,
        since=_GIVEN_UP,
        scheduled_at=now,
        max_attempts=max(job.max_attempts, job.attempt + 1),
        retry_until=None,
        discarded_at=None,
        cancelled_at=None,
    )


def settle(
    attempt: Attempt, outcome: Outcome, *, now: datetime, backoff: Backoff, random: Random
) -> Job:
    """Decide what an attempt's outcome makes of its job.

    `backoff` is the operator's, for jobs that bring none of their own.
    """
    job = attempt.job
    match outcome:
        case Responded(response=response) if _is_expected(response.status, attempt):
            return _move(
                job,
                State.COMPLETED,
                since=_EXECUTING,
                completed_at=now,
                interruptions=0,
                last_error=None,
            )
        case Responded(response=response) if response.status == _GONE:
            return discard(job, now, "the target is gone: it responded 410")
        case Responded(response=response):
            retry_after = response.headers.get("retry-after")
            error = f"the target responded {response.status}"
            return _fail(attempt, error, retry_after, now=now, backoff=backoff, random=random)
        case Failed(error=error, message=message):
            error = f"{error}: {message}"
            return _fail(attempt, error, None, now=now, backoff=backoff, random=random)
        case Refused(message=message):
            return discard(job, now, f"refused: {message}")


def _is_expected(status: int, attempt: Attempt) -> bool:
    expected = attempt.args.expect_status
    if expected is None:
        return status in _SUCCESS
    return any(status == item or f"{status // 100}xx" == str(item).lower() for item in expected)


def _fail(
    attempt: Attempt,
    error: str,
    retry_after: str | None,
    *,
    now: datetime,
    backoff: Backoff,
    random: Random,
) -> Job:
    job = attempt.job
    if job.attempt >= job.max_attempts:
        return discard(job, now, error)
    own = attempt.args.backoff
    delay = (parse_backoff(own) if own is not None else backoff).delay(job.attempt, random)
    asked = parse_retry_after(retry_after, now)
    due = now + (max(delay, asked) if asked is not None else delay)
    if job.retry_until is not None and due >= job.retry_until:
        return discard(job, now, f"{error}; the schedule's next run is due before a retry")
    return _move(
        job, State.RETRYABLE, since=_EXECUTING, scheduled_at=due, interruptions=0, last_error=error
    )


def discard(job: Job, now: datetime, error: str) -> Job:
    """Return an executing job discarded, with the reason."""
    return _move(
        job, State.DISCARDED, since=_EXECUTING, discarded_at=now, interruptions=0, last_error=error
    )


def _move(job: Job, to: State, *, since: frozenset[State], **changes: object) -> Job:
    """Follow an arrow of the table, from one of the states in which its function may begin."""
    if job.state not in since or to not in TRANSITIONS[job.state]:
        raise WrongState(job, to)
    return replace(job, state=to, **changes)

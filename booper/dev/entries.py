"""What the console shows of a job: created, under way, done, and what reports it.

Texts of others (names, URLs, errors, responses) are cleaned here: none can steer a terminal.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec

from booper.dev.layout import clean
from booper.model.args import Args, decode_args
from booper.model.duration import duration_in_words
from booper.model.job import Attempt, Failed, Job, Kind, Outcome, Refused, Request, Responded, State
from booper.travel import Ran

_SECOND = timedelta(seconds=1)
_COLORS: Final = {
    State.COMPLETED: "green",
    State.RETRYABLE: "yellow",
    State.DISCARDED: "red",
    State.CANCELLED: "red",
}
_REPORTS: Final = {Kind.CALLBACK: "callback", Kind.WEBHOOK: "webhook", Kind.CHANNEL: "channel"}

# How much of a response that means failure is shown.
_MAX_BODY = 200


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: to which request, and its details, the most telling first."""

    status: str
    job_id: int
    method: str
    url: str
    details: Sequence[str]
    color: str | None = None
    is_report: bool = False
    is_dim: bool = False


def created(job: Job, now: datetime) -> Entry:
    """Return what is shown of a job that was just written."""
    args = decode_args(job.args)
    waits = job.scheduled_at - now
    when = [f"for {job.scheduled_at:%a %Y-%m-%d %H:%M:%S}", f"in {duration_in_words(waits)}"]
    return Entry(
        status="created",
        job_id=job.id,
        method=clean((args.method or "get").upper()),
        url=clean(args.url),
        details=[*_named(job), *_recurring(args), *(when if waits > _SECOND else ["due now"])],
    )


def waiting(attempt: Attempt, request: Request, seconds: float) -> Entry:
    """Return what is shown of a request without a response for a while."""
    return Entry(
        status="sent",
        job_id=attempt.job.id,
        method=request.method,
        url=clean(request.url),
        details=[*_named(attempt.job), f"no response after {seconds:g} s; still waiting"],
    )


def settled(told: Ran, attempt: Attempt, outcome: Outcome, job: Job) -> Entry:
    """Return what is shown of an attempt's end."""
    again = job.scheduled_at - (job.attempted_at or job.scheduled_at)
    count = f"attempt {told.attempt} of {job.max_attempts}"
    details = [*_named(job), *_failure(outcome, job), *_took(told)]
    match told.state:
        case State.RETRYABLE:
            at = f"again at {job.scheduled_at:%H:%M:%S}, in {duration_in_words(again)}"
            details += [count, at]
        case State.COMPLETED:
            details += [count] if told.attempt > 1 else []
        case _:
            details += [count, str(told.state)]
    return Entry(
        status=_status(told),
        job_id=told.job_id,
        method=told.method,
        url=clean(told.url),
        details=details,
        color=_COLORS.get(told.state),
    )


def reported(told: Ran, outcome: Outcome, job: Job) -> Entry:
    """Return what is shown of a request that reports a job; one that arrived is dim."""
    is_fine = told.state is State.COMPLETED
    again = [f"again at {job.scheduled_at:%H:%M:%S}"] if told.state is State.RETRYABLE else []
    return Entry(
        status=f"{_REPORTS.get(job.kind, str(job.kind))} {_status(told)}",
        job_id=job.parent_id or job.id,
        method=told.method,
        url=clean(told.url),
        details=[*_failure(outcome, job), *_took(told), *again],
        color=None if is_fine else _COLORS.get(told.state),
        is_report=True,
        is_dim=is_fine,
    )


def _status(told: Ran) -> str:
    return clean(str(told.status or told.error))


def _took(told: Ran) -> list[str]:
    took = f"{told.duration / timedelta(milliseconds=1):,.0f} ms"
    return [took, f"{duration_in_words(told.late)} late"] if told.late >= _SECOND else [took]


def _named(job: Job) -> list[str]:
    return [f'"{clean(job.name)}"'] if job.name else []


def _recurring(args: Args) -> list[str]:
    if args.cron is not None:
        return [clean(f"cron {args.cron} {args.timezone or 'UTC'}")]
    if args.repeat_every is None:
        return []
    every = args.repeat_every
    text = f"{every[0]:g} {every[1]}" if isinstance(every, tuple) else f"{every:g} s"
    return [clean(f"every {text}")]


def _failure(outcome: Outcome, job: Job) -> list[str]:
    """Return why an attempt failed, in the target's words where it has any."""
    if job.state is State.COMPLETED:
        return []
    match outcome:
        case Responded(response=response):
            text = _text(response.body)
            short = text if len(text) <= _MAX_BODY else text[: _MAX_BODY - 1] + "…"
            return [clean(short)] if text else []
        case Failed(message=message) | Refused(message=message):
            return [clean(message)]


def _text(body: bytes) -> str:
    """Return a response's text in one line: of a problem (RFC 9457) its detail."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return " ".join(msgspec.json.decode(body, type=_Problem).detail.split())
    return " ".join(body[: 2 * _MAX_BODY].decode(errors="replace").split())


class _Problem(msgspec.Struct):
    detail: str

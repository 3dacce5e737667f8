"""What a create would do, without doing it (contract §10)."""

from datetime import datetime
from random import Random

import msgspec

from booper.api.pauses import holder as holder_of
from booper.api.services import Services
from booper.errors import TargetRefused, UnresolvableHost
from booper.model.args import Args, decode_args
from booper.model.duration import MAX_DURATION
from booper.model.dynamic import RenderError
from booper.model.identity import uuid7
from booper.model.job import Attempt, Job, Kind, NewJob, State
from booper.model.retry import Backoff, parse_backoff
from booper.model.schedule import NewSchedule, Plan
from booper.wire.job import HeldBy, JobResource, job_resource
from booper.wire.request import render
from booper.wire.timestamps import precise

NEXT_RUNS = 5
MAX_RETRIES_SHOWN = 100


class RequestPreview(msgspec.Struct, frozen=True):
    """A request as it would be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None


class GuardPreview(msgspec.Struct, frozen=True):
    """Whether the guard would let the request out now, its name looked up."""

    allowed: bool
    reason: str | None


class Preview(msgspec.Struct, frozen=True):
    """The outcome of a dry run; `retries` are the times of all further attempts, without jitter."""

    request: RequestPreview
    next_runs: list[str]
    retries: list[str]
    conflict: JobResource | None
    guard: GuardPreview
    held_by: HeldBy | None


async def preview(new: NewJob | NewSchedule, services: Services, now: datetime) -> Preview:
    """Return what a create would do; nothing is stored."""
    args = decode_args(new.args)
    times = _next_runs(new, args)
    key = new.idempotency_key
    holder = await services.store.jobs.holder(new.user_id, key, now) if key is not None else None
    request = _request(new, args, times[0], services)
    return Preview(
        request=request,
        next_runs=[precise(at) for at in times],
        retries=[precise(at) for at in _retries(new, args, times, services.backoff)],
        conflict=_conflict(holder, services, now),
        guard=await _guard(request.url, services),
        held_by=holder_of(new.origin, services),
    )


def _next_runs(new: NewJob | NewSchedule, args: Args) -> list[datetime]:
    if isinstance(new, NewJob):
        return [new.scheduled_at]
    plan = Plan.of(args, new.anchor)
    times, at = list[datetime](), new.first_at
    while at is not None and len(times) < NEXT_RUNS and not plan.is_used_up(len(times)):
        times.append(at)
        at = plan.next_after(at)
    return times


def _retries(
    new: NewJob | NewSchedule, args: Args, times: list[datetime], default: Backoff
) -> list[datetime]:
    """Return when each further attempt would be made if all failed at once."""
    backoff = parse_backoff(args.backoff) if args.backoff is not None else default
    until = times[1] if len(times) > 1 else None
    found, at = list[datetime](), times[0]
    for attempt in range(1, min(new.max_attempts, MAX_RETRIES_SHOWN + 1)):
        at += backoff.delay(attempt, _NO_JITTER)
        if (until is not None and at >= until) or at - times[0] > MAX_DURATION:
            break
        found.append(at)
    return found


def _request(
    new: NewJob | NewSchedule, args: Args, at: datetime, services: Services
) -> RequestPreview:
    """Render the first attempt of a job that is not there."""
    job = Job(
        id=0,
        uuid=uuid7(at, _NO_JITTER),
        user_id=new.user_id,
        kind=Kind.REQUEST,
        idempotency_key=None,
        name=None,
        description=None,
        origin=new.origin,
        args=new.args,
        state=State.EXECUTING,
        attempt=1,
        max_attempts=new.max_attempts,
        inserted_at=at,
        scheduled_at=at,
        planned_at=at,
        attempted_at=at,
    )
    texts = ("{}", "{}") if isinstance(new, NewSchedule) else (None, None)
    try:
        request = render(Attempt(job, args, *texts), services.user_agent, at)
    except RenderError as error:
        return RequestPreview((args.method or "get").upper(), args.url, {}, str(error))
    body = request.content.decode() if request.content else None
    headers = services.redaction.headers(request.headers)
    return RequestPreview(request.method, services.guard.spelled(request.url), headers, body)


def _conflict(holder: Job | None, services: Services, now: datetime) -> JobResource | None:
    if holder is None:
        return None
    return job_resource(holder, now, services.redaction, has_conflict=True)


async def _guard(url: str, services: Services) -> GuardPreview:
    try:
        await services.guard.preview(services.check(url))
    except (TargetRefused, UnresolvableHost) as error:
        return GuardPreview(allowed=False, reason=str(error))
    return GuardPreview(allowed=True, reason=None)


class _Still(Random):
    """Draw zero, so that what is shown is the plan without its jitter."""

    def random(self) -> float:
        return 0.0


_NO_JITTER = _Still(0)

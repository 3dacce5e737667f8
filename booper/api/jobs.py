"""`/api/jobs`: create, list, get, cancel, run now, run again (contract §2 to §5, §10)."""

from datetime import timedelta
from uuid import UUID

import msgspec
from starlette.responses import Response

from booper.api.bodies import media_type, read_body
from booper.api.dry_run import preview
from booper.api.filters import query_filter, query_readers
from booper.api.intake import Rules, read_creation
from booper.api.paging import flag, read_page, write_cursor
from booper.api.routing import Access, Call, Operation, Services, respond
from booper.clock import EPOCH
from booper.errors import NotFound
from booper.model.job import Job
from booper.model.resource import JobResource, job_resource, new_job_resource
from booper.store.base import JobRef, Page

ORDER_FIELDS = ("inserted_at", "scheduled_at", "id")
_MAX_ID = 2**63 - 1
_MICROSECOND = timedelta(microseconds=1)


class JobPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of jobs; `next_cursor` leads to the page behind it, if there may be one."""

    data: list[JobResource]
    next_cursor: str | None = None


def rules_of(services: Services) -> Rules:
    """Return what creates are judged by."""
    return Rules(services.guard, services.max_attempts)


async def create(call: Call) -> Response:
    """Accept a job or a schedule; the answer leaves when it is durable."""
    services = call.services
    is_dry_run = flag(call.request.query_params, "dry_run")
    body = await read_body(call.request, services.max_body_bytes)
    now = services.clock.now()
    kind = media_type(call.request)
    creation = read_creation(body, kind, call.user_id, rules_of(services), now)
    if is_dry_run:
        return respond({"data": await preview(creation.new, services, now)})
    created = await services.store.jobs.create(creation, now)
    services.scheduler.arm(created.job)
    if created.is_duplicate:
        return respond({"data": job_resource(created.job, now, has_conflict=True)})
    location = {"Location": f"/api/jobs/{created.job.id}"}
    return respond({"data": new_job_resource(created.job, now)}, 201, location)


async def list_all(call: Call) -> Response:
    """List the user's jobs, newest first unless asked otherwise."""
    now = call.services.clock.now()
    page, values = read_page(call.request.query_params, ORDER_FIELDS, query_readers(now))
    jobs = await call.services.store.jobs.list(call.user_id, page, query_filter(values), now)
    cursor = _next_cursor(page, jobs[-1]) if len(jobs) == page.limit else None
    return respond(JobPage([job_resource(job, now) for job in jobs], cursor))


async def get(call: Call) -> Response:
    """Show one job."""
    job = await call.services.store.jobs.get(call.user_id, reference(call))
    return respond({"data": job_resource(job, call.services.clock.now())})


async def cancel(call: Call) -> Response:
    """Cancel a job; a finished one is shown unchanged."""
    services, now = call.services, call.services.clock.now()
    changed = await services.store.jobs.cancel(
        call.user_id, reference(call), now, services.reports.cancelled
    )
    services.scheduler.arm(*changed.jobs)
    return respond({"data": job_resource(changed.jobs[0], now)})


async def retry(call: Call) -> Response:
    """Send a discarded or cancelled job again, now."""
    now = call.services.clock.now()
    job = await call.services.store.jobs.retry(call.user_id, reference(call), now)
    call.services.scheduler.arm(job)
    return respond({"data": job_resource(job, now)})


async def run(call: Call) -> Response:
    """Send a waiting job now."""
    now = call.services.clock.now()
    job = await call.services.store.jobs.run(call.user_id, reference(call), now)
    call.services.scheduler.arm(job)
    return respond({"data": job_resource(job, now)})


OPERATIONS = (
    Operation("POST", "/api/jobs", Access.WRITE, create),
    Operation("GET", "/api/jobs", Access.READ, list_all),
    Operation("GET", "/api/jobs/{job_id}", Access.READ, get),
    Operation("DELETE", "/api/jobs/{job_id}", Access.WRITE, cancel),
    Operation("POST", "/api/jobs/{job_id}/cancel", Access.WRITE, cancel),
    Operation("POST", "/api/jobs/{job_id}/retry", Access.WRITE, retry),
    Operation("POST", "/api/jobs/{job_id}/run", Access.WRITE, run),
)


def reference(call: Call) -> JobRef:
    """Read the integer id or the UUID in the path; anything else names no job."""
    text = call.request.path_params["job_id"]
    if text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= _MAX_ID:
        return int(text)
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"there is no job {text[:80]!r}") from None


def _next_cursor(page: Page, last: Job) -> str:
    at = last.scheduled_at if page.order_by == "scheduled_at" else last.inserted_at
    return write_cursor(page, (at - EPOCH) // _MICROSECOND, last.id)

"""`/api/jobs`: create, list, get, cancel (contract §2 to §5)."""

from uuid import UUID

from starlette.responses import Response

from booper.api.bodies import media_type, read_body
from booper.api.intake import plan
from booper.api.paging import read_page
from booper.api.routing import Access, Call, Operation, respond
from booper.api.wire import job_resource, new_job_resource
from booper.errors import NotFound
from booper.model.job import State
from booper.store.base import JobRef

ORDER_FIELDS = ("inserted_at", "scheduled_at", "id")
_MAX_ID = 2**63 - 1


async def create(call: Call) -> Response:
    """Accept a job; the answer leaves when the job is durable."""
    services = call.services
    body = await read_body(call.request, services.max_body_bytes)
    now = services.clock.now()
    new = plan(
        body,
        media_type(call.request),
        call.user_id,
        guard=services.guard,
        max_attempts=services.max_attempts,
        now=now,
    )
    created = await services.store.jobs.create(new, now)
    job = created.job
    if created.is_duplicate:
        return respond({"data": job_resource(job, now, has_conflict=True)})
    services.scheduler.arm(job)
    location = {"Location": f"/api/jobs/{job.id}"}
    return respond({"data": new_job_resource(job, now)}, 201, location)


async def list_all(call: Call) -> Response:
    """List the user's jobs, newest first unless asked otherwise."""
    page, filters = read_page(call.request.query_params, ORDER_FIELDS, {"state": _state})
    now = call.services.clock.now()
    jobs = await call.services.store.jobs.list(call.user_id, page, filters["state"], now)
    return respond({"data": [job_resource(job, now) for job in jobs]})


async def get(call: Call) -> Response:
    """Show one job."""
    job = await call.services.store.jobs.get(call.user_id, _reference(call))
    return respond({"data": job_resource(job, call.services.clock.now())})


async def cancel(call: Call) -> Response:
    """Cancel a job; a finished one is shown unchanged."""
    now = call.services.clock.now()
    job = await call.services.store.jobs.cancel(call.user_id, _reference(call), now)
    return respond({"data": job_resource(job, now)})


OPERATIONS = (
    Operation("POST", "/api/jobs", Access.WRITE, create),
    Operation("GET", "/api/jobs", Access.READ, list_all),
    Operation("GET", "/api/jobs/{job_id}", Access.READ, get),
    Operation("DELETE", "/api/jobs/{job_id}", Access.WRITE, cancel),
    Operation("POST", "/api/jobs/{job_id}/cancel", Access.WRITE, cancel),
)


def _reference(call: Call) -> JobRef:
    """Read the integer id or the UUID in the path; anything else names no job."""
    text = call.request.path_params["job_id"]
    if text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= _MAX_ID:
        return int(text)
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"there is no job {text[:80]!r}") from None


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise ValueError(f"expected one of {', '.join(State)}, got {text[:40]!r}") from None

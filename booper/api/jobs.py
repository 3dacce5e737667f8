"""`/api/jobs`: create, list, get, cancel, run now, run again (contract §2 to §5, §10)."""

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import media_type, read_body
from booper.api.call import Call
from booper.api.dry_run import Preview, preview
from booper.api.filters import query_filter, query_readers
from booper.api.hidden_headers import HEADERS_FROM, asks_for_hidden, with_hidden
from booper.api.intake import read_creation
from booper.api.memory import ITEM_BYTES
from booper.api.operations import (
    Data,
    DescribedBody,
    DescribedResponse,
    Documentation,
    Operation,
    Parameter,
)
from booper.api.paging import flag, read_page, write_cursor
from booper.api.parameters import BOOLEAN, BRIEF, CURSOR, FILTERS, JOB_ID, paging
from booper.api.paths import job_ref
from booper.api.pauses import holder
from booper.api.responses import JSONResponse
from booper.api.schemas import FORM_OF_CREATE
from booper.errors import Conflict
from booper.model.args import Args
from booper.model.job import WAITING
from booper.store.values import PAGE_BYTES, JobRef
from booper.wire.job import JobResource, job_resource, new_job_resource
from booper.wire.timestamps import precise

ORDER_FIELDS = ("inserted_at", "scheduled_at", "id")


class JobPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of jobs; `next_cursor` leads to the page behind it, if there may be one.

    `is_partial` says that the search was not finished, and goes on there. It has looked at the
    jobs up to `searched_to`, the time in the order of the list.
    """

    data: list[JobResource]
    next_cursor: str | None = None
    is_partial: bool = False
    searched_to: str | None = None


async def create(call: Call) -> Response:
    """Create a job or a schedule; the response is sent after it is stored."""
    services = call.services
    if flag(call, "dry_run"):
        return await _dry_run(call)
    body = await read_body(call, services.max_body_bytes)
    now = services.clock.now()
    creation = read_creation(body, media_type(call), call.user_id, services.rules, now)
    are_hidden = asks_for_hidden(call)
    if are_hidden:
        creation = await with_hidden(call, creation)
    created = await services.commands.create(call.signed(creation), now)
    job = created.job
    if created.is_duplicate:
        return JSONResponse({"data": job_resource(job, now, services.redaction, has_conflict=True)})
    shown = job_resource(job, now, services.redaction) if are_hidden else new_job_resource(job, now)
    return JSONResponse({"data": shown}, 201, call.url(f"/api/jobs/{job.id}"))


async def _dry_run(call: Call) -> Response:
    services = call.services
    body = await read_body(call, services.max_body_bytes)
    now = services.clock.now()
    creation = read_creation(body, media_type(call), call.user_id, services.rules, now)
    creation = await with_hidden(call, creation)
    return JSONResponse({"data": await preview(creation.new, services, now)})


async def list_all(call: Call) -> Response:
    """List the user's jobs, newest first by default."""
    now = call.services.clock.now()
    page, values = read_page(call.query, ORDER_FIELDS, query_readers(now))
    wanted, is_brief = query_filter(values), flag(call, "brief")
    listed = call.services.store.jobs.list
    part = await listed(call.user_id, page, wanted, now, is_brief=is_brief)
    shown = [job_resource(job, now, call.services.redaction) for job in part]
    searched_to = None if part.searched_to is None else precise(part.searched_to)
    return JSONResponse(JobPage(shown, write_cursor(page, part), part.is_partial, searched_to))


async def get(call: Call) -> Response:
    """Show one job."""
    services = call.services
    job = await services.store.jobs.get(call.user_id, reference(call))
    held_by = holder(job.origin, services) if job.state in WAITING else None
    now, redaction = services.clock.now(), services.redaction
    return JSONResponse({"data": job_resource(job, now, redaction, held_by=held_by)})


async def cancel(call: Call) -> Response:
    """Cancel a job; a finished one is shown unchanged."""
    services, now = call.services, call.services.clock.now()
    job = await services.commands.cancel(call.user_id, reference(call), now, call.actor)
    return JSONResponse({"data": job_resource(job, now, services.redaction)})


async def retry(call: Call) -> Response:
    """Send a discarded or cancelled job again, now."""
    services, now = call.services, call.services.clock.now()
    job = await services.commands.retry(call.user_id, reference(call), now, call.actor)
    return JSONResponse({"data": job_resource(job, now, services.redaction)})


async def run(call: Call) -> Response:
    """Send a waiting job now."""
    services, now = call.services, call.services.clock.now()
    job = await services.commands.run(call.user_id, reference(call), now, call.actor)
    return JSONResponse({"data": job_resource(job, now, services.redaction)})


_HOOK = "https://scheduler.booper.dev/api/broadcast"
EXAMPLES = {
    "once": {
        "method": "post",
        "url": _HOOK,
        "body": {"content": "Testing 123", "channel": "discord"},
        "schedule_in": [30, "seconds"],
    },
    "ping every 5 minutes": {
        "method": "get",
        "url": "https://scheduler.booper.dev/api/ping",
        "schedule_in": [10, "seconds"],
        "repeat_every": [5, "minutes"],
    },
    "with the last response": {
        "method": "post",
        "url": "https://example.com/stories",
        "body": {"min": 200, "exclude": "$previous.sent"},
        "repeat_every": [1, "hour"],
    },
    "with memory": {
        "method": "post",
        "url": "https://example.com/stories",
        "body": {"min": 200, "exclude": "$state.sent"},
        "repeat_every": [1, "hour"],
    },
    "by cron": {
        "method": "post",
        "url": "https://example.com/release",
        "body": {"last_sent_release": "$state.last_sent_release"},
        "cron": "0 10 * * MON",
    },
    "only once": {
        "method": "post",
        "url": "https://example.com/mail",
        "headers": {"Authorization": "Bearer token"},
        "body": {"to": "jane@example.com"},
        "schedule_in": [45, "minutes"],
        "idempotency_key": "jane@example.com:welcome",
    },
}
_FORM_EXAMPLE = {
    "method": "post",
    "url": "https://example.com/standup",
    "body[content]": "Time for standup!",
    "cron": "0 9 * * 1-5",
}
_STATE = {
    "attempted_at": None,
    "cancelled_at": None,
    "completed_at": None,
    "discarded_at": None,
    "has_confict": False,
    "id": 29180,
    "inserted_at": "2023-09-01T18:25:49.705161Z",
    "scheduled_at": "2023-09-01T18:26:19.707539Z",
    "state": "scheduled",
    "attempt": 0,
    "max_attempts": 15,
    "last_error": None,
}
JOB = {
    "id": "41d7f28b-dfbe-44b8-b716-b91898bb0ce0",
    "idempotency_key": None,
    "inserted_at": "2023-09-01T18:25:49",
    "name": None,
    "description": None,
    "user_id": "bd2aa099-6eb7-4dbb-9178-32141def1355",
    "schedule_id": None,
    "job_id": 29180,
    "job": _STATE,
    "args": {
        "method": "post",
        "url": _HOOK,
        "body": {"content": "Testing 123", "channel": "discord"},
        "schedule_in": [30, "seconds"],
    },
}

_JOB = DescribedResponse("The job", (Data(JobResource),), {"data": JOB})
_CREATE = Documentation(
    tag="jobs",
    parameters=(
        Parameter("dry_run", "Store nothing; show what the create would do", BOOLEAN, True),
        HEADERS_FROM,
    ),
    body=DescribedBody(Args, EXAMPLES, FORM_OF_CREATE, {"daily standup": _FORM_EXAMPLE}),
    responses={
        201: DescribedResponse(
            "The new job, or the first run of the new schedule",
            (Data(JobResource),),
            {"data": JOB},
            headers=("Location",),
        ),
        200: DescribedResponse(
            "The job that has the idempotency key; for a dry run, what the create would do",
            (Data(JobResource), Data(Preview)),
            {"data": {**JOB, "job": {**_STATE, "has_confict": True}}},
        ),
    },
    errors=(Conflict,),
)
_LIST = Documentation(
    tag="jobs",
    parameters=(*paging(ORDER_FIELDS), CURSOR, BRIEF, *FILTERS),
    responses={200: DescribedResponse("Jobs", (JobPage,), {"data": [JOB]})},
)
_GET = Documentation(tag="jobs", parameters=(JOB_ID,), responses={200: _JOB})
_CANCEL = Documentation(tag="jobs", parameters=(JOB_ID,), responses={200: _JOB})
_DELETE = Documentation(tag="jobs", parameters=(JOB_ID,), responses={200: _JOB}, is_deprecated=True)
_AGAIN = Documentation(tag="jobs", parameters=(JOB_ID,), responses={200: _JOB}, errors=(Conflict,))

OPERATIONS = (
    Operation("POST", "/api/jobs", Access.WRITE, create, _CREATE),
    Operation("GET", "/api/jobs", Access.READ, list_all, _LIST, PAGE_BYTES),
    Operation("GET", "/api/jobs/{job_id}", Access.READ, get, _GET, ITEM_BYTES),
    Operation("DELETE", "/api/jobs/{job_id}", Access.WRITE, cancel, _DELETE, ITEM_BYTES),
    Operation("POST", "/api/jobs/{job_id}/cancel", Access.WRITE, cancel, _CANCEL, ITEM_BYTES),
    Operation("POST", "/api/jobs/{job_id}/retry", Access.WRITE, retry, _AGAIN, ITEM_BYTES),
    Operation("POST", "/api/jobs/{job_id}/run", Access.WRITE, run, _AGAIN, ITEM_BYTES),
)


def reference(call: Call) -> JobRef:
    """Read the integer id or the UUID in the path; anything else names no job."""
    return job_ref(call.path["job_id"])

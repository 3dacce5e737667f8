"""`/api/logs`: what was sent and received (contract §7)."""

from uuid import UUID

from starlette.responses import Response

from booper.api.paging import read_page
from booper.api.routing import Access, Call, Operation, respond
from booper.api.wire import log_resource
from booper.errors import FieldError, InvalidRequest, NotFound
from booper.model.event import EVENTS

ORDER_FIELDS = ("inserted_at",)


async def list_all(call: Call) -> Response:
    """List the user's log entries, of all jobs or one, newest first unless asked otherwise."""
    query = call.request.query_params
    page = read_page(query, ORDER_FIELDS, ("job_id", "event"))
    job_id, event = _job_id(query.get("job_id")), _event(query.get("event"))
    entries = await call.services.store.logs.list(call.user_id, page, job_id, event)
    return respond({"data": [log_resource(entry) for entry in entries]})


async def get(call: Call) -> Response:
    """Show one log entry."""
    text = call.request.path_params["log_id"]
    try:
        entry_id = UUID(text)
    except ValueError:
        raise NotFound(f"there is no log entry {text[:80]!r}") from None
    return respond(
        {"data": log_resource(await call.services.store.logs.get(call.user_id, entry_id))}
    )


OPERATIONS = (
    Operation("GET", "/api/logs", Access.READ, list_all),
    Operation("GET", "/api/logs/{log_id}", Access.READ, get),
)


def _job_id(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise InvalidRequest([FieldError("/job_id", f"expected a job's number, got {text[:40]!r}")])


def _event(text: str | None) -> str | None:
    if text is None or text in EVENTS:
        return text
    expected = ", ".join(EVENTS)
    raise InvalidRequest([FieldError("/event", f"expected one of {expected}, got {text[:40]!r}")])

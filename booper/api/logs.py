"""`/api/logs`: what was sent and received (contract §7)."""

from uuid import UUID

from starlette.responses import Response

from booper.api.paging import read_page
from booper.api.routing import Access, Call, Operation, respond
from booper.api.wire import log_resource
from booper.errors import NotFound
from booper.model.event import EVENTS

ORDER_FIELDS = ("inserted_at", "id")


async def list_all(call: Call) -> Response:
    """List the user's log entries, of all jobs or one, newest first unless asked otherwise."""
    readers = {"job_id": _job_id, "event": _event}
    page, filters = read_page(call.request.query_params, ORDER_FIELDS, readers, has_cursor=False)
    entries = await call.services.store.logs.list(call.user_id, page, **filters)
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


def _job_id(texts: list[str]) -> int:
    text = texts[-1]
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise ValueError(f"expected a job's number, got {text[:40]!r}")


def _event(texts: list[str]) -> str:
    text = texts[-1]
    if text in EVENTS:
        return text
    raise ValueError(f"expected one of {', '.join(EVENTS)}, got {text[:40]!r}")

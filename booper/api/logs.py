"""`/api/logs`: what was sent and received (contract §7)."""

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.memory import ITEM_BYTES
from booper.api.operations import Data, DescribedResponse, Documentation, Operation, Parameter
from booper.api.paging import MAX_UUID, read_page, write_cursor
from booper.api.parameters import CURSOR, paging
from booper.api.paths import uuid_of
from booper.api.responses import JSONResponse
from booper.api.schemas import UUID as UUID_SCHEMA
from booper.api.schemas import choice, whole
from booper.model.event import EVENTS
from booper.store.values import PAGE_BYTES
from booper.wire.log import LogResource, log_resource

ORDER_FIELDS = ("inserted_at", "id")


class LogPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of log entries; `next_cursor` leads to the page behind it, if there may be one."""

    data: list[LogResource]
    next_cursor: str | None = None


async def list_all(call: Call) -> Response:
    """List the user's log entries, of all jobs or one, newest first by default."""
    readers = {"job_id": _job_id, "event": _event}
    query = call.query
    page, filters = read_page(query, ORDER_FIELDS, readers, max_id=MAX_UUID)
    part = await call.services.store.logs.list(call.user_id, page, **filters)
    resources = [log_resource(entry) for entry in part]
    return JSONResponse(LogPage(resources, write_cursor(page, part)))


async def get(call: Call) -> Response:
    """Show one log entry."""
    entry_id = uuid_of(call.path["log_id"], "log entry")
    return JSONResponse(
        {"data": log_resource(await call.services.store.logs.get(call.user_id, entry_id))}
    )


_ENTRY = {
    "event": "worker.http.request",
    "id": "8c6ba5ff-1b0f-4f5c-8df4-8f5c0f6f3a2e",
    "inserted_at": "2023-09-01T18:26:19.812345Z",
    "job_id": 29180,
    "payload": {
        "body": {"content": "Hello world!"},
        "headers": {},
        "query": {},
        "url": "https://example.com/hook",
    },
    "user_id": "bd2aa099-6eb7-4dbb-9178-32141def1355",
}
_LIST = Documentation(
    tag="logs",
    parameters=(
        *paging(ORDER_FIELDS),
        CURSOR,
        Parameter("job_id", "Only entries of this job", whole(0, 10**18 - 1), 29180),
        Parameter("event", "Only entries of this event", choice(EVENTS), "worker.http.response"),
    ),
    responses={200: DescribedResponse("Entries", (LogPage,), {"data": [_ENTRY]})},
)
_GET = Documentation(
    tag="logs",
    parameters=(Parameter("log_id", "The entry's id", UUID_SCHEMA, _ENTRY["id"]),),
    responses={200: DescribedResponse("The entry", (Data(LogResource),), {"data": _ENTRY})},
)

OPERATIONS = (
    Operation("GET", "/api/logs", Access.READ, list_all, _LIST, PAGE_BYTES),
    Operation("GET", "/api/logs/{log_id}", Access.READ, get, _GET, ITEM_BYTES),
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

"""Work on many jobs: cancel and retry by filter (contract §10)."""

from typing import TypeVar

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import check_json_type, read_body
from booper.api.call import Call
from booper.api.filters import FilterBody, body_filter
from booper.api.operations import Data, DescribedBody, DescribedResponse, Documentation, Operation
from booper.api.responses import JSONResponse
from booper.api.shapes import read_struct

T = TypeVar("T", bound=msgspec.Struct)


class ManyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which jobs to change, and whether only to count them."""

    filter: FilterBody | None = None
    all: bool | None = None
    dry_run: bool = False


class ManyResult(msgspec.Struct, frozen=True):
    """The numbers of jobs that matched and could change, and of those that did."""

    matched: int
    changed: int


async def cancel(call: Call) -> Response:
    """Cancel every unfinished job that matches."""
    asked, now = await read_json(call, ManyBody), call.services.clock.now()
    wanted, commands = body_filter(_filter(asked), now), call.services.commands
    by, dry_run = call.actor, asked.dry_run
    changed = await commands.cancel_many(call.user_id, wanted, now, by, dry_run=dry_run)
    return JSONResponse({"data": ManyResult(changed.matched, changed.changed)})


async def retry(call: Call) -> Response:
    """Send every discarded or cancelled job that matches again."""
    asked, now = await read_json(call, ManyBody), call.services.clock.now()
    wanted, commands = body_filter(_filter(asked), now), call.services.commands
    by, dry_run = call.actor, asked.dry_run
    changed = await commands.retry_many(call.user_id, wanted, now, by, dry_run=dry_run)
    return JSONResponse({"data": ManyResult(changed.matched, changed.changed)})


_MANY = Documentation(
    tag="jobs",
    body=DescribedBody(
        ManyBody,
        {
            "of a tag": {"filter": {"tag": "nightly"}, "dry_run": True},
            "all": {"all": True, "dry_run": True},
        },
    ),
    responses={
        200: DescribedResponse(
            "How many jobs matched and changed",
            (Data(ManyResult),),
            {"data": {"matched": 3, "changed": 0}},
        )
    },
)
OPERATIONS = (
    Operation("POST", "/api/jobs/cancel", Access.WRITE, cancel, _MANY),
    Operation("POST", "/api/jobs/retry", Access.WRITE, retry, _MANY),
)


def _filter(asked: ManyBody) -> FilterBody:
    if asked.filter is None:
        return FilterBody(all=asked.all)
    return asked.filter if asked.all is None else replace(asked.filter, all=asked.all)


async def read_json(call: Call, kind: type[T], max_bytes: int | None = None) -> T:
    """Read the JSON body of a request as a struct."""
    limit = max_bytes or call.services.max_body_bytes
    return parse_struct(call, await read_body(call, limit), kind)


def parse_struct(call: Call, body: bytes, kind: type[T]) -> T:
    """Read a JSON body as a struct; these operations take no forms."""
    check_json_type(call)
    return read_struct(body, kind)

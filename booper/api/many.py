"""Work on many jobs: cancel, retry and run now by filter (contract §10)."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import check_json_type, read_body
from booper.api.call import Call
from booper.api.filters import MAX_ID, FilterBody, body_filter
from booper.api.operations import Data, DescribedBody, DescribedResponse, Documentation, Operation
from booper.api.responses import JSONResponse
from booper.api.shapes import read_struct
from booper.errors import FieldError, InvalidRequest
from booper.store.values import Bounds, BulkResult

T = TypeVar("T", bound=msgspec.Struct)

MAX_COUNT: Final = 100_000


class ManyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which jobs to change, and whether only to count them.

    Jobs with a number above `through` are left out. A dry run with `max_count` looks at no more
    jobs than that.
    """

    filter: FilterBody | None = None
    all: bool | None = None
    dry_run: bool = False
    through: Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)] | None = None
    max_count: Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)] | None = None


class ManyResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The numbers of jobs that matched and could change, and of those that did.

    A dry run shows the highest number of a job that it has looked at (`through`). One that
    `is_partial` has looked at `max_count` jobs, and not at all.
    """

    matched: int
    changed: int
    through: int | None = None
    is_partial: bool = False


async def cancel(call: Call) -> Response:
    """Cancel every unfinished job that matches."""
    return await _change(call, call.services.commands.cancel_many)


async def retry(call: Call) -> Response:
    """Send every discarded or cancelled job that matches again."""
    return await _change(call, call.services.commands.retry_many)


async def run(call: Call) -> Response:
    """Send every job that matches and waits for its time now."""
    return await _change(call, call.services.commands.run_many)


async def _change(call: Call, change: Callable[..., Awaitable[BulkResult]]) -> Response:
    asked, now = await read_json(call, ManyBody), call.services.clock.now()
    wanted, dry_run = body_filter(_filter(asked), now), asked.dry_run
    if asked.max_count is not None and not dry_run:
        detail = "only a dry run can stop there; give it with dry_run: true"
        raise InvalidRequest([FieldError("/max_count", detail)])
    bounds = Bounds(asked.through, asked.max_count)
    done = await change(call.user_id, wanted, now, call.actor, dry_run=dry_run, bounds=bounds)
    through = done.through if dry_run else None
    return JSONResponse({"data": ManyResult(done.matched, done.changed, through, done.is_partial)})


_MANY = Documentation(
    tag="jobs",
    body=DescribedBody(
        ManyBody,
        {
            "of a tag": {"filter": {"tag": "nightly"}, "dry_run": True},
            "all": {"all": True, "dry_run": True, "max_count": 10_000},
            "no later ones": {"filter": {"tag": "nightly"}, "dry_run": True, "through": 29180},
        },
    ),
    responses={
        200: DescribedResponse(
            "How many jobs matched and changed",
            (Data(ManyResult),),
            {"data": {"matched": 3, "changed": 0, "through": 29180}},
        )
    },
)
OPERATIONS = (
    Operation("POST", "/api/jobs/cancel", Access.WRITE, cancel, _MANY),
    Operation("POST", "/api/jobs/retry", Access.WRITE, retry, _MANY),
    Operation("POST", "/api/jobs/run", Access.WRITE, run, _MANY),
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

"""`/api/breakers`: the origins that failed so often that they are only probed for now."""

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.memory import ITEM_BYTES
from booper.api.operations import Data, DescribedBody, DescribedResponse, Documentation, Operation
from booper.api.pauses import TARGETS, TargetBody, read_target
from booper.api.responses import JSONResponse
from booper.api.schemas import Schema
from booper.model.breaker import Breaker
from booper.wire.timestamps import precise_or_none


class BreakerResource(msgspec.Struct, frozen=True):
    """An origin with an open breaker: since when, and when it is probed next."""

    origin: str
    failures: int
    opened_at: str | None
    probe_at: str | None


async def list_all(call: Call) -> Response:
    """List the origins that are only probed, because they failed repeatedly."""
    opened = call.services.scheduler.breakers.open()
    return JSONResponse({"data": [breaker_resource(breaker) for breaker in opened]})


async def reset(call: Call) -> Response:
    """Send to one target or to all as if it had never failed."""
    target, now = await read_target(call), call.services.clock.now()
    origins = await call.services.commands.reset_breakers(target, now, call.actor)
    return JSONResponse({"data": {"reset": origins}})


def breaker_resource(breaker: Breaker) -> BreakerResource:
    """Return an open breaker as the API shows it."""
    opened_at, probe_at = precise_or_none(breaker.opened_at), precise_or_none(breaker.probe_at)
    return BreakerResource(breaker.origin, breaker.failures, opened_at, probe_at)


_EXAMPLE = {
    "origin": "https://example.com",
    "failures": 21,
    "opened_at": "2023-09-01T18:25:49.705161Z",
    "probe_at": "2023-09-01T18:25:51.705161Z",
}
_LIST = Documentation(
    tag="jobs",
    responses={
        200: DescribedResponse(
            "The origins", (Data(BreakerResource, is_list=True),), {"data": [_EXAMPLE]}
        )
    },
)
_WERE_RESET: Schema = {
    "type": "object",
    "properties": {
        "data": {
            "type": "object",
            "properties": {"reset": {"type": "array", "items": {"type": "string"}}},
            "required": ["reset"],
        }
    },
    "required": ["data"],
}
_RESET = Documentation(
    tag="jobs",
    body=DescribedBody(TargetBody, TARGETS, is_required=False),
    responses={
        200: DescribedResponse(
            "The origins that were only probed",
            (_WERE_RESET,),
            {"data": {"reset": ["https://example.com"]}},
        )
    },
)

OPERATIONS = (
    Operation("GET", "/api/breakers", Access.ADMIN, list_all, _LIST, ITEM_BYTES),
    Operation("POST", "/api/breakers/reset", Access.ADMIN, reset, _RESET),
)

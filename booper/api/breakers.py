"""`/api/breakers`: the hosts that failed so often that they are only probed for now."""

import msgspec
from starlette.responses import Response

from booper.api.routing import Access, Answer, Call, Data, Documentation, Operation, respond
from booper.engine.breakers import Breaker
from booper.model.timestamps import precise_or_none


class BreakerResource(msgspec.Struct, frozen=True):
    """A host that is spared: since when, and when it is probed next."""

    host: str
    failures: int
    opened_at: str | None
    probe_at: str | None


async def list_all(call: Call) -> Response:
    """List the hosts that are probed only, because they failed again and again."""
    opened = call.services.scheduler.breakers.open()
    return respond({"data": [_resource(breaker) for breaker in opened]})


def _resource(breaker: Breaker) -> BreakerResource:
    opened_at, probe_at = precise_or_none(breaker.opened_at), precise_or_none(breaker.probe_at)
    return BreakerResource(breaker.host, breaker.failures, opened_at, probe_at)


_EXAMPLE = {
    "host": "example.com",
    "failures": 21,
    "opened_at": "2023-09-01T18:25:49.705161Z",
    "probe_at": "2023-09-01T18:25:51.705161Z",
}
_LIST = Documentation(
    tag="jobs",
    answers={
        200: Answer("The hosts", (Data(BreakerResource, is_list=True),), {"data": [_EXAMPLE]})
    },
)

OPERATIONS = (Operation("GET", "/api/breakers", Access.ADMIN, list_all, _LIST),)

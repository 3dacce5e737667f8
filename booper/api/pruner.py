"""`/api/prune`: deleting old jobs at once, for the administrator alone."""

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.operations import Data, DescribedResponse, Documentation, Operation
from booper.api.responses import JSONResponse
from booper.engine.pruner import PrunerStatus
from booper.errors import StoreUnavailable
from booper.wire.timestamps import precise_or_none


class PrunerResource(msgspec.Struct, frozen=True):
    """Since when old jobs are deleted, when all was looked at last, and what was deleted by now.

    The numbers count from the start of booper. `error` is what keeps it from deleting, empty if
    nothing does.
    """

    begins_at: str | None
    pruned_at: str | None
    jobs: int
    rows: int
    error: str


def pruner_resource(status: PrunerStatus) -> PrunerResource:
    """Return what the pruner does, as it is shown."""
    return PrunerResource(
        precise_or_none(status.begins_at),
        precise_or_none(status.pruned_at),
        status.jobs,
        status.rows,
        status.error,
    )


async def prune(call: Call) -> Response:
    """Delete old jobs by `[retention]` from now on, also in a database of an older booper.

    It goes on after the response, in small steps.
    """
    pruner = call.services.pruner
    if pruner is None:
        raise StoreUnavailable("nothing is deleted here")
    await pruner.begin()
    return JSONResponse({"data": pruner_resource(pruner.status)})


_PRUNE = Documentation(
    tag="jobs",
    responses={
        200: DescribedResponse(
            "What is deleted by now",
            (Data(PrunerResource),),
            {
                "data": {
                    "begins_at": "2030-01-01T12:00:00.000000Z",
                    "pruned_at": None,
                    "jobs": 0,
                    "rows": 0,
                    "error": "",
                }
            },
        )
    },
)

OPERATIONS = (Operation("POST", "/api/prune", Access.ADMIN, prune, _PRUNE),)

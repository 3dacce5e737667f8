"""The whole API as one ASGI application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from booper.api import channels, jobs, keys, logs, many, probes, schedules
from booper.api.problems import answer_expected, answer_http, answer_unexpected
from booper.api.routing import Operation, Services, routes
from booper.errors import BooperError

OPERATIONS: tuple[Operation, ...] = (
    *many.OPERATIONS,
    *jobs.OPERATIONS,
    *schedules.OPERATIONS,
    *channels.OPERATIONS,
    *logs.OPERATIONS,
    *keys.OPERATIONS,
    *probes.OPERATIONS,
)


def create_application(services: Services) -> Starlette:
    """Build the API over its services; it acquires nothing of its own."""
    application = Starlette(
        routes=routes(OPERATIONS, services),
        exception_handlers={
            BooperError: answer_expected,
            HTTPException: answer_http,
            Exception: answer_unexpected,
        },
    )
    application.router.redirect_slashes = False
    return application

"""The whole API as one ASGI application."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from booper.api import (
    batch,
    breakers,
    channels,
    jobs,
    keys,
    logs,
    many,
    pauses,
    probes,
    schedules,
)
from booper.api.creates import Creates
from booper.api.openapi import VERSION, document
from booper.api.problems import answer_expected, answer_http, answer_unexpected
from booper.api.routing import (
    Access,
    Answer,
    Call,
    DirectRouter,
    Documentation,
    Operation,
    Services,
    routes,
)
from booper.errors import BooperError

REDESCRIBED_AFTER: Final = timedelta(days=1)
"""A clock that was moved makes other times right."""


async def describe(call: Call) -> Response:
    """Describe this API as an OpenAPI document."""
    state, now = call.request.app.state, call.services.clock.now()
    if not hasattr(state, "document") or abs(now - state.described_at) > REDESCRIBED_AFTER:
        state.document = msgspec.json.encode(document(state.operations, now))
        state.described_at = now
    return Response(state.document, media_type="application/json")


_DESCRIBED = Documentation(
    tag="probes",
    ignores_query=True,
    answers={200: Answer("This document", ({"type": "object"},), {"openapi": VERSION})},
)

OPERATIONS: tuple[Operation, ...] = (
    *batch.OPERATIONS,
    *many.OPERATIONS,
    *jobs.OPERATIONS,
    *schedules.OPERATIONS,
    *pauses.OPERATIONS,
    *breakers.OPERATIONS,
    *channels.OPERATIONS,
    *logs.OPERATIONS,
    *keys.OPERATIONS,
    *probes.OPERATIONS,
    Operation("GET", "/openapi.json", Access.OPEN, describe, _DESCRIBED),
)


def create_application(services: Services, operations: Sequence[Operation] = OPERATIONS) -> ASGIApp:
    """Build the API over its services; it acquires nothing of its own."""
    application = Starlette(
        exception_handlers={
            BooperError: answer_expected,
            HTTPException: answer_http,
            Exception: answer_unexpected,
        },
    )
    application.state.operations = operations
    application.router = DirectRouter(routes(operations, services))
    return Creates(services, application)

"""The whole API: its operations, and one ASGI application of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp

from booper.api import (
    batch,
    breakers,
    channels,
    counts,
    events,
    history,
    jobs,
    keys,
    logs,
    many,
    nodes,
    origins,
    pauses,
    probes,
    pruner,
    rates,
    schedules,
    status,
)
from booper.api.access import Access
from booper.api.call import Call
from booper.api.dispatch import Dispatcher, Pages
from booper.api.openapi import VERSION, document
from booper.api.operations import DescribedResponse, Documentation, Operation
from booper.api.responses import JSONResponse
from booper.api.services import Services

REDESCRIBED_AFTER: Final = timedelta(days=1)
"""A clock that was moved makes other times right."""


class Description:
    """The OpenAPI document of operations, its own among them, as it was written last."""

    def __init__(self, others: Sequence[Operation]) -> None:
        own = Operation("GET", "/openapi.json", Access.OPEN, self.describe, _DESCRIBED)
        self.operations: Sequence[Operation] = (*others, own)
        self._document = msgspec.Raw()
        self._described_at: datetime | None = None

    async def describe(self, call: Call) -> Response:
        """Describe this API as an OpenAPI document."""
        now, before = call.services.clock.now(), self._described_at
        if before is None or abs(now - before) > REDESCRIBED_AFTER:
            written = document(self.operations, now, call.services.public_url)
            self._document = msgspec.Raw(msgspec.json.encode(written))
            self._described_at = now
        return JSONResponse(self._document)


_DESCRIBED = Documentation(
    tag="probes",
    ignores_query=True,
    responses={
        200: DescribedResponse("This document", ({"type": "object"},), {"openapi": VERSION})
    },
)


def all_operations(more: Sequence[Operation] = ()) -> Sequence[Operation]:
    """Return the operations of the API, more of them, and one that describes them all."""
    return Description(
        (
            *batch.OPERATIONS,
            *many.OPERATIONS,
            *jobs.OPERATIONS,
            *schedules.OPERATIONS,
            *history.OPERATIONS,
            *pauses.OPERATIONS,
            *breakers.OPERATIONS,
            *origins.OPERATIONS,
            *pruner.OPERATIONS,
            *channels.OPERATIONS,
            *logs.OPERATIONS,
            *keys.OPERATIONS,
            *probes.OPERATIONS,
            *status.OPERATIONS,
            *nodes.OPERATIONS,
            *counts.OPERATIONS,
            *rates.OPERATIONS,
            *events.OPERATIONS,
            *more,
        )
    ).operations


OPERATIONS: Final = all_operations()


def create_application(
    services: Services, operations: Sequence[Operation] = OPERATIONS, pages: Pages | None = None
) -> ASGIApp:
    """Build the API over its services, and pages beside it; it acquires nothing of its own."""
    return Dispatcher(operations, services, pages)

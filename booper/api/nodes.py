"""`/api/nodes`: the processes that serve the database, for whoever operates booper."""

from typing import Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.memory import ITEM_BYTES
from booper.api.operations import Data, DescribedResponse, Documentation, Operation
from booper.api.responses import JSONResponse
from booper.errors import StoreUnavailable
from booper.store.nodes import NodeInfo
from booper.wire.timestamps import precise


class NodeResource(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves the database. No other one has had its `number`.

    `lease_age_seconds` is how long ago it renewed its lease, null over SQLite, which needs none. A
    node does so each second; after 4 seconds without it others send what it had begun to send.
    `clock_offset_seconds` is how far its clock is ahead of the database's, null until it has
    measured that. `is_this` is whether it has responded to this request.
    """

    number: int
    name: str
    started_at: str
    lease_age_seconds: float | None
    clock_offset_seconds: float | None
    is_this: bool


async def list_all(call: Call) -> Response:
    """List the nodes, which are the processes that serve the database.

    Over SQLite there is one.
    """
    return JSONResponse(
        {"data": [_resource(node) for node in await call.services.store.nodes.list()]}
    )


def _resource(node: NodeInfo) -> NodeResource:
    age, offset = node.lease_age, node.clock_offset
    return NodeResource(
        number=node.number,
        name=node.name,
        started_at=precise(node.started_at),
        lease_age_seconds=None if age is None else age.total_seconds(),
        # To the millisecond, as far as it can be measured; the sum has no negative zero.
        clock_offset_seconds=None if offset is None else round(offset.total_seconds(), 3) + 0.0,
        is_this=node.is_this,
    )


_EXAMPLE: Final = {
    "number": 7,
    "name": "worker-2",
    "started_at": "2030-01-01T11:30:00.000000Z",
    "lease_age_seconds": 0.4,
    "clock_offset_seconds": -0.002,
    "is_this": True,
}
_LIST = Documentation(
    tag="probes",
    errors=(StoreUnavailable,),
    responses={
        200: DescribedResponse(
            "The nodes in order of their numbers",
            (Data(NodeResource, is_list=True),),
            {"data": [_EXAMPLE]},
        )
    },
)

OPERATIONS = (Operation("GET", "/api/nodes", Access.ADMIN, list_all, _LIST, ITEM_BYTES),)

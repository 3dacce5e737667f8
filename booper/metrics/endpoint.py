"""`/metrics`: for this machine or for keys that administer, for everybody, or at an own address."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from booper.api.access import Access, identify
from booper.api.application import all_operations
from booper.api.call import Call
from booper.api.operations import DescribedResponse, Documentation, Operation
from booper.errors import Forbidden, Unauthenticated
from booper.metrics.reading import Reading, read

# Whoever sends one of these passes on what somebody else has asked.
_FORWARDED: Final = (b"x-forwarded-for", b"x-real-ip", b"forwarded", b"via")


async def open_metrics(call: Call) -> Response:
    """Respond with the metrics of this booper, for Prometheus."""
    reading = await read(call.services)
    accept = call.headers.get(b"accept", b"").decode("latin-1")
    # Off the loop: with many routes and origins this takes some milliseconds.
    text, media_type = await asyncio.to_thread(_exposition, reading, accept)
    return Response(text, headers={"content-type": media_type})


async def local_metrics(call: Call) -> Response:
    """Respond with the metrics of this booper, for Prometheus.

    Requests from the same machine need no key, others one that administers.
    """
    if not is_local(call):
        await identify(call.headers, Access.ADMIN, call.services)
    return await open_metrics(call)


def is_local(call: Call) -> bool:
    """Return whether a request comes from this machine, and for itself.

    A proxy on this machine passes on requests of others. A page in a browser may have been led here
    by a name that its owner controls; it then asks for that name.
    """
    client, headers = call.scope.get("client"), call.headers
    if not client or any(name in headers for name in _FORWARDED):
        return False
    host = _host(headers.get(b"host", b"").decode("latin-1"))
    return _is_loopback(client[0]) and (host == "localhost" or _is_loopback(host))


def _host(authority: str) -> str:
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:  # a bracket that is not closed
        return ""


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _exposition(reading: Reading, accept: str) -> tuple[bytes, str]:
    # Its library takes 80 ms and 4 MB to import: nobody pays that who is never scraped.
    from booper.metrics.exposition import exposition

    return exposition(reading, accept)


def _documentation(*errors: type[Unauthenticated] | type[Forbidden]) -> Documentation:
    return Documentation(
        tag="probes",
        ignores_query=True,
        errors=errors,
        responses={
            200: DescribedResponse(
                "The metrics, in OpenMetrics if `Accept` asks for it",
                ({"type": "string"},),
                "booper_slots 64.0\n",
                media_type="text/plain",
            )
        },
    )


LOCAL: Final = Operation(
    "GET",
    "/metrics",
    Access.OPEN,
    local_metrics,
    _documentation(Unauthenticated, Forbidden),
)
OPEN: Final = Operation("GET", "/metrics", Access.OPEN, open_metrics, _documentation())


def with_metrics(setting: str, more: Sequence[Operation]) -> Sequence[Operation]:
    """Return all operations of the API and more of them, with metrics by `[server] metrics`.

    Metrics that have an address of their own are not among them.
    """
    return all_operations([*{"local": (LOCAL,), "open": (OPEN,)}.get(setting, ()), *more])

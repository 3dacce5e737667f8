"""A listener at an address of its own, beside that of the API: for metrics."""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from starlette.types import ASGIApp

from booper.errors import StartError
from booper.server.limits import Limits
from booper.server.listener import Listener, listening

log = logging.getLogger("booper")

MAX_CONNECTIONS = 50
GRACE_SECONDS = 1.0


@asynccontextmanager
async def listening_at(
    host: str, port: int, application: ASGIApp, setting: str
) -> AsyncIterator[None]:
    """Serve an application at an address until the end of the block; `setting` names it.

    Raises:
        StartError: the address cannot be listened on.
    """
    with closing(_bound(host, port, setting)) as bound:
        shown = f"[{host}]" if ":" in host else host
        log.info("metrics are at http://%s:%d/metrics", shown, bound.getsockname()[1])
        limits = Limits(connections=MAX_CONNECTIONS)
        async with listening(Listener(application, GRACE_SECONDS, [bound], limits)):
            yield


def _bound(host: str, port: int, setting: str) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StartError(
            f"{setting}: cannot listen on {host}:{port}: {reason}; write the address and a free "
            'port of this machine, such as "127.0.0.1:9667"'
        ) from error

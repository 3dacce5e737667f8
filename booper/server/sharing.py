"""The sockets beside a database, where its holder serves the processes that share it."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.types import ASGIApp

from booper.errors import StartError
from booper.server.limits import Limits
from booper.server.listener import (
    Listener,
    api_socket_path,
    check_socket_path,
    listening,
    socket_path,
    unix_socket,
)

log = logging.getLogger("booper")


@asynccontextmanager
async def sharing(
    database: Path,
    application: ASGIApp,
    administration: ASGIApp,
    *,
    grace_seconds: float,
    limits: Limits,
    is_crowded: Callable[[], bool],
) -> AsyncIterator[None]:
    """Listen beside a database that this process holds, until the end of the block.

    The API has a socket of its own, where a key is asked for: whatever a standby hands on there,
    and however it is spelled, it can do no more than its key.

    Raises:
        StartError: a socket cannot be made.
    """
    try:
        check_socket_path(database)
    except StartError as error:
        log.warning("other processes cannot reach this one: %s", error)
        yield
        return
    with (
        unix_socket(socket_path(database)) as private,
        unix_socket(api_socket_path(database)) as public,
    ):
        listeners = (
            Listener(administration, grace_seconds, [private], limits, is_crowded),
            Listener(application, grace_seconds, [public], limits, is_crowded),
        )
        async with listening(*listeners):
            yield

"""A process that shares its database with others: it follows the one that holds it, or takes over.

Whoever has the lock of the database writes and sends. The others hand it their calls, and try the
lock themselves, twice a second: it is free the moment its holder is dead, however it died. One that
hangs and lives keeps it, and its calls are given up: two that write would be worse than none.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from booper.clock import Clock
from booper.errors import StartError, StoreUnavailable
from booper.server.limits import Limits
from booper.server.listener import (
    Listener,
    api_socket_path,
    check_socket_path,
    listening,
    socket_path,
    unix_socket,
)
from booper.server.relay import Relay
from booper.store.sqlite import DatabaseLocked

log = logging.getLogger("booper")

LOOK_EVERY = timedelta(seconds=0.5)
# After a database that is free could not be opened. Others may try meanwhile.
PAUSE_AFTER_FAILURE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Faces:
    """What this process offers: the API, and the same to the administrator of its database."""

    application: ASGIApp
    administration: ASGIApp


async def open_to_others(
    stack: AsyncExitStack,
    database: Path,
    faces: Faces,
    grace_seconds: float,
    limits: Limits,
    is_crowded: Callable[[], bool],
) -> None:
    """Listen beside a database that this process holds, until the stack is closed so far.

    The API has a socket of its own, where a key is asked for: whatever a follower hands on there,
    and however it is spelled, it can do no more than its key.

    Raises:
        StartError: a socket cannot be made.
    """
    try:
        check_socket_path(database)
    except StartError as error:
        log.warning("other processes cannot reach this one: %s", error)
        return
    private = stack.enter_context(unix_socket(socket_path(database)))
    public = stack.enter_context(unix_socket(api_socket_path(database)))
    await stack.enter_async_context(
        listening(
            Listener(faces.administration, grace_seconds, [private], limits, is_crowded),
            Listener(faces.application, grace_seconds, [public], limits, is_crowded),
        )
    )


class Follower:
    """A standby: it passes calls to the holder of the database, and takes over once that is gone.

    `take` opens everything on the stack that it is given, or raises what `open_store` does; it may
    be called again after that. Once it has succeeded, calls go to `faces`, also those that wait.

    Raises:
        StartError: the holder cannot be reached.
    """

    def __init__(
        self,
        database: Path,
        faces: Faces,
        take: Callable[[AsyncExitStack], Awaitable[None]],
        clock: Clock,
        *,
        max_body_bytes: int,
    ) -> None:
        check_socket_path(database)
        path = database.absolute()  # wherever this process goes
        self.application = Relay(partial(api_socket_path, path), max_body_bytes)
        self.administration = Relay(partial(socket_path, path), max_body_bytes)
        self._faces = faces
        self._take = take
        self._clock = clock
        self._held = AsyncExitStack()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Follower":
        """Begin to stand by."""
        self._task = asyncio.create_task(self._stand_by(), name="follower")
        self._task.add_done_callback(_tell_failure)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop standing by, and release what was taken over."""
        await self.give_up()
        await self._held.aclose()
        self.application.close()
        self.administration.close()

    async def give_up(self) -> None:
        """Take nothing over any more."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait({self._task})

    async def wait(self) -> None:
        """Return once the database was taken over, or is no longer wanted.

        Raises: whatever ended the standing by before its time.
        """
        assert self._task is not None
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    async def _stand_by(self) -> None:
        pause = LOOK_EVERY
        while True:
            await self._clock.pause(pause)
            try:
                async with AsyncExitStack() as stack:
                    await self._take(stack)
                    self._held = stack.pop_all()
            except DatabaseLocked:
                pause = LOOK_EVERY
            except (StartError, StoreUnavailable) as error:
                log.error("the database is free, but cannot be taken over: %s", error)
                pause = PAUSE_AFTER_FAILURE
            else:
                log.warning("its holder is gone: this process serves the database now")
                self.application.hand_over(self._faces.application)
                self.administration.hand_over(self._faces.administration)
                return


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("standing by failed", exc_info=error)

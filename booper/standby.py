"""A process that shares its database with others and does not hold it, until it can.

Whoever has the lock of the database writes and sends. The others hand it their calls, and try the
lock themselves, twice a second: it is free the moment its holder is dead, however it died. One that
hangs and lives keeps it, and its calls are given up: two that write would be worse than none.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

from booper.clock import Clock
from booper.errors import StartError, StoreUnavailable
from booper.holder import Holder
from booper.server.listener import api_socket_path, check_socket_path, socket_path
from booper.server.relay import Relay
from booper.store.sqlite import DatabaseLocked

log = logging.getLogger("booper")

LOOK_EVERY = timedelta(seconds=0.5)
# After a database that is free could not be opened. Others may try meanwhile.
PAUSE_AFTER_FAILURE = timedelta(seconds=2)


class Standby:
    """A process that passes calls to the holder of the database, and takes over once it is gone.

    `hold` opens everything, or raises what `holding` does; it may be called again after that. Once
    it has succeeded, `took_over` is told of the new holder, and the calls that still wait go there.

    Raises:
        StartError: the holder cannot be reached.
    """

    first_key = None

    def __init__(
        self,
        database: Path,
        hold: Callable[[], AbstractAsyncContextManager[Holder]],
        took_over: Callable[[Holder], None],
        clock: Clock,
        *,
        max_body_bytes: int,
    ) -> None:
        check_socket_path(database)
        path = database.absolute()  # wherever this process goes
        self.application = Relay(partial(api_socket_path, path), max_body_bytes)
        self.administration = Relay(partial(socket_path, path), max_body_bytes)
        self._hold = hold
        self._took_over = took_over
        self._clock = clock
        self._held = AsyncExitStack()
        self._task = asyncio.create_task(self._stand_by(), name="standby")
        self._task.add_done_callback(_log_failure)

    async def aclose(self) -> None:
        """Stop standing by, and release what was taken over."""
        await self.drain()
        await self._held.aclose()
        self.application.close()
        self.administration.close()

    async def drain(self) -> None:
        """Stop taking over."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def wait_failed(self) -> None:
        """Return when the loop of what was taken over has ended, or nothing is to be taken over.

        Raises: whatever ended the standing by, or the loop, before its time.
        """
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            await self._task.result().wait_failed()

    async def _stand_by(self) -> Holder:
        """Try the lock until it is free; return the holder that this process is then."""
        pause = LOOK_EVERY
        while True:
            await self._clock.pause(pause)
            try:
                async with AsyncExitStack() as stack:
                    holder = await stack.enter_async_context(self._hold())
                    self._held = stack.pop_all()
            except DatabaseLocked:
                pause = LOOK_EVERY
            except (StartError, StoreUnavailable) as error:
                log.error("the database is free, but cannot be taken over: %s", error)
                pause = PAUSE_AFTER_FAILURE
            else:
                log.warning("its holder is gone: this process serves the database now")
                self._took_over(holder)
                self.application.hand_over(holder.application)
                self.administration.hand_over(holder.administration)
                return holder


def _log_failure(task: asyncio.Task[Holder]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("standing by failed", exc_info=error)

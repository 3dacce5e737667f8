"""HTTP listeners: uvicorn on sockets that were bound before it, and those beside a database."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from booper.clock import SystemClock, monotonic
from booper.errors import StartError
from booper.server.limits import LimitedProtocol, Limits
from booper.server.waiting import Waiting

# sockaddr_un holds 108 bytes, the last of them 0 (unix(7)).
MAX_SOCKET_PATH_BYTES = 107
TICK_SECONDS = 1.0
LATE_EVERY = timedelta(seconds=0.05)
BACKLOG = 2048


_is_quiet: ContextVar[bool] = ContextVar("_is_quiet", default=False)


def _is_of_others(record: logging.LogRecord) -> bool:
    """Return whether a line is of the uvicorn around booper, or one that matters."""
    return record.levelno >= logging.WARNING or not _is_quiet.get()


# Otherwise a program under uvicorn would log three times that it is shutting down.
logging.getLogger("uvicorn.error").addFilter(_is_of_others)


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals alone and sleeps while it has nothing to do.

    It may run inside another server's process: it does not touch how that one logs. `is_crowded`
    returns whether responses wait for the memory that others hold.
    """

    def __init__(
        self,
        app: ASGIApp,
        grace_seconds: float,
        where: Sequence[socket.socket],
        limits: Limits,
        is_crowded: Callable[[], bool] = bool,
    ) -> None:
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=partial(LimitedProtocol, limits, Waiting[LimitedProtocol](), is_crowded),  # type: ignore[arg-type]  # uvicorn only calls it
            ws="none",
            lifespan="off",
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(grace_seconds)),
        )
        super().__init__(config)
        self._sockets = list(where)
        self._closing = asyncio.Event()

    async def listen(self) -> None:
        """Serve requests until `close`. uvicorn's own `serve` would take the signals."""
        _is_quiet.set(True)
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(self._sockets)
        await self.main_loop()
        await self.shutdown(self._sockets)

    def expire(self, now: float) -> None:
        """Close the connections that have kept booper waiting for too long."""
        for connection in tuple(self.server_state.connections):
            assert isinstance(connection, LimitedProtocol)
            connection.expire(now)

    def close(self) -> None:
        """Accept no more connections, and end once all requests have a response."""
        self.should_exit = True
        self._closing.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what runs, and end each connection, also one that is accepted meanwhile."""
        late = asyncio.create_task(self._end_late(set(self.server_state.connections)))
        try:
            await super().shutdown(sockets)
        finally:
            late.cancel()

    async def _end_late(self, ended: set[Any]) -> None:
        """End the connections whose begin came after `ended` were, which uvicorn would wait for."""
        while True:
            for connection in self.server_state.connections - ended:
                ended.add(connection)
                connection.shutdown()
            await SystemClock().pause(LATE_EVERY)

    async def main_loop(self) -> None:
        """Wake once a second, for the Date header and deadlines, instead of ten times."""
        while not await self.on_tick(0):
            self.expire(monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._closing.wait()


@asynccontextmanager
async def listening(*listeners: Listener) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """Run listeners until the end of the block, a task each; finish what they have then."""
    tasks = [asyncio.create_task(listener.listen(), name="listener") for listener in listeners]
    try:
        yield tasks
    finally:
        for listener in listeners:
            listener.close()
        await asyncio.gather(*tasks)


def check_socket_path(database: Path) -> None:
    """Check that a database's sockets can have their paths. Raises: StartError."""
    path = socket_path(database)
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise StartError(
            f"{path} is too long for a socket's path, which has at most {MAX_SOCKET_PATH_BYTES} "
            "bytes; move the database to a folder with a shorter path, or start booper there"
        )


def unix_socket(path: Path) -> socket.socket:
    """Listen at a path, in place of what a dead process left; only this user (and root) may call.

    Nobody can connect before the mode is set: until then it does not listen.

    Raises:
        StartError: it cannot be made.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        bound.bind(str(path))
        path.chmod(0o600)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise StartError(f"cannot create the socket {path}: {error.strerror}") from error
    return bound


def socket_path(database: Path) -> Path:
    """Return where a database's administration listens, by its shorter spelling."""
    return _beside(database, ".sock")


def api_socket_path(database: Path) -> Path:
    """Return where its API listens for what other processes were asked: a key is needed here."""
    return _beside(database, ".api")


def _beside(database: Path, suffix: str) -> Path:
    path = database.with_name(database.name + suffix)
    relative = Path(os.path.relpath(path))
    return min(path, relative, key=lambda spelling: len(os.fsencode(spelling)))

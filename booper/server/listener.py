"""HTTP listeners: uvicorn, on a socket that was bound before it, or on one in the file system."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from booper.clock import monotonic
from booper.errors import StartError
from booper.server.door import Door, Limits

# sockaddr_un holds 108 bytes, the last of them 0 (unix(7)).
LONGEST_SOCKET_PATH = 107
TICK_SECONDS = 1.0


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals alone and sleeps while it has nothing to do."""

    def __init__(
        self, app: ASGIApp, grace_seconds: float, where: socket.socket | Path, limits: Limits
    ) -> None:
        config = uvicorn.Config(
            app,
            uds=str(where) if isinstance(where, Path) else None,
            interface="asgi3",
            http=partial(Door, limits),  # type: ignore[arg-type]  # uvicorn only calls it
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(grace_seconds)),
        )
        super().__init__(config)
        self._sockets = [where] if isinstance(where, socket.socket) else None
        self._closing = asyncio.Event()

    async def listen(self) -> None:
        """Answer requests until `close`."""
        await self.serve(self._sockets)

    def expire(self, now: float) -> None:
        """End the connections that have kept booper waiting for too long."""
        for connection in tuple(self.server_state.connections):
            assert isinstance(connection, Door)
            connection.expire(now)

    def close(self) -> None:
        """Take no more connections, and end once those there are have been answered."""
        self.should_exit = True
        self._closing.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process; uvicorn would take them."""
        yield

    async def main_loop(self) -> None:
        """Wake once a second, for the Date header and deadlines, instead of ten times."""
        while not await self.on_tick(0):
            self.expire(monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._closing.wait()


def check_socket_path(database: Path) -> None:
    """Check that a database's socket can have its path. Raises: StartError."""
    path = socket_path(database)
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise StartError(
            f"{path} is too long for a socket's path; the database must lie in a shorter one "
            f"(at most {LONGEST_SOCKET_PATH} bytes, or start booper nearer to it)"
        )


def admin_socket(database: Path) -> Path:
    """Make `<database>.sock`, which only this user (and root) may open, ready to listen on.

    uvicorn gives its socket the mode of the file that stands there, so one is put there first.

    Raises:
        StartError: it cannot be written.
    """
    path = socket_path(database)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as placeholder:
        try:
            path.unlink(missing_ok=True)
            placeholder.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            raise StartError(f"cannot make the socket {path}: {error.strerror}") from error
    return path


def socket_path(database: Path) -> Path:
    """Return where a database's administration socket lies, by its shorter spelling."""
    path = database.with_name(database.name + ".sock")
    relative = Path(os.path.relpath(path))
    return min(path, relative, key=lambda spelling: len(os.fsencode(spelling)))

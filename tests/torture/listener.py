"""A server for daemons to reach that does what a script says, in a thread of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from anyio.from_thread import start_blocking_portal

from tests.support.http_server import Script

BACKLOG = 1_024


@contextmanager
def listening(script: Script, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Run a script for each connection until the end of the block; gives the port."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_served(script, host, port)) as number,
    ):
        yield number


@asynccontextmanager
async def _served(script: Script, host: str, port: int) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    listener = await asyncio.start_server(accept, host, port, backlog=BACKLOG)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def header(head: bytes, name: str) -> str | None:
    """Return the value of a request's header, None if it has none."""
    for line in head.decode("latin-1").split("\r\n")[1:]:
        found, _, value = line.partition(":")
        if found.lower() == name.lower():
            return value.strip()
    return None

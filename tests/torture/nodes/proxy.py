"""A way from a node to its database that can be silent, or cut, while all other ways are open."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

from anyio.from_thread import BlockingPortal, start_blocking_portal

CHUNK: Final = 1 << 16


class Way:
    """A port that leads to a database server."""

    def __init__(self, portal: BlockingPortal, database: int, host: str) -> None:
        self.host = host
        self.port = 0
        self._portal = portal
        self._database = database
        self._is_open = asyncio.Event()
        self._is_cut = False
        self._tasks = set[asyncio.Task[None]]()

    def silence(self) -> None:
        """Lose all that is sent from now on, without a word; what is open stays open."""
        self._portal.call(self._is_open.clear)

    def cut(self) -> None:
        """Close all connections, and each new one at once."""
        self._portal.call(self._cut)

    def heal(self) -> None:
        """Carry everything again, also what was sent meanwhile, as TCP does."""
        self._portal.call(self._heal)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen until the end of the block."""
        self._is_open.set()
        server = await asyncio.start_server(self._accept, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self._cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cut(self) -> None:
        self._is_cut = True
        for task in self._tasks:
            task.cancel()

    def _heal(self) -> None:
        self._is_cut = False
        self._is_open.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                if not self._is_cut:
                    await self._carry(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._is_open.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self._database)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back))
                group.create_task(self._pump(there, writer))
        finally:
            back.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._is_open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


class Ways:
    """The way of each node to the database, made when it is first asked for.

    `host_of` returns the address of this machine at which a node's way begins.
    """

    def __init__(
        self, portal: BlockingPortal, stack: ExitStack, host_of: Callable[[int], str]
    ) -> None:
        self._portal = portal
        self._stack = stack
        self._host_of = host_of
        self.of: dict[int, Way] = {}

    def reach(self, number: int, url: str) -> str:
        """Return the URL by which a node reaches the database of this URL."""
        port = urlsplit(url).port
        assert port is not None
        way = self.of[number] = Way(self._portal, port, self._host_of(number))
        self._stack.enter_context(self._portal.wrap_async_context_manager(way.listening()))
        return url.replace(f"127.0.0.1:{port}/", f"{way.host}:{way.port}/")


@contextmanager
def ways(host_of: Callable[[int], str] = lambda number: "127.0.0.1") -> Iterator[Ways]:
    """Keep ways open until the end of the block."""
    with start_blocking_portal() as portal, ExitStack() as stack:
        yield Ways(portal, stack, host_of)

"""A way to a PostgreSQL server that cuts a connection of a writer at its COMMIT."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from typing import Final
from urllib.parse import urlsplit

CHUNK: Final = 1 << 16
COMMIT: Final = b"COMMIT\0"
OF_A_WRITER: Final = b"pg_current_xact_id"


class Cut(Enum):
    """What a COMMIT meets."""

    RESPONSE = auto()
    """The server gets it, and its response is lost."""

    REQUEST = auto()
    """It is lost, and both ends notice that."""

    SILENT = auto()
    """It is lost, and the server does not notice."""


class Cutting:
    """The way; `next_cut` is done once, and `at_cut` is called, on the event loop, before that."""

    def __init__(self, url: str) -> None:
        self.next_cut: Cut | None = None
        self.cuts = 0
        self.at_cut: Callable[[], object] = lambda: None
        self.url = ""
        self._there = urlsplit(url)
        self._tasks = set[asyncio.Task[None]]()
        self._silent = list[asyncio.StreamWriter]()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen until the end of the block."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = self._there._replace(netloc=f"{self._there.username}@127.0.0.1:{port}").geturl()
        try:
            yield
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in self._silent:
                writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", self._there.port)
        pumping = asyncio.create_task(_pump(there, writer))
        is_silent = False
        try:
            with suppress(OSError, asyncio.CancelledError):
                is_silent = await self._watch(reader, there, back, pumping)
        finally:
            pumping.cancel()
            await asyncio.wait([pumping])
            writer.transport.abort()
            if is_silent:
                self._silent.append(back)
            else:
                back.transport.abort()
            self._tasks.discard(task)

    async def _watch(
        self,
        reader: asyncio.StreamReader,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        pumping: "asyncio.Task[None]",
    ) -> bool:
        """Carry what a client sends until its end or its cut; return whether that is silent."""
        is_writer = False
        while data := await reader.read(CHUNK):
            is_writer = is_writer or OF_A_WRITER in data
            if not (is_writer and COMMIT in data and (cut := self.next_cut) is not None):
                back.write(data)
                await back.drain()
                continue
            self.next_cut, self.cuts = None, self.cuts + 1
            pumping.cancel()
            await asyncio.wait([pumping])
            if cut is Cut.RESPONSE:
                back.write(data)
                await there.read(CHUNK)  # until it is committed
            self.at_cut()
            return cut is Cut.SILENT
        return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def cutting(url: str) -> AsyncIterator[Cutting]:
    """Yield a way to a database."""
    way = Cutting(url)
    async with way.listening():
        yield way

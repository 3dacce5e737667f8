"""An HTTP proxy on 127.0.0.1 that opens tunnels, to test what goes through it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n"


@dataclass
class FakeProxy:
    """A running proxy: where it listens, and the heads of the requests that it got.

    It answers CONNECT with `response`, and opens a tunnel if that is `ESTABLISHED`. Tunnels to
    names lead where `names` says.
    """

    response: bytes
    port: int = 0
    names: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the URL to configure."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        """Return the first line of each request."""
        return [head.split(b"\r\n")[0].decode() for head in self.asked]


@asynccontextmanager
async def proxying(response: bytes = ESTABLISHED) -> AsyncIterator[FakeProxy]:
    """Run a proxy."""
    proxy, tasks = FakeProxy(response), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await _tunnel(proxy, reader, writer)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tunnel(
    proxy: FakeProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    proxy.asked.append(head)
    writer.write(proxy.response)
    if proxy.response != ESTABLISHED:
        return
    authority = head.split(b" ")[1].decode()
    host, _, port = authority.rpartition(":")
    there = proxy.names.get(authority, (host.strip("[]"), int(port)))
    far_reader, far_writer = await asyncio.open_connection(*there)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, far_writer))
            group.create_task(_copy(far_reader, writer))
    finally:
        far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

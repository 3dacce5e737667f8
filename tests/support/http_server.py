"""A server that does exactly what a test scripts, byte for byte, on 127.0.0.1.

A script is a coroutine over the reader and writer of one accepted connection; when it returns,
the connection is closed. It must not know HTTP beyond finding the end of a request.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """A running server: where it listens, what it was sent, what became of it."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    saw_eof: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/", scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Return the URL of `path` on this server."""
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def serve(
    *scripts: Script, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Run the first script for the first connection and so on; the last one repeats."""
    server = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = scripts[min(server.connections, len(scripts) - 1)]
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        reader.server = server  # type: ignore[attr-defined]  # for the scripts below
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ssl_context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request with its Content-Length body, record and return it."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    request = head + await reader.readexactly(length)
    reader.server.requests.append(request)  # type: ignore[attr-defined]
    return request


async def wait_for_eof(reader: asyncio.StreamReader) -> None:
    """Wait until the client has closed the connection, and note it."""
    with suppress(OSError):
        while await reader.read(65536):
            pass
    reader.server.saw_eof.set()  # type: ignore[attr-defined]


def answering(*responses: bytes) -> Script:
    """Answer one request after the other with these bytes, then close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            await read_request(reader)
            writer.write(response)
            await writer.drain()

    return script


def answering_then_waiting(*responses: bytes) -> Script:
    """Answer as `answering` does, then wait for the client to close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(*responses)(reader, writer)
        await wait_for_eof(reader)

    return script

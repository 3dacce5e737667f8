"""The target: answers every POST at once and remembers when it arrived and what it carried.

Runs as a process of its own. `GET /wait/N` is answered once N requests have arrived, `GET /take`
with all of them, which are then forgotten.
"""

import asyncio
import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import time_ns
from typing import NamedTuple

import httptools
import msgspec
import uvloop

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
OK_AND_CLOSE = OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


class Arrival(NamedTuple):
    """A request that arrived: its number, when it was due and when it came, in microseconds."""

    number: int
    due: int
    at: int


class Payload(msgspec.Struct, frozen=True):
    """What a request's body says of itself."""

    number: int
    due: int


class Target:
    """A target that runs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/job"

    def wait(self, count: int, seconds: float) -> list[Arrival]:
        """Return all arrivals once there are `count`.

        Raises:
            TimeoutError: they do not come in time.
        """
        self._get(f"/wait/{count}", seconds)
        return self.take()

    def take(self) -> list[Arrival]:
        """Return all arrivals since the last time."""
        return msgspec.json.decode(self._get("/take", 60.0), type=list[Arrival])

    def _get(self, path: str, seconds: float) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running() -> Iterator[Target]:
    """Run a target on a free port until the end of the block."""
    command = [sys.executable, "-m", "tests.benchmarks.target"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield Target(int(process.stdout.readline()))
        finally:
            process.kill()


class Recorder:
    """What has arrived, and who waits for more."""

    def __init__(self) -> None:
        self.arrived: list[tuple[int, bytes]] = []
        self._wanted = 0
        self._waiter: asyncio.Transport | None = None

    def add(self, body: bytes) -> None:
        """Note an arrival."""
        self.arrived.append((time_ns() // 1000, body))
        if self._waiter is not None:
            self.wait(self._wanted, self._waiter)

    def wait(self, count: int, waiter: asyncio.Transport) -> None:
        """Answer `waiter` once `count` have arrived."""
        is_there = len(self.arrived) >= count
        self._wanted, self._waiter = count, None if is_there else waiter
        if is_there:
            waiter.write(OK)

    def forget(self, waiter: asyncio.Transport) -> None:
        """Answer `waiter` no more: it has gone."""
        if self._waiter is waiter:
            self._waiter = None

    def take(self) -> bytes:
        """Return and forget everything, as JSON; only now is a body read."""
        decode = msgspec.json.Decoder(Payload).decode
        taken, self.arrived = self.arrived, []
        read = [(decode(body), at) for at, body in taken]
        return msgspec.json.encode([(payload.number, payload.due, at) for payload, at in read])


class Handler(asyncio.Protocol):
    """One connection to the target."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._body = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder.forget(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._path = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._parser.get_method() == b"POST":
            self._recorder.add(self._body)
            if self._parser.should_keep_alive():
                self._transport.write(OK)
            else:
                self._transport.write(OK_AND_CLOSE)
                self._transport.close()
        elif self._path.startswith(b"/wait/"):
            self._recorder.wait(int(self._path[6:]), self._transport)
        else:
            body = self._recorder.take()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)


async def _serve() -> None:
    recorder = Recorder()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Handler(recorder), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())

"""The load generator: many requests over few connections, at the least cost per request.

Runs as a process of its own: a `Load` comes in as JSON, a `Measured` goes out.
"""

import asyncio
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator
from time import perf_counter

import msgspec
import uvloop

from tests.benchmarks.jobs import fill_in

PROCESS_SECONDS = 600


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to send: `count` of them, closed loop over `connections`, or at `rate` a second.

    `body` is a template (see `jobs.fill_in`) of item number n, due at `due` + n times `step`, in
    microseconds since 1970. With `batch`, a request carries that many items as `{"jobs": […]}`.
    """

    port: int
    line: str
    headers: dict[str, str] = {}
    body: str = ""
    count: int
    connections: int
    due: int = 0
    step: int = 0
    batch: int = 0
    rate: float = 0.0

    def requests(self) -> Iterator[bytes]:
        """Spell every request."""
        headers = {"Host": f"127.0.0.1:{self.port}", **self.headers}
        head = "\r\n".join([f"{self.line} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())])
        for number in range(self.count):
            body = self._body(number)
            yield f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    def _body(self, number: int) -> str:
        if not self.batch:
            return fill_in(self.body, number, self.due + number * self.step)
        first = number * self.batch
        items = (
            fill_in(self.body, item, self.due + item * self.step)
            for item in range(first, first + self.batch)
        )
        return f'{{"jobs": [{",".join(items)}]}}'


class Measured(msgspec.Struct, frozen=True):
    """What came of a load: how long it took in all, and the milliseconds of each response."""

    seconds: float
    statuses: dict[int, int]
    milliseconds: list[float]

    @property
    def per_second(self) -> float:
        """Return how many requests were answered each second."""
        return len(self.milliseconds) / self.seconds


def start(load: Load) -> "subprocess.Popen[bytes]":
    """Send a load from a process of its own; `finish` waits for it."""
    command = [sys.executable, "-m", "tests.benchmarks.load"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(load))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: "subprocess.Popen[bytes]") -> Measured:
    """Wait until a load has been answered. Raises: RuntimeError if any response was no success."""
    with process:
        output, _ = process.communicate(timeout=PROCESS_SECONDS)
    measured = msgspec.json.decode(output, type=Measured)
    if any(not 200 <= status < 300 for status in measured.statuses):
        raise RuntimeError(f"the load was answered with {measured.statuses}")
    return measured


def run(load: Load) -> Measured:
    """Send a load from a process of its own and wait for its end."""
    return finish(start(load))


class Connection(asyncio.Protocol):
    """One connection with one request on its way; reads no more of a response than it must."""

    def __init__(self, generator: "Generator") -> None:
        self._generator = generator
        self._head = b""
        self._left = 0
        self._status = 0
        self._sent_at = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is not a subclass

    def send(self, request: bytes) -> None:
        """Send a request; the generator is told when its response is complete."""
        self._sent_at = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            head, blank, rest = (self._head + data).partition(b"\r\n\r\n")
            if not blank:
                self._head = head
                return
            self._head, self._status = b"", int(head[9:12])
            self._left = _content_length(head) - len(rest)
        if not self._left:
            self._generator.answered(self, self._status, perf_counter() - self._sent_at)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.lost()


class Generator:
    """Hands requests to connections, and notes what comes back."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = deque(load.requests())
        self._idle: deque[Connection] = deque()
        self._due = len(self._requests)
        self._statuses: Counter[int] = Counter()
        self._milliseconds: list[float] = []

    async def run(self) -> Measured:
        """Send everything."""
        loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = loop.create_future()
        for _ in range(self._load.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self._load.port
            )
            self._idle.append(connection)
        started = perf_counter()
        if self._load.rate:
            self._due, begun = 0, loop.time()
            for number in range(len(self._requests)):
                loop.call_at(begun + number / self._load.rate, self._release)
        self._send()
        await self._done
        return Measured(perf_counter() - started, dict(self._statuses), self._milliseconds)

    def answered(self, connection: Connection, status: int, seconds: float) -> None:
        """Note a response; the connection is free again."""
        self._statuses[status] += 1
        self._milliseconds.append(seconds * 1000)
        self._idle.append(connection)
        if len(self._milliseconds) == self._load.count:
            self._done.set_result(None)
        else:
            self._send()

    def lost(self) -> None:
        """Fail: the server closed a connection."""
        if not self._done.done():
            self._done.set_exception(ConnectionError("the server closed a connection"))

    def _release(self) -> None:
        self._due += 1
        self._send()

    def _send(self) -> None:
        while self._due and self._idle and self._requests:
            self._due -= 1
            self._idle.popleft().send(self._requests.popleft())


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(Generator(asked).run())))

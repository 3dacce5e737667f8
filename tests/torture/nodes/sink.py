"""The judge: every host of this machine, which stamps what arrives and never asks booper.

A request is known by its path.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from math import inf
from typing import Final

from anyio.from_thread import start_blocking_portal

from tests.support.processes import monotonic
from tests.torture.listener import header

RESPONSES: Final = {
    200: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
}
END: Final = b"\r\n\r\n"
NODE: Final = "torture-node"
"""The header by which nodes say who they are, where it matters."""

BACKLOG: Final = 1_024


@dataclass(slots=True, eq=False)
class Way:
    """A connection, and when it was closed."""

    closed_at: float = inf


@dataclass(slots=True, eq=False)
class Arrival:
    """A request: when its first byte came, how, from which node if it says so, and its answer.

    `status` is 0 until it is answered; `host` is the address that it came to.
    """

    path: str
    at: float
    way: Way
    node: str = ""
    answered_at: float = inf
    host: str = ""
    status: int = 0

    @property
    def ended_at(self) -> float:
        """Return when it was answered, or its connection was closed if that was before."""
        return min(self.answered_at, self.way.closed_at)


class Sink:
    """All that arrived.

    `seconds` returns how long a response is held back, by its path and how often that has come.
    """

    def __init__(self, seconds: Callable[[str, int], float] = lambda path, times: 0.0) -> None:
        self.seconds = seconds
        self.failing: set[str] = set()
        """The hosts that answer 503."""
        self.times: Counter[str] = Counter()
        self.arrivals: list[Arrival] = []
        self.port = 0

    def by_path(self) -> dict[str, list[Arrival]]:
        """Return what arrived by path, each in order of arrival."""
        found: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in tuple(self.arrivals):
            found[arrival.path].append(arrival)
        return found

    def doubled(self) -> dict[str, list[Arrival]]:
        """Return what arrived more than once, by path."""
        return {path: came for path, came in self.by_path().items() if len(came) > 1}


class _Connection(asyncio.Protocol):
    """One connection: requests without a body, answered in order."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._data = b""
        self._began = 0.0
        self._way = Way()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._host: str = transport.get_extra_info("sockname")[0]

    def data_received(self, data: bytes) -> None:
        if not self._data:
            self._began = monotonic()
        self._data += data
        while END in self._data:
            head, _, self._data = self._data.partition(END)
            path = head.split(b" ", 2)[1].decode()
            node = header(head, NODE) or ""
            arrival = Arrival(path, self._began, self._way, node, host=self._host)
            self._sink.arrivals.append(arrival)
            self._sink.times[path] += 1
            if seconds := self._sink.seconds(path, self._sink.times[path]):
                asyncio.get_running_loop().call_later(seconds, self._answer, arrival)
            else:
                self._answer(arrival)

    def connection_lost(self, error: Exception | None) -> None:
        self._way.closed_at = monotonic()

    def _answer(self, arrival: Arrival) -> None:
        if not self._transport.is_closing():
            arrival.status = 503 if arrival.host in self._sink.failing else 200
            self._transport.write(RESPONSES[arrival.status])
            arrival.answered_at = monotonic()


@contextmanager
def sinking(sink: Sink) -> Iterator[Sink]:
    """Listen on every address of this machine until the end of the block, in another thread."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_served(sink)):
        yield sink


@asynccontextmanager
async def _served(sink: Sink) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(sink), "0.0.0.0", 0, backlog=BACKLOG)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()

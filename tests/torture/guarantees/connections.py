"""Hundreds of connections that keep booper waiting hinder nobody, and are sent away."""

import os
import socket
from contextlib import ExitStack, suppress
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.server.test_connection_limits import GET, request
from tests.support.processes import Daemon, monotonic, nap, serving, until
from tests.torture.line import Line, Size, line

KEY = "sk_torture_torture_torture"
ASKED = (f"Authorization: Bearer {KEY}".encode(), b"Content-Type: application/json")
POST = b"POST /api/jobs"

# Nothing at all, a head that drips, bodies of both kinds that drip, silence after a response; and
# what of it drips.
STARTS = (
    (b"", b""),
    (b"GET /api/jobs HTTP/1.1\r\nX: ", b"y"),
    (request(POST, *ASKED, b"Transfer-Encoding: chunked") + b"400\r\n", b" "),
    (request(POST, *ASKED, b"Content-Length: 1000") + b"{", b" "),
    (GET, b""),
)
DRIPS_AT_ONCE = 10

P99_SECONDS = 0.1
CLOSED_SECONDS = 15.0
PATIENCE_SECONDS = 30.0


def measure(size: Size) -> Line:
    """Open 500 of them (in short 50) beside one that asks on and on, until all are closed."""
    lazy = size.pick(500, 50)
    with (
        TemporaryDirectory() as name,
        serving(Path(name), key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon,
    ):
        took, passed = _beside(daemon, lazy)
    p99 = sorted(took)[int(len(took) * 0.99)]
    faults = ["too slow"] if p99 > P99_SECONDS else []
    faults += ["open for too long"] if passed > CLOSED_SECONDS else []
    figure = (
        f"{lazy} idle and dripping connections, {len(took)} healthy requests beside them: "
        f"p99 {p99 * 1000:.0f} ms (allowed {P99_SECONDS * 1000:.0f}), "
        f"all closed after {passed:.1f} s (allowed {CLOSED_SECONDS:.0f})"
    )
    return line("connections", figure, faults)


def _beside(daemon: Daemon, lazy: int) -> tuple[list[float], float]:
    """Return what each healthy request took, and after how long the lazy ones were all gone."""
    took = [_healthy(daemon)]
    before = _sockets(daemon)
    with ExitStack() as stack:
        begun = monotonic()
        connections = [stack.enter_context(_opened(daemon, number)) for number in range(lazy)]
        turns = count()
        until(lambda: _sockets(daemon) >= before + lazy, "all are open")
        while _sockets(daemon) > before and monotonic() < begun + PATIENCE_SECONDS:
            for number in islice(turns, DRIPS_AT_ONCE):
                with suppress(OSError):  # it was closed
                    connections[number % lazy].sendall(STARTS[number % lazy % len(STARTS)][1])
            took.append(_healthy(daemon))
            nap()
        return took, monotonic() - begun


def _opened(daemon: Daemon, number: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", daemon.api.base_url.port or 0))
    connection.sendall(STARTS[number % len(STARTS)][0])
    return connection


def _healthy(daemon: Daemon) -> float:
    """List the jobs; return how long that took."""
    begun = monotonic()
    assert daemon.api.get("/api/jobs").status_code == 200
    return monotonic() - begun


def _sockets(daemon: Daemon) -> int:
    """Return how many sockets the daemon has open."""
    open_files = Path(f"/proc/{daemon.process.pid}/fd")
    return sum(_is_socket(path) for path in open_files.iterdir())


def _is_socket(path: Path) -> bool:
    try:
        return os.readlink(path).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False

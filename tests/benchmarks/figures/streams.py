"""Lateness while many listen to what changes: 20 event streams beside none."""

import http.client
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from socket import SHUT_RDWR
from threading import Thread

from tests.benchmarks.daemon import KEY, Daemon, serving
from tests.benchmarks.figures.lateness import quiet
from tests.benchmarks.runner import Bench, Rounds, Row, number, percentile
from tests.benchmarks.target import Arrival

STREAMS = 20
PAIRS = 15
PERCENT = 99.0
WANTED = "- / 1.25"


def measure(bench: Bench) -> list[Row]:
    """Send jobs that are due one after the other, with streams and without, in turns."""
    rounds = Rounds()
    with bench.folder() as folder, serving(folder, bench.target) as daemon:
        quiet(bench, daemon)  # warms up
        for turn in bench.rounds(max(bench.repeat, PAIRS)):
            for count in (0, STREAMS) if turn % 2 else (STREAMS, 0):
                with listening(daemon, count):
                    rounds.add(f"{count}", _late(quiet(bench, daemon)))
    none = f"without: {number(rounds.median('0'))} ms"
    label = f"lateness at {bench.sizes.per_second} jobs/s with {STREAMS} event streams, p99"
    with_streams, ratio = rounds.median(f"{STREAMS}"), rounds.ratio(f"{STREAMS}", "0")
    return [Row(label, with_streams, "ms", ratio, none, WANTED)]


@contextmanager
def listening(daemon: Daemon, count: int) -> Iterator[None]:
    """Read so many streams until the end of the block. Raises: AssertionError, one has ended."""
    with ExitStack() as stack:
        readers = [stack.enter_context(_reading(daemon)) for _ in range(count)]
        yield
        assert all(reader.is_alive() for reader in readers)


@contextmanager
def _reading(daemon: Daemon) -> Iterator[Thread]:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60.0)
    connection.request("GET", "/api/events", headers={"Authorization": f"Bearer {KEY}"})
    socket, response = connection.sock, connection.getresponse()
    assert (response.status, response.readline()) == (200, b": connected\n")
    reader = Thread(target=_read, args=[response], name="stream")
    reader.start()
    try:
        yield reader
    finally:
        with suppress(OSError):
            socket.shutdown(SHUT_RDWR)  # ends the reading
        reader.join()
        connection.close()


def _read(response: http.client.HTTPResponse) -> None:
    with suppress(OSError):  # as it ends
        while response.readline():
            pass


def _late(arrived: Sequence[Arrival]) -> float:
    return percentile([(each.at - each.due) / 1000 for each in arrived], PERCENT)

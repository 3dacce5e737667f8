"""Several nodes over one PostgreSQL: a burst, and lateness at a steady rate, beside peers on it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

from tests.benchmarks import load
from tests.benchmarks.daemon import Daemon, serving
from tests.benchmarks.figures.burst import per_second
from tests.benchmarks.jobs import MOMENT, microseconds
from tests.benchmarks.peers import SharedPeer
from tests.benchmarks.postgres import database, server
from tests.benchmarks.runner import Bench, Rounds, Row, number, percentile
from tests.benchmarks.target import Arrival

NODES = (1, 2, 4)
SECONDS = 120.0
CONNECTIONS = 32

Enqueue = Callable[[int, int, int], object]
"""Enqueue so many jobs: the first due at a time, each further one so many microseconds later."""


def measure(bench: Bench) -> list[Row]:
    """Send the same by one, two and four nodes, and by as many workers of each peer."""
    bench.each_shared_peer(lambda peer: peer.install(bench.cache))
    rounds = Rounds()
    with bench.folder() as folder, server(folder) as url:
        for _ in bench.rounds(min(bench.repeat, 5)):
            for nodes in NODES:
                bench.say(f"    {nodes} nodes")
                _measure_own(bench, rounds, url, nodes)
                _measure_peers(bench, rounds, url, nodes)
    return [row for nodes in NODES for row in _rows(bench, rounds, nodes)]


def _measure_own(bench: Bench, rounds: Rounds, url: str, nodes: int) -> None:
    with ExitStack() as stack:
        found = stack.enter_context(database(url))
        settings = f'[database]\nurl = "{found}"\n'
        daemons = list[Daemon]()
        for _ in range(nodes):
            folder = stack.enter_context(bench.folder())
            daemons.append(stack.enter_context(serving(folder, bench.target, settings=settings)))
        _measure_one(bench, rounds, f"booper {nodes}", partial(_enqueue, daemons[0]))


def _enqueue(daemon: Daemon, count: int, due: int, step: int) -> None:
    if step:
        load.run(daemon.create_load(count, CONNECTIONS, due=due, step=step))
    else:
        daemon.schedule(count, due, 0)


def _measure_peers(bench: Bench, rounds: Rounds, url: str, nodes: int) -> None:
    def measure(peer: SharedPeer) -> None:
        with (
            database(url) as found,
            bench.folder() as folder,
            peer.running(folder, bench.target, found, nodes) as running,
        ):
            _measure_one(
                bench,
                rounds,
                f"{peer.name} {nodes}",
                lambda count, due, step: running.enqueue(count, CONNECTIONS, due, step),
            )

    bench.each_shared_peer(measure)


def _measure_one(bench: Bench, rounds: Rounds, name: str, enqueue: Enqueue) -> None:
    """Measure a burst, after a small one, and then lateness."""
    count, sizes = bench.sizes.burst, bench.sizes
    for part in (max(1, count // 20), count):
        due = _soon()
        enqueue(part, due, 0)
        _check_ahead(due)
        arrived = bench.target.wait(part, SECONDS)
    rounds.add(f"{name} burst", per_second(arrived, due, count))
    due = _soon()
    steady = sizes.lateness_seconds * sizes.per_second
    enqueue(steady, due, 1_000_000 // sizes.per_second)
    late = _lateness(bench.target.wait(steady, sizes.lateness_seconds + SECONDS))
    for percent in (50, 99):
        rounds.add(f"{name} p{percent}", percentile(late, percent))


def _soon() -> int:
    """Return a time at which all that is enqueued until then is written, a whole second."""
    return (microseconds() + 2 * MOMENT) // 1_000_000 * 1_000_000


def _check_ahead(due: int) -> None:
    if microseconds() > due:
        raise RuntimeError("the jobs were due before the last of them was written")


def _lateness(arrived: Sequence[Arrival]) -> list[float]:
    return [(arrival.at - arrival.due) / 1000 for arrival in arrived]


def _rows(bench: Bench, rounds: Rounds, nodes: int) -> list[Row]:
    label = f"{nodes} nodes, burst of {bench.sizes.burst:,}"
    own = rounds.median(f"booper {nodes} burst")
    rows = [Row(label, own, "jobs/s")]
    for peer in bench.shared_peers:
        name = f"{peer.name} {nodes} burst"
        if name in rounds and peer.name not in bench.failures:
            beside = f"{peer.title}: {number(rounds.median(name))}/s"
            ratio = rounds.ratio(f"booper {nodes} burst", name)
            rows.append(Row(label, own, "jobs/s", ratio, beside, "2 / -"))
    for percent in (50, 99):
        beside = ", ".join(
            f"{peer.title}: {number(rounds.median(name))} ms"
            for peer in bench.shared_peers
            if (name := f"{peer.name} {nodes} p{percent}") in rounds
        )
        figure = f"{nodes} nodes, lateness at {bench.sizes.per_second} jobs/s, p{percent}"
        late = rounds.median(f"booper {nodes} p{percent}")
        wanted = "under 50 / -" if percent == 99 else ""
        rows.append(Row(figure, late, "ms", None, beside, wanted))
    return rows

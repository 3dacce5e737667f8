"""Several nodes over one PostgreSQL: a burst, and lateness at a steady rate, beside peers on it.

The CPU time of a burst is that of all of a job, from its create to the commit of its result: that
of the nodes, and apart from it that of the database's processes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from tests.benchmarks import load
from tests.benchmarks.daemon import Daemon, serving
from tests.benchmarks.figures.burst import SETTLE_SECONDS, per_second
from tests.benchmarks.jobs import MOMENT, microseconds
from tests.benchmarks.peers import SharedPeer
from tests.benchmarks.postgres import database, pid_of, server
from tests.benchmarks.processes import cpu_seconds, nap
from tests.benchmarks.runner import Bench, Rounds, Row, number, percentile
from tests.benchmarks.target import Arrival

NODES = (1, 2, 4)
SECONDS = 120.0
CONNECTIONS = 32

Enqueue = Callable[[int, int, int], object]
"""Enqueue so many jobs: the first due at a time, each further one so many microseconds later."""

Pids = Mapping[str, Sequence[int]]
"""Processes by what they are a part of, which their CPU time is told of."""

NONE: Pids = {}


def measure(bench: Bench) -> list[Row]:
    """Send the same by one, two and four nodes, and by as many workers of each peer."""
    bench.each_shared_peer(lambda peer: peer.install(bench.cache))
    rounds = Rounds()
    with bench.folder() as folder, server(folder) as url:
        for _ in bench.rounds(min(bench.repeat, 5)):
            for nodes in NODES:
                bench.say(f"    {nodes} nodes")
                _measure_own(bench, rounds, url, nodes, pid_of(folder))
                _measure_peers(bench, rounds, url, nodes)
    return [row for nodes in NODES for row in _rows(bench, rounds, nodes)]


def _measure_own(bench: Bench, rounds: Rounds, url: str, nodes: int, server_pid: int) -> None:
    with ExitStack() as stack:
        found = stack.enter_context(database(url))
        settings = f'[database]\nurl = "{found}"\n'
        daemons = list[Daemon]()
        for _ in range(nodes):
            folder = stack.enter_context(bench.folder())
            daemons.append(stack.enter_context(serving(folder, bench.target, settings=settings)))
        pids = {"nodes": [daemon.pid for daemon in daemons], "database": [server_pid]}
        _measure_one(bench, rounds, f"booper {nodes}", partial(_enqueue, daemons[0]), pids)


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


def _measure_one(
    bench: Bench, rounds: Rounds, name: str, enqueue: Enqueue, pids: Pids = NONE
) -> None:
    """Measure a burst, after a small one, with the CPU time of processes, and then lateness."""
    count, sizes = bench.sizes.burst, bench.sizes
    for part in (max(1, count // 20), count):
        used, due = _used(pids), _soon()
        enqueue(part, due, 0)
        _check_ahead(due)
        arrived = bench.target.wait(part, SECONDS)
    rounds.add(f"{name} burst", per_second(arrived, due, count))
    for what, seconds in _used(pids).items():
        rounds.add(f"{name} CPU of {what}", (seconds - used[what]) / count * 1e3)
    due = _soon()
    steady = sizes.lateness_seconds * sizes.per_second
    enqueue(steady, due, 1_000_000 // sizes.per_second)
    late = _lateness(bench.target.wait(steady, sizes.lateness_seconds + SECONDS))
    for percent in (50, 99):
        rounds.add(f"{name} p{percent}", percentile(late, percent))


def _used(pids: Pids) -> Mapping[str, float]:
    """Return the CPU seconds of processes, when they have written the last results."""
    if pids:
        nap(SETTLE_SECONDS)
    return {what: sum(map(cpu_seconds, parts)) for what, parts in pids.items()}


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
    for what in ("nodes", "database"):
        cpu = rounds.median(f"booper {nodes} CPU of {what}")
        rows.append(Row(f"{label}, CPU time a job of the {what}", cpu, "ms"))
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

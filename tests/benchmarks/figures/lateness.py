"""Lateness: how long after its due time a request arrives, at a steady rate of jobs."""

from collections.abc import Sequence

from tests.benchmarks import load
from tests.benchmarks.daemon import Daemon, serving
from tests.benchmarks.jobs import HOUR, MOMENT, microseconds
from tests.benchmarks.peers import Peer
from tests.benchmarks.runner import Bench, Rounds, Row, number, percentile
from tests.benchmarks.target import Arrival

PEER_CONNECTIONS = 32
CREATE_CONNECTIONS = 32
PATIENCE_SECONDS = 30.0

PERCENTS = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
WANTED = {
    "booper p50": "under 2 / 1",
    "booper p99": "under 10 / 5",
    "busy p99": "under 50 / 20",
}


def measure(bench: Bench) -> list[Row]:
    """Send jobs that are due one after the other, with nothing else to do and during creates."""
    rounds = Rounds()
    for _ in bench.rounds(min(bench.repeat, 3)):
        with bench.folder() as folder, serving(folder, bench.target) as daemon:
            _add(rounds, "booper", quiet(bench, daemon))
            _add(rounds, "busy", _busy(bench, daemon))
    for _ in bench.rounds(1):
        bench.each_peer(lambda peer: _measure_peer(bench, peer, rounds))
    return _rows(bench, rounds)


def _jobs(bench: Bench) -> tuple[int, int]:
    """Return how many jobs there are, and the microseconds between them."""
    sizes = bench.sizes
    return sizes.lateness_seconds * sizes.per_second, 1_000_000 // sizes.per_second


def quiet(bench: Bench, daemon: Daemon) -> Sequence[Arrival]:
    """Send jobs that are due one after the other, with nothing else to do."""
    count, step = _jobs(bench)
    load.run(daemon.create_load(count, 32, due=microseconds() + MOMENT, step=step))
    return bench.target.wait(count, bench.sizes.lateness_seconds + PATIENCE_SECONDS)


def _busy(bench: Bench, daemon: Daemon) -> Sequence[Arrival]:
    count, step = _jobs(bench)
    rate, seconds = bench.sizes.creates_per_second, bench.sizes.lateness_seconds + 1
    load.run(daemon.create_load(count, 32, due=microseconds() + MOMENT, step=step))
    creates = daemon.create_load(
        rate * seconds, CREATE_CONNECTIONS, due=microseconds() + HOUR, rate=rate
    )
    process = load.start(creates)
    arrived = bench.target.wait(count, bench.sizes.lateness_seconds + PATIENCE_SECONDS)
    load.finish(process)
    return arrived


def _measure_peer(bench: Bench, peer: Peer, rounds: Rounds) -> None:
    count, step = _jobs(bench)
    with bench.folder() as folder, peer.running(folder, bench.target) as running:
        due = microseconds() + 2 * MOMENT
        running.enqueue(count, PEER_CONNECTIONS, due, step)
        arrived = bench.target.wait(count, bench.sizes.lateness_seconds + PATIENCE_SECONDS)
        _add(rounds, peer.name, arrived)


def _add(rounds: Rounds, name: str, arrived: Sequence[Arrival]) -> None:
    late = [(arrival.at - arrival.due) / 1000 for arrival in arrived]
    for word, percent in PERCENTS.items():
        rounds.add(f"{name} {word}", percentile(late, percent))
    rounds.add(f"{name} early", min(0.0, *late))


def _rows(bench: Bench, rounds: Rounds) -> list[Row]:
    label = f"lateness at {bench.sizes.per_second} jobs/s"
    rows = [_row(rounds, label, "booper", word) for word in PERCENTS]
    label += f" and {bench.sizes.creates_per_second} creates/s"
    rows += [_row(rounds, label, "busy", word) for word in PERCENTS]
    for peer in bench.peers:
        if f"{peer.name} p50" in rounds and peer.name not in bench.failures:
            rows += [_peer_row(rounds, peer, word) for word in ("p50", "p99")]
    return rows


def _row(rounds: Rounds, label: str, name: str, word: str) -> Row:
    early = rounds.median(f"{name} early")
    beside = f"some {number(-early)} ms early" if early and word == "p50" else ""
    key = f"{name} {word}"
    return Row(f"{label}, {word}", rounds.median(key), "ms", None, beside, WANTED.get(key, ""))


def _peer_row(rounds: Rounds, peer: Peer, word: str) -> Row:
    own, other = rounds.median(f"booper {word}"), rounds.median(f"{peer.name} {word}")
    early = rounds.median(f"{peer.name} early")
    note = f", some {number(-early)} ms early" if early else ""
    label = f"lateness ÷ a peer's, {word}"
    return Row(
        label,
        own,
        "ms",
        own / other if other > 0 else None,
        f"{peer.title}: {number(other)} ms{note}",
        "- / 1",
    )

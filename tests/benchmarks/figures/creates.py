"""Durable creates a second over HTTP, beside the same server without a store, and peers."""

from contextlib import ExitStack

from tests.benchmarks.daemon import INSTANT, Daemon, serving
from tests.benchmarks.jobs import HOUR, microseconds
from tests.benchmarks.peers import Peer
from tests.benchmarks.runner import Bench, Rounds, Row, number

CONNECTIONS = (1, 32, 128)
PEER_CONNECTIONS = 32
WANTED = {
    "instant 32": "0.65 / 0.85",
    "echo 32": "0.5 / 0.8",
    "batch": "15,000 / 25,000",
    "create 32": "2,500 / 4,000",
    "quirrel": "1.1 / 1.7",
}


def measure(bench: Bench) -> list[Row]:
    """Create jobs that are due in an hour."""
    rounds = Rounds()
    with ExitStack() as stack:
        folder = stack.enter_context(bench.folder())
        daemon = stack.enter_context(serving(folder, bench.target))
        other = stack.enter_context(bench.folder())
        instant = stack.enter_context(serving(other, bench.target, INSTANT))
        _measure_own(bench, daemon, instant, Rounds(), bench.sizes.creates // 10)  # warms up
        for _ in bench.rounds():
            _measure_own(bench, daemon, instant, rounds, bench.sizes.creates)
            bench.each_peer(lambda peer: _measure_peer(bench, peer, rounds))
    return _rows(bench, rounds)


def _measure_own(bench: Bench, daemon: Daemon, instant: Daemon, rounds: Rounds, count: int) -> None:
    for connections in CONNECTIONS:
        share = count // 4 if connections == 1 else count
        rounds.add(f"create {connections}", daemon.creates(share, connections).per_second)
        rounds.add(f"instant {connections}", instant.creates(share, connections).per_second)
        rounds.add(f"echo {connections}", daemon.echoes(share, connections).per_second)
    rounds.add("batch", daemon.batches(bench.sizes.batches))
    rounds.add("instant batch", instant.batches(bench.sizes.batches))


def _measure_peer(bench: Bench, peer: Peer, rounds: Rounds) -> None:
    with bench.folder() as folder, peer.running(folder, bench.target) as running:
        due, count = microseconds() + HOUR, bench.sizes.creates
        seconds = running.enqueue(count, PEER_CONNECTIONS, due, 0)
        rounds.add(peer.name, count / seconds)


def _rows(bench: Bench, rounds: Rounds) -> list[Row]:
    rows = []
    for connections in CONNECTIONS:
        own = f"create {connections}"
        label = f"creates, {connections} connections"
        rows.append(Row(label, rounds.median(own), "/s", wanted=WANTED.get(own, "")))
        for other, name in (
            (f"instant {connections}", "a store that answers at once"),
            (f"echo {connections}", "echo of the same body"),
        ):
            rows.append(_beside(label, own, other, name, rounds))
    rows.append(
        Row("creates, batches of 1,000", rounds.median("batch"), "jobs/s", wanted=WANTED["batch"])
    )
    rows.append(
        _beside("creates, batches of 1,000", "batch", "instant batch", "an instant store", rounds)
    )
    for peer in bench.peers:
        if peer.name in rounds and peer.name not in bench.failures:
            label = f"creates, {PEER_CONNECTIONS} connections"
            rows.append(_beside(label, "create 32", peer.name, peer.title, rounds))
    return rows


def _beside(label: str, own: str, other: str, name: str, rounds: Rounds) -> Row:
    return Row(
        label,
        rounds.median(own),
        "/s",
        rounds.ratio(own, other),
        f"{name}: {number(rounds.median(other))}/s",
        WANTED.get(other, ""),
    )

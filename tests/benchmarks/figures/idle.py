"""Idling with few and with many jobs waiting, and how long a start takes then."""

from pathlib import Path

from tests.benchmarks.daemon import serving
from tests.benchmarks.fill import fill
from tests.benchmarks.jobs import HOUR, microseconds
from tests.benchmarks.peers import Peer
from tests.benchmarks.processes import Idle, idle, nap
from tests.benchmarks.runner import Bench, Rounds, Row

SETTLE_SECONDS = 2.0
PEER_CONNECTIONS = 32


def measure(bench: Bench) -> list[Row]:
    """Watch booper with jobs that are due much later, and do nothing."""
    rows: list[Row] = []
    for waiting in (bench.sizes.few, bench.sizes.many):
        bench.say(f"  {waiting:,} waiting")
        with bench.folder() as folder:
            fill(folder, bench.target, waiting=waiting)
            rows += _rows(f"{waiting:,} waiting", _measure_own(bench, folder), waiting, bench)
    peers: dict[str, Idle] = {}
    bench.each_peer(lambda peer: peers.update({peer.title: _measure_peer(bench, peer)}))
    for title, found in peers.items():
        label = f"idle, {bench.sizes.few:,} waiting"
        beside = f"{title}: {found.wakeups:.0f} wake-ups/s, {found.resident_mb:.0f} MB"
        rows.append(Row(label, found.cpu_percent, "% of a core", None, beside))
    return rows


def _measure_own(bench: Bench, folder: Path) -> Rounds:
    rounds = Rounds()
    for _ in bench.rounds():
        with serving(folder, bench.target) as daemon:
            rounds.add("ready", daemon.ready_seconds)
            nap(SETTLE_SECONDS)
            found = idle([daemon.pid], bench.sizes.idle_seconds)
            rounds.add("cpu", found.cpu_percent)
            rounds.add("wakeups", found.wakeups)
            rounds.add("resident", found.resident_mb)
    return rounds


def _measure_peer(bench: Bench, peer: Peer) -> Idle:
    with bench.folder() as folder, peer.running(folder, bench.target) as running:
        running.enqueue(bench.sizes.few, PEER_CONNECTIONS, microseconds() + HOUR, 0)
        nap(SETTLE_SECONDS)
        return idle(running.pids, bench.sizes.idle_seconds)


def _rows(label: str, rounds: Rounds, waiting: int, bench: Bench) -> list[Row]:
    is_held_to = waiting == bench.sizes.many
    wanted = {
        "cpu": "under 0.5",
        "wakeups": "under 14",
        "resident": "under 80 / 60",
        "ready": "under 1.5 / 0.8",
    }
    units = {"cpu": "% of a core", "wakeups": "/s", "resident": "MB", "ready": "s"}
    names = {
        "cpu": f"idle, {label}: CPU",
        "wakeups": f"idle, {label}: wake-ups",
        "resident": f"idle, {label}: resident memory",
        "ready": f"start to ready, {label}",
    }
    return [
        Row(name, rounds.median(key), units[key], wanted=wanted[key] if is_held_to else "")
        for key, name in names.items()
    ]

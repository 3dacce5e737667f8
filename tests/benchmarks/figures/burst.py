"""Many jobs due at one instant: jobs a second until the last has arrived, and CPU time a job.

The CPU time is that of all of a job, from its create to the commit of its result.
"""

from tests.benchmarks import senders
from tests.benchmarks.daemon import serving
from tests.benchmarks.jobs import MOMENT, microseconds
from tests.benchmarks.peers import Peer
from tests.benchmarks.processes import cpu_seconds, nap
from tests.benchmarks.runner import Bench, Rounds, Row, number
from tests.benchmarks.target import Arrival

SECONDS = 120.0
SETTLE_SECONDS = 1.0
"""How long after the last request its result may be written."""

PEER_CONNECTIONS = 32

SENDERS = {
    "aiohttp": "a bare aiohttp loop, no store",
    "transport": "booper's transport alone",
    "delivery": "booper's delivery alone",
}
CPU_WANTED = "1.03 of before / -"
"""Of what it was before booper knew of PostgreSQL, on the same machine."""

WANTED = {
    "aiohttp": "0.55 / 1",
    "bullmq-always": "1.1 / 2",
    "quirrel": "1.4 / 2.5",
    "beanstalkd-fsync": "1.25 / 2",
    "beanstalkd": "- / 1",
}


def measure(bench: Bench) -> list[Row]:
    """Send the same requests by booper, by clients without a store, and by peers."""
    rounds = Rounds()
    for _ in bench.rounds():
        _measure_own(bench, rounds)
        for kind in SENDERS:
            began = senders.run(kind, bench.target.url, bench.sizes.burst)
            arrived = bench.target.wait(bench.sizes.burst, SECONDS)
            rounds.add(kind, per_second(arrived, began, bench.sizes.burst))
        bench.each_peer(lambda peer: _measure_peer(bench, peer, rounds))
    others = SENDERS | {peer.name: peer.title for peer in bench.peers}
    label = f"burst of {bench.sizes.burst:,} jobs"
    rows = [Row(label, rounds.median("booper"), "jobs/s")]
    for other, title in others.items():
        if other in rounds and other not in bench.failures:
            ratio, beside = rounds.ratio("booper", other), number(rounds.median(other))
            wanted = WANTED.get(other, "")
            rows.append(
                Row(label, rounds.median("booper"), "jobs/s", ratio, f"{title}: {beside}/s", wanted)
            )
    cpu = rounds.median("booper CPU")
    rows.append(Row(f"{label}, CPU time a job", cpu, "ms", wanted=CPU_WANTED))
    return rows


def per_second(arrived: list[Arrival], began: int, count: int) -> float:
    """Return how many arrived a second. Raises: RuntimeError if one was lost, doubled or early."""
    if len(arrived) != count or len({arrival.number for arrival in arrived}) != count:
        raise RuntimeError(f"{len(arrived)} requests of {count} jobs arrived")
    return count / (max(arrival.at for arrival in arrived) - began) * 1e6


def _measure_own(bench: Bench, rounds: Rounds) -> None:
    count = bench.sizes.burst
    with bench.folder() as folder, serving(folder, bench.target) as daemon:
        used, due = cpu_seconds(daemon.pid), microseconds() + MOMENT
        daemon.schedule(count, due, 0)
        _check_ahead(due)
        rounds.add("booper", per_second(bench.target.wait(count, SECONDS), due, count))
        nap(SETTLE_SECONDS)
        rounds.add("booper CPU", (cpu_seconds(daemon.pid) - used) / count * 1e3)


def _measure_peer(bench: Bench, peer: Peer, rounds: Rounds) -> None:
    """Allow a peer the time that it takes to enqueue, and round the instant to a second."""
    count = bench.sizes.burst
    with bench.folder() as folder, peer.running(folder, bench.target) as running:
        warm_up = max(1, count // 20)
        seconds = running.enqueue(warm_up, PEER_CONNECTIONS, microseconds(), 0)
        bench.target.wait(warm_up, SECONDS)
        ahead = MOMENT + int(2e6 * seconds * count / warm_up)
        due = (microseconds() + ahead) // 1_000_000 * 1_000_000
        running.enqueue(count, PEER_CONNECTIONS, due, 0)
        _check_ahead(due)
        rounds.add(peer.name, per_second(bench.target.wait(count, SECONDS), due, count))


def _check_ahead(due: int) -> None:
    if microseconds() > due:
        raise RuntimeError("the jobs were due before the last of them was written")

"""How speed changes from few to many jobs, waiting or finished."""

from pathlib import Path

from tests.benchmarks.daemon import Daemon, serving
from tests.benchmarks.figures.burst import SECONDS, per_second
from tests.benchmarks.fill import fill
from tests.benchmarks.jobs import MOMENT, microseconds
from tests.benchmarks.runner import Bench, Rounds, Row, number

CONNECTIONS = 32
PAGES = {
    "page of jobs": "/api/jobs?limit=100",
    "page of completed jobs": "/api/jobs?state=completed&limit=100",
    "page of waiting jobs by time": "/api/jobs?state=scheduled&order_by=scheduled_at,asc&limit=100",
    "page of the log": "/api/logs?limit=100",
}
WANTED = "0.8 / 0.95"


def measure(bench: Bench) -> list[Row]:
    """Run the same with few and with many, one after the other in every round."""
    rows = []
    for kind in ("waiting", "finished"):
        with bench.folder() as few, bench.folder() as many:
            bench.say(f"  {bench.sizes.many:,} {kind}")
            fill(few, bench.target, **{kind: bench.sizes.few})
            fill(many, bench.target, **{kind: bench.sizes.many})
            rounds = Rounds()
            for _ in bench.rounds():
                _measure_all(bench, few, rounds, "few")
                _measure_all(bench, many, rounds, "many")
        rows += _rows(bench, rounds, kind)
    return rows


def _measure_all(bench: Bench, folder: Path, rounds: Rounds, size: str) -> None:
    with serving(folder, bench.target) as daemon:
        daemon.creates(bench.sizes.creates // 10, CONNECTIONS)  # warms up
        creates = daemon.creates(bench.sizes.creates, CONNECTIONS).per_second
        rounds.add(f"creates {size}", creates)
        rounds.add(f"burst {size}", _burst(bench, daemon))
        for name, path in PAGES.items():
            rounds.add(f"{name} {size}", daemon.lists(path, bench.sizes.pages).per_second)


def _burst(bench: Bench, daemon: Daemon) -> float:
    count, due = bench.sizes.burst, microseconds() + MOMENT
    daemon.schedule(count, due, 0)
    return per_second(bench.target.wait(count, SECONDS), due, count)


def _rows(bench: Bench, rounds: Rounds, kind: str) -> list[Row]:
    rows = []
    for name in ("creates", "burst", *PAGES):
        few, many = f"{name} few", f"{name} many"
        label = f"{name}, {bench.sizes.many:,} {kind}"
        beside = f"with {bench.sizes.few:,}: {number(rounds.median(few))}/s"
        ratio = rounds.ratio(many, few)
        rows.append(Row(label, rounds.median(many), "/s", ratio, beside, WANTED))
    return rows

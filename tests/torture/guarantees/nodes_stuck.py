"""Due jobs that may not go do not slow down others behind them.

Many jobs of paused origins are due before the others. Nodes are started when all are stored, so
that they find them in the table. The same others go through a database that has no jobs but them,
by turns, while the nodes of the other one do not run.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from statistics import median
from typing import Final

import httpx

from booper.clock import SystemClock
from tests.support.processes import bearer, monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes.cluster import KEY, Cluster, cluster, create, pause, wait_arrivals
from tests.torture.nodes.sink import Sink

ORIGINS: Final = 50
PAUSED: Final = 20
"""How many origins have jobs that may go, and how many others are paused."""

BATCH: Final = 1_000
PATIENCE_SECONDS: Final = 10.0
API_SECONDS: Final = 120.0
MIN_RATIO: Final = 0.8


def measure(size: Size) -> Line:
    """Send 10,000 jobs behind 200,000 by 4 nodes, three times, in short 300 behind 5,000 by 2.

    In short what they cost is shown and not judged: other tests run beside it.
    """
    return _tried(size, "")


def twin() -> Line:
    """Try it with nodes that look at the first of what is due, and no further."""
    return _tried(Size.SHORT, "head")


def _tried(size: Size, oddities: str) -> Line:
    nodes, stuck, others = size.pick((4, 200_000, 10_000), (2, 5_000, 300))
    rounds, start_seconds = size.pick((3, 20.0), (1, 10.0))
    faults = list[str]()
    rates: dict[bool, list[float]] = {False: [], True: []}
    with ExitStack() as stack:
        made = {
            is_stuck: stack.enter_context(cluster(nodes, Sink(), oddities=oddities))
            for is_stuck in (False, True)
        }
        _pause(made[True])
        _create(made[True], "stuck", range(stuck), range(ORIGINS, ORIGINS + PAUSED))
        for each in made.values():
            _stop(each)
        for number in range(rounds):
            for is_stuck in (number % 2 == 1, number % 2 == 0):
                with _started(made[is_stuck]):
                    numbers = range(number * others, (number + 1) * others)
                    rate, wrong = _round(made[is_stuck], numbers, start_seconds)
                rates[is_stuck].append(rate)
                faults += wrong
        came = {arrival.path for arrival in made[True].sink.arrivals}
    faults += [f"was sent to a paused origin: {path}" for path in came if "stuck" in path]
    ratio = median(rates[True]) / max(median(rates[False]), 1.0)
    if size is Size.LONG and ratio < MIN_RATIO:
        faults.append(f"{ratio:.2f} of the rate without them, less than {MIN_RATIO}")
    figure = (
        f"{nodes} nodes: {others} jobs behind {stuck} of paused origins at {ratio:.2f} of the rate "
        f"without them (a second, with: {_shown(rates[True])}; without: {_shown(rates[False])})"
    )
    return line("nodes_stuck", figure, faults)


def _round(made: Cluster, numbers: range, start_seconds: float) -> tuple[float, list[str]]:
    """Send jobs that are due at one instant; return how many came a second, and what is wrong.

    The seconds count from then, or from when the last node has started if that is later.
    """
    at = monotonic() + start_seconds
    _create(made, "free", numbers, range(ORIGINS), start_seconds)
    _stop(made)
    for node in made.nodes:
        node.start()
    at = max(at, monotonic())
    pause(at - monotonic())
    wanted = {f"/free-{number}" for number in numbers}
    before = len(made.sink.arrivals)
    wait_arrivals(made.sink, numbers.stop, PATIENCE_SECONDS)
    came = [arrival for arrival in made.sink.arrivals[before:] if arrival.path in wanted]
    missing = wanted - {arrival.path for arrival in came}
    faults = [f"never came: {path}" for path in sorted(missing)]
    took = max((arrival.at for arrival in came), default=at) - at
    return len(came) / max(took, 0.001), faults


@contextmanager
def _started(made: Cluster) -> Iterator[None]:
    """Run the nodes of a cluster in the block, and only there."""
    for node in made.nodes:
        node.start()
    try:
        yield
    finally:
        _stop(made)


def _stop(made: Cluster) -> None:
    for node in made.nodes:
        node.close()


def _pause(made: Cluster) -> None:
    """Pause the origins whose jobs are to be stuck."""
    with httpx.Client(base_url=made.nodes[0].url, headers=bearer(KEY), trust_env=False) as api:
        for number in range(ORIGINS, ORIGINS + PAUSED):
            api.post("/api/pause", json={"host": made.host(number)}).raise_for_status()


def _create(made: Cluster, name: str, numbers: range, hosts: range, seconds: float = 0.0) -> None:
    """Create jobs that are due in so many seconds, by turns at hosts of these numbers."""
    due = SystemClock().now() + timedelta(seconds=seconds)
    jobs = list[dict[str, str]]()
    for number in numbers:
        host = made.host(hosts[number % len(hosts)])
        url = f"http://{host}:{made.sink.port}/{name}-{number}"
        jobs.append({"url": url, "scheduled_at": due.isoformat()})
    with httpx.Client(headers=bearer(KEY), trust_env=False, timeout=API_SECONDS) as api:
        for start in range(0, len(jobs), BATCH):
            api.base_url = httpx.URL(made.nodes[start // BATCH % len(made.nodes)].url)
            create(api, jobs[start : start + BATCH])


def _shown(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:.0f}" for rate in rates)

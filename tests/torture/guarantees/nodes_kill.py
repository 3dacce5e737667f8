"""SIGKILL of some of several nodes, again and again: the others take over, and nothing else.

Nothing acknowledged is lost; only what was open at a kill may come twice, and does so soon. One
request in a hundred takes longer than the lease of a node: a node that lives keeps its claims.
"""

from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any, Final

from tests.support.processes import monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes.cluster import cluster, pause, wait_arrivals
from tests.torture.nodes.posting import Posted, posting
from tests.torture.nodes.sink import Arrival, Sink

NODES: Final = 4
ORIGINS: Final = 20
SETTINGS: Final = "[delivery]\nconcurrency = 256\nper_host = 64\n"

SECONDS: Final = 0.15
SLOW_SECONDS: Final = 7.0
"""How long responses take, and the first one to each hundredth job."""

LEAST_SHARE: Final = 0.8
"""Of the jobs a second that are asked for, in sum: a kill cuts off creates, and nodes start.

What the last kills have left may come as late as any orphan.
"""

DEAD_SECONDS: Final = (0.2, 1.0)
ALIVE_SECONDS: Final = (1.0, 2.5)
TAKEN_OVER_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 15.0

WRITTEN_SECONDS: Final = 0.5
"""How long a node may take to write a result; until then the request is open for it."""

CLOSED_SECONDS: Final = 0.05
LAG_SECONDS: Final = 0.5
"""How much earlier, and later, than a kill the sink may see that a connection is closed."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many jobs a second were asked for, and how many came, each counted once."""

    asked: float
    came: float

    @property
    def faults(self) -> list[str]:
        """Return what is wrong with it: the kills were to meet nodes that have work."""
        is_slow = self.came < LEAST_SHARE * self.asked
        return [f"{self.came:.0f} of {self.asked:.0f} jobs a second came"] * is_slow


def _cuts_off(kill: float, arrival: Arrival) -> bool:
    """Return whether a kill may have kept the result of a request from being written."""
    is_its_end = kill - CLOSED_SECONDS <= arrival.way.closed_at <= kill + LAG_SECONDS
    return is_its_end and arrival.answered_at > kill - WRITTEN_SECONDS


def measure(size: Size) -> Line:
    """Kill 100 times 1 to 3 of 4 nodes at 300 jobs/s; in short 3 times at 60 jobs/s."""
    return _tried("nodes_kill", size)


def measure_pgbouncer(size: Size) -> Line:
    """Do so through a pool of five connections for all nodes."""
    return _tried("nodes_kill_pgbouncer", size, is_pooled=True)


def twin() -> Line:
    """Try it with nodes that take over what was claimed long ago, whoever claimed it."""
    return _tried("nodes_kill", Size.SHORT, "by_age")


def _tried(name: str, size: Size, oddities: str = "", *, is_pooled: bool = False) -> Line:
    rounds, per_second = size.pick((100, 300), (3, 60))
    random, kills = Random(1), list[float]()
    sink = Sink(_seconds)
    pools = range(NODES) if is_pooled else ()
    with cluster(NODES, sink, settings=SETTINGS, oddities=oddities, pools=pools) as made:
        with posting(made, per_second, origins=ORIGINS, fields=_fields) as posted:
            began = monotonic()
            for _ in range(rounds):
                pause(random.uniform(*ALIVE_SECONDS))
                dead = random.sample(made.nodes, random.randint(1, 3))
                kills += [node.kill() for node in dead]
                pause(random.uniform(*DEAD_SECONDS))
                for node in dead:
                    node.start()
            ended = monotonic()
        wait_arrivals(sink, len(posted.acknowledged), PATIENCE_SECONDS)
        pause(SLOW_SECONDS)  # what is slow or was cut off at last may yet come again
    pace = Pace(per_second, _came(sink, ended + TAKEN_OVER_SECONDS) / (ended - began))
    return _judged(name, rounds, kills, sink, posted, pace)


def _came(sink: Sink, end: float) -> int:
    """Return how many jobs have come before a moment, each counted once."""
    return sum(came[0].at < end for came in sink.by_path().values())


def _fields(number: int) -> dict[str, Any]:
    return {"schedule_in": number % 4 / 2}


def _seconds(path: str, times: int) -> float:
    return SLOW_SECONDS if path.endswith("00") and times == 1 else SECONDS


def _judged(
    name: str, rounds: int, kills: list[float], sink: Sink, posted: Posted, pace: Pace
) -> Line:
    faults = [f"lost: {path}" for path in posted.acknowledged.keys() - sink.by_path().keys()]
    waits, doubles = list[float](), 0
    for path, came in sink.by_path().items():
        for first, second in zip(came, [*came[1:], None], strict=True):
            cut_off = [kill for kill in kills if _cuts_off(kill, first)]
            is_orphan = bool(cut_off) and first.answered_at == inf
            if second is None:
                if is_orphan and path in posted.acknowledged:
                    faults.append(f"cut off and not sent again: {path}")
                continue
            doubles += 1
            if not any(kill < second.at for kill in cut_off):
                faults.append(f"doubled, and not open at a kill: {path}")
            elif is_orphan:
                waits.append(second.at - max(kill for kill in cut_off if kill < second.at))
    waits.sort()
    p99 = waits[len(waits) * 99 // 100] if waits else 0.0
    faults += [] if waits else ["no request was open at a kill"]
    if p99 > TAKEN_OVER_SECONDS:
        faults.append("taken over too late")
    faults += pace.faults
    figure = (
        f"{rounds} times 1 to 3 of {NODES} nodes ({len(kills)} kills), {pace.came:.0f} of "
        f"{pace.asked:.0f} jobs/s: "
        f"{len(posted.acknowledged)} jobs acknowledged, {len(posted.cut_off)} creates cut off, "
        f"{len(posted.refused)} refused; {doubles} came again, the {len(waits)} orphans within "
        f"{p99:.2f} s (p99; {waits[-1] if waits else 0:.2f} s at most)"
    )
    return line(name, figure, faults)

"""Faults of the database end no node and lose nothing: creates get 503 meanwhile, and then go on.

PostgreSQL is restarted, crashes, loses all its connections, or refuses to write for longer than a
lease, while jobs are created and fall due.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final

from tests.support.processes import monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes import server
from tests.torture.nodes.cluster import Cluster, cluster, pause, wait_arrivals
from tests.torture.nodes.posting import Posted, posting
from tests.torture.nodes.sink import Sink

FAULTS: Final[dict[str, Callable[[], None]]] = {
    "restart": server.restart,
    "crash": server.crash,
    "terminate": server.terminate,
    "read-only": server.make_read_only,
}
ORIGINS: Final = 20
BEFORE_SECONDS: Final = 2.0
BACK_SECONDS: Final = 5.0
"""How long after a fault the rate may be lower."""

MEASURED_SECONDS: Final = 3.0
LEAST_SHARE: Final = 0.8
LATE_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 15.0

LOST: Final = "lost: /"
TWIN_CRASHES: Final = 10


def measure(size: Size) -> Line:
    """Make each fault 10 times, with 4 nodes; in short once, with 2."""
    return _tried(*size.pick((4, 100), (2, 40)), "", list(FAULTS) * size.pick(10, 1))


def twin() -> Line:
    """Try crashes with nodes that acknowledge what is not yet written, until one loses something.

    The server writes whole pages of its log as they fill up, so a crash takes those changes alone
    that are behind the last one, which may be none.
    """
    with server.lazy():
        for _ in range(TWIN_CRASHES):
            tried = _tried(2, 120, "unsynced", ["crash"])
            if LOST in tried.figure:
                break
    return tried


def _tried(nodes: int, per_second: int, oddities: str, faults: Sequence[str]) -> Line:
    sink, found = Sink(), list[str]()
    with cluster(nodes, sink, oddities=oddities) as made:
        with posting(made, per_second, origins=ORIGINS, fields=_fields, is_alone=True) as posted:
            for fault in faults:
                found += _trial(made, posted, fault, per_second)
        wait_arrivals(sink, len(posted.acknowledged), PATIENCE_SECONDS)
        found += [f"node {node.folder.name} ended" for node in made.nodes if not node.is_running]
    return _judged(nodes, faults, sink, posted, found)


def _fields(number: int) -> dict[str, Any]:
    return {"schedule_in": _wait_of(number)}


def _wait_of(number: int) -> int:
    """Return how many seconds after its create a job is due."""
    return number % 4


def _trial(made: Cluster, posted: Posted, fault: str, per_second: int) -> list[str]:
    """Make a fault; return what is wrong afterwards."""
    pause(BEFORE_SECONDS)
    FAULTS[fault]()
    pause(BACK_SECONDS)
    begin = monotonic()
    pause(MEASURED_SECONDS)
    end = monotonic()
    pause(LATE_SECONDS)
    found = list[str]()
    if (rate := posted.rate(begin, end)) < LEAST_SHARE * per_second:
        found.append(f"{rate:.0f} of {per_second} jobs a second created after {fault}")
    if (share := _on_time(made.sink, posted, begin, end)) < LEAST_SHARE:
        found.append(f"{share:.0%} of the jobs sent in time after {fault}")
    return found


def _on_time(sink: Sink, posted: Posted, begin: float, end: float) -> float:
    """Return the share of jobs that were sent soon, of those that fell due between two moments."""
    came = {path: arrivals[0].at for path, arrivals in sink.by_path().items()}
    due = {path: at + _wait_of(int(path[1:])) for path, at in posted.acknowledged.copy().items()}
    wanted = {path: at for path, at in due.items() if begin <= at < end}
    soon = sum(came.get(path, inf) < at + LATE_SECONDS for path, at in wanted.items())
    return soon / max(1, len(wanted))


def _judged(
    nodes: int, faults: Sequence[str], sink: Sink, posted: Posted, found: list[str]
) -> Line:
    lost = posted.acknowledged.keys() - sink.by_path().keys()
    responses = [response for _, response in posted.refused]
    found = [*(f"lost: {path}" for path in lost), *found]
    found += [f"not answered: {error!r}" for _, error in posted.cut_off]
    found += [f"answered {it.status_code}" for it in responses if it.status_code != 503]
    found += ["503 without Retry-After" for it in responses if "retry-after" not in it.headers]
    counts = ", ".join(f"{count} {name}" for name, count in Counter(faults).items())
    figure = (
        f"{nodes} nodes, {counts}: {len(posted.acknowledged)} jobs acknowledged, {len(lost)} lost, "
        f"{len(responses)} creates refused, {len(sink.doubled())} requests made again"
    )
    return line("nodes_chaos", figure, found)

"""Faults of the database end no node and lose nothing: creates get 503 meanwhile, and then go on.

PostgreSQL is restarted, crashes, loses all its connections, refuses to write for longer than a
lease, or has no room left on its disk, while jobs are created and fall due. Every other node is
behind a PgBouncer, all of whose connections are taken by others for a while.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import inf
from typing import Any, Final, NamedTuple

from httpx import Response

from tests.support.postgres import DEFAULT_SPACE
from tests.support.processes import monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes import server
from tests.torture.nodes.cluster import Cluster, cluster, pause, wait_arrivals
from tests.torture.nodes.posting import Posted, posting
from tests.torture.nodes.sink import Sink

POOL: Final = "pool"
DISK: Final = "disk"
FAULTS: Final[dict[str, Callable[[str], None]]] = {
    "restart": lambda url: server.restart(),
    "crash": lambda url: server.crash(),
    "terminate": lambda url: server.terminate(),
    "read-only": lambda url: server.make_read_only(),
    POOL: server.take_pool,
    DISK: lambda url: server.fill_disk(),
}
ORIGINS: Final = 20
BACK_SECONDS: Final = 5.0
"""How long after a fault the rate may be lower."""

MEASURED_SECONDS: Final = 1.5
LATE_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.25
LEAST_SHARE: Final = 0.8
"""How much of the rate before the faults there is after one."""

PATIENCE_SECONDS: Final = 15.0

LOST: Final = "lost: /"
NO_ROOM: Final = "no room left"
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
    sink, found, full = Sink(), list[str](), list[Response]()
    pools = range(1, nodes, 2) if POOL in faults else ()
    with ExitStack() as stack:
        disk = stack.enter_context(server.small_disk()) if DISK in faults else DEFAULT_SPACE
        made = stack.enter_context(
            cluster(nodes, sink, oddities=oddities, pools=pools, tablespace=disk)
        )
        with posting(made, per_second, origins=ORIGINS, fields=_fields, is_alone=True) as posted:
            pause(MEASURED_SECONDS + LATE_SECONDS)
            before = _pace(sink, posted, monotonic() - LATE_SECONDS)
            found += ["nothing was created before"] if not min(before) else []
            for fault in faults:
                count = len(posted.refused)
                found += _trial(made, posted, fault, before)
                if fault == POOL and len(posted.refused) == count:
                    found.append("no create was refused while the pool was taken")
                if fault == DISK:
                    full += [response for _, response in posted.refused[count:]]
        wait_arrivals(sink, len(posted.acknowledged), PATIENCE_SECONDS)
        found += [f"node {node.folder.name} ended" for node in made.nodes if not node.is_running]
    return _judged(nodes, faults, sink, posted, full, found)


def _fields(number: int) -> dict[str, Any]:
    return {"schedule_in": _wait_of(number)}


def _wait_of(number: int) -> int:
    """Return how many seconds after its create a job is due."""
    return number % 4


class Pace(NamedTuple):
    """How many jobs a second were created, and the share of those due that came in time."""

    created: float
    in_time: float


def _trial(made: Cluster, posted: Posted, fault: str, before: Pace) -> list[str]:
    """Make a fault, and wait until the pace is that of before; return what is wrong afterwards."""
    FAULTS[fault](made.url)
    over = monotonic()
    while True:
        pause(LOOK_SECONDS)
        end = monotonic() - LATE_SECONDS
        if end < over + MEASURED_SECONDS:
            continue
        after = _pace(made.sink, posted, end)
        if all(now >= LEAST_SHARE * then for now, then in zip(after, before, strict=True)):
            return []
        if end > over + BACK_SECONDS + MEASURED_SECONDS:
            return [
                f"{after.created:.0f} creates a second, {after.in_time:.0%} of the jobs in time "
                f"after {fault}; before {before.created:.0f}, {before.in_time:.0%}"
            ]


def _pace(sink: Sink, posted: Posted, end: float) -> Pace:
    """Return the pace of the last seconds before a moment, which is `LATE_SECONDS` ago."""
    begin = end - MEASURED_SECONDS
    came = {path: arrivals[0].at for path, arrivals in sink.by_path().items()}
    due = {path: at + _wait_of(int(path[1:])) for path, at in posted.acknowledged.copy().items()}
    wanted = {path: at for path, at in due.items() if begin <= at < end}
    soon = sum(came.get(path, inf) < at + LATE_SECONDS for path, at in wanted.items())
    return Pace(posted.rate(begin, end), soon / max(1, len(wanted)))


def _judged(
    nodes: int,
    faults: Sequence[str],
    sink: Sink,
    posted: Posted,
    full: Sequence[Response],
    found: list[str],
) -> Line:
    """Judge all: refused creates got 503; those in `full`, whose disk was, got 507 as well."""
    lost = posted.acknowledged.keys() - sink.by_path().keys()
    responses = [response for _, response in posted.refused]
    of_a_full_disk = {id(response) for response in full if response.status_code == 507}
    found = [*(f"lost: {path}" for path in lost), *found]
    found += [f"not answered: {error!r}" for _, error in posted.cut_off]
    others = [it for it in responses if id(it) not in of_a_full_disk]
    found += [f"answered {it.status_code}" for it in others if it.status_code != 503]
    if DISK in faults and not of_a_full_disk:
        found.append("no create met a full disk")
    found += ["refused without Retry-After" for it in responses if "retry-after" not in it.headers]
    counts = ", ".join(f"{count} {name}" for name, count in Counter(faults).items())
    figure = (
        f"{nodes} nodes, {counts}: {len(posted.acknowledged)} jobs acknowledged, {len(lost)} lost, "
        f"{len(responses)} creates refused, {len(of_a_full_disk)} for a full disk, "
        f"{len(sink.doubled())} requests made again"
    )
    return line("nodes_chaos", figure, found)

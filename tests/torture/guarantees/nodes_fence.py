"""A node sends nothing after the end of its lease, when others may send what it has claimed.

It is stopped and goes on; or it is, and its wall clock is set back by an hour meanwhile; or it
loses the database, silently or not, for long or until shortly before the end of its lease, but not
the targets. All the time it has claimed jobs that it has not sent yet: it is slow to look up names.
The database says when leases ended and began.
"""

import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any, Final, LiteralString

import psycopg

from tests.support.processes import monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes.cluster import Cluster, Node, cluster, pause, wait, wait_arrivals
from tests.torture.nodes.posting import Posted, posting
from tests.torture.nodes.proxy import Way, Ways, ways
from tests.torture.nodes.sink import Arrival, Sink
from tests.torture.nodes.strange import STEP_FILE

NODES: Final = 4
ORIGINS: Final = 20
SETTINGS: Final = "[delivery]\nconcurrency = 256\nper_host = 64\n"
ODDITIES: Final = "named,slow,stepped"
KINDS: Final = ("step", "stop", "silence", "cut", "stall")

AWAY_SECONDS: Final = (4.5, 6.0)
LONG_SECONDS: Final = 20.0
"""How long a node is away, and how long each tenth time."""

STALL_SECONDS: Final = (3.1, 3.6)
"""So long that a node has stopped to send, and so short that its lease may be there yet."""

SETTLED_SECONDS: Final = 1.0
"""How long after it went away a node's last renewal may be written."""

BACK_SECONDS: Final = 10.0
READY_SECONDS: Final = 2.0
ASKED_SECONDS: Final = 0.5
LATE_SECONDS: Final = 0.1
WRITTEN_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 15.0
PER_SECOND: Final = 100

LEASES: Final = """
SELECT name, extract(epoch FROM expires_at - clock_timestamp())::float8 FROM nodes
"""
BEGINNINGS: Final = """
SELECT name, max(started_at) / 1000000.0 - extract(epoch FROM clock_timestamp())::float8 FROM nodes
WHERE expires_at > clock_timestamp() GROUP BY name
"""


@dataclass(frozen=True, slots=True)
class Absence:
    """The time between two leases of a node: when it went away, its lease ended, and it had one."""

    kind: str
    node: str
    left: float
    end: float
    begin: float

    def explains(self, first: Arrival) -> bool:
        """Return whether the result of a request may not have been written for it."""
        is_within = self.left - WRITTEN_SECONDS <= first.at <= self.end + LATE_SECONDS
        return first.node == self.node and is_within

    def is_late(self, arrival: Arrival) -> bool:
        """Return whether a request was sent by the node when it had no lease."""
        is_within = self.end + LATE_SECONDS < arrival.at < self.begin
        return arrival.node == self.node and is_within


def measure(size: Size) -> Line:
    """Try it 200 times, in short 10 times, always with some of 4 nodes at once."""
    return _tried(size, ODDITIES, KINDS)


def twin() -> Line:
    """Try it with nodes that count their lease by the wall clock."""
    return _tried(Size.SHORT, f"{ODDITIES},by_wall", KINDS[:1])


def _tried(size: Size, oddities: str, kinds: Sequence[str]) -> Line:
    trials, at_once = size.pick((201, 3), (2 * len(kinds), 2))
    random, absences, sink = Random(1), list[Absence](), Sink()
    with (
        ways() as found,
        cluster(NODES, sink, settings=SETTINGS, oddities=oddities, reach=found.reach) as made,
        psycopg.connect(made.url, autocommit=True) as database,
    ):
        with posting(made, PER_SECOND, origins=ORIGINS, fields=_fields) as posted:
            pause(READY_SECONDS)
            for number in range(trials // at_once):
                kind = kinds[number % len(kinds)]
                seconds = _seconds(kind, number, random)
                victims = random.sample(range(NODES), at_once)
                absences += _trial(made, found, database, kind, victims, seconds)
        wait_arrivals(sink, len(posted.acknowledged), PATIENCE_SECONDS)
    return _judged(size, absences, sink, posted)


def _fields(number: int) -> dict[str, Any]:
    """Return when a job is due: so late that all nodes know of it and claim it at once."""
    return {"schedule_in": 1.5 + number % 10 / 10}


def _seconds(kind: str, number: int, random: Random) -> float:
    """Return how long nodes are away."""
    if kind == "stall":
        return random.uniform(*STALL_SECONDS)
    return LONG_SECONDS if number % 10 == 7 else random.uniform(*AWAY_SECONDS)


def _trial(
    made: Cluster,
    found: Ways,
    database: psycopg.Connection[Any],
    kind: str,
    victims: Sequence[int],
    seconds: float,
) -> list[Absence]:
    """Have nodes go away and come back."""
    nodes = {str(number): made.nodes[number] for number in victims}
    for node in nodes.values():
        node.is_away = True
    pause(ASKED_SECONDS)
    for number in victims:
        _leave(kind, made.nodes[number], found.of[number])
    left = monotonic()
    pause(SETTLED_SECONDS)
    ends = _moments(database, LEASES)
    pause(left + seconds - monotonic())
    for number in victims:
        _return(kind, made.nodes[number], found.of[number])

    def begun() -> bool:
        begins = _moments(database, BEGINNINGS)
        return all(begins.get(name, left) > left for name in nodes)

    wait(begun, BACK_SECONDS)
    begins = _moments(database, BEGINNINGS)
    pause(ASKED_SECONDS)
    for node in nodes.values():
        (node.folder / STEP_FILE).unlink(missing_ok=True)
        node.is_away = False
    pause(READY_SECONDS)
    return [Absence(kind, name, left, ends[name], begins.get(name, inf)) for name in nodes]


def _leave(kind: str, node: Node, way: Way) -> None:
    match kind:
        case "silence" | "stall":
            way.silence()
        case "cut":
            way.cut()
        case _:
            node.tell(signal.SIGSTOP)


def _return(kind: str, node: Node, way: Way) -> None:
    if kind in ("silence", "cut", "stall"):
        way.heal()
        return
    if kind == "step":
        (node.folder / STEP_FILE).touch()
    node.tell(signal.SIGCONT)


def _moments(database: psycopg.Connection[Any], query: LiteralString) -> Mapping[str, float]:
    """Return the moments that a query tells by name, as this process counts time."""
    now = monotonic()
    return {name: now + seconds for name, seconds in database.execute(query)}


def _judged(size: Size, absences: Sequence[Absence], sink: Sink, posted: Posted) -> Line:
    came = sink.by_path()
    faults = [f"lost: {path}" for path in posted.acknowledged.keys() - came.keys()]
    faults += [f"no new lease after {it.kind}" for it in absences if it.begin == inf]
    late = [
        f"late after {each.kind}: {arrival.path} by {arrival.at - each.end:.2f} s"
        for each in absences
        for arrival in sink.arrivals
        if each.is_late(arrival)
    ]
    late += [
        f"sent beside others: {path}"
        for path, arrivals in sink.doubled().items()
        for first in arrivals[:-1]
        if not any(each.explains(first) for each in absences)
    ]
    if len(late) > size.pick(1, 0):
        faults += late
    kinds = Counter(each.kind for each in absences)
    figure = (
        f"{len(absences)} times a node was away ({', '.join(f'{n} {k}' for k, n in kinds.items())})"
        f" among {len(posted.acknowledged)} jobs: {len(late)} first bytes without a lease, "
        f"{len(sink.doubled())} requests made again"
    )
    return line("nodes_fence", figure, faults)

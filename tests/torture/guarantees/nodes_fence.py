"""A node sends nothing after the end of its lease, when others may send what it has claimed.

It is stopped and goes on; or it is, and its wall clock is set back by an hour meanwhile, and the
monotonic one left alone (libfaketime); or it loses the database, silently or not, for long or until
shortly before the end of its lease, but not the targets: each node has a network namespace. All the
time it has claimed jobs that it has not sent yet: it is slow to look up names. The database says
when leases ended and began.
"""

import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from math import inf
from pathlib import Path
from random import Random
from typing import Any, Final, LiteralString

import psycopg

from tests.support.processes import monotonic
from tests.torture.line import Line, NotMeasured, Size, line
from tests.torture.nodes.cluster import Cluster, Node, cluster, pause, wait, wait_arrivals
from tests.torture.nodes.posting import Posted, posting
from tests.torture.nodes.proxy import Ways, ways
from tests.torture.nodes.sink import Arrival, Sink
from tests.torture.nodes.spaces import Space, spaces, target_network

NODES: Final = 4
ORIGINS: Final = 20
SETTINGS: Final = "[delivery]\nconcurrency = 256\nper_host = 64\n"
ODDITIES: Final = "named,slow"
KINDS: Final = ("step", "stop", "silence", "cut", "stall")

AWAY_SECONDS: Final = (4.5, 6.0)
LONG_SECONDS: Final = 20.0
"""How long a node is away, and how long each tenth time."""

STALL_SECONDS: Final = (3.1, 3.6)
"""So long that a node has stopped to send, and so short that its lease may be there yet."""

SETTLED_SECONDS: Final = 1.0
"""How long after it went away a node's last renewal may be written."""

STEP_FILE: Final = "step"
"""In a node's folder, how far its wall clock is from this machine's, as libfaketime reads it."""

RIGHT, HOUR_BEHIND = "+0", "-1h"
LIBRARIES: Final = "/usr/lib/*/faketime/libfaketimeMT.so.1"

BACK_SECONDS: Final = 10.0
READY_SECONDS: Final = 2.0
ASKED_SECONDS: Final = 0.5
LATE_SECONDS: Final = 0.1
WRITTEN_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 15.0
MAX_LATE: Final = 1
"""A node may be stopped between its look at the lease and the write, which nothing can join."""

PER_SECOND: Final = 100

TWIN_TRIES: Final = 5

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
    """Try it with nodes that count their lease by the wall clock, until some send too late.

    Of what one has claimed it sends what comes before its next renewal, which may be nothing.
    """
    for _ in range(TWIN_TRIES):
        tried = _tried(Size.SHORT, f"{ODDITIES},by_wall", KINDS[:1])
        if not tried.holds:
            break
    return tried


@dataclass(frozen=True, slots=True)
class World:
    """The nodes, each in its space and with its way to the database, and the database itself."""

    made: Cluster
    spaces: Sequence[Space]
    ways: Ways
    database: psycopg.Connection[Any]

    def leave(self, kind: str, number: int) -> None:
        """Send a node away."""
        match kind:
            case "silence" | "stall":
                self.spaces[number].lose()
            case "cut":
                self.ways.of[number].cut()
            case _:
                self.made.nodes[number].tell(signal.SIGSTOP)

    def come_back(self, kind: str, number: int) -> None:
        """Bring a node back."""
        match kind:
            case "silence" | "stall":
                self.spaces[number].heal()
            case "cut":
                self.ways.of[number].heal()
            case _:
                if kind == "step":
                    _set_clock(self.made.nodes[number].folder, HOUR_BEHIND)
                self.made.nodes[number].tell(signal.SIGCONT)

    def moments(self, query: LiteralString) -> Mapping[str, float]:
        """Return the moments that a query tells by name, as this process counts time."""
        now = monotonic()
        return {name: now + seconds for name, seconds in self.database.execute(query)}


def _tried(size: Size, oddities: str, kinds: Sequence[str]) -> Line:
    trials, at_once = size.pick((201, 3), (2 * len(kinds), 2))
    random, absences, sink = Random(1), list[Absence](), Sink()
    with _world(sink, oddities) as world:
        with posting(world.made, PER_SECOND, origins=ORIGINS, fields=_fields) as posted:
            pause(READY_SECONDS)
            for number in range(trials // at_once):
                kind = kinds[number % len(kinds)]
                seconds = _seconds(kind, number, random)
                absences += _trial(world, kind, random.sample(range(NODES), at_once), seconds)
        wait_arrivals(sink, len(posted.acknowledged), PATIENCE_SECONDS)
    return _judged(absences, sink, posted)


@contextmanager
def _world(sink: Sink, oddities: str) -> Iterator[World]:
    """Run the nodes until the end of the block. Raises: NotMeasured."""
    library = next(iter(sorted(glob(LIBRARIES))), None)
    if library is None:
        raise NotMeasured("clocks are set by libfaketime, which is not installed")

    def placed(folder: Path, number: int, oddities: str) -> Node:
        _set_clock(folder, RIGHT)
        environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(folder / STEP_FILE),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return Node(folder, oddities, made_spaces[number], environment)

    with (
        target_network() as network,
        spaces(NODES) as made_spaces,
        ways(lambda number: made_spaces[number].database) as found,
        cluster(
            NODES,
            sink,
            settings=SETTINGS,
            oddities=oddities,
            reach=found.reach,
            placed=placed,
            network=network,
        ) as made,
        psycopg.connect(made.url, autocommit=True) as database,
    ):
        yield World(made, made_spaces, found, database)


def _set_clock(folder: Path, distance: str) -> None:
    """Set the clock of the node in a folder, at once: it reads this each time."""
    new = folder / f"{STEP_FILE}.new"
    new.write_text(f"{distance}\n", encoding="ascii")
    new.replace(folder / STEP_FILE)


def _fields(number: int) -> dict[str, Any]:
    """Return when a job is due: so late that all nodes know of it and claim it at once."""
    return {"schedule_in": 1.5 + number % 10 / 10}


def _seconds(kind: str, number: int, random: Random) -> float:
    """Return how long nodes are away."""
    if kind == "stall":
        return random.uniform(*STALL_SECONDS)
    return LONG_SECONDS if number % 10 == 7 else random.uniform(*AWAY_SECONDS)


def _trial(world: World, kind: str, victims: Sequence[int], seconds: float) -> list[Absence]:
    """Send nodes away and bring them back."""
    nodes = {str(number): world.made.nodes[number] for number in victims}
    for node in nodes.values():
        node.is_away = True
    pause(ASKED_SECONDS)
    for number in victims:
        world.leave(kind, number)
    left = monotonic()
    pause(SETTLED_SECONDS)
    ends = world.moments(LEASES)
    pause(left + seconds - monotonic())
    for number in victims:
        world.come_back(kind, number)

    def begun() -> bool:
        begins = world.moments(BEGINNINGS)
        return all(begins.get(name, left) > left for name in nodes)

    wait(begun, BACK_SECONDS)
    begins = world.moments(BEGINNINGS)
    pause(ASKED_SECONDS)
    for node in nodes.values():
        _set_clock(node.folder, RIGHT)
        node.is_away = False
    pause(READY_SECONDS)
    # A node that has no lease to lose has lost it before, and was given none yet.
    return [
        Absence(kind, name, left, ends.get(name, left), begins.get(name, inf)) for name in nodes
    ]


def _judged(absences: Sequence[Absence], sink: Sink, posted: Posted) -> Line:
    came = sink.by_path()
    faults = [f"lost: {path}" for path in posted.acknowledged.keys() - came.keys()]
    faults += [f"no new lease after {it.kind}" for it in absences if it.begin == inf]
    late = {
        arrival.path: f"late after {each.kind}: {arrival.path} by {arrival.at - each.end:.2f} s"
        for each in absences
        for arrival in sink.arrivals
        if each.is_late(arrival)
    }
    for path, arrivals in sink.doubled().items():
        if not all(any(each.explains(it) for each in absences) for it in arrivals[:-1]):
            late.setdefault(path, f"sent beside others: {path}")
    if len(late) > MAX_LATE:
        faults += late.values()
    kinds = Counter(each.kind for each in absences)
    figure = (
        f"{len(absences)} times a node was away ({', '.join(f'{n} {k}' for k, n in kinds.items())})"
        f" among {len(posted.acknowledged)} jobs: {len(late)} first bytes without a lease, "
        f"{len(sink.doubled())} requests made again"
    )
    return line("nodes_fence", figure, faults)

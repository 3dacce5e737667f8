"""A node sends nothing after the end of its lease, when others may send what it has claimed.

It is stopped and goes on; or it is, and its wall clock is set back by an hour meanwhile, and the
monotonic one left alone (libfaketime); or it loses the database, silently or not, for long or until
shortly before the end of its lease, but not the targets: each node has a network namespace; or it
does so silently, and its wall clock steps by an hour at that moment while it runs, in either
direction. Clocks step back to what is right while nodes run. All the time a node has claimed jobs
that it has not sent yet: it is slow to look up names. The database says when leases ended and
began.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from math import inf
from random import Random
from typing import Any, Final

from tests.support.processes import monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes.away import RIGHT, Trial, World, set_clock, world_of
from tests.torture.nodes.cluster import pause, wait, wait_arrivals
from tests.torture.nodes.posting import Posted, posting
from tests.torture.nodes.sink import Arrival, Sink

NODES: Final = 4
ORIGINS: Final = 20
SETTINGS: Final = "[delivery]\nconcurrency = 256\nper_host = 64\n"
ODDITIES: Final = "named,slow"
KINDS: Final = ("step", "stop", "silence", "cut", "stall", "behind", "ahead")
"""How nodes are away: one after the other, so that some are away at once in different ways."""

AWAY_SECONDS: Final = (4.5, 6.0)
LONG_SECONDS: Final = 20.0
LONG_EVERY: Final = 6
"""How long nodes are away, and how long each sixth time, in which all kinds have their turn."""

STALL_SECONDS: Final = (3.1, 3.6)
"""So long that a node has stopped to send, and so short that its lease may be there yet."""

SETTLED_SECONDS: Final = 1.0
"""How long after it went away a node's last renewal may be written."""

BACK_SECONDS: Final = 10.0
READY_SECONDS: Final = 2.0
ASKED_SECONDS: Final = 0.5
LATE_SECONDS: Final = 0.1
WRITTEN_SECONDS: Final = 2.0
"""How long results may take to be written on a busy machine, which is not what is judged here."""

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
    is_long: bool

    def explains(self, first: Arrival, second: Arrival) -> bool:
        """Return whether others were to make a request again, since its result was not written."""
        is_within = self.left - WRITTEN_SECONDS <= first.at <= self.end + LATE_SECONDS
        return first.node == self.node and is_within and second.at > self.end

    def is_late(self, arrival: Arrival) -> bool:
        """Return whether a request was sent by the node when it had no lease."""
        is_within = self.end + LATE_SECONDS < arrival.at < self.begin
        return arrival.node == self.node and is_within


def measure(size: Size) -> Line:
    """Try it 201 times, in short 8 times, always with some of 4 nodes at once."""
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


def _tried(size: Size, oddities: str, kinds: Sequence[str]) -> Line:
    rounds, at_once = size.pick((67, 3), (len(kinds) // 2 + 1, 2))
    random, absences, sink, turns = Random(1), list[Absence](), Sink(), cycle(kinds)
    with world_of(NODES, sink, SETTINGS, oddities) as world:
        with posting(world.made, PER_SECOND, origins=ORIGINS, fields=_fields) as posted:
            pause(READY_SECONDS)
            for number in range(1, rounds + 1):
                victims = random.sample(range(NODES), at_once)
                seconds = (
                    LONG_SECONDS if number % LONG_EVERY == 0 else random.uniform(*AWAY_SECONDS)
                )
                absences += _away(world, _trials(victims, turns, seconds, random))
        wait_arrivals(sink, len(posted.acknowledged), PATIENCE_SECONDS)
    return _judged(absences, sink, posted)


def _trials(
    victims: Sequence[int], turns: Iterator[str], seconds: float, random: Random
) -> list[Trial]:
    """Return what is done to nodes in a round, in the order in which they come back."""
    kinds = [next(turns) for _ in victims]
    trials = [
        Trial(kind, number, random.uniform(*STALL_SECONDS) if kind == "stall" else seconds)
        for kind, number in zip(kinds, victims, strict=True)
    ]
    return sorted(trials, key=lambda trial: trial.seconds)


def _fields(number: int) -> dict[str, Any]:
    """Return when a job is due: so late that all nodes know of it and claim it at once."""
    return {"schedule_in": 1.5 + number % 10 / 10}


def _away(world: World, trials: Sequence[Trial]) -> list[Absence]:
    """Send nodes away and bring them back."""
    nodes = {str(trial.number): world.made.nodes[trial.number] for trial in trials}
    for node in nodes.values():
        node.is_away = True
    pause(ASKED_SECONDS)
    for trial in trials:
        world.leave(trial)
    left = monotonic()
    pause(SETTLED_SECONDS)
    ends = world.moments(LEASES)
    for trial in trials:
        pause(left + trial.seconds - monotonic())
        world.come_back(trial)

    def begun() -> bool:
        begins = world.moments(BEGINNINGS)
        return all(begins.get(name, left) > left for name in nodes)

    wait(begun, BACK_SECONDS)
    begins = world.moments(BEGINNINGS)
    pause(ASKED_SECONDS)
    for node in nodes.values():
        set_clock(node.folder, RIGHT)
        node.is_away = False
    pause(READY_SECONDS)
    return [_absence(trial, left, ends, begins) for trial in trials]


def _absence(
    trial: Trial, left: float, ends: Mapping[str, float], begins: Mapping[str, float]
) -> Absence:
    """Return what the leases were.

    A node that has no lease to lose has lost it before, and was given none yet.
    """
    name, is_long = str(trial.number), trial.seconds == LONG_SECONDS
    return Absence(trial.kind, name, left, ends.get(name, left), begins.get(name, inf), is_long)


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
        if not all(any(each.explains(*it) for each in absences) for it in pairwise(arrivals)):
            late.setdefault(path, f"sent beside others: {path}")
    if len(late) > MAX_LATE:
        faults += late.values()
    kinds = Counter(each.kind for each in absences)
    longs = Counter(each.kind for each in absences if each.is_long)
    figure = (
        f"{len(absences)} times a node was away (of these for long: "
        f"{', '.join(f'{n} {kind} ({longs[kind]})' for kind, n in kinds.items())})"
        f" among {len(posted.acknowledged)} jobs: {len(late)} first bytes without a lease, "
        f"{len(sink.doubled())} requests made again"
    )
    return line("nodes_fence", figure, faults)

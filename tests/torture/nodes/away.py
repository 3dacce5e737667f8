"""Nodes that go away and come back, each with a network namespace and a wall clock of its own.

A node is stopped, or loses the database and not the targets. libfaketime sets its wall clock, which
is read from a file, and leaves the monotonic one alone.
"""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from tests.support.processes import monotonic
from tests.torture.line import NotMeasured
from tests.torture.nodes.cluster import Cluster, Node, cluster
from tests.torture.nodes.proxy import Ways, ways
from tests.torture.nodes.sink import Sink
from tests.torture.nodes.spaces import Space, spaces, target_network

STEP_FILE: Final = "step"
"""In a node's folder, how far its wall clock is from this machine's, as libfaketime reads it."""

RIGHT: Final = "+0"
STEPS: Final = {"step": "-1h", "behind": "-1h", "ahead": "+1h"}
"""The kinds with a wall clock that is wrong: a stopped node's, and those of nodes that run."""

LIBRARIES: Final = "/usr/lib/*/faketime/libfaketimeMT.so.1"


@dataclass(frozen=True, slots=True)
class Trial:
    """How a node is away, which one, and for how long."""

    kind: str
    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class World:
    """The nodes, each in its space and with its way to the database, and the database itself."""

    made: Cluster
    spaces: Sequence[Space]
    ways: Ways
    database: psycopg.Connection[Any]

    def leave(self, trial: Trial) -> None:
        """Send a node away."""
        match trial.kind:
            case "silence" | "stall":
                self.spaces[trial.number].lose()
            case "behind" | "ahead":
                self.spaces[trial.number].lose()
                self._step(trial)
            case "cut":
                self.ways.of[trial.number].cut()
            case _:
                self.made.nodes[trial.number].tell(signal.SIGSTOP)

    def come_back(self, trial: Trial) -> None:
        """Bring a node back."""
        match trial.kind:
            case "silence" | "stall" | "behind" | "ahead":
                self.spaces[trial.number].heal()
            case "cut":
                self.ways.of[trial.number].heal()
            case _:
                if trial.kind == "step":
                    self._step(trial)
                self.made.nodes[trial.number].tell(signal.SIGCONT)

    def _step(self, trial: Trial) -> None:
        set_clock(self.made.nodes[trial.number].folder, STEPS[trial.kind])

    def moments(self, query: LiteralString) -> Mapping[str, float]:
        """Return the moments that a query tells by name, as this process counts time."""
        now = monotonic()
        return {name: now + seconds for name, seconds in self.database.execute(query)}


@contextmanager
def world_of(size: int, sink: Sink, settings: str, oddities: str) -> Iterator[World]:
    """Run so many nodes until the end of the block. Raises: NotMeasured."""
    library = next(iter(sorted(glob(LIBRARIES))), None)
    if library is None:
        raise NotMeasured("clocks are set by libfaketime, which is not installed")

    def placed(folder: Path, number: int, oddities: str) -> Node:
        set_clock(folder, RIGHT)
        environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(folder / STEP_FILE),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return Node(folder, oddities, made_spaces[number], environment)

    with (
        target_network() as network,
        spaces(size) as made_spaces,
        ways(lambda number: made_spaces[number].database) as found,
        cluster(
            size,
            sink,
            settings=settings,
            oddities=oddities,
            reach=found.reach,
            placed=placed,
            network=network,
        ) as made,
        psycopg.connect(made.url, autocommit=True) as database,
    ):
        yield World(made, made_spaces, found, database)


def set_clock(folder: Path, distance: str) -> None:
    """Set the clock of the node in a folder, at once: it reads this each time."""
    new = folder / f"{STEP_FILE}.new"
    new.write_text(f"{distance}\n", encoding="ascii")
    new.replace(folder / STEP_FILE)

"""Rounds of measurements, their medians and ratios, and the one table that shows them."""

import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

from tests.benchmarks.peers import Peer, SharedPeer
from tests.benchmarks.target import Target

AnyPeer = TypeVar("AnyPeer", Peer, SharedPeer)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done for each figure."""

    creates: int = 5_000
    batches: int = 20
    burst: int = 5_000
    lateness_seconds: int = 30
    per_second: int = 50
    creates_per_second: int = 500
    idle_seconds: float = 10.0
    pages: int = 100
    few: int = 10_000
    many: int = 1_000_000
    travel_runs: int = 2_000


QUICK = Sizes(
    creates=300,
    batches=4,
    burst=200,
    lateness_seconds=2,
    idle_seconds=2.0,
    pages=20,
    few=1_000,
    many=10_000,
    travel_runs=200,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a figure, the ratio it is about, what stands `beside` it.

    `wanted` is what the project holds itself to: at least, and the aim.
    """

    figure: str
    value: float
    unit: str
    ratio: float | None = None
    beside: str = ""
    wanted: str = ""


class Rounds:
    """Values by name, one of each name in every round."""

    def __init__(self) -> None:
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, name: str, value: float) -> None:
        """Note this round's value."""
        self._values[name].append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def median(self, name: str) -> float:
        """Return the median over the rounds."""
        return median(self._values[name])

    def ratio(self, name: str, other: str) -> float:
        """Return the median of each round's ratio: the machine's moods cancel out."""
        pairs = zip(self._values[name], self._values[other], strict=True)
        return median(a / b for a, b in pairs)


@dataclass(slots=True)
class Bench:
    """What every figure is measured with; `failures` names the peers that could not take part."""

    target: Target
    sizes: Sizes
    repeat: int
    peers: Sequence[Peer]
    cache: Path
    say: Callable[[str], None]
    shared_peers: Sequence[SharedPeer] = ()
    failures: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make an empty folder for the length of the block."""
        with tempfile.TemporaryDirectory(prefix="booper-benchmark-") as name:
            yield Path(name)

    def rounds(self, repeat: int | None = None) -> Iterator[int]:
        """Count the rounds, telling of each."""
        for number in range(repeat or self.repeat):
            self.say(f"  round {number + 1}")
            yield number

    def each_peer(self, measure: Callable[[Peer], None]) -> None:
        """Measure every peer; one that fails is named, and left out from then on."""
        self._each(self.peers, measure)

    def each_shared_peer(self, measure: Callable[[SharedPeer], None]) -> None:
        """Do so with those that are measured over PostgreSQL."""
        self._each(self.shared_peers, measure)

    def _each(self, peers: Sequence[AnyPeer], measure: Callable[[AnyPeer], None]) -> None:
        for peer in peers:
            if peer.name in self.failures:
                continue
            self.say(f"    {peer.name}")
            try:
                measure(peer)
            except Exception as error:  # whatever a foreign program does must not end the run
                self.failures[peer.name] = f"{type(error).__name__}: {error}"
                self.say(f"    {peer.name} failed: {error}")
                self.target.take()  # nothing of it is left for the next one


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


def machine() -> str:
    """Return what all of this ran on."""
    cores = os.cpu_count()
    return (
        f"{cores} cores, shared by booper, its peers, the load generator and the target; "
        f"load {os.getloadavg()[0]:.1f}; {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def table(rows: Sequence[Row]) -> str:
    """Lay rows out as one table."""
    head = ("figure", "measured", "ratio", "beside", "at least / aim")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return row.figure, f"{number(row.value)} {row.unit}", ratio, row.beside, row.wanted


def number(value: float) -> str:
    """Write a number as precisely as a benchmark deserves."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def report(path: Path, rows: Sequence[Row], bench: Bench) -> None:
    """Write everything as JSON."""
    content = {
        "machine": machine(),
        "command": sys.argv,
        "repeat": bench.repeat,
        "sizes": asdict(bench.sizes),
        "rows": [asdict(row) for row in rows],
        "not measured": bench.failures,
    }
    path.write_text(json.dumps(content, indent=2) + "\n")

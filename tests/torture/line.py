"""What a torture test says in the end: one line with its figure, and how much of it there was."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

T = TypeVar("T")


class Size(Enum):
    """How much is done: what a guarantee asks for, or a few seconds' worth of it."""

    LONG = auto()
    SHORT = auto()

    def pick(self, long: T, short: T) -> T:
        """Return the value that belongs to this size."""
        return long if self is Size.LONG else short


@dataclass(frozen=True, slots=True)
class Line:
    """A guarantee, whether it holds, and the figure that shows it."""

    name: str
    holds: bool
    figure: str

    def __str__(self) -> str:
        """Return the line as it is printed."""
        return f"{'holds ' if self.holds else 'BROKEN'}  {self.name:12}  {self.figure}"


class NotMeasured(Exception):
    """What this machine lacks, so that a guarantee could not be tried."""


def line(name: str, figure: str, faults: list[str]) -> Line:
    """Return a line that holds if no fault was found, and shows the first three otherwise."""
    shown = "; ".join([figure, *faults[:3]])
    more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
    return Line(name, not faults, shown + more)

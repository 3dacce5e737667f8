"""A histogram that is added to, one value at a time: for what a process counts while it runs."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

MAX_KEPT: Final = 1_000


class Tallied(msgspec.Struct, frozen=True):
    """The numbers of values in each part by now, and the sum of all.

    `limits` are the upper limits of the parts, included; behind them is one part more.
    """

    limits: Sequence[float]
    counts: Sequence[int]
    total: float


class Tally:
    """Values by the parts they fall in: kept until there are many, which are counted at once."""

    __slots__ = ("_counts", "_limits", "_total", "_values")

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = tuple(limits)
        self._counts = [0] * (len(self._limits) + 1)
        self._total = 0.0
        self._values: list[float] = []

    def add(self, value: float) -> None:
        """Add a value."""
        self._values.append(value)
        if len(self._values) == MAX_KEPT:
            self._count()

    def read(self) -> Tallied:
        """Return what was added by now."""
        self._count()
        return Tallied(self._limits, tuple(self._counts), self._total)

    def _count(self) -> None:
        for part, count in Counter(map(partial(bisect_left, self._limits), self._values)).items():
            self._counts[part] += count
        self._total += sum(self._values)
        self._values.clear()

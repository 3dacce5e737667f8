"""Charts as numbers for SVG: bars of what happened, of how late it was, and of what runs next.

A chart is 100 high, and 10 wide for each of its bars; it is stretched to the width of the page.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from booper.dashboard.text import number, spell_duration
from booper.model.bucket import LIMITS, PARTS

HEIGHT: Final = 100
STEP: Final = 10
_GAP: Final = 1
_LEAST: Final = 2.0
"""What is not nothing is seen."""

_LIMITS: Final = tuple(limit.total_seconds() for limit in LIMITS)
_DIGITS: Final = (1, 2, 3, 4, 5, 6, 8, 10)


class Part(msgspec.Struct, frozen=True):
    """A part of a bar: what it shows, in one word, and where it is."""

    kind: str
    x: int
    y: float
    height: float


class Bar(msgspec.Struct, frozen=True):
    """A bar: what it stands for, in words, and its parts."""

    title: str
    x: int
    parts: Sequence[Part]


class Chart(msgspec.Struct, frozen=True):
    """Bars in order of time, and the words beside them, from the top and from the left."""

    bars: Sequence[Bar]
    scale: Sequence[str]
    times: Sequence[str]

    @property
    def width(self) -> int:
        """Return the width of all bars."""
        return STEP * len(self.bars)


class Column(msgspec.Struct, frozen=True):
    """What a bar of counts shows: its title, and counts by their kinds, from below."""

    title: str
    counts: Sequence[tuple[str, int]]

    @property
    def total(self) -> int:
        """Return all together."""
        return sum(count for _, count in self.counts)


def counted(columns: Sequence[Column], times: Sequence[str]) -> Chart:
    """Return a chart of counts that stand on each other."""
    top = top_of(max((each.total for each in columns), default=0))
    bars = [
        Bar(each.title, STEP * place, list(_stacked(each, place, top)))
        for place, each in enumerate(columns)
    ]
    return Chart(bars, [f"{top:,}", "0"], times)


def lateness(spans: Sequence[Any], titles: Sequence[str], times: Sequence[str]) -> Chart:
    """Return a chart of how late attempts were, as the API has it.

    A bar reaches from the median to the 99th percentile.
    """
    bars = [
        Bar(title, STEP * place, list(_range(span, place)))
        for place, (span, title) in enumerate(zip(spans, titles, strict=True))
    ]
    middle = _LIMITS[PARTS // 2]
    return Chart(bars, ["over 5 min", spell_duration(middle), spell_duration(_LIMITS[0])], times)


def top_of(most: int) -> int:
    """Return the first of 1, 2, 3, 4, 5, 6, 8, 10, 20, … that is not below a number."""
    power = 1
    while 10 * power < most:
        power *= 10
    return next(digit * power for digit in _DIGITS if digit * power >= most)


def times_within(
    times: Iterable[datetime], begin: datetime, every: timedelta, count: int
) -> Sequence[int]:
    """Return how many times are in each of as many spans of a length."""
    found = [0] * count
    for at in times:
        place = (at - begin) // every
        if 0 <= place < count:
            found[place] += 1
    return found


def _stacked(column: Column, place: int, top: int) -> Iterable[Part]:
    y = float(HEIGHT)
    for kind, count in column.counts:
        if count:
            height = max(round(HEIGHT * count / top, 2), _LEAST)
            y = max(round(y - height, 2), 0.0)
            yield Part(kind, STEP * place + _GAP, y, height)


def _range(span: Any, place: int) -> Iterable[Part]:
    if span["completed"] + span["failed"] == 0:
        return
    low, high = (_level(span[f"late_{name}_seconds"]) for name in ("p50", "p99"))
    unit = HEIGHT / PARTS
    y = round(HEIGHT - unit * (high + 1), 2)
    yield Part("late", STEP * place + _GAP, y, round(unit * (high - low + 1), 2))


def _level(seconds: Any) -> int:
    """Return the part of a histogram that ends with a number of seconds, the last without one."""
    return len(_LIMITS) if seconds is None else bisect_left(_LIMITS, number(seconds))

"""The last runs of a schedule: which they are, and the chart of how long they took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final

import msgspec

from booper.dashboard.text import number

MAX_RUNS: Final = 50

HEIGHT: Final = 100
SLOT: Final = 12
_BAR: Final = 8
_LOWEST: Final = 1.5
"""How high the bar of the shortest run is, so that it can be seen."""

_TOPS: Final = tuple(factor * 10**power for power, factor in product(range(8), (1, 2, 5)))
"""What the upper end of a chart can be, in milliseconds; a run takes hours at most."""


class Run(msgspec.Struct, frozen=True):
    """A run: its job, its state, its time, and how long its last attempt took, None if unknown."""

    job_id: int
    state: str
    at: str
    milliseconds: float | None


class Bar(msgspec.Struct, frozen=True):
    """The bar of a run in a chart."""

    run: Run
    x: int
    y: float
    width: int
    height: float


class Chart(msgspec.Struct, frozen=True):
    """A chart of durations, `width` by `HEIGHT`; its upper end is at `top` milliseconds.

    `median` is that of the runs it shows, the lower one of two.
    """

    width: int
    top: float
    median: float
    longest: float
    bars: Sequence[Bar]


def runs_of(found: Sequence[Any]) -> list[Run]:
    """Return the runs of a schedule that the API lists newest first, oldest first."""
    return [_run(run) for run in reversed(found)]


def states_of(runs: Sequence[Run]) -> Mapping[str, int]:
    """Return how many of the runs are in each state, the most frequent first."""
    return dict(Counter(run.state for run in runs).most_common())


def chart_of(runs: Sequence[Run]) -> Chart | None:
    """Return the chart of the runs that have taken a time, None if there are none."""
    taken = sorted(run.milliseconds for run in runs if run.milliseconds is not None)
    if not taken:
        return None
    top = next((top for top in _TOPS if top >= taken[-1]), taken[-1])
    bars = [
        _bar(run, place, run.milliseconds / top)
        for place, run in enumerate(runs)
        if run.milliseconds is not None
    ]
    return Chart(SLOT * MAX_RUNS, top, taken[(len(taken) - 1) // 2], taken[-1], bars)


def _run(run: Any) -> Run:
    took = run["duration_ms"]
    return Run(run["job_id"], run["state"], run["scheduled_at"], took and number(took))


def _bar(run: Run, place: int, share: float) -> Bar:
    height = round(max(HEIGHT * share, _LOWEST), 1)
    x = SLOT * place + (SLOT - _BAR) // 2
    return Bar(run, x, round(HEIGHT - height, 1), _BAR, height)

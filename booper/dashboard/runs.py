"""The last runs of a schedule: which they are, and the chart of how long they took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final

import msgspec

from booper.dashboard.charts import HEIGHT, STEP, Bar, Chart, Part, top_of
from booper.dashboard.text import clock_time, milliseconds, number

MAX_RUNS: Final = 50

_LEAST: Final = 2.0
"""How high the bar of the shortest run is, so that it can be seen."""


class Run(msgspec.Struct, frozen=True):
    """A run: its job, its state, its time, and how long its last attempt took, None if unknown."""

    job_id: int
    state: str
    at: str
    milliseconds: float | None


class Durations(msgspec.Struct, frozen=True):
    """How long runs took, as a chart of all runs; `runs` are those that took a known time.

    `median` is the lower one of two.
    """

    chart: Chart
    runs: Sequence[Run]
    median: float
    longest: float


def runs_of(found: Sequence[Any]) -> list[Run]:
    """Return the runs of a schedule that the API lists newest first, oldest first."""
    return [_run(run) for run in reversed(found)]


def states_of(runs: Sequence[Run]) -> Mapping[str, int]:
    """Return how many of the runs are in each state, the most frequent first."""
    return dict(Counter(run.state for run in runs).most_common())


def durations_of(runs: Sequence[Run]) -> Durations | None:
    """Return how long runs took, None if none has taken a known time."""
    taken = sorted(run.milliseconds for run in runs if run.milliseconds is not None)
    if not taken:
        return None
    top = top_of(ceil(taken[-1]))
    bars = [_bar(run, place, top) for place, run in enumerate(runs)]
    # A few runs are as wide as they are among fifty.
    bars += [Bar("no run", STEP * place, ()) for place in range(len(runs), MAX_RUNS)]
    times = [clock_time(runs[0].at), *([clock_time(runs[-1].at)] if len(runs) == MAX_RUNS else [])]
    chart = Chart(bars, [milliseconds(top), "0"], times)
    known = [run for run in runs if run.milliseconds is not None]
    return Durations(chart, known, taken[(len(taken) - 1) // 2], taken[-1])


def _run(run: Any) -> Run:
    took = run["duration_ms"]
    return Run(run["job_id"], run["state"], run["scheduled_at"], took and number(took))


def _bar(run: Run, place: int, top: int) -> Bar:
    x, name = STEP * place, f"Job {run.job_id}"
    if run.milliseconds is None:
        return Bar(f"{name}: {run.state}", x, ())
    height = max(round(HEIGHT * run.milliseconds / top, 1), _LEAST)
    kind = "completed" if run.state == "completed" else "failed"
    part = Part(kind, x + 1, round(HEIGHT - height, 1), height)
    return Bar(f"{name}: {milliseconds(run.milliseconds)}, {run.state}", x, [part])

"""The chart of how long the last runs of a schedule took, by arithmetic."""

import pytest

from booper.dashboard.runs import Run, durations_of, runs_of, states_of

AT = "2030-01-01T12:00:00.000000Z"


def run(state: str = "completed", took: float | None = None, job_id: int = 1) -> Run:
    """Return a run that took so many milliseconds."""
    return Run(job_id, state, AT, took)


def test_a_bar_is_as_high_as_its_run_was_long() -> None:
    """Of 100 for the upper end, the next round number: 400 of 400 ms, 100, 40 and 0 ms."""
    found = durations_of([run(took=400), run("discarded", 100), run(took=40), run(took=0)])
    assert found is not None
    bars = [bar.parts[0] for bar in found.chart.bars if bar.parts]
    assert [(part.y, part.height) for part in bars] == [(0, 100), (75, 25), (90, 10), (98, 2)]
    assert [part.kind for part in bars] == ["completed", "failed", "completed", "completed"]
    assert found.chart.scale == ["400 ms", "0"]
    assert (found.median, found.longest) == (40, 400)  # of 0, 40, 100, 400 the lower middle one


def test_what_has_not_ended_has_no_bar_but_its_place() -> None:
    """So that the bars stand as the strip above them does; there is room for fifty."""
    found = durations_of([run("executing"), run(took=3.5, job_id=7)])
    assert found is not None
    assert [bar.x for bar in found.chart.bars] == list(range(0, 500, 10))
    assert [bool(bar.parts) for bar in found.chart.bars[:3]] == [False, True, False]
    assert found.chart.bars[1].title == "Job 7: 3.5 ms, completed"
    assert [one.job_id for one in found.runs] == [7]


@pytest.mark.parametrize("runs", [[], [run("executing"), run("cancelled")]], ids=len)
def test_without_a_time_there_is_no_chart(runs: list[Run]) -> None:
    """Nothing is drawn as if it had taken none."""
    assert durations_of(runs) is None


def test_runs_are_counted_by_their_states() -> None:
    """The most frequent first."""
    found = [run("discarded"), run(), run()]
    assert list(states_of(found).items()) == [("completed", 2), ("discarded", 1)]


def test_the_oldest_is_the_first() -> None:
    """The API lists the newest first."""
    listed = [
        {"job_id": number, "state": "completed", "scheduled_at": AT, "duration_ms": None}
        for number in (3, 2, 1)
    ]
    assert [one.job_id for one in runs_of(listed)] == [1, 2, 3]

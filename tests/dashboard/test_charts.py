"""Charts as numbers: how high bars are, and where."""

from datetime import UTC, datetime, timedelta

import pytest

from booper.dashboard.charts import Column, Part, counted, lateness, times_within, top_of
from booper.model.bucket import LIMITS

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 1), (1, 1), (2, 2), (7, 8), (9, 10), (10, 10), (11, 20), (61, 80), (100, 100)]
    + [(101, 200), (345, 400), (4_801, 5_000), (10**9 + 1, 2 * 10**9)],
)
def test_the_scale_ends_at_a_round_number(most: int, top: int) -> None:
    """The first that is not below the highest bar."""
    assert top_of(most) == top


def test_bars_of_counts_stand_on_each_other() -> None:
    """Of 3 and 1 at most 4: three quarters, and the quarter above it; nothing has no bar."""
    columns = [
        Column("first", [("completed", 3), ("failed", 1)]),
        Column("second", [("completed", 0), ("failed", 2)]),
        Column("third", [("completed", 0), ("failed", 0)]),
    ]
    chart = counted(columns, ["a", "b"])
    assert (chart.scale, chart.width) == (["4", "0"], 30)
    assert [bar.title for bar in chart.bars] == ["first", "second", "third"]
    assert [list(bar.parts) for bar in chart.bars] == [
        [Part("completed", 1, 25.0, 75.0), Part("failed", 1, 0.0, 25.0)],
        [Part("failed", 11, 50.0, 50.0)],
        [],
    ]


def test_a_small_number_is_seen_beside_a_large_one() -> None:
    """And no bar leaves the chart for it."""
    chart = counted([Column("x", [("completed", 100_000), ("failed", 1)])], [])
    [completed, failed] = chart.bars[0].parts
    assert failed.height == 2
    assert failed.y >= 0
    assert completed.height == pytest.approx(50)  # of 200,000


def span(p50: float | None, p99: float | None, attempts: int = 1) -> dict[str, object]:
    """Return what a chart of lateness reads."""
    return {
        "completed": attempts,
        "failed": 0,
        "late_p50_seconds": p50,
        "late_p99_seconds": p99,
    }


def test_lateness_reaches_from_half_to_nearly_all() -> None:
    """Of 15 parts: the first alone, all of them, the last alone, which has no limit; nothing."""
    low, high = LIMITS[0].total_seconds(), LIMITS[-1].total_seconds()
    spans = [span(low, low), span(low, None), span(None, None), span(None, None, 0)]
    chart = lateness([*spans, span(low, high)], list("abcde"), [])
    unit = 100 / 15
    found = [[(part.y, part.height) for part in bar.parts] for bar in chart.bars]
    for parts, expected in zip(
        found,
        [(100 - unit, unit), (0, 100), (0, unit), None, (unit, 100 - unit)],
        strict=True,
    ):
        if expected is None:
            assert parts == []
        else:
            assert parts == [pytest.approx(expected, abs=0.01)]


def test_times_are_counted_where_they_are() -> None:
    """From the beginning of a part to before its end; others are left out."""
    hour = timedelta(hours=1)
    times = [BEGIN + hour * n / 4 for n in (-1, 0, 1, 3, 4, 8, 12)]
    assert times_within(times, BEGIN, hour, 3) == [3, 1, 1]

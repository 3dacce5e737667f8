"""Crons that seldom come: looking for their next run does not look into every year of a zone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from booper.model.cron import parse
from booper.model.recurrence import Cron


def looked_years(expression: str) -> Iterator[int]:
    """Yield the years near which an expression has a day."""
    calendar = parse(expression)
    yield from filter(calendar.has_day_near, range(2000, 2100))


def test_a_rare_cron_looks_into_few_years_of_a_zone() -> None:
    """29 February falls on a Sunday in 2004, 2032, 2060 and 2088 alone (every 28 years)."""
    assert list(looked_years("0 0 29 2 */7")) == [2004, 2032, 2060, 2088]
    assert list(looked_years("0 0 1 1 *"))[:2] == [2000, 2001]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for zone, hour in (("UTC", 0), ("Antarctica/Troll", 0), ("Europe/Berlin", 23)):
        rare = Cron.parse("0 0 29 2 */7", zone)
        found = rare.next_after(at)
        assert found is not None
        assert (found.year, found.hour) == (2032, hour)
        assert rare.count(at, at + timedelta(days=36_525)) == 3


def test_a_match_at_the_edge_of_a_year_is_found() -> None:
    """New Year in Auckland is 31 December in UTC: the day beside the year counts."""
    at = datetime(2026, 6, 1, tzinfo=UTC)
    first = Cron.parse("0 0 1 1 *", "Pacific/Auckland").next_after(at)
    assert first == datetime(2026, 12, 31, 11, tzinfo=UTC)
    last = Cron.parse("30 23 31 12 *", "America/New_York").last_before(at)
    assert last == datetime(2026, 1, 1, 4, 30, tzinfo=UTC)

"""Home: charts and tables of what happened and what comes next, equal to what the API has."""

from collections.abc import Sequence
from datetime import timedelta
from html.parser import HTMLParser

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.dashboard.home import NEXT_RUNS, NEXT_TIMES
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.dashboard import Browser
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

MINUTES = {60: "1 min", 300: "5 min"}
MAX_PAGE_BYTES = 60_000  # issue 22


class Drawn(HTMLParser):
    """The charts of a page by their names, and the rows of its tables by their captions.

    A bar is its title, and the height of each of its parts by its class.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.charts: dict[str, list[tuple[str, dict[str, float]]]] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._bars: list[tuple[str, dict[str, float]]] = []
        self._rows: list[list[str]] = []
        self._into = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Note a chart, a bar, a part of it, a table, a row or a cell."""
        found = dict(attrs)
        self._into = tag
        match tag:
            case "svg" if "bars" in (found.get("class") or ""):
                self._bars = self.charts[found["aria-label"] or ""] = []
            case "g":
                self._bars.append(("", {}))
            case "rect":
                self._bars[-1][1][found["class"] or ""] = float(found["height"] or 0)
            case "tr":
                self._rows.append([])
            case "th" | "td" if self._rows:
                self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a title, a caption or a table."""
        if tag in ("title", "caption"):
            self._into = ""
        if tag == "table":
            self._rows = []

    def handle_data(self, data: str) -> None:
        """Note a title, a caption or the text of a cell."""
        match self._into:
            case "title" if self._bars:
                title, parts = self._bars[-1]
                self._bars[-1] = (title + data, parts)
            case "caption":
                self._rows = self.tables[data] = []
            case _ if self._rows and self._rows[-1]:
                self._rows[-1][-1] += data.strip()


async def drawn(browser: Browser) -> Drawn:
    """Return what is drawn on Home, which must not be too large."""
    response = await browser.get("/")
    assert response.status_code == 200
    assert len(response.content) <= MAX_PAGE_BYTES
    return Drawn(response.text)


@pytest.fixture(autouse=True)
async def signed_in(browser: Browser) -> None:
    """Sign in with the first key."""
    await browser.sign_in(KEY)


async def attempts(
    booper: Booper, api: Api, target: FakeTarget, *, completed: int, failed: int
) -> None:
    """Make as many attempts of each kind, now."""
    statuses = [200] * completed + [500] * failed
    target.respond(*(httpx.Response(status) for status in statuses))
    for _ in statuses:
        await api.create(max_attempts=1)
        await booper.wait_idle()


async def test_the_chart_of_a_day_has_the_numbers_of_its_hours(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """24 hours, of which two had attempts: as bars, in their titles, and in the table."""
    await attempts(booper, api, target, completed=2, failed=1)
    clock.set(START + timedelta(hours=23, minutes=59))
    await attempts(booper, api, target, completed=4, failed=0)
    found = await drawn(browser)
    bars = found.charts["Completed and failed attempts, last 24 hours; the table has the numbers"]
    assert [title for title, _ in bars] == [
        f"2030-01-{1 + n // 24:02} {n % 24:02}:00: {completed} completed, {failed} failed"
        for n, completed, failed in [
            (12, 2, 1),
            *((n, 0, 0) for n in range(13, 35)),
            (35, 4, 0),
        ]
    ]
    # The scale ends at 4.
    assert [parts for _, parts in bars] == [
        {"completed": 50.0, "failed": 25.0},
        *[{}] * 22,
        {"completed": 100.0},
    ]
    rows = found.tables["Last 24 hours"][1:]
    assert [row[:3] for row in rows] == [
        ["2030-01-01 12:00", "2", "1"],
        *([f"2030-01-{1 + n // 24:02} {n % 24:02}:00", "0", "0"] for n in range(13, 35)),
        ["2030-01-02 11:00", "4", "0"],
    ]


async def test_charts_are_equal_to_what_the_api_has(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """30 days and 24 hours, with lateness: whatever happened."""
    for day in range(0, 40, 3):
        clock.set(START + timedelta(days=day))
        await api.create(schedule_in=60)
        clock.set(START + timedelta(days=day, seconds=60 + day))
        await attempts(booper, api, target, completed=day % 4, failed=day % 3)
    await browser.sign_in(KEY)  # the first session has ended since
    found = await drawn(browser)
    since = (START + timedelta(days=10)).isoformat()[:10]
    spans = await api.read("/api/rates", f"since={since}&every=86400")
    bars = found.charts["Completed and failed attempts, last 30 days; the table has the numbers"]
    assert len(bars) == len(spans) == 30
    most = max(span["completed"] + span["failed"] for span in spans)
    for span, (title, parts), row in zip(
        spans, bars, found.tables["Last 30 days"][1:], strict=True
    ):
        completed, failed = span["completed"], span["failed"]
        day = span["begins_at"][:10]
        assert title == f"{day}: {completed} completed, {failed} failed"
        heights = {"completed": 100 * completed / most, "failed": 100 * failed / most}
        assert parts == pytest.approx({name: high for name, high in heights.items() if high})
        late = span["late_p50_seconds"], span["late_p99_seconds"]
        none = "over 5 min" if completed + failed else "\u2013"  # the last part has no limit
        shown = [none if value is None else MINUTES.get(value, f"{value:.3g} s") for value in late]
        assert row == [day, str(completed), str(failed), *shown]
    late_bars = found.charts["Lateness, last 30 days; the table has the numbers"]
    has_bar = [bool(parts) for _, parts in late_bars]
    assert has_bar == [span["completed"] + span["failed"] > 0 for span in spans]
    assert "over 5 min" in {row[4] for row in found.tables["Last 30 days"]}


async def test_the_next_jobs_are_drawn_where_they_are(browser: Browser, api: Api) -> None:
    """Within the hour by minutes, within the day by hours; each run of a schedule is the next."""
    for minutes in (0.5, 7, 7.9, 59.9, 61, 23 * 60 + 59, 24 * 60 + 1):
        await api.create(schedule_in=round(60 * minutes))
    await api.create(repeat_every=[1, "minute"], schedule_in=10 * 60)
    found = await drawn(browser)
    assert found.tables["Jobs within the hour"][1:] == [
        ["2030-01-01 12:00", "1"],
        ["2030-01-01 12:07", "2"],
        ["2030-01-01 12:10", "1"],
        ["2030-01-01 12:59", "1"],
    ]
    assert found.tables["Jobs within the day"][1:] == [
        ["2030-01-01 12:00", "5"],
        ["2030-01-01 13:00", "1"],
        ["2030-01-02 11:00", "1"],
    ]
    bars = found.charts["Jobs within the hour; the table has the numbers"]
    assert dict(bars) == {
        "2030-01-01 12:00: 1 job": {"scheduled": 50.0},
        "2030-01-01 12:07: 2 jobs": {"scheduled": 100.0},
        "2030-01-01 12:10: 1 job": {"scheduled": 50.0},
        "2030-01-01 12:59: 1 job": {"scheduled": 50.0},
    }


async def test_of_very_many_the_page_says_until_when_it_knows(browser: Browser, api: Api) -> None:
    """The first are listed, more are drawn, and the rest is said to be there."""
    for n in range(NEXT_TIMES + 1):
        await api.create(schedule_in=60 + n, name="n" * 200)
    seen = await browser.see("/")
    assert len(seen.values("tr", "id")) == NEXT_RUNS
    assert "These are the next jobs until 2030-01-01 12:02:39; there are more" in seen.text
    await drawn(browser)


async def test_an_empty_booper_says_so(browser: Browser) -> None:
    """Instead of empty charts."""
    seen = await browser.see("/")
    assert "Nothing is scheduled." in seen.text
    assert seen.text.count("Nothing was sent.") == 2
    assert (await drawn(browser)).charts == {}


async def test_origins_are_those_of_the_api(
    browser: Browser, booper: Booper, api: Api, admin: Api, target: FakeTarget
) -> None:
    """With what holds them back, slots and failures."""
    target.respond(httpx.Response(200), httpx.Response(500))
    for _ in range(2):
        await api.create(url="https://shop.test/", max_attempts=1)
        await booper.wait_idle()
    assert "https://shop.test sending 0 of 16 1 1" in (await browser.see("/")).text
    await admin.act("/api/pause", {"host": "shop.test"})
    assert "https://shop.test paused 0 of 16 1 1" in (await browser.see("/")).text

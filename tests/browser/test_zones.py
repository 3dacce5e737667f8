"""Times in three zones: the schedule's, the viewer's and UTC, wherever the server stands."""

import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.faults import Replacing
from tests.browser.site import Wrap, serving_site, unchanged
from tests.browser.visitor import Look
from tests.conftest import KEY

SERVER, SCHEDULE, VIEWER = "America/New_York", "Europe/Berlin", "Asia/Kathmandu"

# An hour before the ten half hours around each change of Berlin's clocks, both at 01:00 UTC
# (Directive 2000/84/EC): on the last Sunday of March and of October.
NIGHTS = {
    "clocks go forward": datetime(2030, 3, 30, 21, 45, tzinfo=UTC),
    "clocks go back": datetime(2030, 10, 26, 21, 45, tzinfo=UTC),
}


class Fault(NamedTuple):
    """A fault of times: in which columns of a schedule and lines of a job it stands."""

    wrap: Wrap
    columns: AbstractSet[int]
    lines: AbstractSet[int] = frozenset()


FAULTS = {
    "a wrong hour": Fault(Replacing(b" 22:00:00</time>", b" 21:00:00</time>"), {0}),
    "a wrong hour of a job": Fault(Replacing(b" 00:45:00</time>", b" 23:45:00</time>"), set(), {0}),
    "no summer time": Fault(Replacing(b"</time> +02:00", b"</time> +01:00"), {1}),
    "an hour too late for the viewer": Fault(
        Replacing(b"new Date(each.dataset.at)", b"new Date(Date.parse(each.dataset.at) + 36e5)"),
        {2},
        {1},
    ),
    "the viewer's zone ignored": Fault(
        Replacing(b'Format("sv", {', b'Format("sv", { timeZone: "UTC",'), {2}, {1}
    ),
    "another offset for the viewer": Fault(
        Replacing(b'Format("en", { timeZoneName', b'Format("en", { timeZone: "UTC", timeZoneName'),
        {2},
        {1},
    ),
}
"""What is planted to be found: each test that finds nothing else wrong must find these."""


@pytest.fixture
def server_zone() -> Iterator[None]:
    """Set the zone of this process, in which the server runs."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = SERVER
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def in_zone(at: datetime, name: str) -> str:
    """Return a time as the clocks of a zone show it, with the day and how far they are ahead."""
    local = at.astimezone(ZoneInfo(name))
    return f"{local:%a %Y-%m-%d %H:%M:%S} {local.isoformat()[-6:]}"


def in_utc(at: datetime) -> str:
    """Return a time in UTC as pages show it."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


async def rows_on(page: Page) -> list[list[str]]:
    """Return what the cells of the table of next runs show."""
    rows = await page.locator("section[aria-labelledby=next] tbody tr").all()
    return [await row.locator("td:visible").all_inner_texts() for row in rows]


@asynccontextmanager
async def schedule_seen(
    chromium: Chromium, config: Config, night: str, wrap: Wrap = unchanged
) -> AsyncIterator[tuple[Page, list[datetime]]]:
    """Show a schedule in the night when Berlin's clocks change; yield its ten next times, too."""
    async with serving_site(config, wrap) as site:
        site.clock.set(NIGHTS[night])
        path = await site.api.create_schedule(
            url="http://127.0.0.1:9/", cron="*/30 * * * *", timezone=SCHEDULE
        )
        # A cron of half hours runs at each of them, whatever clocks show.
        first = NIGHTS[night] + timedelta(minutes=15)
        async with chromium.visit(site, Look(zone=VIEWER)) as visitor:
            await visitor.sign_in(KEY)
            await visitor.open(path.removeprefix("/api"))
            yield visitor.page, [first + timedelta(minutes=30 * n) for n in range(10)]


def rows_of(times: Sequence[datetime]) -> list[list[str]]:
    """Return what the table of next runs is to show, as `zoneinfo` has it."""
    return [[in_utc(at), in_zone(at, SCHEDULE), in_zone(at, VIEWER)] for at in times]


async def lines_seen(
    chromium: Chromium, config: Config, night: str, look: Look, wrap: Wrap = unchanged
) -> list[str]:
    """Return in which lines a job's page shows when it is due: three hours later."""
    async with serving_site(config, wrap) as site:
        site.clock.set(NIGHTS[night])
        number = await site.api.create_id(url="http://127.0.0.1:9/", schedule_in=[3, "hours"])
        async with chromium.visit(site, look) as visitor:
            await visitor.sign_in(KEY)
            await visitor.open(f"/jobs/{number}")
            return (await visitor.page.locator("#about dd").first.inner_text()).split("\n")


def lines_of(night: str, *, has_scripts: bool) -> list[str]:
    """Return in which lines it is to show that, as `zoneinfo` has it."""
    due = NIGHTS[night] + timedelta(hours=3)
    return [in_utc(due), *([f"{in_zone(due, VIEWER)}, your time"] if has_scripts else [])]


@pytest.mark.usefixtures("server_zone")
@pytest.mark.parametrize("night", NIGHTS)
async def test_next_runs_stand_in_three_zones(
    chromium: Chromium, config: Config, night: str
) -> None:
    """Each as `zoneinfo` has it, in the night when Berlin's clocks change."""
    async with schedule_seen(chromium, config, night) as (page, times):
        expected = rows_of(times)
        assert await rows_on(page) == expected
        offsets = {row[1][-6:] for row in expected}
        assert offsets == {"+01:00", "+02:00"}
        titles = await page.locator("td.local.yours").evaluate_all(
            "all => all.map(each => each.dataset.at)"
        )
        assert [datetime.fromisoformat(each) for each in titles] == times


@pytest.mark.usefixtures("server_zone")
@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "plain"])
async def test_times_of_a_job_stand_in_the_viewers_zone(
    chromium: Chromium, config: Config, night: str, has_scripts: bool
) -> None:
    """Below those in UTC; without scripts these stand alone."""
    look = Look(zone=VIEWER, has_scripts=has_scripts)
    expected = lines_of(night, has_scripts=has_scripts)
    assert await lines_seen(chromium, config, night, look) == expected


@pytest.mark.usefixtures("server_zone")
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if FAULTS[fault].columns])
async def test_a_wrong_time_is_found(chromium: Chromium, config: Config, fault: str) -> None:
    """In the column where it stands, and in no other."""
    wrap, columns, _ = FAULTS[fault]
    async with schedule_seen(chromium, config, "clocks go back", wrap) as (page, times):
        shown = await rows_on(page)
    pairs = [zip(*each, strict=True) for each in zip(shown, rows_of(times), strict=True)]
    differing = {n for row in pairs for n, (is_, was_to_be) in enumerate(row) if is_ != was_to_be}
    assert differing == columns


@pytest.mark.usefixtures("server_zone")
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if FAULTS[fault].lines])
async def test_a_wrong_time_of_a_job_is_found(
    chromium: Chromium, config: Config, fault: str
) -> None:
    """In the line where it stands, and in no other."""
    night, (wrap, _, lines) = "clocks go forward", FAULTS[fault]
    shown = await lines_seen(chromium, config, night, Look(zone=VIEWER), wrap)
    expected = lines_of(night, has_scripts=True)
    pairs = enumerate(zip(shown, expected, strict=True))
    assert {n for n, (is_, was_to_be) in pairs if is_ != was_to_be} == lines


async def test_a_viewer_in_utc_sees_each_time_once(chromium: Chromium, config: Config) -> None:
    """Nor does one in the zone of the schedule see that twice."""
    async with serving_site(config) as site:
        path = await site.api.create_schedule(
            url="http://127.0.0.1:9/", cron="0 9 * * *", timezone=SCHEDULE
        )
        for zone in ("UTC", SCHEDULE):
            async with chromium.visit(site, Look(zone=zone)) as visitor:
                await visitor.sign_in(KEY)
                await visitor.open(path.removeprefix("/api"))
                assert {len(row) for row in await rows_on(visitor.page)} == {2}

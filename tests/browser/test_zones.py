"""Times in three zones: the schedule's, the viewer's and UTC, wherever the server stands."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.site import serving_site
from tests.browser.visitor import Look
from tests.conftest import KEY

SERVER, SCHEDULE, VIEWER = "America/New_York", "Europe/Berlin", "Asia/Kathmandu"

# An hour before the ten half hours around each change of Berlin's clocks, both at 01:00 UTC
# (Directive 2000/84/EC): on the last Sunday of March and of October.
NIGHTS = {
    "clocks go forward": datetime(2030, 3, 30, 21, 45, tzinfo=UTC),
    "clocks go back": datetime(2030, 10, 26, 21, 45, tzinfo=UTC),
}


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


@pytest.mark.usefixtures("server_zone")
@pytest.mark.parametrize("night", NIGHTS)
async def test_next_runs_stand_in_three_zones(
    chromium: Chromium, config: Config, night: str
) -> None:
    """Each as `zoneinfo` has it, in the night when Berlin's clocks change."""
    async with serving_site(config) as site:
        site.clock.set(NIGHTS[night])
        path = await site.api.create_schedule(
            url="http://127.0.0.1:9/", cron="*/30 * * * *", timezone=SCHEDULE
        )
        # A cron of half hours runs at each of them, whatever clocks show.
        first = NIGHTS[night] + timedelta(minutes=15)
        times = [first + timedelta(minutes=30 * n) for n in range(10)]
        async with chromium.visit(site, Look(zone=VIEWER)) as visitor:
            await visitor.sign_in(KEY)
            await visitor.open(path.removeprefix("/api"))
            expected = [[in_utc(at), in_zone(at, SCHEDULE), in_zone(at, VIEWER)] for at in times]
            assert await rows_on(visitor.page) == expected
            offsets = {row[1][-6:] for row in expected}
            assert offsets == {"+01:00", "+02:00"}
            titles = await visitor.page.locator("td.local.yours").evaluate_all(
                "all => all.map(each => each.dataset.at)"
            )
            assert [datetime.fromisoformat(each) for each in titles] == times


@pytest.mark.usefixtures("server_zone")
@pytest.mark.parametrize("night", NIGHTS)
async def test_times_of_a_job_stand_in_the_viewers_zone(
    chromium: Chromium, config: Config, night: str
) -> None:
    """Below those in UTC; without scripts these stand alone."""
    due = NIGHTS[night] + timedelta(hours=3)
    async with serving_site(config) as site:
        site.clock.set(NIGHTS[night])
        number = await site.api.create_id(url="http://127.0.0.1:9/", schedule_in=[3, "hours"])
        for has_scripts in (True, False):
            look = Look(zone=VIEWER, has_scripts=has_scripts)
            async with chromium.visit(site, look) as visitor:
                await visitor.sign_in(KEY)
                await visitor.open(f"/jobs/{number}")
                shown = await visitor.page.locator("#about dd").first.inner_text()
                yours = [f"{in_zone(due, VIEWER)}, your time"] if has_scripts else []
                assert shown.split("\n") == [in_utc(due), *yours]


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

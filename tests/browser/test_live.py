"""Pages that show what changes, while somebody looks at them."""

import asyncio

import pytest

from booper.clock import breathe
from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.site import Site, serving_site
from tests.browser.visitor import Look, Visitor
from tests.conftest import KEY

LATER = 3_600


async def shown(visitor: Visitor, selector: str, text: str) -> None:
    """Return once an element shows a text; it must, without a reload."""
    await visitor.page.locator(selector, has_text=text).wait_for()


async def test_a_job_turns_right_where_it_is(chromium: Chromium, config: Config) -> None:
    """Its state, its timeline and what can be done to it; and it is said once."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        job_id = await site.api.create_id(schedule_in=LATER)
        await visitor.sign_in(KEY)
        await visitor.open(f"/jobs/{job_id}")
        await shown(visitor, "#title .state", "scheduled")
        await site.api.act(f"/api/jobs/{job_id}/cancel")
        await shown(visitor, "#title .state", "cancelled")
        await shown(visitor, "#happened", "cancelled")
        await shown(visitor, "#title", "Retry")
        await shown(visitor, "#said", f"Job {job_id}: cancelled")


async def test_new_jobs_are_a_link_on_top(chromium: Chromium, config: Config) -> None:
    """The rows stay as they are until it is followed."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        first = await site.api.create_id(schedule_in=LATER)
        await visitor.sign_in(KEY)
        await visitor.open("/jobs")
        link = visitor.page.locator("#newer")
        assert not await link.is_visible()
        for _ in range(3):
            last = await site.api.create_id(schedule_in=LATER)
        await shown(visitor, "#newer", "3 newer")
        rows = visitor.page.locator("[data-rows] > tr")
        assert [await row.get_attribute("id") for row in await rows.all()] == [f"job-{first}"]
        await link.click()
        await visitor.page.locator(f"#job-{last}").wait_for()
        assert await rows.count() == 4
        assert not await link.is_visible()


async def test_a_row_that_has_left_the_list_stays_grey(chromium: Chromium, config: Config) -> None:
    """With the state that it has now."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        ids = [await site.api.create_id(schedule_in=LATER) for _ in range(3)]
        await visitor.sign_in(KEY)
        await visitor.open("/jobs?state=scheduled")
        await site.api.act(f"/api/jobs/{ids[1]}/cancel")
        await shown(visitor, f"#job-{ids[1]}.left", "cancelled")
        rows = visitor.page.locator("[data-rows] > tr")
        found = [await row.get_attribute("id") for row in await rows.all()]
        assert found == [f"job-{number}" for number in reversed(ids)]
        assert await visitor.page.locator(".left").count() == 1


async def test_home_counts_what_happens(chromium: Chromium, config: Config) -> None:
    """And what comes next."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        await visitor.sign_in(KEY)
        await shown(visitor, "#coming", "Nothing is scheduled.")
        job_id = await site.api.create_id(schedule_in=LATER)
        await shown(visitor, "#coming", str(job_id))
        await shown(visitor, "#tiles li", "1waiting")
        assert await visitor.page.locator("#tiles li").first.inner_text() == "1\nwaiting"


async def test_schedules_turn_right_where_they_are(chromium: Chromium, config: Config) -> None:
    """In the list, and on a page of their own."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        path = await site.api.create_schedule(schedule_in=LATER)
        await visitor.sign_in(KEY)
        await visitor.open("/schedules")
        await site.api.act(f"{path}/disable")
        await shown(visitor, "[data-rows]", "disabled")
        await visitor.open(path.removeprefix("/api"))
        await shown(visitor, "#title .state", "disabled")
        await site.api.act(f"{path}/enable")
        await shown(visitor, "#title .state", "active")
        await site.api.act(f"{path}/run")
        await shown(visitor, "#ran", "All its jobs")


async def test_what_is_open_is_not_replaced(chromium: Chromium, config: Config) -> None:
    """Only states turn right, until it is closed."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        job_id = await site.api.create_id(schedule_in=LATER)
        await visitor.sign_in(KEY)
        await visitor.open(f"/jobs/{job_id}")
        summary = visitor.page.locator("summary", has_text="curl")
        await summary.click()
        await site.api.act(f"/api/jobs/{job_id}/cancel")
        await shown(visitor, "#title .state", "cancelled")
        assert await visitor.page.locator("#title", has_text="Retry").count() == 0
        await summary.click()
        await shown(visitor, "#title", "Retry")


def feeds(site: Site) -> int:
    """Return how many streams are open."""
    return len(site.booper._holder._kept.feeds._open)


async def turned(site: Site, count: int) -> None:
    """Return once so many streams are open."""
    async with asyncio.timeout(10):
        while feeds(site) != count:
            await breathe()


HIDE = """
(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


async def test_a_stream_is_open_while_the_page_is_seen(chromium: Chromium, config: Config) -> None:
    """Not in a tab behind others; and who comes back reads everything anew."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        await visitor.sign_in(KEY)
        await visitor.open("/jobs")
        await turned(site, 1)
        await visitor.page.evaluate(HIDE, True)
        await turned(site, 0)
        await site.api.create_id(schedule_in=LATER)
        await visitor.page.evaluate(HIDE, False)
        await turned(site, 1)
        await shown(visitor, "#newer", "1 newer")
        await visitor.open("/docs")
        await turned(site, 0)


@pytest.mark.parametrize("path", ["/", "/jobs", "/schedules"])
async def test_without_a_script_pages_are_the_same(
    chromium: Chromium, config: Config, path: str
) -> None:
    """Without what is new since."""
    look = Look(has_scripts=False)
    async with serving_site(config) as site, chromium.visit(site, look) as visitor:
        await visitor.sign_in(KEY)
        await visitor.open(path)
        assert await visitor.page.locator("#newer").is_visible() is False
        assert feeds(site) == 0

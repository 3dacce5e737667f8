"""A walk through what only `booper dev` has: somebody moves its clock, and looks into its sink.

It begins with a reset, after which the site's `booper` is another; and at its end time passes.
"""

from typing import Final

from playwright.async_api import Locator

from booper.dashboard.dev import PAGES
from tests.browser.dev import serving_dev
from tests.browser.site import Site
from tests.browser.walk import TARGET, Walker
from tests.browser.walked import Course

# The buttons of the bar, and when it is after each; one of the jobs is due last.
STEPS: Final = {
    "+1 min": "2030-01-01 14:01:00",
    "+1 h": "2030-01-01 15:01:00",
    "+1 day": "2030-01-02 15:01:00",
    "To the next run": "2030-01-02 18:00:01",
}


async def reset(walker: Walker) -> None:
    """Come to the clock from Home, and forget everything."""
    await walker.visitor.open("/")
    await go(walker, "Clock")
    await walker.unfold("Forget everything")
    await walker.press("Forget it now")
    await walker.read("All jobs, schedules, logs and keys are deleted.")


async def move(walker: Walker) -> None:
    """Move the clock in each way: by its page, and by the bar of another page."""
    for n in (1, 2, 30):
        await walker.site.api.create_id(url=TARGET, name=f"walked {n}", schedule_in=[n, "hours"])
    await walker.type("By", "1 hour")
    await walker.press("Advance")
    await walker.read("The clock was moved.")
    await walker.row("200").wait_for()
    await walker.type("To", "2030-01-01 14:00")
    await walker.press("Set")
    await bar(walker).get_by_text("it is 2030-01-01 14:00:00").wait_for()
    await walker.go("Jobs")
    for name, now in STEPS.items():
        await walker.press(name, bar(walker))
        await bar(walker).get_by_text(f"it is {now}").wait_for()
        await walker.see("Jobs")


async def look_into_sink(walker: Walker) -> None:
    """Look at what the sink has caught, at one request of it, and clear it."""
    for n in (1, 2):
        await walker.site.api.post(f"/dev/sink/walked/{n}", json={"n": n})
    await go(walker, "Sink")
    await walker.row("/walked/1").get_by_role("link").click()
    await walker.see("Request 1")
    await walker.follow("Sink")
    await walker.press("Clear")
    await walker.read("The sink has forgotten its requests.")


async def let_run(walker: Walker) -> None:
    """Let the clock run, and stop it again."""
    await go(walker, "Clock")
    await walker.press("Let it run")
    await walker.read("The clock runs.")
    await walker.press("Stop it")
    await walker.read("The clock stands still.")


async def go(walker: Walker, word: str) -> None:
    """Go to a page by the bar."""
    await walker.follow(word, bar(walker))
    await walker.see(word)


def bar(walker: Walker) -> Locator:
    """Return the bar that every page has there."""
    return walker.page.get_by_role("region", name="Clock", exact=True)


async def nothing(site: Site) -> None:
    """Leave a site as it begins: the walk resets it."""


DEV_COURSE: Final = Course((reset, move, look_into_sink, let_run), PAGES, serving_dev, nothing)

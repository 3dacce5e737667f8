"""A walk: somebody does everything that the dashboard can do, by clicking and typing.

Each leg begins and ends on a page with the menu. Time moves on by a second between two legs.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from playwright.async_api import Locator, Page, expect

from booper.engine.breakers import MAX_FAILURES
from tests.browser.site import Site
from tests.browser.visitor import Visitor
from tests.conftest import KEY

TARGET: Final = "http://127.0.0.1:9/hook"
"""Where the jobs of the walk go; an address, so that no name is looked up."""

DOWN: Final = "http://127.0.0.2:9/503"
ROWS: Final = 51
"""One more than a page of a list has."""

Leg = Callable[["Walker"], Awaitable[None]]


class Walker:
    """Somebody who walks through the pages of a site, and what they need for it."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.site: Site = visitor.site
        self.page: Page = visitor.page

    async def go(self, word: str) -> None:
        """Go to a page by the menu."""
        menu = self.page.get_by_role("navigation", name="Pages")
        await menu.get_by_role("link", name=word, exact=True).click()
        await self.see(word)

    async def see(self, heading: str) -> None:
        """Wait for the page with a heading."""
        await self.page.get_by_role("heading", level=1, name=heading).wait_for()

    async def press(self, name: str, within: Locator | None = None, question: str = "") -> None:
        """Press a button. With scripts the page may ask a question first, which is answered."""
        if question and self.visitor.look.has_scripts:
            self.visitor.expect_question(question)
        where = within or self.page.locator("main")
        await where.get_by_role("button", name=name, exact=True).click()

    async def follow(self, name: str, within: Locator | None = None) -> None:
        """Follow a link."""
        where = within or self.page.locator("main")
        await where.get_by_role("link", name=name, exact=True).first.click()

    async def read(self, text: str) -> None:
        """Wait for a notice."""
        await self.page.get_by_role("status").filter(has_text=text).wait_for()

    async def type(self, label: str, text: str) -> None:
        """Type into a field."""
        await self.page.get_by_label(label, exact=True).fill(text)

    async def unfold(self, word: str) -> None:
        """Unfold a part of the page."""
        await self.page.locator("summary", has_text=word).first.click()

    def row(self, text: str) -> Locator:
        """Return the first row of a table that has a text."""
        return self.page.locator("tbody tr").filter(has_text=text).first

    async def settle(self) -> None:
        """Wait until everything that is due was sent, and look at the page again."""
        await self.site.booper.wait_idle()
        await self.page.reload()


async def sign_in(walker: Walker) -> None:
    """Sign in where a page asks for it, and come back to that page."""
    await walker.visitor.open("/jobs?state=scheduled")
    await walker.type("API key", KEY)
    await walker.press("Sign in")
    await walker.see("Jobs")
    assert "state=scheduled" in walker.page.url


async def create(walker: Walker) -> None:
    """Fill the form of a job, look at what it would do, and create it."""
    await walker.go("New")
    await walker.page.get_by_label("Method").select_option("POST")
    await walker.type("URL", TARGET)
    await walker.type("Headers", "X-Shop: one\nAuthorization: Bearer secret")
    await walker.type("Body", '{"order": 7}')
    await walker.page.get_by_label("In a while").check()
    await walker.page.locator("#f-schedule_in").fill("2 hours")
    await walker.unfold("Advanced")
    await walker.type("Name", "walked")
    await walker.type("Tags", "walk, first")
    await walker.press("Check")
    await walker.page.get_by_text("It is sent at").wait_for()
    await walker.press("Create")
    await walker.read("The job is created.")


async def change_job(walker: Walker) -> None:
    """Cancel the job, send it again, and look at what came of it; run another before its time."""
    await walker.press("Cancel", question="Cancel this job?")
    await walker.read("The job is cancelled.")
    await walker.press("Retry")
    await walker.read("The job is due again now.")
    await walker.settle()
    async with walker.page.expect_download() as download:
        await walker.page.get_by_role("link", name="Download").first.click()
    assert (await download.value).url.endswith("/body")
    await walker.follow("Edit and send again")
    await walker.see("New")
    await walker.type("URL", f"{TARGET}/2")
    await walker.page.get_by_label("In a while").check()
    await walker.page.locator("#f-schedule_in").fill("3 hours")
    await walker.press("Create")
    await walker.read("The job is created.")
    await walker.press("Run now")
    await walker.read("The job is due now.")
    await walker.settle()
    await walker.page.get_by_text("got the response 200").wait_for()


async def paste(walker: Walker) -> None:
    """Paste a curl command, and create what it means."""
    await walker.go("New")
    await walker.unfold("Paste a curl command")
    await walker.type("Command", f"curl -X PUT {TARGET}/3 -H 'X-Pasted: yes' -d text")
    await walker.press("Fill the form")
    await walker.page.get_by_label("At a time").check()
    await walker.page.locator("#f-scheduled_at").fill("2031-01-01 09:00")
    await walker.press("Create")
    await walker.read("The job is created.")


async def find(walker: Walker) -> None:
    """Filter the jobs, and page to both sides."""
    await walker.go("Jobs")
    await walker.unfold("Filter and order")
    await walker.type("Tag", "walk")
    await walker.press("Show")
    await walker.row("walked").wait_for()
    await walker.follow("Clear")
    await page_both_ways(walker)
    tabs = walker.page.get_by_role("navigation", name="States")
    await walker.follow("scheduled", tabs)
    await walker.row("seeded").wait_for()


async def page_both_ways(walker: Walker) -> None:
    """Go on to the next page of a list, and back."""
    names = walker.page.locator("tbody th")
    seen = await names.all_text_contents()
    await walker.follow("Next →")
    await walker.follow("← Back")
    await expect(names).to_have_text(seen)


async def change_many(walker: Walker) -> None:
    """Tick two jobs and run them, then cancel all that match."""
    await walker.go("Jobs")
    boxes = walker.row("seeded").get_by_role("checkbox")
    await boxes.check()
    ticked = walker.page.get_by_role("group", name="Ticked jobs")
    await walker.press("Run now", ticked)
    await walker.read("1 job is due now.")
    await walker.site.booper.wait_idle()
    await walker.unfold("Filter and order")
    await walker.type("Tag", "many")
    await walker.press("Show")
    matching = walker.page.get_by_role("group", name="All that match")
    await walker.follow("Cancel…", matching)
    await walker.page.get_by_text("These are all your jobs that match").wait_for()
    await walker.page.get_by_role("button", name="Cancel").click()
    await walker.read("cancelled")


async def schedule(walker: Walker) -> None:
    """Make a schedule, and do everything with it that can be done."""
    await walker.go("New")
    await walker.type("URL", f"{TARGET}/4")
    await walker.page.get_by_label("By cron").check()
    await walker.type("Cron", "30 9 * * MON-FRI")
    await walker.type("Time zone", "Europe/Berlin")
    await walker.unfold("Advanced")
    await walker.type("Name", "walked schedule")
    await walker.press("Create")
    await walker.read("The schedule is created.")
    await walker.go("Schedules")
    await walker.follow("walked schedule")
    await walker.press("Run now")
    await walker.read("The job is due now.")
    await walker.settle()
    await walker.go("Schedules")
    await walker.follow("walked schedule")
    await walker.press("Disable")
    await walker.read("The schedule is disabled.")
    await walker.press("Enable")
    await walker.read("The schedule is enabled.")
    await change_schedule(walker)
    await walker.unfold("Delete")
    await walker.press("Delete it")
    await walker.read("The schedule is deleted.")


async def change_schedule(walker: Walker) -> None:
    """Change a schedule's fields and its state, and ask why it did not run at some time."""
    await walker.follow("Change")
    await walker.see("Change walked schedule")
    await walker.type("Cron", "45 9 * * MON-FRI")
    await walker.press("Change")
    await walker.read("The schedule is changed.")
    await walker.follow("Edit")
    await walker.type("An object of JSON", '{"cursor": 12}')
    await walker.press("Replace")
    await walker.read("$state is replaced.")
    await walker.type("Look at a planned time", "2030-01-02T08:45Z")
    await walker.press("Look")
    await walker.page.get_by_role("heading", name="Around 2030-01-02T08:45Z").wait_for()


async def schedules(walker: Walker) -> None:
    """Page through the schedules."""
    await walker.go("Schedules")
    await page_both_ways(walker)


async def origins(walker: Walker) -> None:
    """Pause and resume a target by its name and by its row, and reset a breaker."""
    await walker.go("Origins")
    await walker.type("Pause requests to", "shop.test")
    await walker.press("Pause")
    await walker.read("Requests to this target are paused.")
    await walker.press("Resume shop.test")
    await walker.read("Requests to this target are no longer paused.")
    origin = TARGET.removesuffix("/hook")
    await walker.press(f"Pause {origin}")
    await walker.read("Requests to this target are paused.")
    await walker.press(f"Resume {origin}", walker.row(origin))
    await walker.read("Requests to this target are no longer paused.")
    await walker.press(f"Reset {DOWN.removesuffix('/503')}")
    await walker.read("The breaker is reset: requests to this origin are sent again.")


async def keys(walker: Walker) -> None:
    """Make a key, revoke it, and page through the keys."""
    await walker.go("Keys")
    await walker.type("Name of the new key", "walked key")
    await walker.page.get_by_label("Scope").select_option("read")
    await walker.press("Create a key")
    await walker.read("It is not shown again.")
    row = walker.row("walked key")
    await row.locator("summary").click()
    await walker.press("Revoke it now", row)
    await walker.read("The key is revoked.")
    await page_both_ways(walker)


async def look_around(walker: Walker) -> None:
    """Filter the audit, look at the status and at Home, and sign out."""
    await walker.go("Audit")
    await page_both_ways(walker)
    await walker.page.get_by_label("What", exact=True).select_option("revoked a key")
    await walker.press("Show")
    await walker.row("walked key").wait_for()
    await walker.follow("Clear")
    await walker.go("Docs")
    await walker.page.locator("main a[href$='/docs/operating']").first.click()
    await walker.page.locator("nav a[href$='/docs/api']").click()
    await walker.page.locator("main a[href$='/docs/api/keys']").first.click()
    await walker.page.locator("main a[href$='/docs/api/keys/get_keys']").first.click()
    await walker.press("Send")
    await walker.page.get_by_text("200 OK").wait_for()
    await walker.go("Status")
    await walker.go("Home")
    await walker.follow("All that wait")
    await walker.see("Jobs")
    await walker.page.get_by_role("button", name="Sign out").click()
    await walker.read("You are signed out.")


LEGS: Final[Sequence[Leg]] = (
    sign_in,
    create,
    change_job,
    paste,
    find,
    change_many,
    schedule,
    schedules,
    origins,
    keys,
    look_around,
)


async def prepare(site: Site) -> None:
    """Make what the walk finds: lists of more than one page, and a breaker that is open."""
    for n in range(ROWS):
        site.clock.advance(timedelta(seconds=1))
        await site.api.create_id(url=TARGET, name=f"seeded {n}", schedule_in=[n + 9, "hours"])
        await site.api.create_schedule(url=TARGET, schedule_in=[9, "days"], name=f"seeded {n}")
        await site.key("read", name=f"seeded {n}")
    for _ in range(3):
        await site.api.create_id(url=TARGET, tags=["many"], schedule_in=[1, "day"])
    for _ in range(MAX_FAILURES):
        await site.api.create_id(url=DOWN, max_attempts=1)
        await site.booper.wait_idle()


async def walk(visitor: Visitor, legs: Sequence[Leg] = LEGS) -> None:
    """Walk all legs in order."""
    walker = Walker(visitor)
    for leg in legs:
        await leg(walker)
        visitor.site.clock.advance(timedelta(seconds=1))

"""The table of pages: each with its path and with the states that it can be seen in.

A path has ids of `seeds.py` in braces. A page whose ids a seed does not have is not seen then.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.browser.seeds import Ids
from tests.browser.visitor import Visitor

Steps = Callable[[Visitor], Awaitable[None]]
"""What somebody does on a page to see another state of it."""


async def nothing(visitor: Visitor) -> None:
    """Leave a page as it is."""


@dataclass(frozen=True, slots=True)
class View:
    """A page in a state. `route` is its path in `booper.dashboard.application.PAGES`."""

    name: str
    route: str
    path: str
    steps: Steps = nothing
    is_signed_in: bool = True


async def open_all(visitor: Visitor) -> None:
    """Unfold each part of the page that is folded."""
    for summary in await visitor.page.query_selector_all("details:not([open]) > summary"):
        if await summary.is_visible():
            await summary.click()


async def check_new(visitor: Visitor) -> None:
    """Fill the form of a new job, and have it checked."""
    page = visitor.page
    await page.get_by_label("URL", exact=True).fill("http://127.0.0.1:9/orders")
    await page.get_by_label("By cron").check()
    await page.get_by_label("Cron", exact=True).fill("0 9 * * MON-FRI")
    await page.get_by_label("Time zone").fill("Europe/Berlin")
    await page.get_by_role("button", name="Check").click()
    await page.get_by_text("Its next runs").wait_for()


async def check_wrong(visitor: Visitor) -> None:
    """Fill the form of a new job with what cannot be, and have it checked."""
    page = visitor.page
    await page.get_by_label("URL", exact=True).fill("ftp://files.shop.test/orders")
    await page.get_by_label("Body", exact=True).fill('{"order": 7')
    await page.get_by_label("By cron").check()
    await page.get_by_label("Cron", exact=True).fill("0 9 * *")
    await page.get_by_role("button", name="Check").click()
    await page.get_by_text("This cannot be created as it is:").wait_for()


async def paste_curl(visitor: Visitor) -> None:
    """Fill the form of a new job from a curl command."""
    page = visitor.page
    await page.get_by_text("Paste a curl command").click()
    command = "curl -k -X PUT https://api.shop.test/orders/7 -H 'X-Shop: one' -d '{\"paid\": true}'"
    await page.get_by_label("Command").fill(command)
    await page.get_by_role("button", name="Fill the form").click()
    await page.locator(".banner").wait_for()


async def make_key(visitor: Visitor) -> None:
    """Make a key, which is shown once."""
    await visitor.page.get_by_label("Name of the new key").fill("ci")
    await visitor.page.get_by_role("button", name="Create a key").click()
    await visitor.page.get_by_text("It is not shown again.").wait_for()


async def try_dry_run(visitor: Visitor) -> None:
    """Try a create that stores nothing."""
    await visitor.page.get_by_label("dry_run").select_option("true")
    await visitor.page.get_by_role("button", name="Send POST").click()
    await visitor.page.get_by_text("200 OK").wait_for()


async def move_wrong(visitor: Visitor) -> None:
    """Move the clock of `booper dev` by what is no time."""
    await visitor.page.get_by_label("By").fill("4 dayz")
    await visitor.page.get_by_role("button", name="Advance").click()
    await visitor.page.get_by_text("The clock was not moved:").wait_for()


async def sign_in_wrong(visitor: Visitor) -> None:
    """Try to sign in with a key that nobody has."""
    await visitor.page.get_by_label("API key").fill("sk_wrong")
    await visitor.page.get_by_role("button", name="Sign in").click()
    await visitor.page.get_by_role("alert").wait_for()


JOBS: Final = (
    "scheduled",
    "available",
    "executing",
    "retryable",
    "completed",
    "discarded",
    "cancelled",
)
SCHEDULES: Final = ("cron", "interval", "disabled", "ended")

_OPERATION: Final = "/docs/api/{tag}/{operation}"
_JOB: Final = "/jobs/{job_id}"
_SCHEDULE: Final = "/schedules/{schedule_id}"

VIEWS: Final = (
    View("sign-in", "/sign-in", "/sign-in", is_signed_in=False),
    View("sign-in-wrong", "/sign-in", "/sign-in?next=%2Fjobs", sign_in_wrong, is_signed_in=False),
    View("home", "/", "/"),
    View("home-unfolded", "/", "/", open_all),
    View("jobs", "/jobs", "/jobs"),
    View("jobs-next", "/jobs", "/jobs?state=scheduled&order_by=scheduled_at%2Casc"),
    View("jobs-filtered", "/jobs", "/jobs?tag=billing&host=api.shop.test", open_all),
    View("jobs-none", "/jobs", "/jobs?tag=nothing"),
    View("jobs-all", "/jobs/all", "/jobs/all?action=cancel&state=scheduled"),
    View("jobs-wrong", "/jobs", "/jobs?after=soon&schedule_id=x"),
    *[View(f"job-{name}", _JOB, f"/jobs/{{{name}}}") for name in JOBS],
    View("job-unfolded", _JOB, "/jobs/{discarded}", open_all),
    View("job-unknown", _JOB, "/jobs/999999"),
    View("schedules", "/schedules", "/schedules"),
    *[View(f"schedule-{name}", _SCHEDULE, f"/schedules/{{{name}}}") for name in SCHEDULES],
    View("schedule-unfolded", _SCHEDULE, "/schedules/{interval}", open_all),
    View("schedule-at", _SCHEDULE, "/schedules/{cron}?at=2030-01-01T13:30Z"),
    View("schedule-wrong", _SCHEDULE, "/schedules/{cron}?at=soon"),
    View("schedule-change", f"{_SCHEDULE}/change", "/schedules/{cron}/change"),
    View("schedule-state", f"{_SCHEDULE}/state", "/schedules/{cron}/state"),
    View("new", "/new", "/new"),
    View("new-unfolded", "/new", "/new", open_all),
    View("new-from", "/new", "/new?from={completed}"),
    View("new-checked", "/new", "/new", check_new),
    View("new-wrong", "/new", "/new", check_wrong),
    View("new-curl", "/new", "/new", paste_curl),
    View("origins", "/origins", "/origins"),
    View("keys", "/keys", "/keys"),
    View("keys-unfolded", "/keys", "/keys", open_all),
    View("keys-made", "/keys", "/keys", make_key),
    View("status", "/status", "/status"),
    View("audit", "/audit", "/audit"),
    View("audit-unfolded", "/audit", "/audit", open_all),
    View("audit-none", "/audit", "/audit?action=schedule.delete"),
    View("docs", "/docs", "/docs"),
    View("docs-found", "/docs", "/docs?q=retry"),
    View("docs-none", "/docs", "/docs?q=xyzzy"),
    View("docs-settings", "/docs/{topic}", "/docs/settings"),
    View("docs-topic", "/docs/{topic}", "/docs/operating"),
    View("docs-api", "/docs/api", "/docs/api"),
    View("docs-resource", "/docs/api/{tag}", "/docs/api/jobs"),
    View("docs-operation", _OPERATION, "/docs/api/jobs/post_jobs", is_signed_in=False),
    View("docs-tried", _OPERATION, "/docs/api/jobs/post_jobs", try_dry_run),
)

DEV_VIEWS: Final = (
    View("dev-home", "/", "/", is_signed_in=False),
    View("dev-jobs", "/jobs", "/jobs", is_signed_in=False),
    View("clock", "/clock", "/clock", is_signed_in=False),
    View("clock-unfolded", "/clock", "/clock", open_all, is_signed_in=False),
    View("clock-wrong", "/clock", "/clock", move_wrong, is_signed_in=False),
    View("sink", "/sink", "/sink", is_signed_in=False),
    View("caught", "/sink/{number}", "/sink/{caught}", is_signed_in=False),
    View("caught-unfolded", "/sink/{number}", "/sink/{caught}", open_all, is_signed_in=False),
    View("caught-unknown", "/sink/{number}", "/sink/999999", is_signed_in=False),
)
"""The pages of `booper dev` alone, and two that have its bar with the clock."""

FILES: Final = {"/logs/{log_id}/body"}
"""What a browser downloads instead of showing it."""

STREAMS: Final = {"/events"}
"""What scripts of pages read."""


def views_of(ids: Ids, views: Sequence[View] = VIEWS) -> Iterator[View]:
    """Yield the views whose ids there are."""
    for view in views:
        try:
            view.path.format_map(ids)
        except KeyError:
            continue
        yield view


async def see(visitor: Visitor, view: View, ids: Ids) -> None:
    """Show a view to somebody who is signed in where it needs that."""
    await visitor.open(view.path.format_map(ids))
    await view.steps(visitor)

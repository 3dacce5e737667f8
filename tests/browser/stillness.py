"""Whether a list stays still while everything changes: what is pointed at, ticked and open.

Somebody points at row 7, has ticked rows 3 and 5 and has opened the form of filters. Meanwhile jobs
are created and cancelled, so that all rows that are shown belong on another page.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import Page
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.site import Site, Wrap, serving_site, unchanged
from tests.conftest import KEY
from tests.support.processes import monotonic

ROWS: Final = 60
ROW: Final = 7
TICKED: Final = (3, 5)
BATCH: Final = 100
MAX_SECONDS: Final = 1.0
"""How long a state may be wrong."""

# Where the row is, in each frame; what the pointer is on; and the rows in their order.
WATCH = """
(row) => {
  const watched = document.querySelectorAll("[data-rows] > tr")[row - 1];
  const rows = () => [...document.querySelectorAll("[data-rows] > tr")];
  const ids = () => rows().map((each) => each.id).join();
  const place = () => JSON.stringify(document.getElementById(watched.id)?.getBoundingClientRect());
  const box = watched.getBoundingClientRect();
  const pointer = [box.x + box.width / 2, box.y + box.height / 2];
  const pointed = () => document.elementFromPoint(...pointer)?.closest("tr")?.id;
  const first = [place(), ids()];
  window.still = { frames: 0, moved: 0, elsewhere: 0, reordered: 0 };
  const look = () => {
    still.frames += 1;
    still.moved += place() !== first[0];
    still.elsewhere += pointed() !== watched.id;
    still.reordered += ids() !== first[1];
    requestAnimationFrame(look);
  };
  look();
  return watched.id.slice("job-".length);
}
"""
TICKS = """
() => [...document.querySelectorAll("[data-rows] > tr")].flatMap(
  (row, index) => row.querySelector("input:checked") ? [index + 1] : [])
"""

# A row that has gone is found by `WATCH`.
TURNED = """
([id, state]) => document.getElementById(id)?.textContent.includes(state) ?? true
"""

Load = Callable[[Site], Awaitable[int]]
"""Make changes; return how many."""


@dataclass(frozen=True, slots=True)
class Stillness:
    """What was seen: faults, the changes and their seconds, and how long a state was wrong."""

    faults: list[str]
    changes: int
    seconds: float
    frames: int
    slowest_seconds: float


async def creates(site: Site) -> None:
    """Create jobs that wait: a change each."""
    jobs = [{"url": "https://target.test/", "schedule_in": 3_600}] * BATCH
    response = await site.api.post("/api/jobs/batch", json={"jobs": jobs})
    assert response.status_code == 201, response.text


async def tried(
    chromium: Chromium, config: Config, load: Load, wrap: Wrap = unchanged
) -> Stillness:
    """Look at a list during the load: half of it before row 7's job is cancelled, half after."""
    async with serving_site(config, wrap) as site, chromium.visit(site) as visitor:
        for _ in range(ROWS):
            await site.api.create_id(schedule_in=3_600)
        await visitor.sign_in(KEY)
        await visitor.open("/jobs?state=scheduled")
        page = visitor.page
        await prepare(page)
        number = await page.evaluate(WATCH, ROW)
        changes, seconds, waits = 0, 0.0, list[float]()
        for action, state in (("cancel", "cancelled"), ("retry", "completed")):
            began = monotonic()
            changes += await load(site)
            seconds += monotonic() - began
            waits.append(await _turning(site, page, number, action, state))
        faults, frames = await _seen(page)
        return Stillness(faults, changes, seconds, frames, max(waits))


async def prepare(page: Page) -> None:
    """Tick, open and point."""
    rows = page.locator("[data-rows] > tr")
    await page.locator("details.filter > summary").click()
    for row in TICKED:
        await rows.nth(row - 1).locator("input").check()
    await rows.nth(ROW - 1).hover()


async def _turning(site: Site, page: Page, number: str, action: str, state: str) -> float:
    """Return how many seconds a row is behind its job, which is changed by an action."""
    await site.api.act(f"/api/jobs/{number}/{action}")
    await site.booper.wait_idle()
    began = monotonic()
    await page.wait_for_function(TURNED, arg=[f"job-{number}", state])
    return monotonic() - began


async def _seen(page: Page) -> tuple[list[str], int]:
    """Return what was wrong, and how many frames were looked at."""
    still: dict[str, int] = await page.evaluate("() => still")
    found: dict[str, Any] = {
        f"row {ROW} moved in {still['moved']} frames": still["moved"],
        f"the pointer was on another row in {still['elsewhere']} frames": still["elsewhere"],
        f"rows came, went or changed places in {still['reordered']} frames": still["reordered"],
        "ticks were lost": await page.evaluate(TICKS) != list(TICKED),
        "the form was closed": not await page.locator("details.filter[open]").count(),
    }
    faults = [fault for fault, is_there in found.items() if is_there]
    return faults, still["frames"]


class Restless:
    """The same pages with a script that replaces all rows, as if there were no rule."""

    RULE: Final = b"if (link) updateRows(page);"
    NONE: Final = (
        b'main.querySelector("[data-rows]").replaceChildren('
        b'...page.querySelectorAll("[data-rows] > tr"));'
    )

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Return an application with that script."""

        async def changed(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_changed(message: Message) -> None:
                await send(self._without_rule(message))

            is_script = scope.get("path", "").endswith(".js")
            await app(scope, receive, send_changed if is_script else send)

        return changed

    def _without_rule(self, message: Message) -> Message:
        if message["type"] == "http.response.start":
            kept = [each for each in message["headers"] if each[0] != b"content-length"]
            return {**message, "headers": kept}
        body = message.get("body", b"")
        assert self.RULE in body or not body
        return {**message, "body": body.replace(self.RULE, self.NONE)}

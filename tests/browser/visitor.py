"""Somebody who looks at a site in the browser, and what the pages do that they must not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    WebError,
)

from tests.browser.site import Site

WIDE, NARROW = 1280, 390
"""The widths of a window on a desk and of a phone, in CSS pixels."""

TIMEOUT_MILLISECONDS = 30_000

# Reported through the console, where other refusals of the policy are.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
  `policy: ${event.effectiveDirective} forbids ${event.blockedURI} ${event.sample}`));
"""


@dataclass(frozen=True, slots=True)
class Look:
    """How somebody looks at pages."""

    width: int = WIDE
    height: int = 900
    scheme: Literal["light", "dark"] = "light"
    has_forced_colours: bool = False
    has_scripts: bool = True
    zone: str = "UTC"

    def __str__(self) -> str:
        """Return a name for it, which can be that of a file."""
        colours = "forced" if self.has_forced_colours else self.scheme
        return f"{self.width}-{colours}{'' if self.has_scripts else '-plain'}"


class Faults(AssertionError):
    """What pages did and must not do: broken policy, errors, calls of other origins, questions."""

    def __init__(self, found: list[str]) -> None:
        super().__init__("\n".join(found))


class Visitor:
    """A page in a profile of its own. `faults` is what was wrong so far.

    A question of a page (`confirm`) is a fault unless `expect_question` came before it.
    """

    def __init__(self, site: Site, look: Look, context: BrowserContext, page: Page) -> None:
        self.site = site
        self.look = look
        self.context = context
        self.page = page
        self.faults: list[str] = []
        self._question: str | None = None
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        context.on("dialog", self._on_dialog)

    async def open(self, path: str) -> None:
        """Open a page by its path, as from the address bar."""
        await self.page.goto(f"{self.site.url}{path}")

    async def sign_in(self, key: str) -> None:
        """Sign in with a key, and see Home."""
        await self.open("/sign-in")
        await self.page.get_by_label("API key").fill(key)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.get_by_role("heading", name="Home", exact=True).wait_for()

    async def found(self) -> list[str]:
        """Return the faults up to now: what the browser reports comes before this call's result."""
        await self.page.title()
        return self.faults

    def expect_question(self, text: str) -> None:
        """Say yes to the next question of the page, which must be this one."""
        self._question = text

    def _on_console(self, message: ConsoleMessage) -> None:
        # The status of each response is looked at in `_on_response`.
        is_status = message.text.startswith("Failed to load resource: the server responded")
        if message.type in ("error", "warning") and not is_status:
            self.faults.append(f"{self.page.url}: console: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.faults.append(f"{self.page.url}: {error.error}")

    def _on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data" and f"{url.scheme}://{url.netloc}" != self.site.url:
            self.faults.append(f"{self.page.url}: a request to {request.url[:200]}")

    def _on_response(self, response: Response) -> None:
        kind = response.request.resource_type
        # A page that follows changes is fetched anew, also when what it shows was just deleted.
        is_gone = kind == "fetch" and response.status == 404
        if response.status >= (500 if kind == "document" else 400) and not is_gone:
            self.faults.append(f"{self.page.url}: {response.status} for {response.url[:200]}")

    async def _on_dialog(self, dialog: Dialog) -> None:
        if (dialog.type, dialog.message) == ("confirm", self._question):
            self._question = None
            await dialog.accept()
            return
        self.faults.append(f"{self.page.url}: a {dialog.type}: {dialog.message}")
        await dialog.dismiss()


@asynccontextmanager
async def visiting(browser: Browser, site: Site, look: Look) -> AsyncIterator[Visitor]:
    """Look at a site until the end of the block. Raises: Faults, if there were any."""
    context = await browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,
        forced_colors="active" if look.has_forced_colours else "none",
        reduced_motion="reduce",
        java_script_enabled=look.has_scripts,
        timezone_id=look.zone,
        locale="en-GB",
    )
    try:
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        await context.add_init_script(REPORT_VIOLATIONS)
        visitor = Visitor(site, look, context, await context.new_page())
        yield visitor
        if await visitor.found():
            raise Faults(visitor.faults)
    finally:
        await context.close()

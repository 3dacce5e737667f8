"""The browser: one Chromium per process, in a thread with an event loop of its own.

What uses it runs on that loop, also the booper that is looked at. Tests of other folders have
loops of their own in the main thread.
"""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from playwright.async_api import Browser, Playwright, async_playwright

from tests.browser.site import Site
from tests.browser.visitor import Look, Visitor, visiting

T = TypeVar("T")

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What the browser is called: by Debian, by others, and where it is Google's."""

ARGUMENTS = (
    "--no-sandbox",  # the checks on a new machine run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Nothing leaves this machine. Names under .test lead to it, as those of other sites.
    "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, "
    "EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def installed() -> str | None:
    """Return the path of the Chromium of this machine, None if it has none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """A browser that starts when it is first needed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work on the browser's loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @asynccontextmanager
    async def visit(self, site: Site, look: Look | None = None) -> AsyncIterator[Visitor]:
        """Look at a site with a fresh profile.

        Raises:
            Faults: the pages broke their policy or had other faults.
        """
        async with visiting(await self._started(), site, look or Look()) as visitor:
            yield visitor

    async def close(self) -> None:
        """End the browser, if it was started."""
        if self._browser is not None and self._playwright is not None:
            await self._browser.close()
            await self._playwright.stop()

    async def _started(self) -> Browser:
        if self._browser is None:
            self._playwright = await async_playwright().start()
            self._browser = await self._playwright.chromium.launch(
                executable_path=installed(), args=ARGUMENTS
            )
        return self._browser


@contextmanager
def running_chromium() -> Iterator[Chromium]:
    """Return a browser that ends with the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="chromium")
    thread.start()
    chromium = Chromium(loop)
    try:
        yield chromium
        chromium.run(chromium.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

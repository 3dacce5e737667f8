"""What a walk has done: which pages and changes it has asked for, and which rows it leaves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Download, Request

from booper.config import Config
from booper.dashboard.application import PAGES
from tests.browser.chromium import Chromium
from tests.browser.site import serving_site
from tests.browser.visitor import Look
from tests.browser.walk import LEGS, Leg, prepare, walk
from tests.support.rows import rows_of

_ROUTES: Final = [
    (page.method, page.path, re.compile(re.sub(r"{\w+}", "[^/]+", page.path))) for page in PAGES
]

Route = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Walked:
    """The routes that a walk has asked for, and the rows of each table that it leaves."""

    asked: frozenset[Route]
    rows: dict[str, list[str]]

    @property
    def missed(self) -> set[Route]:
        """Return the pages and changes that the walk has left out."""
        return {(page.method, page.path) for page in PAGES} - self.asked


async def walked(
    chromium: Chromium, config: Config, look: Look, legs: Sequence[Leg] = LEGS
) -> Walked:
    """Walk through a fresh site."""
    asked = set[Route]()

    def note(method: str, url: str) -> None:
        path = url.removeprefix(site.url).partition("?")[0]
        known = (each for each in _ROUTES if each[0] == method and each[2].fullmatch(path))
        asked.update((method, route) for _, route, _ in known)

    def note_request(request: Request) -> None:
        note(request.method, request.url)

    def note_download(download: Download) -> None:  # which is no request of the page
        note("GET", download.url)

    async with serving_site(config) as site:
        await prepare(site)
        async with chromium.visit(site, look) as visitor:
            visitor.context.on("request", note_request)
            visitor.page.on("download", note_download)
            await walk(visitor, legs)
    return Walked(frozenset(asked), rows_of(Path(config.database.path)))


def differences(one: Walked, other: Walked) -> list[str]:
    """Return the rows that only one of two walks has left."""
    found = []
    for table, rows in one.rows.items():
        found += [f"{table}: only the first: {row}" for row in rows if row not in other.rows[table]]
        found += [f"{table}: only the other: {row}" for row in other.rows[table] if row not in rows]
    return found

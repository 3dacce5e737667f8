"""What a walk has done: which pages and changes it has asked for, and which rows it leaves."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Download, Request

from booper.config import Config
from booper.dashboard.application import PAGES
from booper.dashboard.visit import Page
from tests.browser.chromium import Chromium
from tests.browser.site import Site, serving_site
from tests.browser.visitor import Look
from tests.browser.walk import LEGS, Leg, prepare, walk
from tests.support.rows import rows_of

Route = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Course:
    """A walk: its legs, the pages that it is to see, and the site where it is, made ready."""

    legs: Sequence[Leg]
    pages: Sequence[Page]
    serve: Callable[[Config], AbstractAsyncContextManager[Site]]
    prepare: Callable[[Site], Awaitable[None]]

    @property
    def routes(self) -> set[Route]:
        """Return the methods and paths of the pages."""
        return {(page.method, page.path) for page in self.pages}


COURSE: Final = Course(LEGS, PAGES, serving_site, prepare)


@dataclass(frozen=True, slots=True)
class Walked:
    """The routes of a course that a walk has asked for, and the rows of each table it leaves."""

    course: Course
    asked: frozenset[Route]
    rows: dict[str, list[str]]

    @property
    def missed(self) -> set[Route]:
        """Return the pages and changes that the walk has left out."""
        return self.course.routes - self.asked


async def walked(chromium: Chromium, config: Config, look: Look, course: Course = COURSE) -> Walked:
    """Walk through a fresh site."""
    asked = set[Route]()

    def note(method: str, url: str) -> None:
        path = url.removeprefix(site.url).partition("?")[0]
        asked.update(
            (method, route)
            for known, route in course.routes
            if known == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", route), path)
        )

    def note_request(request: Request) -> None:
        note(request.method, request.url)

    def note_download(download: Download) -> None:  # which is no request of the page
        note("GET", download.url)

    async with course.serve(config) as site:
        await course.prepare(site)
        async with chromium.visit(site, look) as visitor:
            visitor.context.on("request", note_request)
            visitor.page.on("download", note_download)
            await walk(visitor, course.legs)
    return Walked(course, frozenset(asked), rows_of(Path(config.database.path)))


def differences(one: Walked, other: Walked) -> list[str]:
    """Return the rows that only one of two walks has left."""
    found = []
    for table, rows in one.rows.items():
        found += [f"{table}: only the first: {row}" for row in rows if row not in other.rows[table]]
        found += [f"{table}: only the other: {row}" for row in other.rows[table] if row not in rows]
    return found

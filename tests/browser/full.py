"""The full form of each check in the browser, of which the tests try a sample."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from tests.browser.accessibility import violations_on
from tests.browser.chromium import Chromium
from tests.browser.dev_walk import DEV_COURSE
from tests.browser.hostile import ALL, RAW, faults_of
from tests.browser.layout import cut_on
from tests.browser.site import serving_site
from tests.browser.tour import Stop, Tour
from tests.browser.visitor import NARROW, WIDE, Look
from tests.browser.walked import COURSE, differences, walked
from tests.conftest import KEY
from tests.support.configs import Configs
from tests.torture.line import Line, line

WIDTHS: Final = (WIDE, NARROW)
PICTURES: Final = Path("pictures")
"""Where pictures of pages go, in the current folder; git does not see it."""

Check = Callable[[Chromium, Configs], Coroutine[Any, Any, Line]]


async def walk(chromium: Chromium, configs: Configs) -> Line:
    """Walk at both widths, in light and dark, with scripts and without; compare the rows."""
    looks = [
        Look(width=width, scheme=scheme, has_scripts=has_scripts)
        for has_scripts in (True, False)
        for width in WIDTHS
        for scheme in ("light", "dark")
    ]
    asked, found = 0, list[str]()
    for course in (COURSE, DEV_COURSE):
        done = [await walked(chromium, configs(), look, course) for look in looks]
        found += [each for other in done[1:] for each in differences(done[0], other)]
        asked += len(done[0].asked)
    return line("walk", f"{len(looks)} walks over {asked} routes leave the same rows", found)


async def pictures(chromium: Chromium, configs: Configs) -> Line:
    """Take a picture of each page in each state; nothing is cut."""
    PICTURES.mkdir(exist_ok=True)

    async def inspect(stop: Stop) -> Sequence[str]:
        await stop.visitor.page.screenshot(path=PICTURES / f"{stop}.png", full_page=True)
        return await cut_on(stop.visitor.page)

    looks = [Look(width=width, scheme=scheme) for width in WIDTHS for scheme in ("light", "dark")]
    found = await Tour(looks).take(chromium, configs, inspect)
    return line("pictures", f"{found.shown} pictures in {PICTURES}/, nothing cut", found.wrong)


async def axe(chromium: Chromium, configs: Configs) -> Line:
    """Check each page in each state, in all colours, at both widths."""

    async def inspect(stop: Stop) -> Sequence[str]:
        return await violations_on(stop.visitor.page)

    looks = [
        look
        for width in WIDTHS
        for look in (
            Look(width=width),
            Look(width=width, scheme="dark"),
            Look(width=width, has_forced_colours=True),
        )
    ]
    found = await Tour(looks).take(chromium, configs, inspect)
    return line("axe", f"{found.shown} pages without a violation", found.wrong)


async def hostile(chromium: Chromium, configs: Configs) -> Line:
    """Show each hostile text, and each hostile response, on every page that has one."""
    wrong = list[str]()
    cases = [*((text, b"") for text in ALL), *(("x", raw) for raw in RAW.values())]
    async with serving_site(configs()) as site, chromium.visit(site) as visitor:
        await visitor.sign_in(KEY)
        for text, raw in cases:
            wrong += await faults_of(visitor, [text], raw)
            visitor.faults.clear()
    return line("hostile", f"{len(cases)} texts and responses are shown as text", wrong)


CHECKS: Final[dict[str, Check]] = {each.__name__: each for each in (walk, pictures, axe, hostile)}

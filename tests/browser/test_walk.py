"""Everything that can be done by clicking: with scripts and without, it leaves the same rows."""

from dataclasses import replace

from tests.browser.chromium import Chromium
from tests.browser.dev_walk import DEV_COURSE
from tests.browser.pages import STREAMS
from tests.browser.visitor import NARROW, WIDE, Look
from tests.browser.walk import LEGS
from tests.browser.walked import COURSE, differences, walked
from tests.support.configs import Configs


async def test_each_page_and_change_by_clicking(chromium: Chromium, configs: Configs) -> None:
    """With scripts on a desk, without on a phone."""
    with_scripts = await walked(chromium, configs(), Look(width=WIDE))
    without = await walked(chromium, configs(), Look(width=NARROW, has_scripts=False))
    streams = {("GET", path) for path in STREAMS}
    assert (with_scripts.missed - streams, without.missed) == (set(), streams)
    assert differences(with_scripts, without) == []


async def test_each_page_and_change_of_development(chromium: Chromium, configs: Configs) -> None:
    """The clock and the sink of `booper dev`, with scripts on a phone, without on a desk."""
    with_scripts = await walked(chromium, configs(), Look(width=NARROW), DEV_COURSE)
    without = await walked(chromium, configs(), Look(width=WIDE, has_scripts=False), DEV_COURSE)
    assert (with_scripts.missed, without.missed) == (set(), set())
    assert differences(with_scripts, without) == []
    assert len(with_scripts.rows["jobs"]) == 3


async def test_a_walk_that_leaves_something_out_is_found(
    chromium: Chromium, configs: Configs
) -> None:
    """By the changes that it did not ask for, and by its rows."""
    some = await walked(
        chromium, configs(), Look(has_scripts=False), replace(COURSE, legs=LEGS[:2])
    )
    none = await walked(
        chromium, configs(), Look(has_scripts=False), replace(COURSE, legs=LEGS[:1])
    )
    assert ("POST", "/new") in none.missed - some.missed
    assert any(each.startswith("jobs: only the first") for each in differences(some, none))

"""Pages are accessible. `python -m tests.browser` tries all of them, here is a sample."""

from collections.abc import Sequence

import pytest

from booper.config import Config
from tests.browser.accessibility import violations_on
from tests.browser.chromium import Chromium
from tests.browser.faults import Plant
from tests.browser.pages import DEV_VIEWS
from tests.browser.tour import Stop, Tour
from tests.browser.visitor import NARROW, Look

SAMPLE = ("home", "jobs", "job-unfolded", "schedule-unfolded", "new-wrong", "keys-made")
COLOURS = (Look(), Look(width=NARROW, scheme="dark"), Look(width=NARROW, has_forced_colours=True))


async def accessible(stop: Stop) -> Sequence[str]:
    """Return what axe finds on a page."""
    return await violations_on(stop.visitor.page)


@pytest.mark.parametrize("look", COLOURS, ids=str)
async def test_axe_finds_nothing(chromium: Chromium, config: Config, look: Look) -> None:
    """On pages that have much to show, in each set of colours."""
    tour = Tour(looks=[look], seeds=["few"], names=SAMPLE)
    findings = await tour.take(chromium, lambda: config, accessible)
    assert (findings.wrong, findings.shown) == ([], len(SAMPLE))


async def test_axe_finds_nothing_in_pages_of_development(
    chromium: Chromium, config: Config
) -> None:
    """The clock and the sink of `booper dev`, and the bar of its pages."""
    tour = Tour(looks=[Look(width=NARROW)], seeds=["dev-full"])
    findings = await tour.take(chromium, lambda: config, accessible)
    assert (findings.wrong, findings.shown) == ([], len(DEV_VIEWS))


async def test_axe_finds_what_is_planted(chromium: Chromium, config: Config) -> None:
    """An image without a text, a field without a label."""
    plant = Plant('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><input>')
    tour = Tour(looks=[Look()], seeds=["empty"], names=["jobs"], wrap=plant)
    findings = await tour.take(chromium, lambda: config, accessible)
    assert {each.split(": ")[1] for each in findings.wrong} >= {"image-alt", "label"}

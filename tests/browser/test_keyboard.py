"""What can be done without a mouse, and that one sees where one is."""

import pytest

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.faults import Replacing
from tests.browser.keyboard import Unseen, create_cancel_retry
from tests.browser.site import serving_site
from tests.browser.visitor import NARROW, WIDE, Look
from tests.conftest import KEY

TARGET = "http://127.0.0.1:9/"


@pytest.mark.parametrize(
    "look", [Look(width=WIDE), Look(width=NARROW, has_forced_colours=True)], ids=str
)
async def test_a_job_is_created_cancelled_and_retried(
    chromium: Chromium, config: Config, look: Look
) -> None:
    """By Tab, arrows, Enter and typing alone, with the focus in sight at each step."""
    async with serving_site(config) as site, chromium.visit(site, look) as visitor:
        await create_cancel_retry(visitor, KEY, TARGET)
        await site.booper.wait_idle()
        job = await site.api.job(1)
        assert (job["state"], len(site.target.received)) == ("completed", 1)


async def test_a_focus_that_cannot_be_seen_is_found(chromium: Chromium, config: Config) -> None:
    """With a style sheet that draws no outline."""
    wrap = Replacing(b"outline: 2px solid", b"outline: 0px solid")
    async with serving_site(config, wrap) as site, chromium.visit(site) as visitor:
        with pytest.raises(Unseen, match="not to be seen"):
            await create_cancel_retry(visitor, KEY, TARGET)

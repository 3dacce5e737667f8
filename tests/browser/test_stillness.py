"""A list is still while it changes: `python -m tests.torture --only stillness` for a minute."""

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.site import Site
from tests.browser.stillness import BATCH, Restless, creates, tried

BATCHES = 10


async def in_a_row(site: Site) -> int:
    """Make changes as fast as they can be made."""
    for _ in range(BATCHES):
        await creates(site)
    return BATCHES * BATCH


async def test_nothing_moves_under_the_pointer(chromium: Chromium, config: Config) -> None:
    """Rows are neither inserted nor removed, ticks stay, and each state turns right."""
    seen = await tried(chromium, config, in_a_row)
    assert seen.faults == []
    assert seen.changes == 2 * BATCHES * BATCH
    assert seen.frames > 1


async def test_without_the_rule_it_is_found(chromium: Chromium, config: Config) -> None:
    """A script that shows the list as it is now loses the row, the ticks and their places."""
    faults = (await tried(chromium, config, in_a_row, Restless())).faults
    for words in ("row 7 moved", "the pointer was on another row", "rows came", "ticks were lost"):
        assert any(fault.startswith(words) for fault in faults), words

"""The checks of every visit: what a page must not do is found, with scripts and without."""

import pytest

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.faults import Plant
from tests.browser.site import serving_site
from tests.browser.visitor import Faults, Look
from tests.conftest import KEY

FAULTS = {
    "an inline style": '<p style="color: red">x</p>',
    "a style element": "<style>p { color: red }</style>",
    "an image of elsewhere": '<img src="http://elsewhere.test/x.png" alt="x">',
    "a file that is not there": '<img src="/static/nothing.png" alt="x">',
}
OF_SCRIPTS = {
    "an inline script": "<script>window.x = 1</script>",
    "an event handler": '<p onmouseover="x()">x</p>',
    "a script of elsewhere": '<script src="http://elsewhere.test/x.js"></script>',
}


@pytest.mark.parametrize("has_scripts", [True, False])
async def test_faults_that_are_planted_into_a_page_are_found(
    chromium: Chromium, config: Config, has_scripts: bool
) -> None:
    """Looking at the page is enough; as it is, it has none."""
    plant = Plant()
    look = Look(has_scripts=has_scripts)
    async with serving_site(config, plant) as site, chromium.visit(site, look) as visitor:
        await visitor.sign_in(KEY)
        assert await visitor.found() == []
        for name, plant.markup in {**FAULTS, **(OF_SCRIPTS if has_scripts else {})}.items():
            await visitor.open("/jobs")
            assert await visitor.found() != [], name
            visitor.faults.clear()


async def test_a_visit_with_a_fault_fails(chromium: Chromium, config: Config) -> None:
    """Each test of this folder fails by it."""
    async with serving_site(config, Plant(FAULTS["an inline style"])) as site:
        with pytest.raises(Faults, match="inline style"):
            async with chromium.visit(site) as visitor:
                await visitor.open("/sign-in")

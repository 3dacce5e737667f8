"""Forms: what a script adds to them."""

import pytest
from playwright.async_api import expect

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.site import serving_site
from tests.conftest import KEY

# As a click does, but without leaving the page.
SUBMIT = """(button) => button.form.dispatchEvent(
  new SubmitEvent("submit", { bubbles: true, cancelable: true, submitter: button }))"""


@pytest.mark.parametrize(("path", "name"), [("/new", "Create"), ("/keys", "Create a key")])
async def test_a_form_is_not_sent_twice(
    chromium: Chromium, config: Config, path: str, name: str
) -> None:
    """Its button is off once it was clicked, also where a field is called `method`."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        await visitor.sign_in(KEY)
        await visitor.open(path)
        button = visitor.page.get_by_role("button", name=name)
        await expect(button).to_be_enabled()
        await button.evaluate(SUBMIT)
        await expect(button).to_be_disabled()

"""Keys: rows are gone through, opened and ticked, and the search is reached, without a pointer."""

import re

import pytest
from playwright.async_api import Page, expect

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.site import serving_site
from tests.browser.visitor import Look
from tests.conftest import KEY

LATER = 3_600


async def press(page: Page, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        await page.keyboard.press(key)


async def focused(page: Page) -> str:
    """Return the text of what has the focus."""
    return str(await page.evaluate("document.activeElement.textContent"))


async def test_rows_are_gone_through_ticked_and_opened(chromium: Chromium, config: Config) -> None:
    """From the first to the last and no further; the focus is where one is, and can be seen."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        first, second, third = [await site.api.create_id(schedule_in=LATER) for _ in range(3)]
        await visitor.sign_in(KEY)
        await visitor.open("/jobs")
        page, boxes = visitor.page, visitor.page.get_by_role("checkbox")
        seen = []
        for key in "jjjjkkkk":
            await press(page, key)
            seen.append(int(await focused(page)))
        assert seen == [third, second, first, first, second, third, third, third]
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await page.evaluate(outline) == "solid"
        await press(page, "j", "x", "j", "x", "x", "k")
        ticked = [await box.is_checked() for box in await boxes.all()]
        assert ticked == [False, True, False]
        await press(page, "o")
        await expect(page.get_by_role("heading", name=f"Job {second}", exact=True)).to_be_visible()


async def test_ticked_rows_are_cancelled_by_keys_alone(chromium: Chromium, config: Config) -> None:
    """Ticked by x; the button is reached by Tab, and asked about."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        first, second = [await site.api.create_id(schedule_in=LATER) for _ in range(2)]
        await visitor.sign_in(KEY)
        await visitor.open("/jobs")
        page = visitor.page
        await press(page, "j", "x")
        while await focused(page) != "Cancel":
            await press(page, "Shift+Tab")
        visitor.expect_question("Cancel the ticked jobs?")
        await press(page, "Enter")
        await expect(page.get_by_text("1 job is cancelled.")).to_be_visible()
        assert (await site.api.job(second))["state"] == "cancelled"
        assert (await site.api.job(first))["state"] == "scheduled"


async def test_a_key_means_nothing_while_somebody_types(chromium: Chromium, config: Config) -> None:
    """In a field it is a letter; with a modifier it is the browser's."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        await site.api.create_id(schedule_in=LATER)
        await visitor.sign_in(KEY)
        await visitor.open("/jobs")
        page, search = visitor.page, visitor.page.get_by_role("searchbox")
        await press(page, "/")
        await expect(search).to_be_focused()
        await press(page, "j", "x", "o", "/", "?")
        await expect(search).to_have_value("jxo/?")
        assert not await page.get_by_role("checkbox").is_checked()
        await search.blur()
        await press(page, "Control+j", "Alt+j", "Meta+j")
        assert await page.evaluate("document.activeElement === document.body")
        await press(page, "j")
        assert await page.evaluate("document.activeElement.closest('tr') !== null")


@pytest.mark.parametrize("way", ["?", "button"])
async def test_the_keys_are_listed(chromium: Chromium, config: Config, way: str) -> None:
    """On each page, by a key and by a button; Escape leads back to where one was."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        await visitor.sign_in(KEY)
        page, listed = visitor.page, visitor.page.get_by_role("dialog", name="Keys")
        for path in ("/", "/schedules", "/new"):
            await visitor.open(path)
            assert not await listed.is_visible()
            if way == "?":
                await press(page, "?")
            else:
                await page.get_by_role("button", name="Keys").click()
            await expect(listed).to_have_text(re.compile("j.*k.*o.*x.*/.*[?]", re.DOTALL))
            await press(page, "Escape")
            assert not await listed.is_visible()


async def test_without_scripts_no_button_promises_keys(chromium: Chromium, config: Config) -> None:
    """They would do nothing."""
    look = Look(has_scripts=False)
    async with serving_site(config) as site, chromium.visit(site, look) as visitor:
        await visitor.sign_in(KEY)
        assert await visitor.page.get_by_role("button", name="Keys").count() == 0

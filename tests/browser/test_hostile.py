"""Texts of others in the browser: they stay text. `python -m tests.browser` tries each alone."""

import pytest

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.faults import Replacing
from tests.browser.hostile import ALL, RAW, faults_of
from tests.browser.site import serving_site
from tests.conftest import KEY


async def test_hostile_texts_are_text(chromium: Chromium, config: Config) -> None:
    """No element more than of harmless ones, no request elsewhere, no question of the page."""
    assert len(set(ALL)) >= 60
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        await visitor.sign_in(KEY)
        assert await faults_of(visitor, ALL) == []


@pytest.mark.parametrize("name", ["a lone surrogate in JSON", "bytes that are no UTF-8"])
async def test_hostile_bytes_are_text(chromium: Chromium, config: Config, name: str) -> None:
    """As a response that a target sends."""
    async with serving_site(config) as site, chromium.visit(site) as visitor:
        await visitor.sign_in(KEY)
        assert await faults_of(visitor, ["x"], RAW[name]) == []


async def test_a_text_that_becomes_an_element_is_found(chromium: Chromium, config: Config) -> None:
    """Where a page would not escape one."""
    wrap = Replacing(b"&lt;iframe", b"<iframe")
    async with serving_site(config, wrap) as site, chromium.visit(site) as visitor:
        await visitor.sign_in(KEY)
        found = await faults_of(visitor, ["<iframe src=http://evil.test/></iframe>"])
        assert any("'iframe src'" in each for each in found)
        visitor.faults.clear()

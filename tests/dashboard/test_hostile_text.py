"""Texts of others on pages: shown as what they are, and never more than text."""

import re

import httpx
import pytest

from booper.app import Booper
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

TEXTS = [
    "<script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    '"><b>',
    "' onmouseover='x",
    "<!--",
    "]]>",
    "&lt;i&gt;&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "</textarea></pre><style>*{}</style>",
    "<svg/onload=alert(1)>",
    "a\u202eb",
    "\u2066x\u2069",
    "zero\u200bwidth\ufeff",
    "\x7f",
    "\u0085next",
    "e\u0301\u0300\u0302",
    "\U000e0041tag",
    "x" * 5_000,
    "سلام",
    "\U0001f4a9",
]
NUL = "a\x00b\x1b[31m"

# What turns text around, has no width, or controls a terminal.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    "\U000e0000-\U000e007f]"
)


async def shown(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget, text: str
) -> list[Seen]:
    """Return the pages of a job and a schedule that have a text wherever one may stand."""
    body = {text: [text], "text": text + NUL}
    target.respond(httpx.Response(200, json={**body, "$set": body}))
    name = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text)[:200] or "x"
    job_id = await api.create_id(
        name=name, description=name, method="post", body=body, query={"q": text}, tags=["t"]
    )
    path = await api.create_schedule(
        name=name, description=name, method="post", body=body, query={"q": text}, tags=["t"]
    )
    await booper.wait_idle()
    schedule = path.removeprefix("/api")
    forms = (f"{schedule}/state", f"{schedule}/change")
    pages = (f"/jobs/{job_id}", "/jobs?tag=t", "/", "/schedules", schedule, *forms)
    return [await browser.see(page) for page in pages]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_a_text_is_text(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget, text: str
) -> None:
    """A page has the same elements and attributes as one of a harmless text, and shows it."""
    await browser.sign_in(KEY)
    pages = await shown(browser, booper, api, target, text)
    escaped = HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    assert escaped in pages[0].text.replace('\\"', '"')
    async with Browser(booper.asgi) as other:
        await other.sign_in(KEY)
        harmless = await shown(other, booper, api, target, "harmless")
    for page, expected in zip(pages, harmless, strict=True):
        names = [(name, sorted(found)) for name, found in page.elements]
        plain = [(name, sorted(found)) for name, found in expected.elements]
        extra = [each for each in names if each not in plain]
        assert extra == []
    for page in pages[:-1]:  # the last is a form: its fields hold a text as it is
        assert not HIDDEN.search(page.text)

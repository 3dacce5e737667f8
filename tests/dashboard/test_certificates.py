"""The days left of an origin's certificate on the page of origins."""

import pytest

from booper.app import Booper
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser

pytestmark = pytest.mark.anyio

SOON, ENDED = "state is-skipped", "state is-failed"


@pytest.mark.parametrize(
    ("until", "words", "marks"),
    [
        # It is 2030-01-01 12:00:00.
        ("Jan  2 12:00:00 2033 GMT", "1,097 days left, until 2033-01-02 12:00:00 sending", []),
        ("Jan 15 12:00:00 2030 GMT", "14 days left, until 2030-01-15 12:00:00 sending", []),
        ("Jan 15 11:59:59 2030 GMT", "13 days left, until 2030-01-15 11:59:59 ends soon", [SOON]),
        ("Jan  3 11:59:59 2030 GMT", "1 day left, until 2030-01-03 11:59:59 ends soon", [SOON]),
        (
            "Jan  2 11:59:59 2030 GMT",
            "less than a day left, until 2030-01-02 11:59:59 ends soon",
            [SOON],
        ),
        (
            "Jan  1 12:00:00 2030 GMT",
            "less than a day left, until 2030-01-01 12:00:00 ends soon",
            [SOON],
        ),
        ("Jan  1 11:59:59 2030 GMT", "ended 2030-01-01 11:59:59", [ENDED]),
    ],
)
async def test_the_days_left_are_shown(
    browser: Browser, booper: Booper, api: Api, until: str, words: str, marks: list[str]
) -> None:
    """With the time; one of under 14 days, or that has ended, has a shape and a word besides."""
    await browser.sign_in(KEY)
    await api.create(url="https://shop.test/")
    await booper.wait_idle()
    before = await browser.see("/origins")
    assert "certificate:" not in before.text
    booper._parts.certificates.note("https://shop.test", {"notAfter": until})
    seen = await browser.see("/origins")
    assert f"https://shop.test certificate: {words}" in seen.text
    states = [
        values["class"]
        for name, values in seen.elements
        if name == "span" and (values.get("class") or "").startswith("state")
    ]
    assert states == [*marks, "state is-completed"]
    assert icons(seen.elements) == icons(before.elements) + len(marks)


def icons(elements: list[tuple[str, dict[str, str | None]]]) -> int:
    """Return how many shapes there are."""
    return sum(name == "svg" and values.get("class") == "icon" for name, values in elements)

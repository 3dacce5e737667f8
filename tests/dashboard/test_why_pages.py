"""From Home to the reason of each of the 27 fates of `tests/whole/test_why.py`, by two links.

A link is found by what a person sees: its own words, or those of its row.
"""

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import NamedTuple

import pytest

from booper.config import Config
from tests.conftest import KEY
from tests.support.dashboard import Browser, Seen
from tests.whole.test_why import FATES, Fate, prepared

pytestmark = pytest.mark.anyio

# What stands in the sentence that is looked for, among those that `booper why` prints.
IN_SENTENCE = {
    "created": "created, |planned for",
    "slot": "free slot",
    "breaker": "failed again and again",
    "pause": "end of the pause",
    "predecessor": "run before it",
    "guard": "was refused",
    "retry": "retried|discarded",
    "skipped": "skipped",
    "cancelled": "cancelled",
}


class Click(NamedTuple):
    """A link as a person sees it: words in it, and words in its row, if it is in a table."""

    link: str
    row: str = ""


WAITING, DUE, DONE, FAILED = (
    Click(word) for word in ("waiting", "due now", "completed today", "failed attempts today")
)
JOBS, SCHEDULES = Click("Jobs"), Click("Schedules")


class Links(HTMLParser):
    """The links of a page, each with its words and those of its row, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str], list[str]]] = []
        self._row: list[str] | None = None
        self._link: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a row or a link."""
        if tag == "tr":
            self._row = []
        if tag == "a" and (target := dict(attrs).get("href")):
            self._link = []
            self.found.append((target, self._link, [] if self._row is None else self._row))

    def handle_endtag(self, tag: str) -> None:
        """End a link."""
        if tag == "a":
            self._link = None
        if tag == "tr":
            self._row = None

    def handle_data(self, data: str) -> None:
        """Note words where they stand."""
        if self._row is not None:
            self._row.append(data)
        if self._link is not None:
            self._link.append(data)

    def to(self, click: Click) -> str:
        """Return where the first link leads that somebody would choose."""
        for target, link, row in self.found:
            words, around = (" ".join("".join(each).split()) for each in (link, row))
            if click.link in words and click.row in around:
                return target
        raise AssertionError(f"there is no link {click}")


HOOK, RUN = "https://target.test/hook", "https://target.test/slow 2030-01-01 12:01"

CLICKS: dict[str, tuple[Click, Click]] = {
    "waits_for_its_time": (WAITING, Click("", "scheduled")),
    "sent_at_once": (DONE, Click("", "completed")),
    "planned": (WAITING, Click("", "standup")),
    "waits_for_a_slot": (DUE, Click("", HOOK)),
    "waited_for_a_slot": (DONE, Click("", HOOK)),
    "retry_waited_for_a_slot": (DONE, Click("", "2 of 15")),
    "waits_for_a_breaker": (DUE, Click("", HOOK)),
    "waited_for_a_breaker": (DONE, Click("", HOOK)),
    "waited_until_reset": (DONE, Click("", HOOK)),
    "waits_for_a_pause": (DUE, Click("", HOOK)),
    "waited_for_a_pause": (DONE, Click("", HOOK)),
    "run_waited_for_a_pause": (DONE, Click("", HOOK)),
    "waits_for_its_predecessor": (DUE, Click("", RUN)),
    "waited_for_its_predecessor": (DONE, Click("", RUN)),
    "waited_at_that_time": (DONE, Click("", RUN)),
    "refused_http": (FAILED, Click("", "http://target.test/")),
    "refused_address": (FAILED, Click("", "https://10.0.0.1/")),
    "refused_redirect": (FAILED, Click("", "discarded")),
    "will_be_retried": (FAILED, Click("", "retryable")),
    "was_retried": (DONE, Click("", HOOK)),
    "was_retried_in_vain": (FAILED, Click("", "discarded")),
    "skipped_by_overlap": (SCHEDULES, Click("each minute")),
    "skipped_while_stopped": (SCHEDULES, Click("Schedule ", "minute 10 of every hour")),
    "skipped_while_disabled": (SCHEDULES, Click("Schedule ", "every hour")),
    "cancelled_by_key": (JOBS, Click("", "cancelled")),
    "cancelled_by_filter": (JOBS, Click("", "cancelled")),
    "cancelled_with_its_schedule": (JOBS, Click("", "cancelled")),
}
"""By fate: what somebody clicks on Home, and on the page that this leads to."""

SENTENCE = re.compile(r"(\S+ \S+)Z  (?:job \d+: )?(.*)")


def sentences(reason: str, expected: Sequence[str]) -> list[re.Pattern[str]]:
    """Return what must stand on a page: the time, a word for the reason perhaps, the sentence."""
    matches = [
        SENTENCE.fullmatch(line) for line in expected if re.search(IN_SENTENCE[reason], line)
    ]
    return [
        re.compile(rf"{re.escape(found[1])}\W*\w*?\s*{re.escape(found[2])}")
        for found in matches
        if found is not None
    ]


async def walked(browser: Browser, clicks: Sequence[Click]) -> Seen:
    """Return the page where somebody is who begins at Home and follows these links."""
    text = (await browser.get("/")).text
    for click in clicks:
        response = await browser.get(Links(text).to(click))
        assert response.status_code == 200
        text = response.text
    return Seen(text)


@pytest.mark.parametrize(
    ("reason", "prepare", "expected"),
    [pytest.param(r, f, e, id=f.__name__) for r, fates in FATES.items() for f, e in fates],
)
async def test_the_reason_is_two_links_from_home(
    config: Config, reason: str, prepare: Fate, expected: list[str]
) -> None:
    """The sentence stands there with its time; one link before, it does not (the twin)."""
    wanted, clicks = sentences(reason, expected), CLICKS[prepare.__name__]
    assert wanted
    async with prepared(config) as world:
        await prepare(world)
        async with Browser(world.booper.asgi) as browser:
            await browser.sign_in(KEY)
            seen = await walked(browser, clicks)
            before = await walked(browser, clicks[:-1])
    missing = [each.pattern for each in wanted if not each.search(seen.text)]
    assert not missing, seen.text
    assert not any(each.search(before.text) for each in wanted)


def test_every_fate_has_its_links() -> None:
    """27 of them."""
    fates = [prepare.__name__ for fates in FATES.values() for prepare, _ in fates]
    assert sorted(fates) == sorted(CLICKS)
    assert len(fates) == 27

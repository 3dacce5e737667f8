"""Nothing is cut off, whatever the texts. `python -m tests.browser` tries all pages."""

from collections.abc import Sequence

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.faults import Plant
from tests.browser.layout import cut_on
from tests.browser.pages import DEV_VIEWS
from tests.browser.tour import Stop, Tour
from tests.browser.visitor import NARROW, WIDE, Look

SAMPLE = (
    "home",
    "jobs",
    "job-retryable",
    "schedules",
    "schedule-cron",
    "schedule-unfolded",
    "new-wrong",
    "keys-made",
    "keys-unfolded",
    "status",
    "origins",
    "audit",
)


async def uncut(stop: Stop) -> Sequence[str]:
    """Return what is cut off, at both widths."""
    page, found = stop.visitor.page, list[str]()
    for width in (WIDE, NARROW):
        await page.set_viewport_size({"width": width, "height": 900})
        found += [f"{width}: {each}" for each in await cut_on(page)]
    return found


async def test_nothing_is_cut_however_long_the_texts_are(
    chromium: Chromium, config: Config
) -> None:
    """Names, URLs, headers and errors as long as they may be, on a desk and on a phone."""
    tour = Tour(looks=[Look()], seeds=["long"], names=SAMPLE)
    findings = await tour.take(chromium, lambda: config, uncut)
    assert (findings.wrong, findings.shown) == ([], len(SAMPLE))


async def test_nothing_is_cut_in_pages_of_development(chromium: Chromium, config: Config) -> None:
    """However long the paths, headers and bodies are that the sink has caught."""
    tour = Tour(looks=[Look()], seeds=["dev-long"])
    findings = await tour.take(chromium, lambda: config, uncut)
    assert (findings.wrong, findings.shown) == ([], len(DEV_VIEWS))


async def test_what_is_cut_is_found(chromium: Chromium, config: Config) -> None:
    """A text that makes the page wider, a table that has to be scrolled, and a choice."""
    wide = "x" * 300
    plant = Plant(
        f'<div class="table"><table><tr><td class="end">{wide}</table></div><nobr>{wide}</nobr>'
        f'<select name="s" aria-label="s"><option>{wide}</select>'
    )
    tour = Tour(looks=[Look()], seeds=["empty"], names=["jobs-none"], wrap=plant)
    wrong = (await tour.take(chromium, lambda: config, uncut)).wrong
    for words in (f"{WIDE}: div.table", f"{NARROW}: the page is", f"{WIDE}: select s"):
        assert any(words in each for each in wrong), words

"""The reference as pages: all of it, for everybody, and every link leads somewhere."""

import re
from collections.abc import Mapping
from urllib.parse import urldefrag

import httpx
import pytest
from markdown_it import MarkdownIt

from booper.app import Booper
from booper.docs import TOPICS, summary
from tests.conftest import KEY
from tests.dashboard.test_hostile_text import TEXTS
from tests.support.api import Api
from tests.support.dashboard import Browser, Seen
from tests.support.documents import DOCS
from tests.support.walking import faults_of, walk

pytestmark = pytest.mark.anyio

MAX_PAGE_BYTES = 60_000  # Issue 22: each page has at most 60 KB


def of_docs(link: str) -> bool:
    """Return whether a link leads to a page of the reference."""
    return urldefrag(link)[0].startswith("/docs")


@pytest.mark.parametrize("topic", TOPICS)
async def test_a_topic_has_all_of_its_text(browser: Browser, topic: str) -> None:
    """Each line of text and code, as a CommonMark parser reads it, in the same order."""
    page = (await browser.see(f"/docs/{topic}")).text
    place = 0
    for token in MarkdownIt("commonmark").parse(DOCS[topic]):
        lines = [token] if token.type == "fence" else token.children or ()
        for text in (" ".join(each.content.split()) for each in lines):
            found = page.find(text, place)
            assert found >= 0, text
            place = found + len(text)


@pytest.mark.parametrize("topic", TOPICS)
async def test_a_topic_lists_its_headings(browser: Browser, topic: str) -> None:
    """In order, each with a link to its id."""
    page = await browser.see(f"/docs/{topic}")
    titles = [
        title.replace("`", "") for title in re.findall(r"^###? (.+)$", DOCS[topic], re.MULTILINE)
    ]
    listed = [link for link in page.values("a", "href") if link.startswith("#") and link != "#main"]
    headings = [
        found["id"]
        for name, found in page.elements
        if name in ("h2", "h3") and found.get("id") != "on-this-page"
    ]
    assert len(headings) == len(titles)
    assert [link for link in listed if link[1:] in headings][-len(titles) :] == [
        f"#{each}" for each in headings
    ]
    assert [page.inside(each or "") for each in headings] == titles


async def test_the_contents_list_all_topics(browser: Browser) -> None:
    """With their first sentences."""
    page = await browser.see("/docs")
    for topic in TOPICS:
        assert f"/docs/{topic}" in page.values("a", "href")
        assert summary(topic) in page.text


async def test_every_link_leads_somewhere(browser: Browser) -> None:
    """To a page that is there, and to an id on it; no id is given twice; and all are small."""
    pages = await walk(browser, "/docs", of_docs)
    assert {f"/docs/{topic}" for topic in TOPICS} <= pages.keys()
    assert faults_of(pages, of_docs) == []
    for path in pages:
        assert len((await browser.get(path)).content) <= MAX_PAGE_BYTES, path


async def test_a_link_that_leads_nowhere_is_found() -> None:
    """Beside an anchor without an id, and an id that is there twice."""
    pages = {
        "/docs": Seen('<p id="a"></p><a href="/docs/b#c">B</a><a href="/docs/d">D</a>'),
        "/docs/b": Seen('<p id="x"></p><p id="x"></p><a href="/docs#a">A</a>'),
    }
    assert sorted(faults_of(pages, of_docs)) == [
        "/docs/b: id 'x' is there twice",
        "/docs: /docs/b#c leads to no id",
        "/docs: /docs/d leads nowhere",
    ]


@pytest.mark.parametrize(
    ("topic", "link"),
    [
        ("fields", "/docs/embedding"),  # `booper docs embedding`
        ("alerts", "/docs/settings#alerts"),  # `[alerts] url`
        ("operating", "/docs/api/probes/get_status"),  # `GET /api/status`
        ("operating", "/docs/settings#environment-variables"),  # `BOOPER_API_KEY`
        ("fields", "/docs/api/jobs/post_jobs"),  # `POST /api/jobs`
    ],
)
async def test_what_a_topic_names_is_linked(browser: Browser, topic: str, link: str) -> None:
    """Commands, settings, operations and variables, which are code in the text."""
    assert link in (await browser.see(f"/docs/{topic}")).values("a", "href")


async def test_everybody_reads_it_and_sees_nothing_of_anybody(
    browser: Browser, booper: Booper, api: Api
) -> None:
    """With a session the page is the same, but for the menu."""
    await api.create(url="https://secret.test/", schedule_in=60)
    async with Browser(booper.asgi) as other:
        await other.sign_in(KEY)
        for path in ("/docs", "/docs/operating", "/docs/api", "/docs/api/jobs", "/docs?q=job"):
            page, signed_in = await browser.see(path), await other.see(path)
            assert page.inside("main") == signed_in.inside("main") != ""
            assert "/sign-in" in [link.partition("?")[0] for link in page.values("a", "href")]
            assert "/docs" in page.values("a", "href")
            assert "secret.test" not in signed_in.text


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/api/nothing", "/docs/api/jobs/nothing"])
async def test_what_is_not_there(browser: Browser, path: str) -> None:
    """A page that says so."""
    response = await browser.get(path)
    assert response.status_code == 404
    assert "nothing" in Seen(response.text).text


def hits(page: Seen) -> list[str]:
    """Return where the hits of a search lead, in order."""
    links = page.values("a", "href")
    return links[links.index("/docs/api", links.index("/docs/changes")) + 1 :]


@pytest.mark.parametrize(
    ("words", "first", "among"),
    [
        ("The LOG", "/docs/operating#the-log", "/docs/changes#the-log"),
        ("backoff retry", "", "/docs/settings#retry"),
        ("/api/jobs/{job_id}/cancel", "/docs/api/jobs/post_jobs_job_id_cancel", ""),
        ("Alerts", "/docs/alerts", "/docs/events#alerts"),
    ],
)
async def test_a_search_finds_places(browser: Browser, words: str, first: str, among: str) -> None:
    """Those that have all words, in any case of letters, and in their titles first."""
    response = await browser.get("/docs", params={"q": words})
    found = hits(Seen(response.text))
    assert first in ("", found[0])
    assert among in ("", *found)


async def test_a_search_that_finds_nothing(browser: Browser) -> None:
    """Says so; an empty one shows the contents."""
    page = await browser.see("/docs?q=xylophone+retry")
    assert hits(page) == []
    assert "Nothing has xylophone retry" in page.text
    assert (await browser.see("/docs?q=+")).inside("reference") == "Reference"


async def elements(browser: Browser, query: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return the elements of a search's page, with the names of their attributes."""
    response: httpx.Response = await browser.get("/docs", params=query)
    assert response.status_code == 200
    return [(name, sorted(found)) for name, found in Seen(response.text).elements]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_what_is_searched_for_is_text(browser: Browser, text: str) -> None:
    """A page has no element more than that of harmless words that are nowhere."""
    harmless = await elements(browser, {"q": "xylophone"})
    found = await elements(browser, {"q": f"{text[:80]} xylophone"})
    assert [each for each in found if each not in harmless] == []

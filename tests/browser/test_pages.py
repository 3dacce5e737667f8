"""The table of pages."""

from booper.dashboard import dev
from booper.dashboard.application import PAGES
from tests.browser.pages import DEV_VIEWS, FILES, STREAMS, VIEWS


def test_the_table_has_every_page() -> None:
    """Each in one state at least, and nothing else; names are those of files."""
    routes = {page.path for page in PAGES if page.method == "GET"}
    assert {view.route for view in VIEWS} == routes - FILES - STREAMS
    names = [view.name for view in (*VIEWS, *DEV_VIEWS)]
    assert len(set(names)) == len(names)


def test_it_has_every_page_of_development() -> None:
    """Beside pages of any booper, which have a bar there."""
    routes = {page.path for page in dev.PAGES if page.method == "GET"}
    shared = {page.path for page in PAGES}
    assert {view.route for view in DEV_VIEWS} - shared == routes

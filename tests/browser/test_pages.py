"""The table of pages."""

from booper.dashboard.application import PAGES
from tests.browser.pages import FILES, STREAMS, VIEWS


def test_the_table_has_every_page() -> None:
    """Each in one state at least, and nothing else; names are those of files."""
    routes = {page.path for page in PAGES if page.method == "GET"}
    assert {view.route for view in VIEWS} == routes - FILES - STREAMS
    assert len({view.name for view in VIEWS}) == len(VIEWS)

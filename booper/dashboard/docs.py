"""The reference as pages: the topics of `booper.docs`, the API by resource, a search over both.

Everybody may read it. It is what the package's own files and `/openapi.json` say, which is open as
well, and has nothing of anybody's jobs.
"""

from typing import Any, Final

from starlette.responses import Response

from booper.api.access import Access
from booper.dashboard.description import Description
from booper.dashboard.docs_links import Places
from booper.dashboard.docs_search import search
from booper.dashboard.topics import topics
from booper.dashboard.visit import Page, Visit
from booper.docs.blocks import spans_of
from booper.errors import NotFound

MAX_QUERY_LENGTH: Final = 100


async def show_all(visit: Visit) -> Response:
    """Show the list of topics and resources, or where the words of a search are."""
    description = Description(await visit.describe())
    asked = visit.query.get("q", "")[:MAX_QUERY_LENGTH]
    hits = search(asked, topics().values(), description.operations)
    return docs_page(visit, "docs.html", description, title="Docs", asked_for=asked, hits=hits)


async def show_topic(visit: Visit) -> Response:
    """Show a topic. Raises: NotFound."""
    name = visit.path["topic"]
    topic = topics().get(name)
    if topic is None:
        raise NotFound(f"the reference has no page {name[:80]!r}")
    description = Description(await visit.describe())
    return docs_page(visit, "topic.html", description, title=topic.title, topic=topic)


def docs_page(visit: Visit, template: str, description: Description, **values: Any) -> Response:
    """Return a page of the reference, with what leads to the others."""
    places = Places(description.operations)
    return visit.page(
        template,
        topics=topics(),
        description=description,
        place_of=places.of,
        spans_of=spans_of,
        **values,
    )


PAGES = (
    Page("GET", "/docs", Access.OPEN, show_all),
    Page("GET", "/docs/{topic}", Access.OPEN, show_topic),
)

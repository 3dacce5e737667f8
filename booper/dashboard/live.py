"""`/events`: the API's stream of changes, for whoever is signed in by a cookie."""

from typing import Final

from starlette.responses import Response

from booper.api.access import Access
from booper.api.event_stream import head
from booper.dashboard.visit import Page, Visit

FILTERS: Final = ("job_id", "schedule_id", "state")


async def events(visit: Visit) -> Response:
    """Stream what changes, as pages that are open use it."""
    query = {name: visit.query.getlist(name) for name in FILTERS}
    response = await visit.stream("/api/events", query)
    return head() if visit.scope["method"] == "HEAD" else response


PAGES = (Page("GET", "/events", Access.READ, events),)

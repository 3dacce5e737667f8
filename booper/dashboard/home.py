"""Home: how much waits, is due, runs and failed, what runs next, and what is wrong."""

from typing import Final

from starlette.responses import Response

from booper.api.access import Access
from booper.dashboard.visit import Page, Visit

NEXT_RUNS: Final = 10


async def show(visit: Visit) -> Response:
    """Show the user's own numbers and next runs; administrators see how booper is doing, too."""
    counts = (await visit.get("/api/counts"))["data"]
    query = {"state": "scheduled", "order_by": "scheduled_at,asc", "limit": NEXT_RUNS}
    upcoming = (await visit.get("/api/jobs", query))["data"]
    may_see = visit.signed_in.may("admin")
    server = (await visit.get("/api/status"))["data"] if may_see else None
    return visit.page("home.html", title="Home", counts=counts, upcoming=upcoming, server=server)


PAGES = (Page("GET", "/", Access.READ, show),)

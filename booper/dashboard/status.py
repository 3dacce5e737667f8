"""Status: how booper is doing, as `/api/status` has it."""

from starlette.responses import Response

from booper.api.access import Access
from booper.dashboard.visit import Page, Visit


async def show(visit: Visit) -> Response:
    """Show how booper is doing, what is wrong first."""
    server = (await visit.get("/api/status"))["data"]
    nodes = (await visit.get("/api/nodes"))["data"]
    return visit.page("status.html", title="Status", server=server, nodes=nodes)


PAGES = (Page("GET", "/status", Access.ADMIN, show),)

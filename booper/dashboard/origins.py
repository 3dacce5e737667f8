"""Origins: what holds their jobs back, how they do, and the buttons to pause and to resume."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from booper.api.access import Access
from booper.dashboard.visit import Page, Visit
from booper.errors import InvalidRequest
from booper.store.values import ALL_TARGETS

_NOTICES: Final = {
    "/api/pause": "paused",
    "/api/resume": "resumed",
    "/api/breakers/reset": "breaker-reset",
}


async def show_all(visit: Visit) -> Response:
    """Show what is paused, and the origins in order of their names."""
    return await _page(visit)


async def pause(visit: Visit) -> Response:
    """Pause requests to a target."""
    return await _change(visit, "/api/pause")


async def resume(visit: Visit) -> Response:
    """Send requests to a target again."""
    return await _change(visit, "/api/resume")


async def reset(visit: Visit) -> Response:
    """Send to an origin as if it had never failed."""
    return await _change(visit, "/api/breakers/reset")


async def _change(visit: Visit, path: str) -> Response:
    target = (await visit.form()).get("target", "").strip()
    if not target:
        detail = f"expected a host or an origin, or {ALL_TARGETS} for all targets"
        return await _page(visit, 422, problems=[{"pointer": "", "detail": detail}])
    try:
        await visit.send("POST", path, body_of(target))
    except InvalidRequest as error:
        return await _page(visit, 422, given=target, problems=error.errors)
    return visit.redirect("/origins", _NOTICES[path])


def body_of(target: str) -> Mapping[str, str]:
    """Return the body that names a target: an origin has a scheme, `app:` and hosts have none."""
    return {"origin" if "://" in target else "host": target}


async def _page(visit: Visit, status: int = 200, **values: object) -> Response:
    found = await visit.get("/api/origins")
    pauses = (await visit.get("/api/pauses"))["data"]
    shared: dict[str, object] = {"given": "", "problems": ()}
    return visit.page(
        "origins.html",
        status,
        title="Origins",
        origins=found["data"],
        are_more=found.get("are_more", False),
        counted_since=found.get("counted_since"),
        pauses=pauses,
        **{**shared, **values},
    )


PAGES = (
    Page("GET", "/origins", Access.ADMIN, show_all),
    Page("POST", "/origins/pause", Access.ADMIN, pause),
    Page("POST", "/origins/resume", Access.ADMIN, resume),
    Page("POST", "/origins/reset", Access.ADMIN, reset),
)

"""What only `booper dev` has: the clock with its buttons, and what its sink has caught.

These pages are there if the API has the operations of development, which no other booper has.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from booper.api.access import Access
from booper.api.problems import headers_of
from booper.dashboard.job_log import log_in
from booper.dashboard.visit import Page, Visit
from booper.errors import BooperError, Conflict, FieldError, InvalidRequest, NotFound
from booper.model.event import ERROR, RESPONSE

CLOCK: Final = "/api/dev/clock"
SINK: Final = "/api/dev/sink"

_OUTCOMES: Final = (RESPONSE, ERROR)
_LATEST: Final = 100
_NOTICES: Final[Mapping[str, str]] = {"true": "clock-stopped", "false": "clock-runs"}


async def show_clock(visit: Visit) -> Response:
    """Show the time, all ways to move it, and the latest attempts."""
    return await _clock_page(visit)


async def move(visit: Visit) -> Response:
    """Move the clock by what was clicked or typed, and go back to where that was."""
    form = await visit.form()
    frozen = form.get("freeze", "")
    try:
        await visit.send("POST", CLOCK, _move(form))
    except (InvalidRequest, Conflict) as error:
        return await _clock_page(visit, error, form)
    return visit.go_back(form.get("next", "/clock"), _NOTICES.get(frozen, "clock-moved"))


async def reset(visit: Visit) -> Response:
    """Forget all jobs, schedules, logs and keys, and what the sink has; set the clock back."""
    await visit.send("POST", "/api/dev/reset")
    return visit.redirect("/clock", "reset")


async def show_sink(visit: Visit) -> Response:
    """Show the requests that the sink has caught, the latest first."""
    caught = (await visit.get(SINK))["data"]
    return visit.page("sink.html", title="Sink", caught=caught[::-1])


async def show_caught(visit: Visit) -> Response:
    """Show one request with its headers and its body. Raises: NotFound."""
    number = visit.path["number"]
    for each in (await visit.get(SINK))["data"]:
        if str(each["number"]) == number:
            return visit.page("caught.html", title=f"Request {number}", each=each)
    raise NotFound(f"the sink has no request {number[:80]!r}; it keeps the latest ones")


async def clear_sink(visit: Visit) -> Response:
    """Forget what the sink has caught."""
    await visit.send("DELETE", SINK)
    return visit.redirect("/sink", "sink-cleared")


def _move(form: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what a form means as the body of a move; what it does not name is not in it."""
    if frozen := form.get("freeze"):
        return {"freeze": {"true": True, "false": False}.get(frozen, frozen)}
    given = {
        name: text for name in ("run", "advance", "to") if (text := form.get(name, "").strip())
    }
    name = next(iter(given), None)
    return {name: given[name]} if name else {}


async def _clock_page(
    visit: Visit, error: BooperError | None = None, typed: Mapping[str, str] | None = None
) -> Response:
    entries = log_in(await visit.read("/api/logs", {"limit": _LATEST})).entries
    problems = error.errors if isinstance(error, InvalidRequest) else ()
    response = visit.page(
        "clock.html",
        error.status if error else 200,
        title="Clock",
        clock=(await visit.get(CLOCK))["data"],
        attempts=[entry for entry in entries if entry["event"] in _OUTCOMES],
        problems=problems or ([FieldError("", str(error))] if error else ()),
        typed={"advance": "", "to": "", **(typed or {})},
    )
    if error:
        response.headers.update(headers_of(error))
    return response


PAGES = (
    Page("GET", "/clock", Access.READ, show_clock),
    Page("POST", "/clock", Access.ADMIN, move),
    Page("POST", "/clock/reset", Access.ADMIN, reset),
    Page("GET", "/sink", Access.READ, show_sink),
    Page("GET", "/sink/{number}", Access.READ, show_caught),
    Page("POST", "/sink/clear", Access.ADMIN, clear_sink),
)

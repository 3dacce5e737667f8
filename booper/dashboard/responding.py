"""From a visit to the response: sign-in where it is needed, the page, or the error as a page."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from booper.api.access import Access, check_scope, count_request
from booper.api.problems import headers_of
from booper.dashboard.visit import Page, Visit
from booper.errors import (
    BooperError,
    InvalidRequest,
    MethodNotAllowed,
    Unauthenticated,
    UnknownPath,
)

_FAULT = "booper failed to make this page; its log says why"


async def respond(visit: Visit, page: Page | None, methods: Mapping[str, Page]) -> Response:
    """Return the response to a visit, whatever happens; `methods` are those of its path."""
    try:
        if page is None:
            raise _refusal(visit, methods)
        if page.access is not Access.OPEN:
            if visit.viewer is None:
                return _to_sign_in(visit)
            principal, shared = visit.viewer.principal, visit.services.shared_rate_limit
            count_request(principal.key_id, visit.services)
            if shared is not None and principal.key_id is not None:
                await shared.take(principal.key_id)
            check_scope(principal.scope, page.access)
        return await page.handler(visit)
    except Unauthenticated:
        return _to_sign_in(visit)
    except BooperError as error:
        return error_page(visit, error)
    except Exception as error:  # a page's own fault; the server is to hear of it
        return FaultPage(error_page(visit, BooperError(_FAULT)), error)


class FaultPage(Response):
    """The page of a fault of booper's own, without its innards; then it raises that fault.

    So the server hears of it, and logs it.
    """

    def __init__(self, page: Response, fault: Exception) -> None:
        super().__init__(page.body, page.status_code, media_type="text/html")
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises: the fault."""
        await super().__call__(scope, receive, send)
        raise self._fault


def error_page(visit: Visit, error: BooperError) -> Response:
    """Return an error as a page, in the words of the API."""
    fields = error.errors if isinstance(error, InvalidRequest) else ()
    response = visit.page(
        "error.html", error.status, title=error.title, detail=str(error), fields=fields
    )
    response.headers.update(headers_of(error))
    return response


def _to_sign_in(visit: Visit) -> Response:
    """Lead to the sign-in, and from there to what was asked for, if that only reads."""
    is_read = visit.scope["method"] in ("GET", "HEAD")
    following = visit.asked if is_read and visit.asked != "/" else None
    return visit.redirect("/sign-in", next=following)


def _refusal(visit: Visit, methods: Mapping[str, Page]) -> BooperError:
    """Return why there is no page: there is no such path, or no such method of it."""
    asked = f"{visit.scope['method']} {visit.asked.partition('?')[0][:200]}"
    if methods:
        allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
        return MethodNotAllowed(f"{asked}: method not allowed; expected {allowed}", allowed)
    return UnknownPath(f"{asked}: there is no such page")

"""Sign-in with an API key, and sign-out."""

from starlette.responses import Response

from booper.api.access import Access, log_refusal
from booper.dashboard import sessions
from booper.dashboard.visit import Page, Visit
from booper.errors import Unauthenticated


async def show(visit: Visit) -> Response:
    """Show the form; who is signed in goes on to the page."""
    following = visit.query.get("next", "/")
    if visit.viewer is not None:
        return visit.go(visit.links.back(following))
    return _form(visit, following)


async def sign_in(visit: Visit) -> Response:
    """Open a session with a key and go on to the page that was asked for."""
    form = await visit.form()
    following = form.get("next", "/")
    try:
        token = await sessions.open_session(form.get("key", "").strip(), visit.services)
    except Unauthenticated as error:
        log_refusal(visit.scope, error)
        return _form(visit, following, "This API key is unknown or revoked.", 403)
    await sessions.close_session(visit.headers, visit.services)  # each sign-in has its own
    response = visit.go(visit.links.back(following))
    response.headers["Set-Cookie"] = _cookie(visit, token)
    return response


async def sign_out(visit: Visit) -> Response:
    """End the session."""
    await sessions.close_session(visit.headers, visit.services)
    response = visit.redirect("/sign-in", "signed-out")
    response.headers["Set-Cookie"] = _cookie(visit, "")
    return response


def _cookie(visit: Visit, token: str) -> str:
    return sessions.cookie(token, visit.links.base, visit.scope, visit.headers)


def _form(visit: Visit, following: str, problem: str | None = None, status: int = 200) -> Response:
    return visit.page("sign_in.html", status, title="Sign in", following=following, problem=problem)


PAGES = (
    Page("GET", "/sign-in", Access.OPEN, show),
    Page("POST", "/sign-in", Access.OPEN, sign_in),
    Page("POST", "/sign-out", Access.OPEN, sign_out),
)

"""The dashboard as the API's dispatcher calls it: who asks, which page is meant, and its policy."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope

from booper.api.access import gives_key
from booper.api.call import NO_QUERY
from booper.api.dispatch import Routes
from booper.api.operations import Operation
from booper.api.problems import ProblemResponse
from booper.api.request_counts import UNMATCHED, Route
from booper.api.services import Services
from booper.dashboard import (
    api_docs,
    audit,
    bodies,
    bulk,
    dev,
    docs,
    home,
    job,
    jobs,
    keys,
    live,
    new,
    origins,
    schedule_form,
    schedules,
    sign_in,
    status,
)
from booper.dashboard.api import Api
from booper.dashboard.links import Links
from booper.dashboard.policy import Hosts, guarded
from booper.dashboard.responding import error_page, respond
from booper.dashboard.sessions import Viewer, viewer_of, viewer_with
from booper.dashboard.static import PREFIX, static_response
from booper.dashboard.visit import Page, Visit
from booper.errors import BooperError, Forbidden
from booper.model.public_url import PublicURL

PAGES: Final[Sequence[Page]] = (
    *sign_in.PAGES,
    *home.PAGES,
    *jobs.PAGES,
    *bulk.PAGES,
    *job.PAGES,
    *bodies.PAGES,
    *new.PAGES,
    *origins.PAGES,
    *keys.PAGES,
    *status.PAGES,
    *schedules.PAGES,
    *schedule_form.PAGES,
    *audit.PAGES,
    *docs.PAGES,
    *api_docs.PAGES,
    *live.PAGES,
)
"""All pages, and the changes that their forms ask for."""

_STATIC: Final[Route] = ("GET", "/static/{name}")


class Dashboard:
    """The pages over the API's operations (`booper.api.dispatch.Pages`).

    Where `Host` is this machine, nobody needs to sign in if there is an `open_key`.
    """

    def __init__(
        self,
        services: Services,
        operations: Sequence[Operation],
        hosts: Hosts,
        open_key: str | None = None,
    ) -> None:
        self._services = services
        self._api = Api(services, operations)
        self._hosts = hosts
        self._open_key = open_key
        self._is_of_dev = self._api.has(("GET", dev.CLOCK))
        self._routes = Routes((*PAGES, *dev.PAGES) if self._is_of_dev else PAGES)
        public = services.public_url
        self._base = PublicURL.parse(public).prefix if public else None

    async def __call__(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> tuple[Route, Response] | None:
        """Respond to a browser; None if a program must have meant a path of the API."""
        methods, parameters = self._routes.find(scope)
        path = _path(scope)
        if gives_key(headers) or not (methods or _is_of_browser(path, headers)):
            return None
        try:
            self._hosts.check(scope, headers)
        except Forbidden as error:
            return UNMATCHED, guarded(_refused(error, headers))
        if path.startswith(PREFIX) and (file := static_response(path.removeprefix(PREFIX))):
            return _STATIC, guarded(file)
        visit = await self._visit(scope, receive, headers, parameters)
        page = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        route = (page.method, page.path) if page else UNMATCHED
        try:
            visit = replace(visit, viewer=await self._viewer(headers))
        except BooperError as error:  # sessions cannot be read
            return route, guarded(error_page(visit, error))
        return route, guarded(await respond(visit, page, methods))

    async def _visit(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        parameters: Mapping[str, str],
    ) -> Visit:
        """Return a visit of nobody yet."""
        # To import, read and compile templates takes 0.1 s, once: off the loop, and not at a start.
        from booper.dashboard.templates import renderer

        path, query = _path(scope), scope["query_string"]
        return Visit(
            scope=scope,
            receive=receive,
            headers=headers,
            path=parameters,
            query=QueryParams(query) if query else NO_QUERY,
            asked=f"{path}?{query.decode('latin-1')}" if query else path,
            viewer=None,
            links=Links(scope.get("root_path", "") if self._base is None else self._base),
            api=self._api,
            is_of_dev=self._is_of_dev,
            render=await asyncio.to_thread(renderer),
        )

    async def _viewer(self, headers: Mapping[bytes, bytes]) -> Viewer | None:
        viewer = await viewer_of(headers, self._services)
        if viewer is None and self._open_key and self._hosts.is_this_machine(headers):
            return await viewer_with(self._open_key, self._services)
        return viewer


def _path(scope: Scope) -> str:
    """Return the path of a request without the prefix where booper is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _refused(error: Forbidden, headers: Mapping[bytes, bytes]) -> Response:
    """Return why a request is refused; it is not shown a page, which would have links to follow."""
    if _wants_page(headers):
        return Response(f"{error}\n", error.status, media_type="text/plain")
    return ProblemResponse(error)


def _wants_page(headers: Mapping[bytes, bytes]) -> bool:
    return b"text/html" in headers.get(b"accept", b"").lower()


def _is_of_browser(path: str, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request for no page comes from a browser, which is to see a page."""
    if path.startswith(PREFIX):
        return True
    is_of_api = path == "/api" or path.startswith("/api/")
    return not is_of_api and _wants_page(headers)

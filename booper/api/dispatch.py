"""The dispatcher: from a request to the operation it means, and from an error to its response.

Every request takes this one way, so it is kept lean: a path without parameters is found by one look
into a dictionary, any other by one regular expression of all patterns.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from booper.api import request_log
from booper.api.access import identify, log_refusal
from booper.api.call import NO_QUERY, Call
from booper.api.memory import SMALL_BYTES, Share
from booper.api.operations import Operation
from booper.api.paths import advice
from booper.api.problems import FaultResponse, ProblemResponse
from booper.api.query import check_query
from booper.api.request_counts import UNMATCHED, Route
from booper.api.request_log import HEADER, RequestIds, RequestLine, current_id
from booper.api.services import Services
from booper.errors import BooperError, MethodNotAllowed, Unauthenticated, UnknownPath


class Routed(Protocol):
    """One method of one path, which may have parameters such as `{name}` or `{name:path}`."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


R = TypeVar("R", bound=Routed)


class Pages(Protocol):
    """What responds to requests for which there is no path of the API."""

    async def __call__(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> tuple[Route, Response] | None:
        """Return how the request is counted, and the response; None if it is none of a page."""


_PARAMETER: Final = re.compile(r"{(\w+)(:path)?}")
_NO_PARAMETERS: Final[Mapping[str, str]] = {}


class Dispatcher:
    """An ASGI application of operations over their services; it acquires nothing of its own.

    `pages` responds where no path matches, if it is for that request.
    """

    def __init__(
        self, operations: Sequence[Operation], services: Services, pages: Pages | None = None
    ) -> None:
        self._operations = operations
        self._services = services
        self._pages = pages
        self._routes = Routes(operations)
        self._ids = RequestIds()
        self._other_protocols = Router()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request. Raises: an unexpected error, after it was responded to."""
        if scope["type"] != "http":  # a web socket, which is closed, or the lifespan
            await self._other_protocols(scope, receive, send)
            return
        share, line = Share(self._services.memory), None
        if request_log.is_on():
            line = RequestLine(scope, send)
            send = line.send
        try:
            response = await self._respond(scope, receive, share, line)
            if share.size or len(getattr(response, "body", b"")) > SMALL_BYTES:
                await share.send(response, scope, receive, send)
            else:
                await response(scope, receive, send)
        except BooperError as error:  # a stream that could not begin
            response = ProblemResponse(error)
            response.raw_headers.append((HEADER, current_id.get()))
            await response(scope, receive, send)
        finally:
            if share.size:
                share.release()
            if line is not None:
                line.write()

    async def _respond(
        self, scope: Scope, receive: Receive, share: Share, line: RequestLine | None
    ) -> Response:
        """Return the response to a request, whatever happens, and count it."""
        route = UNMATCHED
        # Reversed, so that of a header that is repeated the first counts.
        headers = dict(reversed(list(scope["headers"])))
        request_id = self._ids.of(headers)
        try:
            methods, path = self._routes.find(scope)
            method = scope["method"]
            operation = methods.get("GET" if method == "HEAD" else method)
            if operation is None:
                route, response = await self._beside(scope, receive, headers, methods)
                self._services.requests[route, response.status_code] += 1
                response.raw_headers.append((HEADER, request_id))
                return response
            route = operation.route
            principal = await identify(headers, operation.access, self._services)
            if line is not None:
                line.principal = principal
            query = QueryParams(scope["query_string"]) if scope["query_string"] else NO_QUERY
            if query is not NO_QUERY and not operation.documentation.ignores_query:
                check_query(query, operation.query, operation.body_fields)
            if operation.reserves:
                await share.reserve(operation.reserves)
            call = Call(scope, receive, headers, path, query, principal, self._services)
            response = await operation.handler(call)
        except BooperError as error:
            if isinstance(error, Unauthenticated):
                log_refusal(scope, error)
            response = ProblemResponse(error)
        except Exception as error:  # an operation's own fault; the server is to hear of it
            response = FaultResponse(error)
        self._services.requests[route, response.status_code] += 1
        response.raw_headers.append((HEADER, request_id))
        return response

    async def _beside(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        methods: Mapping[str, Operation],
    ) -> tuple[Route, Response]:
        """Return what a page responds where no operation is meant. Raises: BooperError, if none."""
        if not methods and self._pages is not None:
            page = await self._pages(scope, receive, headers)
            if page is not None:
                return page
        raise self._refusal(scope, methods)

    def _refusal(self, scope: Scope, methods: Mapping[str, Operation]) -> BooperError:
        """Return why no operation is meant: there is no such path, or no such method of it."""
        prefix, path = scope.get("root_path", ""), Request(scope).url.path
        asked = f"{scope['method']} {path[:200]}"
        if methods:
            allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
            return MethodNotAllowed(f"{asked}: method not allowed; expected {allowed}", allowed)
        templates = [operation.path for operation in self._operations]
        meant = advice(path.removeprefix(prefix)[:200], templates, prefix)
        return UnknownPath(f"{asked}: not found; {meant}")


class Routes(Generic[R]):
    """The paths of operations or pages, each with its methods.

    A path without parameters goes before patterns that match it as well: `/api/jobs/batch` is no
    job. Of several patterns the first one counts.
    """

    def __init__(self, operations: Sequence[R]) -> None:
        by_path: dict[str, dict[str, R]] = {}
        for operation in operations:
            by_path.setdefault(operation.path, {})[operation.method] = operation
        self._exact = {path: methods for path, methods in by_path.items() if "{" not in path}
        patterns = [path for path in by_path if "{" in path]
        self._pattern = re.compile("|".join(f"({_expression(path)})" for path in patterns))
        # By the number of the group that is the pattern: its methods, and its parameters' names.
        self._of_group: dict[int | None, tuple[Mapping[str, R], Sequence[str]]] = {}
        group = 1
        for path in patterns:
            names = [name for name, _ in _PARAMETER.findall(path)]
            self._of_group[group] = (by_path[path], names)
            group += 1 + len(names)

    def find(self, scope: Scope) -> tuple[Mapping[str, R], Mapping[str, str]]:
        """Return the methods of a request's path, none if it is not there, and its parameters.

        The prefix under which booper is mounted in another program is no part of the path.
        """
        path = scope["path"]
        if prefix := scope.get("root_path"):
            path = path.removeprefix(prefix)
        if (exact := self._exact.get(path)) is not None:
            return exact, _NO_PARAMETERS
        match = self._pattern.fullmatch(path)
        if match is None or (group := match.lastindex) is None:
            return {}, _NO_PARAMETERS
        methods, names = self._of_group[group]
        return methods, dict(zip(names, match.groups()[group:], strict=False))


def _expression(path: str) -> str:
    """Return a regular expression of a path with parameters."""
    parts, end = list[str](), 0
    for found in _PARAMETER.finditer(path):
        parts += [re.escape(path[end : found.start()]), "(.*)" if found[2] else "([^/]+)"]
        end = found.end()
    return "".join([*parts, re.escape(path[end:])])

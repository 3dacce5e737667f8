"""The API's own operations, called in this process for whoever is signed in.

There is no other way from a page to the data, and no other way to change it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Message, Scope

from booper.api.access import Access, Principal, check_scope
from booper.api.call import NO_QUERY, Call
from booper.api.dispatch import Routes
from booper.api.memory import Share
from booper.api.operations import Operation
from booper.api.problems import ProblemResponse
from booper.api.query import check_query
from booper.api.request_counts import Route
from booper.api.services import Services
from booper.errors import BooperError, Forbidden, Unauthenticated, UnknownPath
from booper.model import exact
from booper.wire.job import job_resource

Query = Mapping[str, object]

_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class Api:
    """The operations over their services; `get` and `send` raise what they refuse."""

    def __init__(self, services: Services, operations: Sequence[Operation]) -> None:
        self.services = services
        self._routes = Routes(operations)

    async def get(self, principal: Principal, path: str, query: Query | None = None) -> Any:
        """Return the JSON at a path. Raises: BooperError, as the API would respond."""
        return decoded(await self.read(principal, path, query))

    async def read(self, principal: Principal, path: str, query: Query | None = None) -> bytes:
        """Return the text of the JSON at a path, as the API writes it. Raises: BooperError."""
        return bytes((await self._call(principal, "GET", path, query or {}, b"")).body)

    async def brief_jobs(self, principal: Principal, numbers: Sequence[int]) -> Any:
        """Return those of a user's jobs that have these numbers, as a brief list has them.

        No program needs them: it asks for a list. Raises: BooperError.
        """
        check_scope(principal.scope, Access.READ)
        if principal.user_id is None:
            raise Unauthenticated("sign in to see jobs")
        services, now = self.services, self.services.clock.now()
        found = await services.store.jobs.brief(principal.user_id, numbers)
        shown = [job_resource(job, now, services.redaction) for job in found]
        return decoded(msgspec.json.encode(shown))

    async def send(
        self,
        principal: Principal,
        method: str,
        path: str,
        body: object = None,
        query: Query | None = None,
    ) -> Any:
        """Change something; return the JSON of the response, None if it has none.

        Raises:
            BooperError: as the API would respond.
        """
        content = b"" if body is None else msgspec.json.encode(body)
        response = await self._call(principal, method, path, query or {}, content)
        return decoded(bytes(response.body))

    async def stream(self, principal: Principal, path: str, query: Query) -> Response:
        """Return the stream at a path, which begins when it is sent. Raises: BooperError."""
        return await self._call(principal, "GET", path, query, b"")

    async def respond(
        self, principal: Principal, method: str, path: str, query: Query, content: bytes
    ) -> Response:
        """Return what a program gets for a request; its body is JSON, or is meant as such."""
        try:
            return await self._call(principal, method, path, query, content)
        except BooperError as error:
            return ProblemResponse(error)

    def has(self, route: Route) -> bool:
        """Return whether there is an operation at a method and a path."""
        method, path = route
        return method in self._routes.find({"path": path, "root_path": ""})[0]

    def check(self, principal: Principal, route: Route) -> None:
        """Check that somebody may call the operation at a method and a path with its parameters.

        Raises: Forbidden, UnknownPath.
        """
        operation, _ = self._find(*route)
        check_scope(principal.scope, operation.access)

    def may(self, principal: Principal, route: Route) -> bool:
        """Return whether somebody may call an operation."""
        try:
            self.check(principal, route)
        except Forbidden:
            return False
        return True

    def _find(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
        methods, parameters = self._routes.find({"path": path, "root_path": ""})
        operation = methods.get(method)
        if operation is None:
            raise UnknownPath(f"{method} {path[:200]}: the API has no such operation")
        return operation, parameters

    async def _call(
        self, principal: Principal, method: str, path: str, query: Query, content: bytes
    ) -> Response:
        operation, parameters = self._find(method, path)
        check_scope(principal.scope, operation.access)
        params = _params(query)
        if not operation.documentation.ignores_query:
            check_query(params, operation.query, operation.body_fields)
        share = Share(self.services.memory)
        if operation.reserves:
            await share.reserve(operation.reserves)
        try:
            headers = {b"content-type": b"application/json"} if content else {}
            receive = _Body(content).receive
            scope = _scope(method, path, params)
            call = Call(scope, receive, headers, parameters, params, principal, self.services)
            return await operation.handler(call)
        finally:
            share.release()


def decoded(text: bytes) -> Any:
    """Return the JSON of a response, None if it has none; numbers with a fraction keep theirs."""
    return exact.decode(text) if text else None


class _Body:
    """The body of one call."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def receive(self) -> Message:
        """Return all of it."""
        return {"type": "http.request", "body": self._content, "more_body": False}


def _params(query: Query) -> QueryParams:
    """Return a query as it would be read from a URL."""
    pairs = [
        (name, _SURROGATES.sub("\ufffd", str(each)))
        for name, value in query.items()
        for each in (value if isinstance(value, list | tuple) else [value])
        if each is not None and each != ""
    ]
    return QueryParams(pairs) if pairs else NO_QUERY


def _scope(method: str, path: str, params: QueryParams) -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": urlencode(params.multi_items()).encode(),
        "headers": [],
    }

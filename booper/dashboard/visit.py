"""One request to a page, as its handler sees it; and the declaration of a page."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Receive
from starlette.types import Scope as ASGIScope

from booper.api.access import ANYBODY, Access
from booper.api.bodies import FORM, JSON, media_type, read_body
from booper.api.services import Services
from booper.dashboard.api import Api, Query
from booper.dashboard.links import Links, pairs_of
from booper.dashboard.notices import NAMES, notice_of
from booper.dashboard.sessions import Viewer
from booper.errors import MalformedBody, Unauthenticated, UnsupportedMediaType
from booper.wire.timestamps import precise
from booper.wire.urlencoded import parse_form

MAX_FORM_FIELDS: Final = 2_000

Renderer = Callable[[str, Mapping[str, Any]], str]
"""What makes text of a template's name and the values that it shows."""


class Visit(msgspec.Struct, frozen=True):
    """A request to a page. `path` are the parameters of its path, `query` those behind it.

    `asked` is the path with its query, without the prefix where the dashboard is. A dashboard
    `is_of_dev` where the clock can be moved.
    """

    scope: ASGIScope
    receive: Receive
    headers: Mapping[bytes, bytes]
    path: Mapping[str, str]
    query: QueryParams
    asked: str
    viewer: Viewer | None
    links: Links
    api: Api
    render: Renderer
    is_of_dev: bool = False

    @property
    def services(self) -> Services:
        """Return what the API works with; only sign-in needs it, pages use `get` and `send`."""
        return self.api.services

    @property
    def signed_in(self) -> Viewer:
        """Return who looks at a page. Raises: Unauthenticated, nobody is signed in."""
        if self.viewer is None:
            raise Unauthenticated("sign in to do this")
        return self.viewer

    @property
    def own_url(self) -> str:
        """Return the URL of this booper as the browser has it, without a last slash."""
        public = self.services.public_url
        if public:
            return public
        host = self.headers.get(b"host", b"").decode("latin-1")
        return f"{self.scope.get('scheme', 'http')}://{host}{self.links.base}"

    async def get(self, path: str, query: Query | None = None) -> Any:
        """Return the JSON at a path of the API. Raises: BooperError, as the API would respond."""
        return await self.api.get(self.signed_in.principal, path, query)

    async def brief_jobs(self, numbers: Sequence[int]) -> Any:
        """Return those of the user's jobs that have these numbers, as a brief list has them."""
        return await self.api.brief_jobs(self.signed_in.principal, numbers)

    async def read(self, path: str, query: Query | None = None) -> bytes:
        """Return the text of the JSON at a path of the API. Raises: BooperError."""
        return await self.api.read(self.signed_in.principal, path, query)

    async def describe(self) -> Any:
        """Return the API's OpenAPI document, which everybody may read."""
        return msgspec.json.decode(await self.api.read(ANYBODY, "/openapi.json"))

    async def stream(self, path: str, query: Query) -> Response:
        """Return the stream at a path of the API. Raises: BooperError."""
        return await self.api.stream(self.signed_in.principal, path, query)

    async def send(
        self, method: str, path: str, body: object = None, query: Query | None = None
    ) -> Any:
        """Change something through the API; return its JSON. Raises: BooperError."""
        return await self.api.send(self.signed_in.principal, method, path, body, query)

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """Return a page made of a template; `title` is among the values."""
        shared = {
            "viewer": self.viewer,
            "link": self.links.to,
            "asked": self.asked,
            "has_clock": self.is_of_dev,
            "return_to": self.asked if self.scope["method"] == "GET" else "/",
            "here": self.asked.partition("?")[0],
            "query": self.query,
            "notice": notice_of(self.query),
            "now": precise(self.services.clock.now()),
        }
        text = self.render(template, {**shared, **values})
        return Response(text, status, media_type="text/html")

    def redirect(self, path: str, notice: str | None = None, **query: object) -> Response:
        """Return a response that leads to a page, after a change with one of `NOTICES`."""
        return self.go(self.links.to(path, **query, notice=notice))

    def go(self, link: str) -> Response:
        """Return a response that leads to a link."""
        return Response(status_code=303, headers={"Location": link})

    def go_back(self, following: str, notice: str, **query: object) -> Response:
        """Return a response that leads to where a form was, with a notice in place of an older one.

        That came with the form, so it is Home if it is no path of the dashboard.
        """
        path, _, text = following.partition("?")
        kept = [pair for pair in parse_qsl(text) if pair[0] not in NAMES]
        given = urlencode([*kept, *pairs_of({"notice": notice, **query})])
        return self.go(self.links.back(f"{path}?{given}"))

    async def form(self) -> Mapping[str, str]:
        """Return the fields of a form; of one that is repeated the last counts.

        Raises:
            BodyTooLarge, MalformedBody, UnsupportedMediaType: it is none.
        """
        return dict(await self.form_pairs())

    async def form_lists(self) -> QueryParams:
        """Return the fields of a form of which some are repeated. Raises: as `form`."""
        return QueryParams(await self.form_pairs())

    async def form_pairs(self) -> list[tuple[str, str]]:
        """Return the names and values of a form's fields in their order. Raises: as `form`."""
        body = await read_body(self, self.services.max_body_bytes)
        if body and media_type(self) != FORM:
            raise UnsupportedMediaType(f"expected a form, {FORM}, got {JSON}")
        try:
            pairs = parse_form(body, MAX_FORM_FIELDS)
        except ValueError as error:
            raise MalformedBody(
                f"expected a form in UTF-8 of at most {MAX_FORM_FIELDS:,} fields: {error}"
            ) from error
        return [(name, value.replace("\r\n", "\n")) for name, value in pairs]


Handler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or a change that a form of a page asks for: one method of one path.

    Who may not have what it needs gets a page that says so; nobody in particular is asked to sign
    in first, unless it is open.
    """

    method: str
    path: str
    access: Access
    handler: Handler

"""A browser for tests of the dashboard: what one sends, its cookies, and what is on a page."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import httpx
from starlette.types import ASGIApp

ORIGIN = "http://127.0.0.1:2667"

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
"""Elements that have no end."""

OF_DOCS = {"topic": "operating", "tag": "jobs", "operation": "get_jobs"}
"""Parameters of paths in the reference, which are there in every booper."""

_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def filled(path: str, ids: Mapping[str, str]) -> str:
    """Return a path of a page with values for its parameters."""
    for name, value in {**OF_DOCS, **ids}.items():
        path = path.replace(f"{{{name}}}", value)
    return path


class Browser(httpx.AsyncClient):
    """A browser that looks at an application under a prefix; it follows no redirect by itself.

    The application is one of this process, or whatever a transport leads to.
    """

    def __init__(
        self, app: ASGIApp | httpx.AsyncBaseTransport, prefix: str = "", origin: str = ORIGIN
    ) -> None:
        if not isinstance(app, httpx.AsyncBaseTransport):
            app = httpx.ASGITransport(app)
        super().__init__(
            transport=app,
            base_url=f"{origin}{prefix}",
            headers={"Accept": _ACCEPT},
        )

    async def submit(
        self, path: str, fields: Mapping[str, str] | None = None, **given: Any
    ) -> httpx.Response:
        """Post a form as a page of the dashboard does."""
        headers = {"Sec-Fetch-Site": "same-origin", **given.pop("headers", {})}
        return await self.post(path, data=fields or {}, headers=headers, **given)

    async def sign_in(self, key: str) -> None:
        """Open a session with a key."""
        response = await self.submit("/sign-in", {"key": key})
        assert response.status_code == 303, response.text

    async def see(self, path: str) -> "Seen":
        """Return what is on a page, which must be there."""
        response = await self.get(path)
        assert response.status_code == 200, response.text
        return Seen(response.text)


class Seen(HTMLParser):
    """What is on a page: its elements in order, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._inside: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    @property
    def text(self) -> str:
        """Return the text with single spaces."""
        return " ".join("".join(self._text).split())

    @property
    def names(self) -> list[str]:
        """Return the names of the elements."""
        return [name for name, _ in self.elements]

    @property
    def ids(self) -> list[str]:
        """Return the ids of the elements."""
        return [value for _, found in self.elements if (value := found.get("id")) is not None]

    def inside(self, identifier: str) -> str:
        """Return the text inside an element, as it stands there; of a text area, its value."""
        text = "".join(self._inside.get(identifier, []))
        return text.removeprefix("\n") if self._is_area(identifier) else text

    def _is_area(self, identifier: str) -> bool:
        return any(
            name == "textarea" and found.get("id") == identifier for name, found in self.elements
        )

    def values(self, name: str, attribute: str) -> list[str]:
        """Return an attribute of the elements of a name that have it."""
        return [
            value
            for found, attributes in self.elements
            if found == name and (value := attributes.get(attribute)) is not None
        ]

    @property
    def links(self) -> list[str]:
        """Return where links and forms lead, and what the page loads."""
        return [
            *self.values("a", "href"),
            *self.values("link", "href"),
            *self.values("script", "src"),
            *self.values("form", "action"),
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("id") or ""))

    def handle_endtag(self, tag: str) -> None:
        """Note the end of an element, and of those in it that have none."""
        places = [place for place, (name, _) in enumerate(self._open) if name == tag]
        if places:
            del self._open[places[-1] :]

    def handle_data(self, data: str) -> None:
        """Note text."""
        self._text.append(data)
        for _, identifier in self._open:
            if identifier:
                self._inside.setdefault(identifier, []).append(data)

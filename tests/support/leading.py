"""Where all links, forms and files of all pages lead, wherever the dashboard is."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

from tests.support.dashboard import Browser, Seen

_ATTRIBUTES = {("a", "href"), ("link", "href"), ("script", "src"), ("img", "src")}
_OF_FORMS = {"action", "formaction"}


@dataclass(slots=True)
class Led:
    """Paths without the prefix that links and forms have led to, and what is wrong with them."""

    pages: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Walk:
    """A walk over pages by a browser, at most `most` of each of the templates of paths.

    What is at `endless` paths is not read: streams.
    """

    browser: Browser
    prefix: str
    templates: Sequence[str]
    most: int
    endless: Collection[str] = ()
    led: Led = field(default_factory=Led)
    _known: dict[str, bool] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    async def take(self) -> Led:
        """Follow all that leads on from Home: each must stay below the prefix, and be there."""
        start = f"{self._origin}{self.prefix}/"
        self._known[start] = False
        waiting = [start]
        while waiting:
            url = waiting.pop()
            response = await self.browser.get(url)
            if fault := self._fault_of(response, is_form=self._known[url]):
                self.led.faults.append(f"{url}: {fault}")
            found = self.led.changes if response.status_code == 405 else self.led.pages
            found.add(self._template_of(url))
            if response.headers.get("content-type", "").startswith("text/html"):
                waiting += self._new_targets(url, Seen(response.text))
        return self.led

    @property
    def _origin(self) -> str:
        return str(self.browser.base_url.copy_with(path="/")).rstrip("/")

    def _is_inside(self, url: str) -> bool:
        return url.startswith(f"{self._origin}{self.prefix}/")

    def _new_targets(self, url: str, seen: Seen) -> list[str]:
        """Return where a page leads that is to be followed; note what leads out."""
        found = []
        for link, is_form in _links(seen):
            target = urldefrag(urljoin(url, link))[0]
            if not self._is_inside(target):
                self.led.faults.append(f"{url}: {link} leads out")
            elif target not in self._known:
                self._known[target] = is_form
                template = self._template_of(target)
                self._counts[template] += 1
                if self._counts[template] <= self.most and template not in self.endless:
                    found.append(target)
        return found

    def _template_of(self, url: str) -> str:
        """Return the path that a URL has without its ids, as it is if there is no such page."""
        path = urlsplit(url).path.removeprefix(self.prefix)
        matching = (each for each in self.templates if _pattern(each).fullmatch(path))
        return next(matching, path)

    def _fault_of(self, response: httpx.Response, *, is_form: bool) -> str:
        """Return what is wrong with a response: forms of changes lead to what is no page."""
        match response.status_code:
            case 200:
                return ""
            case 405:
                return "" if "POST" in response.headers["allow"].split(", ") else "is no change"
            case 422 if is_form:
                return ""  # its fields are missing
            case 303:
                target = urljoin(str(response.url), response.headers["location"])
                return "" if self._is_inside(target) else f"leads out to {target}"
            case status:
                return f"is {status}"


def _links(seen: Seen) -> list[tuple[str, bool]]:
    """Return where anything on a page leads, for a person or for a script; and if by a form."""
    return [
        (value, attribute in _OF_FORMS)
        for name, attributes in seen.elements
        for attribute, value in attributes.items()
        if value
        and (
            (name, attribute) in _ATTRIBUTES
            or attribute in _OF_FORMS
            or (attribute.startswith("data-") and value.startswith("/"))
        )
    ]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{\w+}", "[^/]+", template))

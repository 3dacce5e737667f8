"""Links: where pages, forms and static files are, wherever the dashboard is mounted."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

_CHARACTERS: Final = "/:@!$&'()*+,;=~"

# A path of this dashboard, and no URL of others: `//host` and `/\host` are such to browsers.
_OWN_PATH: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


class Links(msgspec.Struct, frozen=True):
    """Makes all links; `base` is the path under which the dashboard is, without a last slash."""

    base: str = ""

    def to(self, path: str, **query: object) -> str:
        """Return a link to a path of the dashboard; of the query, what is empty is left out."""
        pairs = list(pairs_of(query))
        target = self.base + quote(path, _CHARACTERS)
        return f"{target}?{urlencode(pairs)}" if pairs else target

    def back(self, following: str) -> str:
        """Return a link to a path with its query that came from outside; home if it is none."""
        if not _OWN_PATH.fullmatch(following):
            return self.to("/")
        return self.base + quote(following, f"{_CHARACTERS}?%#[]")


def pairs_of(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Yield the pairs of a query: of a list one for each item, of what is empty none."""
    for name, value in query.items():
        values = value if isinstance(value, list | tuple) else [value]
        for each in values:
            if each is not None and each != "":
                yield name, str(each)

"""The URL under which others reach booper, where a proxy stands in front of it."""

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

_EXPECTED: Final = (
    'expected a URL such as "https://booper.example.com" or "https://example.com/tools/booper"'
)

# Spelled in one way only, so that a prefix can be compared as it comes.
_PATH: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")


class PublicURL(msgspec.Struct, frozen=True):
    """A URL without its last slash; `host` is the authority, `prefix` the path or nothing."""

    scheme: str
    host: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> "PublicURL":
        """Read a URL. Raises: ValueError, it is none under which booper can be."""
        try:
            parts = urlsplit(url)
            name, port = parts.hostname, parts.port
        except ValueError as error:  # a bracket that is not closed, a port that is none
            raise ValueError(f"{_EXPECTED}, got {url!r}") from error
        is_host = name and port != 0 and "@" not in parts.netloc and url.isascii()
        if parts.scheme not in ("http", "https") or not is_host or re.search(r"[\s?#]", url):
            raise ValueError(f"{_EXPECTED}, got {url!r}")
        if not _PATH.fullmatch(parts.path):
            raise ValueError(
                f"{_EXPECTED}; its path may have letters, digits and ._~-, got {url!r}"
            )
        return cls(parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"))

    @property
    def origin(self) -> str:
        """Return the origin, as browsers send it."""
        return f"{self.scheme}://{self.host}"

    def __str__(self) -> str:
        return f"{self.origin}{self.prefix}"

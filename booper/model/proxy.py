"""An HTTP proxy, as an operator names it by a URL."""

from base64 import b64encode
from typing import Final
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

import msgspec

DEFAULT_PORT: Final = 80

_EXPECTED: Final = 'expected the URL of an HTTP proxy, such as "http://proxy.example:3128"'


class ProxyURL(msgspec.Struct, frozen=True):
    """Where a proxy listens; `host` is without brackets.

    `authorization` is the value of `Proxy-Authorization`, if any. It is not printed.
    """

    host: str
    port: int
    authorization: bytes | None = None

    @classmethod
    def parse(cls, url: str) -> "ProxyURL":
        """Read a URL, which may have a user name and a password.

        Raises:
            ValueError: it is not the URL of an HTTP proxy. The message repeats no password.
        """
        parts = _parts(url)
        if parts.scheme != "http":
            scheme = f"got the scheme {parts.scheme[:40]!r}" if parts.scheme else "got no scheme"
            raise ValueError(f"{_EXPECTED}; {scheme}")
        if not parts.hostname:
            raise ValueError(f"{_EXPECTED}; got no host")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError(f"{_EXPECTED}; got something behind the host")
        port = DEFAULT_PORT if parts.port is None else parts.port
        return cls(parts.hostname, port, _authorization(parts))

    @property
    def name(self) -> str:
        """Return host and port, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __repr__(self) -> str:
        return f"ProxyURL({self.name!r})"


def _parts(url: str) -> SplitResult:
    if any(character <= " " or character >= "\x7f" for character in url):
        raise ValueError(f"{_EXPECTED}; got a space, or a character that a URL cannot have")
    try:
        parts = urlsplit(url)
        if parts.port == 0:
            raise ValueError("port 0")
    except ValueError as error:  # a bracket that is not closed, a port that is none
        raise ValueError(f"{_EXPECTED}; its host or port is wrong") from error
    return parts


def _authorization(parts: SplitResult) -> bytes | None:
    """Return what authenticates the user of a URL (RFC 7617)."""
    if parts.username is None:
        return None
    user, password = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
    return b"Basic " + b64encode(user + b":" + password)

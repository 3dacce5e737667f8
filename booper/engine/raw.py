"""What httpx's transport interface takes and gives, made of parts that are in wire form already.

To all who get them they are the types of httpx. Their own constructors would look for what may be
missing, and make headers twice, at a tenth of the cost of an exchange.
"""

from collections.abc import Sequence
from typing import Any

import httpx


class RawHeaders(httpx.Headers):
    """Headers that take httpx's own form, a lower-case name beside each, only if that is asked for.

    Between a delivery and booper's own transport nobody asks, which spares a quarter of the steps
    of a request. To all others they are any `httpx.Headers`.
    """

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._encoding = None

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """Return the pairs of name and value."""
        return super().raw if "_list" in self.__dict__ else list(self._raw)

    def __getattr__(self, name: str) -> Any:
        if name != "_list":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._list = [(name, name.lower(), value) for name, value in self._raw]
        return self._list


class RawRequest(httpx.Request):
    """A request that is whole: nothing is added to its headers, its stream is not read ahead."""

    def __init__(
        self,
        method: str,
        url: httpx.URL,
        headers: RawHeaders,
        stream: httpx.AsyncByteStream,
        extensions: dict[str, Any],
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.stream = stream
        self.extensions = extensions


class RawResponse(httpx.Response):
    """A response whose body is still to be read."""

    def __init__(
        self,
        status_code: int,
        headers: RawHeaders,
        stream: httpx.AsyncByteStream,
        extensions: dict[str, Any],
    ) -> None:
        self.status_code = status_code
        self.headers = headers
        self.stream = stream
        self.extensions = extensions
        self.history = []
        self.next_request = None
        self.is_closed = self.is_stream_consumed = False
        self.default_encoding = "utf-8"
        self._request = None
        self._num_bytes_downloaded = 0

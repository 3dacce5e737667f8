"""HTTP headers as they stand on the wire, behind the type that httpx's transport interface has."""

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

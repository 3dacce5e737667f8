"""Redaction: the values of secret headers are hidden wherever a person may read them (§4)."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from booper.model import exact

REDACTED = "[redacted]"

# Hidden whatever the operator says.
ALWAYS = frozenset({"authorization", "cookie", "set-cookie", "proxy-authorization"})


class Redaction(msgspec.Struct, frozen=True):
    """The headers whose values are hidden; `names` are in lower case."""

    names: frozenset[str] = ALWAYS

    @classmethod
    def of(cls, more: Iterable[str]) -> "Redaction":
        """Return a redaction of further headers, in any letter case, beside those always hidden."""
        return cls(ALWAYS | {name.lower() for name in more})

    def hides(self, name: str) -> bool:
        """Return whether the values of a header, in any letter case, are hidden."""
        return name.lower() in self.names

    def headers(self, headers: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of headers that may be shown."""
        return {name: REDACTED if self.hides(name) else value for name, value in headers.items()}

    def args(self, args: str) -> str:
        """Return a copy of stored args that may be shown; most have no secret to hide."""
        if '"headers"' not in args:
            return args
        fields: dict[str, msgspec.Raw] = msgspec.json.decode(args, type=dict[str, msgspec.Raw])
        if "headers" not in fields:
            return args
        headers: dict[str, Any] = exact.decode(fields["headers"])
        if self.names.isdisjoint(map(str.lower, headers)):
            return args
        return msgspec.json.encode({**fields, "headers": self.headers(headers)}).decode()

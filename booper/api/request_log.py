"""The id of a request, by which its response and its lines in the log are found, and its own line.

The line is at the level INFO of the logger `booper.requests`, which is off unless somebody sets
its level: booper stands behind a proxy that logs requests, or inside a program that does.
"""

import logging
import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from itertools import count
from typing import Final

from starlette.types import Message, Scope, Send

from booper.api.access import Principal
from booper.clock import monotonic

log = logging.getLogger("booper.requests")
log.setLevel(logging.WARNING)

HEADER: Final = b"x-request-id"

MAX_PATH: Final = 200

# The characters of UUIDs, base64, ULIDs and of trace contexts. None of them needs an escape.
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")

# Whoever watches booper asks for these every few seconds.
_SILENT: Final = frozenset({"/healthz", "/readyz", "/metrics"})

_LINE: Final = "%(method)s %(path)s from %(client)s: %(status)s in %(duration_ms).0f ms"

current_id: ContextVar[bytes] = ContextVar("current_id", default=b"")
"""The id of the request that is responded to, empty where there is none."""


class RequestIds:
    """Ids for requests: those that came with them, else new ones, unlike those of others.

    A new one is a number behind random digits, which are made once: a random id for each would
    cost a system call.
    """

    def __init__(self) -> None:
        self._prefix = f"{secrets.token_hex(6)}-".encode()
        self._numbers = count(1)

    def of(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Return the id of a request with these headers, and note it for what is logged."""
        found = headers.get(HEADER)
        if found is None or not _WELL_FORMED.fullmatch(found):
            found = b"%b%x" % (self._prefix, next(self._numbers))
        current_id.set(found)
        return found


class RequestLine:
    """The line of one request in the log; it is the `send` of its response, too."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began = monotonic()
        self._status: int | None = None
        self.principal: Principal | None = None

    async def send(self, message: Message) -> None:
        """Send a part of the response."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        await self._send(message)

    def write(self) -> None:
        """Log the line, unless the request only asks whether booper works."""
        scope, principal = self._scope, self.principal
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in _SILENT:
            return
        client = scope.get("client")
        fields = {
            "method": scope["method"],
            "path": path[:MAX_PATH],
            "status": self._status,
            "duration_ms": round((monotonic() - self._began) * 1000, 1),
            "client": client[0] if client else "this machine",
        }
        if principal is not None and principal.key_id is not None:
            fields["key_id"] = str(principal.key_id)
        log.info(_LINE, fields, extra={"fields": fields})


def is_on() -> bool:
    """Return whether each request has a line."""
    return log.isEnabledFor(logging.INFO)

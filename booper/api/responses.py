"""Responses that are JSON: Starlette's, but for work that each of them would repeat."""

import msgspec
from starlette.responses import Response

from booper.api.bodies import JSON

_CONTENT_TYPE = (b"content-type", JSON.encode())
_encode = msgspec.json.Encoder().encode


class JSONResponse(Response):
    """A value as JSON, or text that is JSON already, as `msgspec.Raw`.

    `location` is where what it shows can be read.
    """

    media_type = JSON

    def __init__(self, content: object, status: int = 200, location: str | None = None) -> None:
        self.status_code = status
        self.background = None
        self.body = body = _encode(content)
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            _CONTENT_TYPE,
        ]
        if location is not None:
            self.raw_headers.append((b"location", location.encode()))

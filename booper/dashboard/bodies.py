"""Bodies of requests and responses, byte for byte, as files."""

from base64 import b64decode

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.dashboard.visit import Page, Visit


class Payload(msgspec.Struct, frozen=True):
    """The body in the payload of a log entry."""

    body: msgspec.Raw = msgspec.Raw(b"null")
    body_encoding: str | None = None


class _Entry(msgspec.Struct, frozen=True):
    job_id: int
    event: str
    payload: Payload


class _Found(msgspec.Struct, frozen=True):
    data: _Entry


async def download(visit: Visit) -> Response:
    """Respond with the body that a log entry has, as text for a file: no browser opens it."""
    text = await visit.read(f"/api/logs/{visit.path['log_id']}")
    entry = msgspec.json.decode(text, type=_Found).data
    name = f"job-{entry.job_id}-{entry.event.rpartition('.')[2]}.txt"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content_of(entry.payload), headers=headers, media_type="text/plain")


def content_of(payload: Payload) -> bytes:
    """Return the bytes of a body: text in UTF-8, JSON as it came, nothing if there is none.

    A log does not tell a JSON string from text.
    """
    raw = bytes(payload.body)
    if payload.body_encoding == "base64":
        return b64decode(msgspec.json.decode(raw, type=str))
    if raw.startswith(b'"'):
        return msgspec.json.decode(raw, type=str).encode()
    return b"" if raw == b"null" else raw


PAGES = (Page("GET", "/logs/{log_id}/body", Access.READ, download),)

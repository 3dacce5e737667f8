"""What a target receives: one attempt's request, from what its user asked for (contract §8)."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec

from booper.model.job import Attempt, Job, Request
from booper.model.timestamps import precise


def render(attempt: Attempt, user_agent: str) -> Request:
    """Build an attempt's request; headers of the user win over booper's own of the same name."""
    args = attempt.args
    headers = {name: text_of(value) for name, value in (args.headers or {}).items()}
    given = {name.lower(): value for name, value in headers.items()}
    content = _content(args.body, given)
    own = _own_headers(attempt.job, user_agent, has_body=bool(content))
    headers |= {name: value for name, value in own if name.lower() not in given}
    return Request((args.method or "get").upper(), _url(args.url, args.query), headers, content)


def _own_headers(job: Job, user_agent: str, *, has_body: bool) -> Iterator[tuple[str, str]]:
    yield "User-Agent", user_agent
    yield "Booper-Job-Id", str(job.id)
    yield "Booper-Attempt", str(job.attempt)
    yield "Booper-Scheduled-At", precise(job.planned_at)
    yield "Idempotency-Key", str(job.uuid)
    # A gzip bomb would expand before its size is seen: ask for the bytes as they are.
    yield "Accept-Encoding", "identity"
    if has_body:
        yield "Content-Type", "application/json"


def _content(body: msgspec.Raw | msgspec.UnsetType, given: dict[str, str]) -> bytes:
    """Return the body's bytes: JSON, or a string's own text where the user said what it is."""
    if body is msgspec.UNSET:
        return b""
    raw = bytes(body)
    if raw.startswith(b'"') and "content-type" in given:
        return msgspec.json.decode(raw, type=str).encode()
    return raw


def _url(url: str, query: dict[str, Any] | None) -> str:
    """Add query parameters to a URL: a list repeats its name, null leaves it out."""
    pairs = [
        (name, text_of(item))
        for name, value in (query or {}).items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]
    if not pairs:
        return url
    base, _, _ = url.partition("#")
    separator = "&" if "?" in base else "?"
    return f"{base}{separator}{urlencode(pairs)}"


def text_of(value: object) -> str:
    """Write a header's or a parameter's value: text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

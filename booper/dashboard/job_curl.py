"""The request of a job as a curl command, to be sent by hand."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from booper.dashboard.text import visible_json, visible_word
from booper.wire.redaction import REDACTED
from booper.wire.request import text_of, with_query

_CONTENT_TYPE: Final = "content-type"


class AsCurl(msgspec.Struct, frozen=True):
    """A curl command; `hidden` are the headers whose values are to be put in."""

    text: str
    hidden: tuple[str, ...]


def curl_of(args: Mapping[str, Any], sent: Mapping[str, Any] | None) -> AsCurl:
    """Return what sends a job's request: as it was sent last, or as it was asked for.

    `sent` is the payload of a request in the log.
    """
    found = args if sent is None or "body_encoding" in sent else sent
    headers = {name: text_of(value) for name, value in (found.get("headers") or {}).items()}
    method = (args.get("method") or "get").upper()
    body = _body(found.get("body"), headers)
    if body is not None and _CONTENT_TYPE not in map(str.lower, headers):
        headers["Content-Type"] = "application/json"
    hidden = tuple(name for name, value in headers.items() if value == REDACTED)
    url = with_query(args["url"] if sent is None else found["url"], found.get("query") or {})
    parts = [f"curl -X {method} {visible_word(url)}", *map(_header, headers.items())]
    if body is not None:
        parts.append(f"--data-raw {visible_word(body)}")
    return AsCurl(" \\\n  ".join(parts), hidden)


def last_request(attempts: Sequence[Any]) -> Mapping[str, Any] | None:
    """Return the payload of the last request that was sent, None if none was."""
    sent = [each.request["payload"] for each in attempts if each.request is not None]
    return sent[-1] if sent else None


def _header(header: tuple[str, str]) -> str:
    """Return an option; curl sends a header without a value where a semicolon ends its name."""
    name, value = header
    return f"-H {visible_word(f'{name}: {value}' if value.strip() else f'{name};')}"


def _body(body: Any, headers: Mapping[str, str]) -> str | None:
    """Return the text of a body: JSON, but of a string its text if its type was given."""
    if body is None:
        return None
    is_typed = _CONTENT_TYPE in map(str.lower, headers)
    if isinstance(body, str) and is_typed:
        return body
    return visible_json(msgspec.json.encode(body).decode())

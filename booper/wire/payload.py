"""Requests and outcomes as log entries, callbacks and webhook events show them (contract §7)."""

from base64 import b64encode
from datetime import timedelta

import msgspec

from booper.model import json_text
from booper.model.job import Failed, Outcome, Refused, Request, Responded, Response
from booper.wire.charset import body_text, in_utf8
from booper.wire.redaction import Redaction

_MILLISECOND = timedelta(milliseconds=1)


def request_payload(request: Request, redaction: Redaction) -> dict[str, object]:
    """Return a request as it is shown; its `url` is without the parameters of `query`."""
    return {
        **_sent_body(request),
        "headers": redaction.headers(request.user_headers),
        "query": request.query,
        "url": request.url.removesuffix(request.query_text),
    }


def _sent_body(request: Request) -> dict[str, object]:
    """Return a body as the JSON that it is, or as the text that a string was sent as."""
    if not request.content:
        return {"body": None}
    given = (v for name, v in request.user_headers.items() if name.lower() == "content-type")
    kind = next(given, "application/json")  # what booper writes if its user did not
    # A string is sent in UTF-8, whatever charset its user declares.
    return _shown(request.content, "json" if "json" in kind.lower() else "")


def outcome_payload(outcome: Outcome, redaction: Redaction) -> dict[str, object]:
    """Return an outcome as it is shown: the response, or why there is none."""
    match outcome:
        case Responded(response=response, duration=duration):
            return _response_payload(response, duration, redaction)
        case Failed(error=error, message=message, duration=duration):
            return {"error": error, "message": message, "duration_ms": _milliseconds(duration)}
        case Refused(message=message):
            return {"error": "refused", "message": message, "duration_ms": 0}


def _response_payload(
    response: Response, duration: timedelta, redaction: Redaction
) -> dict[str, object]:
    payload: dict[str, object] = {
        "status": response.status,
        "headers": redaction.headers(response.headers),
        **_shown(response.body, response.headers.get("content-type", ""), is_cut=response.is_cut),
        "duration_ms": _milliseconds(duration),
    }
    if response.is_cut:
        payload["truncated"] = True
    if response.fault:
        payload["fault"] = response.fault
    return payload


def _shown(body: bytes, content_type: str, *, is_cut: bool = False) -> dict[str, object]:
    """Return a JSON body as the JSON it is, other text as text, and bytes in base64."""
    if "json" in content_type.lower() and not is_cut:
        content = in_utf8(body, content_type)
        try:
            json_text.check(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            return {"body": msgspec.Raw(content)}
    text = body_text(body, content_type, is_cut=is_cut)
    if text is None:
        return {"body": b64encode(body).decode(), "body_encoding": "base64"}
    return {"body": text}


def _milliseconds(duration: timedelta) -> float:
    return duration / _MILLISECOND

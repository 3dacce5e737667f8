"""Errors on the wire: RFC 9457 problem details, one place for all of them."""

from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from booper.api.paths import advice
from booper.errors import (
    BodyTooLarge,
    BooperError,
    InvalidRequest,
    StoreUnavailable,
    TooManyConnections,
    TooManyRequests,
    TooManyResponses,
    Unauthenticated,
    UnsupportedEncoding,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1


class FieldProblem(msgspec.Struct, frozen=True):
    """One wrong field: a JSON Pointer (RFC 6901) and what would be right."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem details object (RFC 9457 §3)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | msgspec.UnsetType = msgspec.UNSET


def problem_of(error: BooperError) -> Problem:
    """Describe an expected error."""
    if isinstance(error, InvalidRequest):
        fields = [FieldProblem(item.pointer, item.detail) for item in error.errors]
        return Problem(title=error.title, status=error.status, detail=str(error), errors=fields)
    return Problem(title=error.title, status=error.status, detail=str(error))


async def answer_expected(request: Request, error: Exception) -> Response:
    """Answer one of booper's own errors."""
    assert isinstance(error, BooperError)
    return _respond(problem_of(error), headers_of(error))


async def answer_http(request: Request, error: Exception) -> Response:
    """Answer what the router found: no such path, or no such method there."""
    assert isinstance(error, HTTPException)
    headers, title = error.headers or {}, HTTPStatus(error.status_code).phrase
    detail = f"{request.method} {request.url.path[:200]}: {title.lower()}"
    match error.status_code:
        case 404:
            prefix = request.scope.get("root_path", "")
            templates = [operation.path for operation in request.app.state.operations]
            path = request.url.path.removeprefix(prefix)[:200]
            detail += f"; {advice(path, templates, prefix)}"
        case 405:
            detail += f"; expected {headers['Allow']}"
    return _respond(Problem(title=title, status=error.status_code, detail=detail), headers)


async def answer_unexpected(request: Request, error: Exception) -> Response:
    """Answer a fault of booper's own, without its innards; the log has the traceback."""
    return _respond(unexpected(), {})


def unexpected() -> Problem:
    """Describe a fault of booper's own."""
    detail = "booper failed to answer this request; its log says why"
    return Problem(title="Internal error", status=500, detail=detail)


def headers_of(error: BooperError) -> Mapping[str, str]:
    """Return the headers that an error's answer has beside its body's."""
    match error:
        case Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="booper"'}
        case TooManyRequests(retry_seconds=seconds):
            return {"Retry-After": str(ceil(seconds))}
        case StoreUnavailable() | TooManyConnections() | TooManyResponses():
            return {"Retry-After": str(RETRY_SECONDS)}
        case UnsupportedEncoding():
            return {"Accept-Encoding": "identity"}  # RFC 9110 §15.5.16
        case BodyTooLarge():
            # The rest of the body is not read, so nothing can follow it on this connection.
            return {"Connection": "close"}
        case _:
            return {}


def _respond(problem: Problem, headers: Mapping[str, Any]) -> Response:
    content = msgspec.json.encode(problem)
    return Response(content, problem.status, headers=dict(headers), media_type=MEDIA_TYPE)

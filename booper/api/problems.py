"""Errors on the wire: RFC 9457 problem details, one place for all of them."""

from collections.abc import Mapping
from math import ceil

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from booper.errors import (
    BodyTooLarge,
    BooperError,
    InvalidRequest,
    MethodNotAllowed,
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


class ProblemResponse(Response):
    """The response to an expected error."""

    media_type = MEDIA_TYPE

    def __init__(self, error: BooperError) -> None:
        content = msgspec.json.encode(problem_of(error))
        super().__init__(content, error.status, headers_of(error))


class FaultResponse(ProblemResponse):
    """The response to a fault of booper's own, without its innards; then it raises that fault.

    So the server hears of it, and logs it.
    """

    def __init__(self, fault: Exception) -> None:
        super().__init__(BooperError("booper failed to respond to this request; its log says why"))
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises: the fault."""
        await super().__call__(scope, receive, send)
        raise self._fault


def problem_of(error: BooperError) -> Problem:
    """Describe an expected error."""
    if isinstance(error, InvalidRequest):
        fields = [FieldProblem(item.pointer, item.detail) for item in error.errors]
        return Problem(title=error.title, status=error.status, detail=str(error), errors=fields)
    return Problem(title=error.title, status=error.status, detail=str(error))


def headers_of(error: BooperError) -> Mapping[str, str]:
    """Return the headers of the response to an error, beside those of its body."""
    match error:
        case Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="booper"'}
        case TooManyRequests(retry_seconds=seconds):
            return {"Retry-After": str(ceil(seconds))}
        case StoreUnavailable() | TooManyConnections() | TooManyResponses():
            return {"Retry-After": str(RETRY_SECONDS)}
        case UnsupportedEncoding():
            return {"Accept-Encoding": "identity"}  # RFC 9110 §15.5.16
        case MethodNotAllowed(allowed=allowed):
            return {"Allow": allowed}
        case BodyTooLarge():
            # The rest of the body is not read, so nothing can follow it on this connection.
            return {"Connection": "close"}
        case _:
            return {}

"""Which errors an operation may respond with, and how OpenAPI describes each."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from booper.api.access import Access
from booper.api.bodies import FORM, JSON
from booper.api.operations import Operation
from booper.api.problems import MEDIA_TYPE, FieldProblem, Problem
from booper.api.schemas import Schema, reference
from booper.errors import (
    BodyTooLarge,
    BooperError,
    Conflict,
    Forbidden,
    HeadersTooLarge,
    InvalidRequest,
    MalformedBody,
    MalformedRequest,
    NotFound,
    RequestTimeout,
    StoreFull,
    StoreUnavailable,
    TooManyConnections,
    TooManyRequests,
    Unauthenticated,
    Unimplemented,
    UnsupportedMediaType,
    URLTooLong,
)

REQUEST_ID: Final = "X-Request-Id"

# RFC 9110: §11.6.1 wants the challenge with 401, §10.2.3 is when to come back.
HEADERS: Final[Mapping[str, Schema]] = {
    "Location": {"description": "Where it can be read", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}},
    REQUEST_ID: {
        "description": "The id of the request, as the log has it: that of its own `X-Request-Id` "
        "if that is well-formed, else a new one. A request that cannot be read has none.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~+/=:@-]{1,128}$"},
    },
}
_HEADER_OF: Final[Mapping[type[BooperError], str]] = {
    Unauthenticated: "WWW-Authenticate",
    TooManyRequests: "Retry-After",
    StoreUnavailable: "Retry-After",
    TooManyConnections: "Retry-After",
    StoreFull: "Retry-After",
}
DETAILS: Final[Mapping[type[BooperError], str]] = {
    MalformedRequest: "a request must have one Host header, got 0",
    MalformedBody: "the body is not JSON: trailing comma in object (byte 7)",
    Unauthenticated: "no API key; send the header `Authorization: Bearer sk_…`",
    Forbidden: "this needs a key of scope write; this key has the scope read",
    NotFound: "there is no job '29180'",
    Conflict: "the job is executing",
    RequestTimeout: "the request did not arrive in time",
    URLTooLong: "the URL must have at most 16384 bytes",
    HeadersTooLarge: "a request has at most 100 headers, with at most 32768 bytes",
    Unimplemented: "Transfer-Encoding must be chunked alone, got 'gzip, chunked'",
    TooManyConnections: "too many connections; try again later",
    BodyTooLarge: "the body must have at most 1048576 bytes",
    UnsupportedMediaType: f"expected {JSON} or {FORM}, got 'text/plain'",
    InvalidRequest: "unknown unit 'minuts'; expected one of seconds, minutes, hours, days, weeks",
    TooManyRequests: "this key may make 10 requests a second, and 20 at once; try again in 1 s",
    StoreUnavailable: "the store cannot write now",
    StoreFull: "the disk is full",
}


def errors_of(operation: Operation) -> list[type[BooperError]]:
    """Return the errors that an operation may respond with, by status."""
    documentation = operation.documentation
    errors: set[type[BooperError]] = {
        MalformedRequest,
        RequestTimeout,
        URLTooLong,
        HeadersTooLarge,
        Unimplemented,
        *documentation.errors,
    }
    if operation.access is Access.OPEN and StoreUnavailable not in errors:
        errors.add(TooManyConnections)
    if operation.access is not Access.OPEN:
        errors |= {Unauthenticated, Forbidden, TooManyRequests, StoreUnavailable, StoreFull}
    if "{" in operation.path:
        errors.add(NotFound)
    if documentation.parameters or not documentation.ignores_query:
        errors.add(InvalidRequest)
    if documentation.body is not None:
        errors -= {MalformedRequest}  # of one status, and told in the same way
        errors |= {MalformedBody, BodyTooLarge, UnsupportedMediaType}
        errors.add(InvalidRequest)
    return sorted(errors, key=lambda error: error.status)


def error_response(error: type[BooperError]) -> Schema:
    """Describe the response that reports an error."""
    problem = Problem(title=error.title, status=error.status, detail=DETAILS[error])
    if error is InvalidRequest:
        problem = replace(problem, errors=[FieldProblem("/schedule_in/1", problem.detail)])
    content = {"schema": reference("Problem"), "example": msgspec.to_builtins(problem)}
    described: Schema = {"description": error.title, "content": {MEDIA_TYPE: content}}
    names = [REQUEST_ID] if error not in _HEADER_OF else [_HEADER_OF[error], REQUEST_ID]
    described["headers"] = {name: header_reference(name) for name in names}
    return described


def header_reference(name: str) -> Schema:
    """Return a reference to the description of a header."""
    return {"$ref": f"#/components/headers/{name}"}

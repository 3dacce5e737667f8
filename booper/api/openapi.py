"""The API described as an OpenAPI 3.1 document, out of the operations and the types they read.

It is pure: operations go in, a document comes out. What an operation may answer follows from what
it is (its access, parameters and body) as far as it can; the tables of operations say the rest.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from booper import __version__
from booper.api import channels
from booper.api.access import Access
from booper.api.batch import MOST_IN_BATCH
from booper.api.bodies import FORM, JSON
from booper.api.filters import LONGEST_PREFIX
from booper.api.jobs import JOB
from booper.api.operations import Data, DescribedBody, DescribedResponse, Operation, Parameter
from booper.api.problems import MEDIA_TYPE, FieldProblem, Problem
from booper.api.reports import webhooks
from booper.api.schemas import (
    ANYTHING,
    COMPONENTS,
    CREATE,
    NO_CONTROL,
    NOT_BLANK,
    NULL,
    RULES_OF_CREATE,
    UUID,
    Schema,
    absent,
    choice,
    listed,
    matching,
    reference,
    refined,
    text,
)
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
from booper.model.job import State
from booper.model.key import MAX_NAME_LENGTH, Scope

VERSION: Final = "3.1.0"
REFERENCE: Final = "#/components/schemas/{name}"

_STATES = listed(State)
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_NAME = {
    **text(MAX_NAME_LENGTH),
    "pattern": NO_CONTROL,
    "allOf": [{"pattern": NOT_BLANK}],
    "description": "Printable characters",
}
_FILTER: Final[Mapping[str, Schema]] = {
    "state": {"anyOf": [_STATES, {"type": "array", "items": _STATES}]},
    "tag": text(LONGEST_PREFIX),
    "schedule_id": UUID,
    "url_prefix": text(LONGEST_PREFIX),
    "host": text(LONGEST_PREFIX),
    "before": reference("Moment"),
    "after": reference("Moment"),
}

FIELDS: Final[Mapping[str, Mapping[str, Schema]]] = {
    "Args": CREATE,
    "Batch": {
        "jobs": {"type": "array", "items": ANYTHING, "minItems": 1, "maxItems": MOST_IN_BATCH}
    },
    "Broadcast": {**channels.FIELDS, "channel": matching(channels.CHANNEL.pattern)},
    "FilterBody": _FILTER,
    "TargetBody": {
        "host": {**matching(r"[^\s/@?#\\]+|app:/"), "description": "A host, a host:port, or *"},
        "origin": matching(r"([Hh][Tt][Tt][Pp][Ss]?://[^\s@?#\\]+|app:/?)"),
    },
    "JobState": {
        "attempted_at": _TIME,
        "cancelled_at": _TIME,
        "completed_at": _TIME,
        "discarded_at": _TIME,
        "inserted_at": _TIME,
        "scheduled_at": _TIME,
        "state": choice(State),
    },
    "KeyRequest": {"name": _NAME, "user": _NAME, "scope": choice(Scope)},
    "Post": channels.FIELDS,
}
"""What is said of the fields of types, by their names, where they are not null."""

_ALL: Final[Schema] = {"required": ["all"], "properties": {"all": {"const": True}}}
_SOME: Final[Schema] = {
    "type": "object",
    "anyOf": [
        {"required": [name], "properties": {name: {"not": {"enum": [None, []]}}}}
        for name in _FILTER
    ],
}
_OWN_KEYS: Final[Schema] = {"patternProperties": {"^[$]": {}}}
RULES: Final[Mapping[str, Schema]] = {
    "Args": {"allOf": RULES_OF_CREATE},
    "Broadcast": _OWN_KEYS,
    "Post": _OWN_KEYS,
    "TargetBody": {"anyOf": [absent("host"), absent("origin")]},
    "ManyBody": {
        "anyOf": [
            _ALL,
            {"required": ["filter"], "properties": {"filter": _SOME}},
            {
                "required": ["filter"],
                "properties": {"filter": {**_ALL, "type": "object"}, "all": NULL},
            },
        ]
    },
}
"""What is said of types as a whole: what their fields allow each other."""

_DESCRIPTION: Final = """Post a request now, it is sent at its time: once, or again and again.

Times are UTC. An optional field that is null counts as absent. Errors are problem details
(RFC 9457); of bad input, `errors` names each wrong field by its JSON Pointer (RFC 6901)."""

_KEY: Final[Schema] = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, `sk_…`. The scheme `Token` is accepted as well.",
}

# RFC 9110: §11.6.1 wants the challenge with 401, §10.2.3 is when to come back.
_HEADERS: Final[Mapping[str, Schema]] = {
    "Location": {"description": "Where it can be read", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}},
}
_OF_ERRORS: Final[Mapping[type[BooperError], str]] = {
    Unauthenticated: "WWW-Authenticate",
    TooManyRequests: "Retry-After",
    StoreUnavailable: "Retry-After",
    TooManyConnections: "Retry-After",
    StoreFull: "Retry-After",
}
_DETAILS: Final[Mapping[type[BooperError], str]] = {
    MalformedRequest: "a request must have one Host header, got 0",
    MalformedBody: "the body is not JSON: trailing comma in object (byte 7)",
    Unauthenticated: "no API key; send the header `Authorization: Bearer sk_…`",
    Forbidden: "this needs a key of scope write, this one's is read",
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
    TooManyRequests: "this key may make 10 requests a second, and 20 at once; come again in 1 s",
    StoreUnavailable: "the store cannot write now",
    StoreFull: "the disk is full",
}


def document(operations: Iterable[Operation], now: datetime) -> Schema:
    """Describe operations; their examples are right `now`."""
    known = tuple(operations)
    paths: dict[str, dict[str, Schema]] = {}
    for operation in known:
        path = paths.setdefault(operation.template, {})
        path[operation.method.lower()] = _operation(operation, now)
    types = dict.fromkeys(kind for each in known for kind in _types(each))
    _, shapes = msgspec.json.schema_components(types, ref_template=REFERENCE)
    return {
        "openapi": VERSION,
        "info": {"title": "booper", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.documentation.tag for each in known)],
        "paths": paths,
        "webhooks": webhooks(JOB),
        "components": {
            "schemas": {**refined(shapes, FIELDS, RULES), **COMPONENTS},
            "responses": {error.__name__: _error(error) for error in _DETAILS},
            "headers": _HEADERS,
            "securitySchemes": {"key": _KEY},
        },
    }


def errors_of(operation: Operation) -> list[type[BooperError]]:
    """Return the errors that an operation may answer, by status."""
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


def _types(operation: Operation) -> Iterator[type]:
    """Return the types of an operation's bodies and of its errors."""
    documentation = operation.documentation
    yield Problem
    if documentation.body is not None and isinstance(documentation.body.kind, type):
        yield documentation.body.kind
    for answer in documentation.responses.values():
        for kind in answer.kinds:
            if isinstance(kind, type | Data):
                yield kind.kind if isinstance(kind, Data) else kind


def _schema(kind: Any) -> Schema:
    """Return the schema of a type, of an envelope, or what already is one."""
    match kind:
        case Data(kind=inner, is_list=True):
            return _enveloped({"type": "array", "items": _schema(inner)})
        case Data(kind=inner):
            return _enveloped(_schema(inner))
        case type():
            return reference(kind.__name__)
        case _:
            return dict(kind)


def _enveloped(schema: Schema) -> Schema:
    return {"type": "object", "properties": {"data": schema}, "required": ["data"]}


def _operation(operation: Operation, now: datetime) -> Schema:
    documentation = operation.documentation
    described: Schema = {
        "operationId": _identifier(operation),
        "summary": operation.summary,
        "description": f"Needs {operation.access.value}.",
        "tags": [documentation.tag],
        "security": [] if operation.access is Access.OPEN else [{"key": []}],
        "parameters": [_parameter(each, operation.template) for each in documentation.parameters],
        "responses": {
            **{str(status): _answer(each) for status, each in documentation.responses.items()},
            **{
                str(error.status): {"$ref": f"#/components/responses/{error.__name__}"}
                for error in errors_of(operation)
            },
        },
    }
    if documentation.body is not None:
        described["requestBody"] = _request(documentation.body, now)
    if documentation.is_deprecated:
        described["deprecated"] = True
    return described


def _identifier(operation: Operation) -> str:
    """Return a name such as `post_jobs_job_id_cancel`."""
    words = re.findall(r"\w+", operation.template.removeprefix("/api"))
    return "_".join([operation.method.lower(), *words])


def _parameter(parameter: Parameter, path: str) -> Schema:
    is_of_path = f"{{{parameter.name}}}" in path
    described = {
        "name": parameter.name,
        "in": "path" if is_of_path else "query",
        "required": is_of_path,
        "description": parameter.description,
        "schema": parameter.schema,
    }
    return described if parameter.example is None else {**described, "example": parameter.example}


def _request(posted: DescribedBody, now: datetime) -> Schema:
    examples = posted.examples(now) if callable(posted.examples) else posted.examples
    content: Schema = {JSON: {"schema": _schema(posted.kind), "examples": _examples(examples)}}
    if posted.form is not None:
        content[FORM] = {"schema": posted.form, "examples": _examples(posted.form_examples)}
    return {"required": posted.is_required, "content": content}


def _examples(examples: Mapping[str, Any]) -> Schema:
    return {name: {"value": value} for name, value in examples.items()}


def _answer(answer: DescribedResponse) -> Schema:
    described: Schema = {"description": answer.description}
    if answer.kinds:
        schemas = [_schema(kind) for kind in answer.kinds]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        content = {"schema": schema, "example": answer.example}
        described["content"] = {answer.media_type: content}
    if answer.headers:
        described["headers"] = {name: _header(name) for name in answer.headers}
    return described


def _error(error: type[BooperError]) -> Schema:
    problem = Problem(title=error.title, status=error.status, detail=_DETAILS[error])
    if error is InvalidRequest:
        problem = replace(problem, errors=[FieldProblem("/schedule_in/1", problem.detail)])
    content = {"schema": reference("Problem"), "example": msgspec.to_builtins(problem)}
    described: Schema = {"description": error.title, "content": {MEDIA_TYPE: content}}
    if (header := _OF_ERRORS.get(error)) is not None:
        described["headers"] = {header: _header(header)}
    return described


def _header(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}

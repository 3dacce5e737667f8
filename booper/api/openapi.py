"""The API described as an OpenAPI 3.1 document, out of the operations and the types they read.

It is pure: operations go in, a document comes out. What an operation may respond with follows
from what it is (its access, parameters and body) as far as it can; the tables of operations say
the rest.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from booper import __version__
from booper.api.access import Access
from booper.api.bodies import FORM, JSON
from booper.api.jobs import JOB
from booper.api.openapi_errors import (
    DETAILS,
    HEADERS,
    REQUEST_ID,
    error_response,
    errors_of,
    header_reference,
)
from booper.api.openapi_types import FIELDS, RULES
from booper.api.operations import Data, DescribedBody, DescribedResponse, Operation, Parameter
from booper.api.problems import Problem
from booper.api.reports import webhooks
from booper.api.schemas import (
    COMPONENTS,
    Schema,
    reference,
    refined,
)

VERSION: Final = "3.1.0"
REFERENCE: Final = "#/components/schemas/{name}"

_DESCRIPTION: Final = """Post a request now, and it is sent at its time: once, or repeatedly.

Times are UTC. An optional field that is null counts as absent. Errors are problem details
(RFC 9457); for invalid input, `errors` names each invalid field by its JSON Pointer (RFC 6901)."""

_KEY: Final[Schema] = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, `sk_…`. The scheme `Token` is accepted as well.",
}


def document(operations: Iterable[Operation], now: datetime, url: str = "") -> Schema:
    """Describe operations at a URL; their examples are right `now`."""
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
        "servers": [{"url": url or "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.documentation.tag for each in known)],
        "paths": paths,
        "webhooks": webhooks(JOB),
        "components": {
            "schemas": {**refined(shapes, FIELDS, RULES), **COMPONENTS},
            "responses": {error.__name__: error_response(error) for error in DETAILS},
            "headers": HEADERS,
            "securitySchemes": {"key": _KEY},
        },
    }


def _types(operation: Operation) -> Iterator[type]:
    """Return the types of an operation's bodies and of its errors."""
    documentation = operation.documentation
    yield Problem
    if documentation.body is not None and isinstance(documentation.body.kind, type):
        yield documentation.body.kind
    for response in documentation.responses.values():
        for kind in response.kinds:
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
            **{str(status): _response(each) for status, each in documentation.responses.items()},
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


def _response(response: DescribedResponse) -> Schema:
    described: Schema = {"description": response.description}
    if response.kinds:
        schemas = [_schema(kind) for kind in response.kinds]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        content = {"schema": schema, "example": response.example}
        described["content"] = {response.media_type: content}
    names = (*response.headers, REQUEST_ID)
    described["headers"] = {name: header_reference(name) for name in names}
    return described

"""An operation tried by a form: what its fields mean as a request, and the response to it."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from booper.dashboard.code import curl_command
from booper.dashboard.description import Operation
from booper.dashboard.schema_words import Field, Schema
from booper.dashboard.visit import Visit
from booper.model import exact

BODY: Final = "body"
_HIDDEN_HEADERS: Final = frozenset({"content-length"})


class Input(msgspec.Struct, frozen=True):
    """A field of the form: `name` is its name there, `choices` are all values if there are few."""

    name: str
    field: Field
    choices: Sequence[str]


class Meant(msgspec.Struct, frozen=True):
    """The request that a form means; `body` is text as it was typed, None if it has none."""

    method: str
    path: str
    query: Mapping[str, str]
    body: str | None

    @property
    def target(self) -> str:
        """Return its path and query as they are written in a request."""
        path = quote(self.path, "/:@!$&'()*+,;=~")
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def curl(self, url: str) -> str:
        """Return a command that sends it to the booper that has a URL."""
        return curl_command(self.method, f"{url}{self.target}", self.body)


class Tried(msgspec.Struct, frozen=True):
    """The response to a request that a form meant; `body` is JSON, or text if it is none."""

    meant: Meant
    status: int
    phrase: str
    headers: Mapping[str, str]
    body: Any


def inputs_of(operation: Operation) -> Sequence[Input]:
    """Return the fields of the form for an operation's parameters."""
    return [
        Input(f"{place}.{field.name}", field, list(_choices(schema)))
        for place, field, schema in operation.parameters
    ]


def filled(operation: Operation) -> Mapping[str, str]:
    """Return the form as it is at first: with the first example of a body."""
    if operation.body is None:
        return {}
    example = next(iter(operation.body.examples.values()), None)
    return {BODY: "" if example is None else _pretty(example)}


def meant_by(operation: Operation, form: Mapping[str, str]) -> Meant:
    """Return the request that a form means; `JOB_ID` stands for a `job_id` that is not given."""
    described = operation.described
    path, query = described.path, dict[str, str]()
    for place, field, _ in operation.parameters:
        value = form.get(f"{place}.{field.name}", "")
        if place == "query" and value:
            query[field.name] = value
        elif place == "path":
            path = path.replace(f"{{{field.name}}}", value or field.name.upper())
    body = form.get(BODY, "").strip() if operation.body else ""
    return Meant(described.method, path, query, body or None)


async def try_operation(visit: Visit, operation: Operation, form: Mapping[str, str]) -> Tried:
    """Send what a form means as whoever is signed in. Raises: Unauthenticated, Forbidden."""
    meant = meant_by(operation, form)
    content = (meant.body or "").encode()
    principal, route = visit.signed_in.principal, operation.described.route
    visit.api.check(principal, route)
    response = await visit.api.respond(principal, meant.method, meant.path, meant.query, content)
    headers = {
        name: value for name, value in response.headers.items() if name not in _HIDDEN_HEADERS
    }
    phrase = HTTPStatus(response.status_code).phrase
    return Tried(meant, response.status_code, phrase, headers, _read(bytes(response.body)))


def _choices(schema: Schema) -> Iterator[str]:
    if schema.get("type") == "boolean":
        yield from ("true", "false")
    yield from schema.get("enum", ())


def _read(body: bytes) -> Any:
    try:
        return exact.decode(body) if body else ""
    except (msgspec.DecodeError, ValueError):
        return body.decode(errors="replace")


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()

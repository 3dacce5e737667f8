"""The API's operations as its own OpenAPI document describes them, ready to be shown. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec

from booper.api.request_counts import Route
from booper.dashboard.schema_words import (
    Field,
    Piece,
    Schema,
    field_of,
    fields_of,
    pieces_of,
    references_of,
)

JSON: Final = "application/json"


class Described(msgspec.Struct, frozen=True):
    """An operation in a list; `tag` is the resource that it belongs to."""

    identifier: str
    tag: str
    method: str
    path: str
    summary: str
    needs: str

    @property
    def route(self) -> Route:
        """Return its method and its path."""
        return self.method, self.path

    @property
    def page(self) -> str:
        """Return the path of its page."""
        return f"/docs/api/{self.tag}/{self.identifier}"


class Type(msgspec.Struct, frozen=True):
    """What is sent or received: its fields if it is an object, `words` in any case."""

    name: str
    description: str
    words: Sequence[Piece]
    fields: Sequence[Field]


class Body(msgspec.Struct, frozen=True):
    """The body of a request; `examples` are values of JSON by what they are."""

    is_required: bool
    media_types: Sequence[str]
    type: Type
    examples: Mapping[str, Any]


class Received(msgspec.Struct, frozen=True):
    """A response: of one that reports an error, `example` is a problem document."""

    status: int
    description: str
    headers: Sequence[str]
    media_type: str
    type: Type | None
    example: Any


class Operation(msgspec.Struct, frozen=True):
    """All about an operation; `types` are those that it refers to, without the body's own."""

    described: Described
    parameters: Sequence[tuple[str, Field, Schema]]
    body: Body | None
    responses: Sequence[Received]
    errors: Sequence[Received]
    types: Sequence[Type]

    @property
    def is_json(self) -> bool:
        """Return whether its responses are JSON: no stream, which does not end, and no metrics."""
        return all(each.media_type in ("", JSON) for each in self.responses)


class Description:
    """An OpenAPI document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]

    @cached_property
    def operations(self) -> Sequence[Described]:
        """Return all operations, those of a resource together."""
        found = [
            Described(
                identifier=each["operationId"],
                tag=each["tags"][0],
                method=method.upper(),
                path=path,
                summary=each["summary"],
                needs=each["description"],
            )
            for path, methods in self._document["paths"].items()
            for method, each in methods.items()
        ]
        return [each for tag in self.tags for each in found if each.tag == tag]

    @property
    def tags(self) -> Sequence[str]:
        """Return the names of the resources."""
        return [tag["name"] for tag in self._document["tags"]]

    @property
    def words(self) -> str:
        """Return what is said of the API as a whole."""
        text: str = self._document["info"]["description"]
        return text

    @property
    def problem(self) -> Type:
        """Return the type of the responses that report errors."""
        return self._type("Problem", self._schemas["Problem"])

    @property
    def errors(self) -> Sequence[Received]:
        """Return the errors of all operations, by status."""
        found = [self._received(name) for name in self._document["components"]["responses"]]
        return sorted(found, key=lambda each: each.status)

    def operation(self, described: Described) -> Operation:
        """Return all about one of `operations`."""
        raw = self._document["paths"][described.path][described.method.lower()]
        responses = {
            status: each for status, each in raw["responses"].items() if "$ref" not in each
        }
        referring = [*raw["parameters"], raw.get("requestBody", {}), *responses.values()]
        body = self._body(raw["requestBody"]) if "requestBody" in raw else None
        shown = {body.type.name} if body else set()
        return Operation(
            described=described,
            parameters=[
                (each["in"], self._parameter(each), each["schema"]) for each in raw["parameters"]
            ],
            body=body,
            responses=[self._response(int(status), each) for status, each in responses.items()],
            errors=[
                self._received(each["$ref"].rpartition("/")[2])
                for each in raw["responses"].values()
                if "$ref" in each
            ],
            types=[
                self._type(name, self._schemas[name])
                for name in self._closure(referring)
                if name not in shown
            ],
        )

    def _parameter(self, raw: Mapping[str, Any]) -> Field:
        return field_of(
            raw["name"],
            raw["schema"],
            is_required=raw["required"],
            description=raw["description"],
        )

    def _body(self, raw: Mapping[str, Any]) -> Body:
        content = raw["content"][JSON]
        examples = {name: each["value"] for name, each in content["examples"].items()}
        return Body(raw["required"], list(raw["content"]), self._shape(content["schema"]), examples)

    def _response(self, status: int, raw: Mapping[str, Any]) -> Received:
        for media_type, content in raw.get("content", {}).items():
            shape = self._shape(content["schema"])
            return self._of(status, raw, media_type, shape, content.get("example"))
        return self._of(status, raw, "", None, None)

    def _received(self, name: str) -> Received:
        """Return the response that reports an error."""
        raw = self._document["components"]["responses"][name]
        [(media_type, content)] = raw["content"].items()
        example = content["example"]
        return self._of(example["status"], raw, media_type, None, example)

    def _of(
        self, status: int, raw: Mapping[str, Any], media_type: str, shape: Type | None, example: Any
    ) -> Received:
        headers = list(raw.get("headers", ()))
        return Received(status, raw["description"], headers, media_type, shape, example)

    def _shape(self, schema: Schema) -> Type:
        """Return the type of a body; one that only refers to another as that one."""
        if set(schema) == {"$ref"}:
            name = next(references_of(schema))
            return self._type(name, self._schemas[name])
        return self._type("", schema)

    def _type(self, name: str, schema: Schema) -> Type:
        words = list(pieces_of(schema))
        return Type(name, schema.get("description", ""), words, list(fields_of(schema)))

    def _closure(self, schemas: Sequence[Any]) -> Iterator[str]:
        """Yield the names of all types that schemas refer to, each once, the outer first."""
        known, waiting = set[str](), [name for each in schemas for name in references_of(each)]
        while waiting:
            name = waiting.pop(0)
            if name not in known:
                known.add(name)
                yield name
                waiting += references_of(self._schemas[name])

"""JSON Schema in words, as tables of fields show it: types, limits, defaults. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

Schema = Mapping[str, Any]

_REFERENCE: Final = "#/components/schemas/"
_MAX_PATTERN_LENGTH: Final = 40
_NO_LIMIT: Final = 2**53
"""Above, a number says no more than that there is no limit of the field's own."""

_FORMATS: Final[Mapping[str, str]] = {"uuid": "UUID", "date-time": "time"}


class Piece(msgspec.Struct, frozen=True):
    """A piece of a description of a type; `is_reference` if it is the name of another type."""

    text: str
    is_reference: bool = False


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an object, or a parameter; `default` is JSON, "" if there is none."""

    name: str
    is_required: bool
    type: Sequence[Piece]
    default: str = ""
    description: str = ""


def fields_of(schema: Schema, prefix: str = "") -> Iterator[Field]:
    """Yield the fields of an object, those of objects in it as `outer.inner`."""
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield field_of(f"{prefix}{name}", each, is_required=name in required)
        if "properties" in each:
            yield from fields_of(each, f"{prefix}{name}.")


def field_of(name: str, schema: Schema, *, is_required: bool, description: str = "") -> Field:
    """Return a field that has a schema; a description of its own goes before the schema's."""
    inner = _only_alternative(schema)
    default = inner.get("default", schema.get("default"))
    return Field(
        name=name,
        is_required=is_required,
        type=list(pieces_of(schema)),
        default="" if default is None else json.dumps(default, ensure_ascii=False),
        description=description or schema.get("description") or inner.get("description", ""),
    )


def references_of(schema: Any) -> Iterator[str]:
    """Yield the names of the types that a schema refers to."""
    if isinstance(schema, Mapping):
        target = schema.get("$ref", "")
        if target.startswith(_REFERENCE):
            yield target.removeprefix(_REFERENCE)
        for each in schema.values():
            yield from references_of(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from references_of(each)


def pieces_of(schema: Schema) -> Iterator[Piece]:
    """Yield the words of a type: `array (at most 20) of string (1 to 64 characters)`."""
    if "$ref" in schema:
        yield Piece(schema["$ref"].removeprefix(_REFERENCE), is_reference=True)
    elif "enum" in schema:
        yield Piece("one of " + ", ".join(map(_literal, schema["enum"])))
    elif "const" in schema:
        yield Piece(_literal(schema["const"]))
    elif "anyOf" in schema and "properties" not in schema:
        yield from _either(schema["anyOf"])
    else:
        yield from _plain(schema)


def _either(alternatives: Sequence[Schema]) -> Iterator[Piece]:
    for number, each in enumerate(alternatives):
        if number:
            yield Piece(" or " if number == len(alternatives) - 1 else ", ")
        yield from pieces_of(each)


def _plain(schema: Schema) -> Iterator[Piece]:
    kind = schema.get("type")
    if kind is None:
        yield Piece("any JSON")
        return
    names = [kind] if isinstance(kind, str) else kind
    limits = ", ".join(_limits(schema))
    words = " or ".join(_FORMATS.get(schema.get("format", ""), name) for name in names)
    yield Piece(f"{words} ({limits})" if limits else words)
    for number, (name, each) in enumerate(schema.get("properties", {}).items()):
        yield Piece(f", {name}: " if number else f" with {name}: ")
        yield from pieces_of(each)
    if items := schema.get("items"):
        yield Piece(" of ")
        yield from pieces_of(items)
    for number, each in enumerate(schema.get("prefixItems", ())):
        yield Piece(", " if number else " of [")
        yield from pieces_of(each)
    if "prefixItems" in schema:
        yield Piece("]")


def _limits(schema: Schema) -> Iterator[str]:
    """Yield what a schema allows, each limit on its own."""
    most = schema.get("maximum")
    if found := _range(schema.get("minimum"), None if most and most > _NO_LIMIT else most):
        yield found
    if "multipleOf" in schema:
        yield f"a multiple of {_number(schema['multipleOf'])}"
    if found := _range(schema.get("minLength"), schema.get("maxLength")):
        yield f"{found} characters"
    if "prefixItems" not in schema and (
        found := _range(schema.get("minItems"), schema.get("maxItems"))
    ):
        yield f"{found} items"
    if "maxProperties" in schema:
        yield f"at most {_number(schema['maxProperties'])} names"
    pattern = schema.get("pattern", "")
    if 0 < len(pattern) <= _MAX_PATTERN_LENGTH:
        yield f"matching {pattern}"


def _range(least: float | None, most: float | None) -> str:
    match least, most:
        case None, None:
            return ""
        case None, _:
            return f"at most {_number(most)}"
        case _, None:
            return f"at least {_number(least)}"
        case _:
            return f"{_number(least)} to {_number(most)}"


def _number(value: float | None) -> str:
    is_whole = value is not None and float(value).is_integer()
    return f"{int(value or 0):,}" if is_whole else f"{value:g}"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _only_alternative(schema: Schema) -> Schema:
    """Return what a schema allows beside null, if that is one schema."""
    others = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return others[0] if len(others) == 1 else schema

"""What the API document says of values that are really sent."""

from functools import cache
from typing import Any

import jsonschema_rs

from booper.api.application import OPERATIONS
from booper.api.openapi import document
from tests.conftest import START


def check_report(sent: dict[str, Any]) -> None:
    """Check that a callback or an event is as `webhooks` describes it, with no key beyond."""
    schema = report_schema(sent.get("type", "callback"))
    jsonschema_rs.validator_for({**schema, "components": described()["components"]}).validate(sent)
    for part, shape in ((sent, schema), *_parts(sent, schema)):
        assert part.keys() <= shape["properties"].keys(), part.keys() - shape["properties"].keys()


def report_schema(kind: str) -> dict[str, Any]:
    """Return the schema of a kind of report."""
    posted = described()["webhooks"][kind]["post"]["requestBody"]
    schema: dict[str, Any] = posted["content"]["application/json"]["schema"]
    return schema


@cache
def described() -> dict[str, Any]:
    """Return the document."""
    return document(OPERATIONS, START)


def _parts(sent: dict[str, Any], schema: dict[str, Any]) -> list[tuple[Any, Any]]:
    shapes = {name: each for name, each in schema["properties"].items() if name in sent}
    whole = {name: each.get("anyOf", [each])[0] for name, each in shapes.items()}
    return [
        (sent[name], each)
        for name, each in whole.items()
        if "properties" in each and sent[name] is not None
    ]

"""`/openapi.json`: every operation is in it, and nothing in it points nowhere."""

import re
from typing import Any

import httpx
import pytest

from booper.api.access import Access
from booper.api.application import OPERATIONS
from booper.metrics.endpoint import LOCAL

pytestmark = pytest.mark.anyio


async def document(api: httpx.AsyncClient) -> dict[str, Any]:
    """Return the document as anybody can read it, without a key."""
    response = await api.get("/openapi.json", headers={"Authorization": ""})
    assert response.status_code == 200, response.text
    described: dict[str, Any] = response.json()
    return described


async def test_the_document_holds_every_operation(api: httpx.AsyncClient) -> None:
    """Each method of each path is described, with what it does and its responses."""
    described = await document(api)
    assert described["openapi"].startswith("3.1.")
    found = {
        (method.upper(), path)
        for path, item in described["paths"].items()
        for method in item
        if method != "parameters"
    }
    # Those of metrics are there by `[server] metrics`.
    assert found == {(each.method, each.path) for each in (*OPERATIONS, LOCAL)}
    for item in described["paths"].values():
        for method, operation in item.items():
            if method != "parameters":
                assert operation["summary"]
                assert operation["responses"]


async def test_what_needs_a_key_says_so(api: httpx.AsyncClient) -> None:
    """An operation that is not open answers 401, and the document tells."""
    described = await document(api)
    for operation in OPERATIONS:
        if operation.access is not Access.OPEN:
            responses = described["paths"][operation.path][operation.method.lower()]["responses"]
            assert "401" in responses, operation.path


async def test_every_response_has_the_id_of_its_request(api: httpx.AsyncClient) -> None:
    """The document says so of each, those of errors too, and an id is as it describes them."""
    described = await document(api)
    responses = [
        response
        for item in described["paths"].values()
        for operation in item.values()
        for response in operation["responses"].values()
        if "$ref" not in response
    ]
    for each in [*responses, *described["components"]["responses"].values()]:
        assert "X-Request-Id" in each["headers"]
    pattern = described["components"]["headers"]["X-Request-Id"]["schema"]["pattern"]
    for path in ("/healthz", "/api/jobs", "/api/jobs/1", "/nowhere"):
        response = await api.get(path)
        assert re.search(pattern, response.headers["x-request-id"]), path


async def test_every_reference_is_there(api: httpx.AsyncClient) -> None:
    """Each `$ref` leads to a part of the document (RFC 6901)."""
    described = await document(api)
    for reference in references(described):
        part: Any = described
        for step in reference.removeprefix("#/").split("/"):
            part = part[step.replace("~1", "/").replace("~0", "~")]


def references(part: Any) -> list[str]:
    """Return all references in a part of the document."""
    if isinstance(part, list):
        return [found for item in part for found in references(item)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return own + [found for item in part.values() for found in references(item)]

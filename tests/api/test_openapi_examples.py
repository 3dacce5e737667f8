"""Every example that `/openapi.json` publishes: requests are accepted, responses fit their schemas.

The document is that of `booper dev`, which has every operation.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import jsonschema_rs
import pytest
from msgspec.structs import replace

from booper.clock import RunningClock
from booper.config import Config, Delivery
from booper.dev.bench import PUBLIC_KEY, Bench
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

DATES = [
    datetime(2023, 9, 1, tzinfo=UTC),
    datetime(2028, 2, 29, 12, tzinfo=UTC),
    datetime(2029, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2030, 12, 31, 9, tzinfo=UTC),
    datetime(2131, 6, 1, tzinfo=UTC),
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@asynccontextmanager
async def bench_at(
    now: datetime, config: Config, target: FakeTarget
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a bench whose clock stands at `now`; return a client of it."""
    async with (
        Bench(
            replace(config, delivery=Delivery(grace_seconds=0)),
            RunningClock(now, is_frozen=True),
            address=("127.0.0.1", 2667),
            url="http://127.0.0.1:2667",
            transport=target,
        ) as bench,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(bench.asgi),
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {PUBLIC_KEY}"},
        ) as client,
    ):
        yield client


async def made(client: httpx.AsyncClient) -> dict[str, str]:
    """Begin anew with one of each thing; return their ids by the names of the paths' parameters."""
    await client.post("/api/dev/reset")
    job = {"url": "https://example.com/", "repeat_every": [1, "hour"], "max_runs": 3}
    schedule = (await client.post("/api/jobs", json=job)).json()["data"]
    await client.post("/api/dev/clock", json={"run": "next"})
    waiting = {"url": "https://example.com/", "schedule_in": [1, "day"]}
    job_id = (await client.post("/api/jobs", json=waiting)).json()["data"]["job_id"]
    log_id = (await client.get("/api/logs")).json()["data"][0]["id"]
    key_id = (await client.post("/api/keys", json={"name": "x"})).json()["data"]["id"]
    return {
        "job_id": str(job_id),
        "schedule_id": schedule["schedule_id"],
        "log_id": log_id,
        "key_id": key_id,
        "name": "discord",
    }


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each operation with its method and its path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def bodies(operation: dict[str, Any]) -> Iterator[tuple[bytes | None, dict[str, str]]]:
    """Yield the published bodies of an operation, encoded, with their headers; none is one, too."""
    if "requestBody" not in operation or not operation["requestBody"]["required"]:
        yield None, {}
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        for example in content["examples"].values():
            is_form = kind == FORM["Content-Type"]
            text = urlencode(example["value"]) if is_form else httpx_json(example["value"])
            yield text.encode(), {"Content-Type": kind}


def httpx_json(value: object) -> str:
    """Write a value as JSON."""
    return httpx.Request("POST", "http://x", json=value).content.decode()


def queries(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield no parameters, and each published example of one alone."""
    yield {}
    for parameter in operation["parameters"]:
        if parameter["in"] == "query" and "example" in parameter:
            yield {parameter["name"]: httpx_text(parameter["example"])}


def httpx_text(value: object) -> str:
    """Write a parameter's value as a query has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("now", DATES, ids=lambda now: now.date().isoformat())
async def test_every_published_request_is_accepted_at_any_date(
    config: Config, target: FakeTarget, now: datetime
) -> None:
    """Its response has a status that is described as a success, and fits that one's schema.

    Only what moves the clock depends on the date; the rest is tried at one of them.
    """
    async with bench_at(now, config, target) as client:
        document = (await client.get("/openapi.json")).json()
        refused = []
        for method, path, operation in operations(document):
            if now != DATES[0] and not path.startswith("/api/dev/"):
                continue
            for query in queries(operation):
                for body, headers in bodies(operation):
                    if path.endswith("/events"):
                        continue  # a stream has no end
                    ids = await made(client)
                    if path.endswith(("/retry", "/{log_id}")) and "{job_id}" in path:
                        await client.post(f"/api/jobs/{ids['job_id']}/cancel")
                    url = path.format_map(ids)
                    response = await client.request(
                        method, url, params=query, content=body, headers=headers
                    )
                    described = operation["responses"].get(str(response.status_code))
                    if not response.is_success or described is None:
                        refused.append((method, url, query, body, response.text[:200]))
                    elif in_json := described.get("content", {}).get("application/json"):
                        check(document, in_json["schema"], response.json())
        assert refused == []


async def test_every_published_response_fits_its_schema(config: Config, target: FakeTarget) -> None:
    """Also those of errors."""
    async with bench_at(DATES[0], config, target) as client:
        document = (await client.get("/openapi.json")).json()
    responses = [
        response
        for _, _, operation in operations(document)
        for response in operation["responses"].values()
        if "$ref" not in response
    ]
    checked = 0
    for response in [*responses, *document["components"]["responses"].values()]:
        for content in response.get("content", {}).values():
            check(document, content["schema"], content["example"])
            checked += 1
    assert checked > 40


def check(document: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    """Check a value against a schema of the document."""
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.validator_for(whole).validate(value)


async def test_what_the_server_answers_by_itself_is_described(
    config: Config, target: FakeTarget
) -> None:
    """What is late, too long, no HTTP, of unknown coding, or one too many, may be any of them."""
    async with bench_at(DATES[0], config, target) as client:
        document = (await client.get("/openapi.json")).json()
    for _, path, operation in operations(document):
        missing = {"400", "408", "414", "431", "501", "503"} - operation["responses"].keys()
        assert not missing, path
        assert ("413" in operation["responses"]) == ("requestBody" in operation), path

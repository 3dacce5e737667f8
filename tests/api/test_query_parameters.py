"""Parameters of a query: an operation has those that its description lists, and no others.

One that was ignored would do something else than was meant, such as pause every host.
"""

import re
from typing import Any

import httpx
import pytest

from booper.api.application import OPERATIONS
from booper.api.operations import Operation

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"
OTHERS = [
    "/api/ping",
    "/api/echo",
    "/api/channels/ping",
    "/healthz",
    "/readyz",
    "/openapi.json",
]
"""What is asked to see whether something is there, with parameters against caches as well."""


def detail(response: httpx.Response) -> Any:
    """Return the one error of a 422."""
    assert response.status_code == 422, response.text
    [error] = response.json()["errors"]
    return error


def a_path_of(operation: Operation) -> str:
    """Return the operation's path with made-up values."""
    return re.sub(r"{[^}]+}", "1", operation.path)


def test_those_that_ignore_their_query_are_probes() -> None:
    """Every other operation refuses what it does not know."""
    found = [each.path for each in OPERATIONS if each.documentation.ignores_query]
    assert sorted(found) == sorted(OTHERS)


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if not each.documentation.ignores_query],
    ids=lambda each: f"{each.method} {each.path}",
)
async def test_an_unknown_parameter_is_422_on_every_route(
    api: httpx.AsyncClient, operation: Operation
) -> None:
    """The error names it; nothing is done before, not even reading the body."""
    response = await api.request(operation.method, f"{a_path_of(operation)}?colour=red")
    error = detail(response)
    assert error["pointer"] == "/colour"
    assert error["detail"].startswith("unknown parameter; ")


@pytest.mark.parametrize("path", OTHERS)
async def test_a_probe_takes_any_query(api: httpx.AsyncClient, path: str) -> None:
    """Monitors add a number against caches; a job that tries an echo may have a query."""
    method = "POST" if path == "/api/echo" else "GET"
    response = await api.request(
        method, f"{path}?t=1&colour=red", content=b"{}" if "echo" in path else b""
    )
    assert response.status_code == 200


async def test_a_field_in_the_query_is_told_to_belong_in_the_body(api: httpx.AsyncClient) -> None:
    """`?host=` would have paused everything."""
    assert detail(await api.post("/api/pause?host=foo.example")) == {
        "pointer": "/host",
        "detail": "unknown parameter; 'host' is a field of the body",
    }
    for path in ("/api/pause", "/api/resume"):
        response = await api.post(f"{path}?host=foo.example", json={"host": "foo.example"})
        assert detail(response)["pointer"] == "/host"
    response = await api.post("/api/jobs?schedule_in=60", json={"url": URL})
    assert "is a field of the body" in detail(response)["detail"]
    assert (await api.get("/api/jobs")).json()["data"] == []


@pytest.mark.parametrize(
    ("path", "name", "meant"),
    [
        ("/api/jobs", "dryrun", "dry_run"),
        ("/api/jobs", "dry-run", "dry_run"),
        ("/api/jobs", "preview", "dry_run"),
        ("/api/jobs/batch", "atomc", "atomic"),
    ],
)
async def test_a_misspelled_dry_run_stores_nothing(
    api: httpx.AsyncClient, path: str, name: str, meant: str
) -> None:
    """A create that was to be tried only is not made."""
    response = await api.post(f"{path}?{name}=true", json={"url": URL})
    assert detail(response)["detail"] == f"unknown parameter; did you mean '{meant}'?"
    assert (await api.get("/api/jobs")).json()["data"] == []


@pytest.mark.parametrize("query", ["limit=1&limit=2", "tag=a&tag=b", "limit=1&tag=a&limit=1"])
async def test_what_is_no_list_stands_there_once(api: httpx.AsyncClient, query: str) -> None:
    """Of two values one would be ignored."""
    assert "must be given once, got 2" in detail(await api.get(f"/api/jobs?{query}"))["detail"]


@pytest.mark.parametrize("name", ["limit[]", "limit[0]", "tag[]", "cursor[]", "state[a]", "state["])
async def test_brackets_are_of_lists_alone(api: httpx.AsyncClient, name: str) -> None:
    """A number in brackets is not read as the number."""
    assert detail(await api.get("/api/jobs", params={name: "1"}))["pointer"] == f"/{name}"


@pytest.mark.parametrize(
    "query",
    [
        "state=completed&state=scheduled",
        "state=completed,scheduled",
        "state[]=completed&state[]=scheduled",
        "state[0]=completed&state[1]=scheduled",
        "order_by[]=scheduled_at&order_by[]=asc",
        "order_by[0]=scheduled_at&order_by[1]=asc",
        "order_by[1]=asc&order_by[0]=scheduled_at",
    ],
)
async def test_a_list_is_spelled_as_forms_spell_one(api: httpx.AsyncClient, query: str) -> None:
    """With commas, repeated, with empty brackets, and with numbers, as PHP and qs write."""
    for wait in (60, 30):
        await api.post("/api/jobs", json={"url": URL, "schedule_in": wait})
    response = await api.get(f"/api/jobs?{query}")
    assert response.status_code == 200, response.text
    waits = [job["args"]["schedule_in"] for job in response.json()["data"]]
    assert waits == [30, 60], query

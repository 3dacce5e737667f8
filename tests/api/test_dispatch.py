"""How a request finds its operation, at the top or under a prefix, and an error its response."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Message, Scope

from booper.api.access import Access
from booper.api.application import OPERATIONS
from booper.api.call import Call
from booper.api.dispatch import Routes
from booper.api.operations import Documentation, Operation
from booper.app import Booper
from booper.config import Config
from booper.guard.policy import Guard, Target
from tests.conftest import KEY
from tests.support.target import FakeTarget

EXACT = sorted({operation.path for operation in OPERATIONS if "{" not in operation.path})

pytestmark = pytest.mark.anyio


class Fault(Exception):
    """What nobody expects."""


class FaultyGuard(Guard):
    """A guard that never judges a job's URL."""

    def check(self, url: str) -> Target:
        """Fail."""
        raise Fault(url)


class FaultyBooper(Booper):
    """A booper whose API has such a guard."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        guard = FaultyGuard(require_https=True, allow_private_networks=False, allow=(), own=())
        self._parts = replace(self._parts, guard=guard)


def mounted(booper: Booper) -> httpx.AsyncClient:
    """Return a client of a program in which booper is mounted; it sends booper's key."""
    program = Starlette(routes=[Mount("/booper", booper.asgi)])
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(program),
        base_url="http://program.test",
        headers={"Authorization": f"Bearer {KEY}"},
    )


@pytest.mark.parametrize("path", EXACT)
async def test_a_path_is_answered_alike_with_and_without_a_prefix(
    booper: Booper, api: httpx.AsyncClient, path: str
) -> None:
    """Mounted in another program booper finds the same operations (a TRACE is none)."""
    async with mounted(booper) as program:
        for method in ("HEAD", "TRACE"):
            direct = await api.request(method, path)
            prefixed = await program.request(method, f"/booper{path}")
            assert direct.status_code == prefixed.status_code != 404
            assert direct.headers.get("allow") == prefixed.headers.get("allow")


async def test_a_job_is_created_under_a_prefix(booper: Booper, api: httpx.AsyncClient) -> None:
    """It is the same job without it."""
    async with mounted(booper) as program:
        made = await program.post("/booper/api/jobs", json={"url": "http://target.test/"})
    assert made.status_code == 201
    number = made.json()["data"]["job_id"]
    assert (await api.get(f"/api/jobs/{number}")).json()["data"]["job_id"] == number


@pytest.mark.parametrize("path", ["/api/jobs/", "/API/jobs", "//api/jobs", "/booper/api/jobs", "/"])
async def test_another_spelling_of_a_path_is_not_there(api: httpx.AsyncClient, path: str) -> None:
    """Paths are compared as they are (RFC 9110 §4.2.3)."""
    response = await api.post(path, json={})
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


PATTERNS = (
    "/jobs/batch",
    "/jobs/{id}",
    "/jobs/{id}/log/{entry}",
    "/jobs/{name}/log",
    "/at/{x:path}",
)
FOUND: dict[str, tuple[str, dict[str, str]] | None] = {
    "/jobs/batch": ("/jobs/batch", {}),
    "/jobs/7": ("/jobs/{id}", {"id": "7"}),
    "/jobs/batches": ("/jobs/{id}", {"id": "batches"}),
    "/jobs/7/log": ("/jobs/{name}/log", {"name": "7"}),
    "/jobs/7/log/8": ("/jobs/{id}/log/{entry}", {"id": "7", "entry": "8"}),
    "/jobs/ä b": ("/jobs/{id}", {"id": "ä b"}),
    "/jobs/a\nb": ("/jobs/{id}", {"id": "a\nb"}),
    "/at/": ("/at/{x:path}", {"x": ""}),
    "/at/a/b": ("/at/{x:path}", {"x": "a/b"}),
    "/jobs/": None,
    "/jobs/7/": None,
    "/jobs/7\n": ("/jobs/{id}", {"id": "7\n"}),
    "/jobs/7/log/8/9": None,
    "/jobsx7": None,
    "": None,
}


@pytest.mark.parametrize("prefix", ["", "/booper"])
@pytest.mark.parametrize("path", FOUND)
def test_a_path_finds_its_pattern(path: str, prefix: str) -> None:
    """Exact paths go first; a parameter has no slash, unless it says `:path`; a prefix is cut."""
    routes = Routes([_operation(pattern) for pattern in PATTERNS])
    scope: Scope = {"path": prefix + path, "root_path": prefix}
    methods, parameters = routes.find(scope)
    expected = FOUND[path]
    if expected is None:
        assert (methods, parameters) == ({}, {})
    else:
        assert (methods["GET"].path, parameters) == expected


@pytest.mark.parametrize(
    ("path", "is_found"),
    [
        ("/booper/api/jobs", True),
        ("/api/jobs", True),  # a proxy may have cut the prefix, as Starlette allows
        ("/booperapi/jobs", False),
        ("/booper", False),
        ("/booper/booper/api/jobs", False),
    ],
)
def test_a_prefix_is_cut_once(path: str, is_found: bool) -> None:
    """What is left is the path; it ends where a segment ends."""
    methods, _ = Routes([_operation("/api/jobs")]).find({"path": path, "root_path": "/booper"})
    assert bool(methods) is is_found


def _operation(path: str) -> Operation:
    async def handler(call: Call) -> Response:
        return Response()

    return Operation("GET", path, Access.OPEN, handler, Documentation(tag="test", responses={}))


async def test_a_web_socket_finds_nothing(booper: Booper) -> None:
    """It is refused, as on any path, where the program around booper takes web sockets."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/api/jobs", "headers": [], "query_string": b""}
    await booper.asgi(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/batch"])
async def test_a_fault_of_boopers_own_is_told_and_logged(
    config: Config, target: FakeTarget, path: str
) -> None:
    """The client hears of it without its innards; the server gets the error itself, to log it."""
    job = {"url": "https://target.test/secret"}
    body = {"jobs": [job]} if path.endswith("batch") else job
    async with FaultyBooper(config, api_key=KEY, transport=target) as booper:
        transport = httpx.ASGITransport(booper.asgi, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://booper.test", headers=headers
        ) as api:
            response = await api.post(path, json=body)
            transport.raise_app_exceptions = True
            with pytest.raises(Fault):
                await api.post(path, json=body)
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["title"] == "Internal error"
    assert "secret" not in response.text


JOB = b'{"url": "http://target.test/", "method": "post", "body": {"a": [1]}}'
BEARER = ("Authorization", f"Bearer {KEY}")
JSON = ("Content-Type", "application/json")
CREATES: dict[str, tuple[list[tuple[str, str]], bytes]] = {
    "a job": ([BEARER, JSON], JOB),
    "a schedule": ([BEARER, JSON], b'{"url": "http://target.test/", "cron": "0 10 * * MON"}'),
    "a form": (
        [BEARER, ("Content-Type", "application/x-www-form-urlencoded")],
        b"url=http%3A%2F%2Ftarget.test%2F&body%5Ba%5D=1",
    ),
    "another way to give the key": ([("Authorization", f"Token {KEY}"), JSON], JOB),
    "no content type": ([BEARER], JOB),
    "no key": ([JSON], JOB),
    "an unknown key": ([("Authorization", "Bearer sk_unknown"), JSON], JOB),
    "the first of two keys counts": ([BEARER, ("Authorization", "Bearer sk_no"), JSON], JOB),
    "so it does if it is wrong": ([("Authorization", "Bearer sk_no"), BEARER, JSON], JOB),
    "bytes that are no text": ([("Authorization", "Bearer sk_\xff"), JSON], JOB),
    "another media type": ([BEARER, ("Content-Type", "text/plain")], JOB),
    "no JSON": ([BEARER, JSON], b"{"),
    "no object": ([BEARER, JSON], b"[]"),
    "wrong fields": ([BEARER, JSON], b'{"url": "ftp://target.test/", "bodi": 1, "cron": "x"}'),
    "a refused target": ([BEARER, JSON], b'{"url": "http://127.0.0.1/"}'),
    "too large a body": ([BEARER, JSON], b'"' + b"x" * (1 << 20) + b'"'),
    "no body": ([BEARER, JSON], b""),
}


@pytest.mark.parametrize("name", CREATES)
async def test_a_create_is_answered_alike_under_a_prefix(
    booper: Booper, api: httpx.AsyncClient, name: str
) -> None:
    """Mounted in another program booper gives the same request the same response."""
    given, content = CREATES[name]
    headers = [(key.encode(), value.encode("latin-1")) for key, value in given]
    api.headers.pop("Authorization")
    async with mounted(booper) as program:
        program.headers.pop("Authorization")
        prefixed = await program.post("/booper/api/jobs", headers=headers, content=content)
        direct = await api.post("/api/jobs", headers=headers, content=content)
    assert direct.status_code == prefixed.status_code
    assert set(direct.headers) == set(prefixed.headers)
    assert _without_identity(direct) == _without_identity(prefixed)
    for header in ("content-type", "www-authenticate", "connection", "retry-after"):
        assert direct.headers.get(header) == prefixed.headers.get(header)
    assert len(direct.content) == int(direct.headers["content-length"])


async def test_a_held_key_is_answered_alike(booper: Booper, api: httpx.AsyncClient) -> None:
    """The job that was there is shown with 200 and no location, or refused with 409, both ways."""
    body = {"url": "http://target.test/", "idempotency_key": "once", "schedule_in": 3600}
    first = await api.post("/api/jobs", json=body)
    async with mounted(booper) as program:
        for wanted in ({}, {"on_conflict": "reject"}):
            direct = await api.post("/api/jobs", json=body | wanted)
            prefixed = await program.post("/booper/api/jobs", json=body | wanted)
            assert direct.status_code == prefixed.status_code == (409 if wanted else 200)
            assert direct.json() == prefixed.json()
            assert "location" not in direct.headers
    assert first.headers["location"] == f"/api/jobs/{first.json()['data']['job_id']}"


async def test_a_create_with_a_query_is_judged_by_it(api: httpx.AsyncClient) -> None:
    """A dry run stores nothing, and a parameter that does not exist is told."""
    body = {"url": "http://target.test/"}
    assert (await api.post("/api/jobs?dry_run=true", json=body)).status_code == 200
    assert (await api.post("/api/jobs?dry=true", json=body)).status_code == 422
    assert (await api.get("/api/jobs")).json()["data"] == []


def _without_identity(response: httpx.Response) -> object:
    """Return a response's JSON without what no two jobs share."""
    content = response.json()
    if "data" in content:
        for key in ("id", "job_id", "schedule_id"):
            content["data"].pop(key)
        content["data"]["job"].pop("id")
    return content

"""The memory that responses take together: who waits for it, and what gives it back (§2)."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from starlette.types import Message

from booper.api.memory import MAX_BYTES, SMALL_BYTES, ResponseMemory
from booper.api.problems import headers_of, problem_of
from booper.app import Booper
from booper.errors import TooManyResponses
from booper.store.values import PAGE_BYTES
from tests.conftest import KEY

pytestmark = pytest.mark.anyio

PAGES = MAX_BYTES // PAGE_BYTES
BODY = "x" * 900_000


class Reader:
    """A client of the API that takes nothing more of a response until it is told to read.

    Like a server, its `send` returns at once for the message that fills its buffer, and keeps the
    next one waiting.
    """

    def __init__(self, booper: Booper, path: str, method: str = "GET", body: bytes = b"") -> None:
        self.read = asyncio.Event()
        self.body = b""
        self.status = 0
        self.task = asyncio.create_task(self._call(booper, path, method, body))

    def has_begun(self) -> bool:
        """Return whether some of the response has come."""
        return bool(self.body)

    async def _call(self, booper: Booper, path: str, method: str, body: bytes) -> None:
        headers = [(b"authorization", b"Bearer " + KEY.encode())]
        if body:
            headers.append((b"content-type", b"application/json"))
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": headers,
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await booper.asgi(scope, receive, self._send)

    async def _send(self, message: Message) -> None:
        if len(self.body) > SMALL_BYTES:
            await self.read.wait()
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


async def until(condition: Callable[[], bool]) -> None:
    """Return once this is so."""
    async with asyncio.timeout(30):
        while not condition():
            turned = asyncio.Event()
            asyncio.get_running_loop().call_later(0, turned.set)
            await turned.wait()


async def fill(api: httpx.AsyncClient) -> None:
    """Create jobs of which five make more than a page."""
    for _ in range(5):
        job = {"method": "post", "url": "https://target.test/hook", "body": BODY}
        response = await api.post("/api/jobs", json={**job, "schedule_in": 3_600})
        assert response.status_code == 201


async def test_pages_wait_for_the_memory_of_those_that_are_not_read(
    booper: Booper, api: httpx.AsyncClient
) -> None:
    """Forty pages at once: only what fits is built, the rest follow in order as it is read."""
    await fill(api)
    readers = [Reader(booper, "/api/jobs") for _ in range(40)]

    def held() -> int:
        return sum(len(reader.body) for reader in readers)

    await until(lambda: held() > MAX_BYTES - PAGE_BYTES)
    assert (await api.post("/api/echo", json={"is": "small"})).status_code == 200
    assert held() <= MAX_BYTES
    assert booper.is_crowded()
    count = sum(bool(reader.body) for reader in readers)
    assert all(reader.body for reader in readers[:count])
    for reader in readers:
        await until(reader.has_begun)
        reader.read.set()
    await asyncio.gather(*[reader.task for reader in readers])
    assert {reader.status for reader in readers} == {200}
    assert not booper.is_crowded()


async def test_a_reader_that_leaves_frees_its_memory(
    booper: Booper, api: httpx.AsyncClient
) -> None:
    """Whoever is cut off, reading or waiting, stands in nobody's way."""
    await fill(api)
    readers = [Reader(booper, "/api/jobs") for _ in range(2 * PAGES)]
    await until(lambda: sum(bool(reader.body) for reader in readers) >= PAGES)
    for reader in readers:
        reader.task.cancel()
    await asyncio.wait([reader.task for reader in readers])
    assert not booper.is_crowded()
    assert (await api.get("/api/jobs")).status_code == 200


# A request whose response has a job of 900,000 bytes, by its id.
LARGE = {
    "a job": ("GET", "/api/jobs/{id}"),
    "a cancelled job": ("POST", "/api/jobs/{id}/cancel"),
    "a job that is run now": ("POST", "/api/jobs/{id}/run"),
    "a deleted job": ("DELETE", "/api/jobs/{id}"),
    "a create": ("POST", "/api/jobs"),
    "the log": ("GET", "/api/logs"),
}


@pytest.mark.parametrize("case", LARGE)
async def test_every_large_response_is_counted(
    booper: Booper, api: httpx.AsyncClient, case: str
) -> None:
    """Besides fifteen pages and one item of one megabyte, no further page is built."""
    method, path = LARGE[case]
    await fill(api)
    job_id = (await api.get("/api/jobs?limit=1")).json()["data"][0]["job_id"]
    if case == "the log":
        await api.post(f"/api/jobs/{job_id}/run")
        await booper.wait_idle()
    body = b""
    if case == "a create":
        body = b'{"method": "post", "url": "https://target.test/", "schedule_in": 9, "body": "%b"}'
        body %= BODY.encode()
    one = Reader(booper, path.format(id=job_id), method, body)
    await until(lambda: len(one.body) > SMALL_BYTES)
    pages = [Reader(booper, "/api/jobs") for _ in range(40)]
    await until(booper.is_crowded)
    held = sum(len(reader.body) for reader in [one, *pages])
    assert held <= MAX_BYTES
    for reader in [one, *pages]:
        reader.read.set()
    await asyncio.gather(*[reader.task for reader in [one, *pages]])
    assert {reader.status for reader in pages} == {200}


async def test_memory_is_given_in_order() -> None:
    """A small wish behind a large one does not go before it; more than there is means all."""
    memory, order = ResponseMemory(10), list[str]()

    async def ask(name: str, size: int) -> None:
        await memory.take(size)
        order.append(name)

    assert await memory.take(6) == 6
    tasks = [asyncio.create_task(ask(name, size)) for name, size in (("all", 99), ("one", 1))]
    await until(lambda: memory.is_short)
    assert order == []
    memory.free(6)
    await until(lambda: order == ["all"])
    memory.free(10)
    await until(lambda: order == ["all", "one"])
    assert not memory.is_short
    await asyncio.gather(*tasks)


async def test_whoever_waits_too_long_is_told_to_come_again() -> None:
    """The wait has an end, and leaves nothing behind."""
    memory = ResponseMemory(10, wait_seconds=0)
    await memory.take(8)
    with pytest.raises(TooManyResponses, match="try again later"):
        await memory.take(3)
    assert not memory.is_short
    assert await memory.take(2) == 2


def test_a_refusal_says_when_to_come_again() -> None:
    """It is a 503 like any other, with `Retry-After`."""
    error = TooManyResponses("later")
    assert (problem_of(error).status, headers_of(error)) == (503, {"Retry-After": "1"})

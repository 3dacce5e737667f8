"""Streams of events in both clients: what is read of one, and how it ends."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from booper.client import AsyncClient, Client, LiveChange, NotFound, Unreachable
from booper.client.streaming import SILENT_SECONDS, EventReader
from booper.testing import VirtualBooper

pytestmark = pytest.mark.anyio

STREAM = b"""\
: connected

event: change
data: {"jobs":[],"schedules":[],"are_more":true,"counts":{"scheduled":1}}

: keep-alive

event: change
data: {"jobs":[7],"schedules":[],"are_more":false,"counts":{"scheduled":0}}

data: {"jobs":[8],
"""
CHANGES = [
    LiveChange(jobs=(), schedules=(), are_more=True, counts={"scheduled": 1}),
    LiveChange(jobs=(7,), schedules=(), are_more=False, counts={"scheduled": 0}),
]
"""What stands in it; what has not come to its end is nothing."""


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in small pieces, and breaks where it is to."""

    def __init__(self, breaks: bool) -> None:
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(STREAM), 7):
            yield STREAM[start : start + 7]
        if self._breaks:
            raise httpx.ReadError("the connection is gone")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Server(httpx.MockTransport):
    """A server that has one stream."""

    def __init__(self, *, breaks: bool = False) -> None:
        super().__init__(self._respond)
        self.requests: list[httpx.Request] = []
        self._breaks = breaks

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.params.get("job_id") == "9":
            body = {"title": "Not found", "status": 404, "detail": "there is no job 9"}
            return httpx.Response(404, json=body)
        return httpx.Response(200, stream=Pieces(self._breaks))


async def events_of(is_async: bool, server: Server, **which: Any) -> list[LiveChange]:
    """Return what a client reads."""
    if is_async:
        async with AsyncClient("http://booper.test", transport=server) as client:
            return [change async for change in client.events(**which)]
    with Client("http://booper.test", transport=server) as blocking:
        return list(blocking.events(**which))


def test_lines_make_events() -> None:
    """By the standard's own example: comments and names count for nothing, data may have lines."""
    reader = EventReader()
    lines = (": test stream", "", "data: first", "id: 1", "data:second", "", "id", "", "data", "")
    assert [reader.read(line) for line in lines if reader] == [
        *[None] * 5,
        b"first\nsecond",
        *[None] * 3,
        b"",
    ]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_stream_is_iterated_to_its_end(is_async: bool) -> None:
    """However it comes in pieces."""
    server = Server()
    assert await events_of(is_async, server, job_id=7, state=["completed", "discarded"]) == CHANGES
    [request] = server.requests
    assert request.url.path == "/api/events"
    assert dict(request.url.params) == {"job_id": "7", "state": "completed,discarded"}
    assert request.extensions["timeout"]["read"] == SILENT_SECONDS


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_refusal_is_an_error_as_elsewhere(is_async: bool) -> None:
    """It is raised when the iteration begins."""
    with pytest.raises(NotFound, match="there is no job 9"):
        await events_of(is_async, Server(), job_id=9)


def test_a_booper_in_this_process_has_no_streams() -> None:
    """A whole response is read there, and a stream has no end."""
    with VirtualBooper() as booper, pytest.raises(Unreachable, match="read it over HTTP"):
        next(booper.client.events())


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_connection_that_breaks_is_an_error(is_async: bool) -> None:
    """After what came before it."""
    with pytest.raises(Unreachable, match="the connection is gone"):
        await events_of(is_async, Server(breaks=True))

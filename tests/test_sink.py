"""The sink: a target that records what arrives and answers by script."""

from collections.abc import AsyncIterator

import httpx
import pytest

from booper.clock import VirtualClock
from booper.dev.sink import MOST_BODY_BYTES, MOST_KEPT, Sink

pytestmark = pytest.mark.anyio


@pytest.fixture
def sink(clock: VirtualClock) -> Sink:
    """Return an empty sink."""
    return Sink(clock)


@pytest.fixture
async def client(sink: Sink) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of it."""
    transport = httpx.ASGITransport(sink)
    async with httpx.AsyncClient(transport=transport, base_url="http://sink.test") as made:
        yield made


async def statuses(client: httpx.AsyncClient, path: str, count: int) -> list[int]:
    """Return the statuses of so many requests."""
    return [(await client.get(path)).status_code for _ in range(count)]


async def test_each_request_gets_the_next_answer_and_the_last_one_again_and_again(
    client: httpx.AsyncClient,
) -> None:
    """Three answers are given to five requests; without a script all are 200."""
    script = "/dev/sink/a?respond=500,429:Retry-After=2,200"
    assert await statuses(client, script, 5) == [500, 429, 200, 200, 200]
    assert await statuses(client, "/dev/sink/b", 2) == [200, 200]


async def test_answers_carry_their_headers(client: httpx.AsyncClient) -> None:
    """A status may name several, each after a colon."""
    answer = await client.get("/dev/sink/?respond=429:Retry-After=2:X-More=a b")
    assert (answer.headers["retry-after"], answer.headers["x-more"]) == ("2", "a b")


async def test_paths_have_scripts_of_their_own(client: httpx.AsyncClient) -> None:
    """One path's progress is not another's, and another script begins at its beginning."""
    assert await statuses(client, "/dev/sink/a?respond=500,200", 1) == [500]
    assert await statuses(client, "/dev/sink/b?respond=500,200", 1) == [500]
    assert await statuses(client, "/dev/sink/a?respond=500,200", 1) == [200]
    assert await statuses(client, "/dev/sink/a?respond=503,200", 2) == [503, 200]


@pytest.mark.parametrize(
    "query",
    [
        "respond=",
        "respond=100",
        "respond=600",
        "respond=ok",
        "respond=200,,200",
        "respond=200:Retry-After",
        "respond=200:Bad%20Name=1",
        "respond=200:X=%0d%0aY",
        "delay=-1",
        "delay=901",
        "delay=soon",
        "delay=nan",
    ],
)
async def test_a_script_that_cannot_be_read_is_a_422_that_says_so(
    client: httpx.AsyncClient, query: str
) -> None:
    """The answer says what would be right; the request is recorded all the same."""
    answer = await client.get(f"/dev/sink/?{query}")
    assert answer.status_code == 422
    assert "got" in answer.json()["detail"]


async def test_what_arrives_is_recorded(client: httpx.AsyncClient, sink: Sink) -> None:
    """Whatever the method: path, query, headers, body, the clock's time and the answer."""
    await client.request("PURGE", "/dev/sink/a/b?respond=503", content="hi", headers={"X-A": "1"})
    await client.get("/dev/sink/c")

    (first, second) = sink.arrived()
    assert (first.method, first.path, first.query) == ("PURGE", "/a/b", "respond=503")
    assert (first.headers["x-a"], first.body, first.answer) == ("1", "hi", "503")
    assert first.received_at == "2030-01-01T12:00:00.000000Z"
    assert sink.arrived("/c") == [second]


async def test_the_record_is_bounded(client: httpx.AsyncClient, sink: Sink) -> None:
    """The latest requests stay, each with the beginning of its body."""
    await client.post("/dev/sink/long", content=b"x" * (MOST_BODY_BYTES + 1))
    assert len(sink.arrived()[0].body) == MOST_BODY_BYTES
    await statuses(client, "/dev/sink/many", MOST_KEPT)
    assert [one.path for one in sink.arrived()] == ["/many"] * MOST_KEPT


async def test_it_forgets_when_told(client: httpx.AsyncClient, sink: Sink) -> None:
    """Nothing has arrived any more, and scripts begin again."""
    await statuses(client, "/dev/sink/a?respond=500,200", 1)
    sink.clear()
    assert sink.arrived() == []
    assert await statuses(client, "/dev/sink/a?respond=500,200", 2) == [500, 200]

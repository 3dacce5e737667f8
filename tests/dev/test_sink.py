"""The sink: a target that records what arrives and answers by script."""

from collections.abc import AsyncIterator

import httpx
import pytest

from booper.clock import VirtualClock
from booper.dev.sink import MAX_BODY_BYTES, MAX_KEPT, Sink

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
    response = await client.get("/dev/sink/?respond=429:Retry-After=2:X-More=a b")
    assert (response.headers["retry-after"], response.headers["x-more"]) == ("2", "a b")


async def test_paths_have_scripts_of_their_own(client: httpx.AsyncClient) -> None:
    """One path's progress is not another's, and another script begins at its beginning."""
    assert await statuses(client, "/dev/sink/a?respond=500,200", 1) == [500]
    assert await statuses(client, "/dev/sink/b?respond=500,200", 1) == [500]
    assert await statuses(client, "/dev/sink/a?respond=500,200", 1) == [200]
    assert await statuses(client, "/dev/sink/a?respond=503,200", 2) == [503, 200]


STATUSES = "respond must list statuses from 200 to 599, such as 500,429:Retry-After=2,200"
HEADER = "respond: a header after a status must be Name=value, such as 429:Retry-After=2"
DELAY = "delay must be a number of seconds from 0 to 900, such as 0.5"
REFUSED = [
    # query, what was wrong, what would be right
    ("responds=500", "unknown parameter 'responds' with the value '500'", "'respond'?"),
    ("response=500", "unknown parameter 'response' with the value '500'", "'respond'?"),
    ("respond=200&dealy=1", "unknown parameter 'dealy' with the value '1'", "'delay'?"),
    ("Respond=500", "unknown parameter 'Respond' with the value '500'", "'respond'?"),
    ("status=500", "unknown parameter 'status' with the value '500'", "takes 'respond'"),
    ("a", "unknown parameter 'a' with the value ''", "and 'delay' (such as delay=0.5)"),
    ("respond=500&respond=200", "respond must be given once, got it 2 times", "respond=500,200"),
    ("delay=1&delay=2", "delay must be given once, got it 2 times", ""),
    ("respond=", "got ''", STATUSES),
    ("respond", "got ''", STATUSES),
    ("respond=100", "got '100'", STATUSES),
    ("respond=600", "got '600'", STATUSES),
    ("respond=0200", "got '0200'", STATUSES),
    ("respond=20", "got '20'", STATUSES),
    ("respond=-200", "got '-200'", STATUSES),
    ("respond=2e2", "got '2e2'", STATUSES),
    ("respond=\u0662\u0660\u0660", "got '\u0662\u0660\u0660'", STATUSES),
    ("respond=ok", "got 'ok'", "or hang or close"),
    ("respond=500;200", "got '500;200'", STATUSES),
    ("respond=200,,200", "got ''", STATUSES),
    ("respond=500,200,", "got ''", STATUSES),
    ("respond=hang:X=1", "got 'hang:X=1'", STATUSES),
    ("respond=200:Retry-After", "got 'Retry-After'", HEADER),
    ("respond=200:", "got ''", HEADER),
    ("respond=200:=1", "got '=1'", HEADER),
    ("respond=200:Bad%20Name=1", "got 'Bad Name=1'", HEADER),
    ("respond=200:X=%0d%0aY", "got 'X=\\r\\nY'", HEADER),
    ("respond=200:Content-Length=5", "got 'Content-Length=5'", "name another header"),
    ("respond=200:transfer-encoding=x", "got 'transfer-encoding=x'", "name another header"),
    ("delay=-1", "got '-1'", DELAY),
    ("delay=901", "got '901'", DELAY),
    ("delay=soon", "got 'soon'", DELAY),
    ("delay=nan", "got 'nan'", DELAY),
    ("delay=inf", "got 'inf'", DELAY),
    ("delay=500ms", "got '500ms'", DELAY),
    ("delay=", "got ''", DELAY),
]


@pytest.mark.parametrize(("query", "wrong", "right"), REFUSED)
async def test_parameters_that_cannot_be_read_are_a_422_that_says_so(
    client: httpx.AsyncClient, sink: Sink, query: str, wrong: str, right: str
) -> None:
    """The detail names the parameter, its value and what is right; the request is recorded."""
    response = await client.get(f"/dev/sink/?{query}")
    assert response.status_code == 422
    assert wrong in response.json()["detail"]
    assert right in response.json()["detail"]
    assert [one.response for one in sink.arrived()] == ["422"]


async def test_what_arrives_is_recorded(client: httpx.AsyncClient, sink: Sink) -> None:
    """Whatever the method: path, query, headers, body, the clock's time and the response."""
    await client.request("PURGE", "/dev/sink/a/b?respond=503", content="hi", headers={"X-A": "1"})
    await client.get("/dev/sink/c")

    (first, second) = sink.arrived()
    assert (first.method, first.path, first.query) == ("PURGE", "/a/b", "respond=503")
    assert (first.headers["x-a"], first.body, first.response) == ("1", "hi", "503")
    assert first.received_at == "2030-01-01T12:00:00.000000Z"
    assert sink.arrived("/c") == [second]


async def test_the_record_is_bounded(client: httpx.AsyncClient, sink: Sink) -> None:
    """The latest requests stay, each with the beginning of its body."""
    await client.post("/dev/sink/long", content=b"x" * (MAX_BODY_BYTES + 1))
    assert len(sink.arrived()[0].body) == MAX_BODY_BYTES
    await statuses(client, "/dev/sink/many", MAX_KEPT)
    assert [one.path for one in sink.arrived()] == ["/many"] * MAX_KEPT


async def test_it_forgets_when_told(client: httpx.AsyncClient, sink: Sink) -> None:
    """Nothing has arrived any more, and scripts begin again."""
    await statuses(client, "/dev/sink/a?respond=500,200", 1)
    sink.clear()
    assert sink.arrived() == []
    assert await statuses(client, "/dev/sink/a?respond=500,200", 2) == [500, 200]

"""Two boopers over one database, in one process: what the second one may, and when it takes over.

They share what they would as processes: the lock, the sockets and the file, and nothing else.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import cast

import httpx
import pytest
from anyio.lowlevel import checkpoint
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from booper.api.access import Access
from booper.api.application import OPERATIONS
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Targets
from booper.errors import StartError, StoreUnavailable
from booper.holder import Holder
from booper.standby import PAUSE_AFTER_FAILURE, Standby
from booper.store.sqlite import DatabaseLocked
from tests.conftest import KEY, START
from tests.support.streams import connected
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS = 10.0


def make(config: Config, target: FakeTarget, seed: int = 1) -> Booper:
    """Make a booper as a worker process does: on the machine's clock."""
    return Booper(config, api_key=KEY, random=Random(seed), transport=target)


@pytest.fixture
async def holder(config: Config, target: FakeTarget) -> AsyncIterator[Booper]:
    """Run the booper that holds the database."""
    async with make(config, target) as running:
        yield running


@pytest.fixture
async def standby(holder: Booper, config: Config) -> AsyncIterator[Booper]:
    """Run one that follows; nothing leaves it as long as it does."""
    async with make(config, FakeTarget(), 2) as running:
        yield running


@asynccontextmanager
async def client_of(
    application: ASGIApp, key: str | None = KEY
) -> AsyncIterator[httpx.AsyncClient]:
    """Call an application with a key, or without one."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(application)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://b.test", headers=headers) as client,
        asyncio.timeout(DEADLINE_SECONDS),
    ):
        yield client


async def made_key(booper: Booper, scope: str) -> str:
    """Make a key of a scope, as an administrator."""
    async with client_of(booper.administration, None) as client:
        response = await client.post("/api/keys", json={"name": f"a {scope} key", "scope": scope})
    assert response.status_code == 201
    return str(response.json()["data"]["key"])


async def test_a_standby_makes_no_key_of_its_own(standby: Booper) -> None:
    """There is one who makes the first key, and that is the holder."""
    assert standby.first_key is None


async def test_what_a_standby_is_asked_the_holder_does(
    standby: Booper, holder: Booper, target: FakeTarget
) -> None:
    """A job that was posted to a standby is the holder's: kept there, and sent by it."""
    async with client_of(standby.asgi) as there, client_of(holder.asgi) as here:
        made = await there.post("/api/jobs", json={"url": "https://example.com/x"})
        assert made.status_code == 201
        await target.arrived.wait()
        await holder.wait_idle()
        path = made.headers["location"]
        assert (await here.get(path)).json() == (await there.get(path)).json()
        assert (await there.get(path)).json()["data"]["job"]["state"] == "completed"


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/api/ping", b""),
        ("HEAD", "/api/ping", b""),
        ("GET", "/api/jobs?limit=5&order_by=inserted_at,desc", b""),
        ("GET", "/api/jobs/999", b""),
        ("GET", "/api/n%C3%B6%2Fno", b""),
        ("PUT", "/api/jobs", b"{}"),
        ("POST", "/api/jobs", b"{"),
        ("POST", "/api/jobs", b'{"url": "ftp://x"}'),
        ("POST", "/api/echo", b'{"content": "%b"}' % (b"x" * 200_000)),
        ("POST", "/api/echo", b'{"content": "%b"}' % (b"x" * 2_000_000)),
        ("POST", "/api/jobs/batch", b'{"jobs": []}'),
        ("GET", "/openapi.json", b""),
        ("GET", "/readyz", b""),
        ("GET", "/healthz", b""),
    ],
)
async def test_a_standby_answers_as_the_holder(
    standby: Booper, holder: Booper, method: str, path: str, content: bytes
) -> None:
    """Status, headers and body of a response do not tell who was asked."""
    responses = []
    for booper in (holder, standby):
        async with client_of(booper.asgi) as client:
            headers = {"X-Request-Id": "the-same"}  # else each request has an id of its own
            response = await client.request(method, path, content=content, headers=headers)
        # A standby has read the body of what it refuses; its connection can go on.
        response.headers.pop("connection", None)
        responses.append((response.status_code, dict(response.headers), response.content))
    assert responses[0] == responses[1]
    assert responses[0][1]["x-request-id"] == "the-same"


GUARDED = [operation for operation in OPERATIONS if operation.access is not Access.OPEN]


@pytest.mark.parametrize("scope", [None, "read", "write", "admin"])
async def test_a_key_can_do_no_more_through_a_standby(
    standby: Booper, holder: Booper, scope: str | None
) -> None:
    """Every operation lets the same keys in, whoever is asked; none lets in one that may less."""
    key = None if scope is None else await made_key(holder, scope)
    enough = {
        None: set(),
        "read": {Access.READ},
        "write": {Access.READ, Access.WRITE, Access.OWN_OR_WRITE},
        "admin": set(Access),
    }[scope]
    refusal = 401 if scope is None else 403
    async with client_of(standby.asgi, key) as client:
        for operation in GUARDED:
            if operation.path.endswith("/events"):
                continue  # a feed has no end
            path = operation.path.replace("{", "").replace("}", "")
            status = (await client.request(operation.method, path)).status_code
            assert (status == refusal) == (operation.access not in enough), operation


DISGUISES = {
    "a second request in the body": (
        {"Content-Length": "0"},
        b"POST /api/keys HTTP/1.1\r\nHost: b\r\nContent-Length: 27\r\n\r\n"
        b'{"name":"x","scope":"admin"}',
    ),
    "a body that ends twice": (
        {"Transfer-Encoding": "chunked"},
        b"0\r\n\r\nPOST /api/keys HTTP/1.1\r\nHost: b\r\nContent-Length: 27\r\n\r\n"
        b'{"name":"x","scope":"admin"}',
    ),
    "an upgrade": ({"Connection": "Upgrade", "Upgrade": "h2c"}, b""),
    "another host": ({"Host": "booper"}, b""),
    "as if it came from the machine": ({"X-Forwarded-For": "127.0.0.1"}, b""),
    "no key": ({"Authorization": ""}, b""),
    "the program's own user": ({"Booper-User": "app"}, b""),
}


@pytest.mark.parametrize("name", DISGUISES)
async def test_no_disguise_makes_an_administrator(
    standby: Booper, holder: Booper, name: str
) -> None:
    """However a reader's request is dressed up, no key is made and none is shown."""
    key = await made_key(holder, "read")
    headers, body = DISGUISES[name]
    async with client_of(standby.asgi, key) as client:
        for method, path in [
            ("POST", "/api/keys"),
            ("GET", "/api/keys"),
            ("GET", "/api/../api/keys"),
            ("GET", "//api/keys"),
            ("POST", "/api/echo"),
            ("POST", "/api/pause"),
        ]:
            response = await client.request(method, path, content=body, headers=headers)
            is_harmless = path == "/api/echo" and response.status_code in (200, 400, 415)
            assert is_harmless or response.status_code in (401, 403, 404, 405), path
    async with client_of(holder.administration, None) as client:
        names = [key["name"] for key in (await client.get("/api/keys")).json()["data"]]
    assert sorted(names) == ["BOOPER_API_KEY", "a read key"]


async def test_a_standby_serves_the_administrator(standby: Booper, holder: Booper) -> None:
    """Its administration is the holder's: no key is needed."""
    async with client_of(standby.administration, None) as client:
        keys = (await client.get("/api/keys")).json()["data"]
    assert [key["name"] for key in keys] == ["BOOPER_API_KEY"]


async def test_a_standby_does_not_say_when_all_is_done(standby: Booper) -> None:
    """It cannot know; to return at once, or never, would be worse than to say so."""
    with pytest.raises(RuntimeError, match="another process holds the database"):
        await standby.wait_idle()


async def test_the_end_of_the_holder_is_no_end(
    config: Config, target: FakeTarget, standby: Booper, holder: Booper
) -> None:
    """When the holder stops the standby takes over: with its jobs, and with calls that came."""
    target.hold()
    async with client_of(standby.asgi) as client:
        due = {"url": "https://example.com/1", "schedule_in": [1, "hour"]}
        waiting = (await client.post("/api/jobs", json=due)).headers["location"]
        await holder.__aexit__(None, None, None)
        assert (await client.get(waiting)).json()["data"]["job"]["state"] == "scheduled"
        ran = await client.post(f"{waiting}/run")
        assert ran.status_code == 200
        await standby.wait_idle()
        assert (await client.get(waiting)).json()["data"]["job"]["state"] == "completed"
    assert target.received == []


async def test_a_standby_that_took_over_is_followed(config: Config, target: FakeTarget) -> None:
    """Of three each has its turn, and the last one still has everything."""
    async with AsyncExitStack() as stack:
        boopers = [await stack.enter_async_context(make(config, target, n)) for n in range(3)]
        for number, booper in enumerate(boopers):
            async with client_of(boopers[-1].asgi) as client:
                fields = {"url": f"https://example.com/{number}", "schedule_in": [1, "hour"]}
                made = await client.post("/api/jobs", json=fields)
                assert made.status_code == 201
            if booper is not boopers[-1]:
                await booper.__aexit__(None, None, None)
        async with client_of(boopers[-1].asgi) as client:
            assert len((await client.get("/api/jobs")).json()["data"]) == 3


async def test_a_standby_waits_for_the_failure_of_its_own_loop(
    standby: Booper, holder: Booper
) -> None:
    """It is told of the end of a loop once there is one here: of that after its takeover."""
    waiting = asyncio.create_task(standby.wait_failed())
    await holder.__aexit__(None, None, None)
    async with client_of(standby.asgi) as client:
        assert (await client.get("/readyz")).status_code == 200
    assert not waiting.done()
    await standby.drain()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await waiting


async def test_what_took_over_is_ready_at_once(
    standby: Booper, holder: Booper, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that was there before the new loop's first turn is answered: ready.

    Whoever goes round with the event loop comes before what is begun there.
    """
    await holder.__aexit__(None, None, None)
    async with client_of(standby.asgi) as client:
        while "its holder is gone" not in caplog.text:
            await checkpoint()
        assert (await client.get("/readyz")).status_code == 200


async def test_a_drained_standby_takes_nothing_over(standby: Booper, holder: Booper) -> None:
    """Once it is to end, the database is somebody else's; until then its calls are handed on."""
    await standby.drain()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await standby.wait_failed()
    async with client_of(standby.asgi) as client:
        assert (await client.get("/readyz")).status_code == 200


async def test_a_feed_passes_through_a_standby(standby: Booper, holder: Booper) -> None:
    """A message to a channel reaches those who listen to it through a standby."""
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    gone = asyncio.Event()

    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if body := message.get("body"):
            pieces.put_nowait(body)

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/channels/news/events",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {KEY}".encode())],
    }
    async with asyncio.timeout(DEADLINE_SECONDS):
        feed = asyncio.create_task(standby.asgi(scope, receive, send))
        text = await pieces.get()
        async with client_of(standby.asgi) as client:
            message = {"content": "it rains", "channel": "news"}
            assert (await client.post("/api/broadcast", json=message)).status_code == 200
        while b"it rains" not in text:
            text += await pieces.get()
        gone.set()
        await feed


async def test_changes_pass_through_a_standby(standby: Booper) -> None:
    """What changes at the holder is streamed to whoever listens at a standby."""
    async with client_of(standby.asgi) as client, connected(standby.asgi, "/api/events") as stream:
        await stream.start()
        text = ""
        while "are_more" not in text:
            text += await stream.block()
        job = {"url": "https://target.test/", "schedule_in": 3600}
        made = (await client.post("/api/jobs", json=job)).json()["data"]
        while f'"jobs":[{made["job_id"]}]' not in text:
            text += await stream.block()


async def test_who_may_not_follow_does_not_start(holder: Booper, config: Config) -> None:
    """A daemon, and whoever has a clock of its own, refuses to be the second."""
    for second in (Booper(config, follow=False), Booper(config, clock=VirtualClock(START))):
        with pytest.raises(DatabaseLocked, match="already served by another booper"):
            await second.__aenter__()


async def test_a_database_too_deep_for_sockets_is_held_but_not_followed(
    tmp_path: Path, target: FakeTarget, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a socket's path would be too long, one process runs; a second is told why not."""
    folder = tmp_path / ("d" * 100)
    folder.mkdir()
    deep = Config(database=Database(path=str(folder / "booper.db")), targets=Targets())
    async with make(deep, target) as first:
        assert "too long for a socket's path" in caplog.text
        async with client_of(first.asgi) as client:
            assert (await client.get("/api/jobs")).status_code == 200
        with pytest.raises(StartError, match="too long for a socket's path"):
            await make(deep, target).__aenter__()


class Seat:
    """A database that is taken, broken or free, as a test says."""

    def __init__(self, state: Exception | None) -> None:
        self.state = state
        self.attempts = 0
        self.is_held = False
        self.gate = asyncio.Event()
        self.gate.set()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[Holder]:
        """Yield a holder as a booper does; what a failure left open is closed again."""
        self.attempts += 1
        self.is_held = True
        try:
            await self.gate.wait()
            if self.state is not None:
                raise self.state
            yield cast(Holder, Held())
        finally:
            self.is_held = False

    async def wait(self, clock: VirtualClock, attempts: int) -> None:
        """Advance time until this many attempts to take it were made."""
        await checkpoint()
        while self.attempts < attempts:
            clock.advance(PAUSE_AFTER_FAILURE)
            await checkpoint()


async def here(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer that this process does."""
    await Response("here")(scope, receive, send)


class Held:
    """What a booper is once it holds the database, as far as a standby looks at it."""

    application = administration = staticmethod(here)

    async def wait_failed(self) -> None:
        """Return, as if its loop had ended."""


@asynccontextmanager
async def standing_by(seat: Seat, clock: VirtualClock, folder: Path) -> AsyncIterator[Standby]:
    """Run a standby that wants a seat."""
    standby = Standby(folder / "booper.db", seat.hold, lambda holder: None, clock, max_body_bytes=1)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield standby
    finally:
        await standby.aclose()


async def test_a_held_database_is_tried_for_again_and_again(
    clock: VirtualClock, tmp_path: Path
) -> None:
    """Quietly, since that is how it should be, until it is free; then calls are answered here."""
    seat = Seat(DatabaseLocked("held"))
    async with standing_by(seat, clock, tmp_path) as standby:
        await seat.wait(clock, 3)
        assert not seat.is_held
        seat.state = None
        await seat.wait(clock, 4)
        await standby.wait_failed()
        assert seat.is_held
        for application in (standby.application, standby.administration):
            async with client_of(application, None) as client:
                assert (await client.get("/")).text == "here"
    assert not seat.is_held
    assert seat.attempts == 4


@pytest.mark.parametrize("error", [StartError("broken"), StoreUnavailable("broken")])
async def test_a_takeover_that_fails_is_tried_again(
    clock: VirtualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """A free database that cannot be opened is let go, for others to try, and told in the log."""
    seat = Seat(error)
    async with standing_by(seat, clock, tmp_path) as standby:
        await seat.wait(clock, 2)
        assert not seat.is_held
        assert "cannot be taken over: broken" in caplog.text
        seat.state = None
        await seat.wait(clock, 3)
        await standby.wait_failed()
        assert seat.is_held


async def test_what_is_no_expected_failure_ends_the_standing_by(
    clock: VirtualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever waits for it is told, and the log has it: a fault is not to be tried for ever."""
    seat = Seat(ZeroDivisionError("a fault"))
    async with standing_by(seat, clock, tmp_path) as standby:
        await seat.wait(clock, 1)
        with pytest.raises(ZeroDivisionError):
            await standby.wait_failed()
    assert "standing by failed" in caplog.text
    assert not seat.is_held


async def test_a_stop_in_the_middle_of_a_takeover_gives_it_back(
    clock: VirtualClock, tmp_path: Path
) -> None:
    """What was opened so far is closed, and the stop does not wait for the rest."""
    seat = Seat(None)
    seat.gate.clear()
    async with standing_by(seat, clock, tmp_path):
        await seat.wait(clock, 1)
        assert seat.is_held
    assert not seat.is_held

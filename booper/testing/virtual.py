"""A booper for tests: in a thread of its own, on a clock that stands still, with no world around.

Owns the thread, the temporary database and the listener; moving time is `booper.travel`'s.
"""

import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self

import anyio
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from msgspec.structs import replace
from starlette.types import ASGIApp

from booper.app import Booper
from booper.client import AsyncClient, Client
from booper.clock import SystemClock, VirtualClock, new_unfrozen_loop
from booper.config import Config, Database, Targets
from booper.embedding import embedded_transport
from booper.model.duration import MAX_DURATION
from booper.model.key import DEFAULT_USER
from booper.server.limits import Limits
from booper.server.listener import Listener, listening
from booper.temporary import temporary_folder
from booper.testing.sent import Recorder, SentRequests
from booper.testing.target import Rule, ScriptedResponse, ScriptedTarget
from booper.testing.times import Duration, Moment, read_duration, read_moment
from booper.travel import Journey, Travel

KEY: Final = "sk_test_virtual_booper"
"""The API key that works at `VirtualBooper.url`."""

_OPEN: Final = Config(targets=Targets(require_https=False, allow_private_networks=True))


@dataclass(frozen=True, slots=True)
class _Running:
    """The parts of a `VirtualBooper` while it is entered."""

    portal: BlockingPortal
    booper: Booper
    travel: Travel


class VirtualBooper:
    """A booper whose time is the test's, and whose requests reach what the test says.

        with VirtualBooper(start=datetime(2030, 1, 31, 9, 0, tzinfo=UTC)) as booper:
            ...

    The clock stands at `start`, else at the machine's present time, until it is moved. Any target
    is fine unless a `config` says what is; its database is always a new one. Jobs with a url
    such as `app:/tasks/mail` go to `app`; all other requests get what `respond` was
    told. Chance is the same in each test.

    Raises:
        ValueError: `start` says no time zone.
        RuntimeError: it is asked for something outside its `with`.
    """

    def __init__(
        self,
        *,
        start: Moment | None = None,
        config: Config | None = None,
        app: ASGIApp | None = None,
    ) -> None:
        self._clock = VirtualClock(
            read_moment("start", start) if start is not None else SystemClock().now()
        )
        self._config = config or _OPEN
        self._app = app
        self._target = ScriptedTarget()
        self._recorder = Recorder()
        self._stack = ExitStack()
        self._entered: _Running | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = stack.enter_context(temporary_folder("booper-test-"))
            portal = stack.enter_context(
                start_blocking_portal("asyncio", {"loop_factory": new_unfrozen_loop})
            )
            booper = self._make(folder / "booper.db")
            stack.enter_context(portal.wrap_async_context_manager(booper))
            travel = Travel(booper, self._clock, is_gapless=True)
            self._entered = _Running(portal, booper, travel)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered = None
        self._stack.close()
        if error is None:
            self._target.raise_error()

    @property
    def now(self) -> datetime:
        """Return the time it is for booper, in UTC."""
        return self._clock.now()

    @property
    def key(self) -> str:
        """Return the API key for `url`."""
        return KEY

    @property
    def sent(self) -> SentRequests:
        """Return what has been sent until now: each attempt of a job, each callback and webhook.

        What is due now may still be on its way: after `advance` and `drain` it has arrived.
        """
        return self._recorder.so_far()

    @cached_property
    def client(self) -> Client:
        """Return a blocking client, with no socket between; its jobs are also those of `key`."""
        client = Client("http://booper.test", transport=self._bridge, retries=0)
        self._stack.callback(client.close)
        return client

    @cached_property
    def async_client(self) -> AsyncClient:
        """Return the same to be awaited, in the loop of any test."""
        return AsyncClient("http://booper.test", transport=self._bridge, retries=0)

    @cached_property
    def url(self) -> str:
        """Return where the API listens, from the first time this is asked on."""
        running = self._running
        bound = socket.create_server(("127.0.0.1", 0))
        listener = Listener(running.booper.asgi, 1, [bound], Limits())
        self._stack.callback(bound.close)
        self._stack.enter_context(running.portal.wrap_async_context_manager(listening(listener)))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"

    def respond(self, url: str, *responses: ScriptedResponse, method: str | None = None) -> None:
        """Respond to requests to a URL with these in order, and with the last one from then on.

        In the URL `*` stands for anything; its query may be left out. A response is a status, an
        `httpx.Response`, an exception that the network raises (`TimeoutError()`,
        `httpx.ConnectError("refused")`), or a function from an `httpx.Request` to a response.
        A later call goes over an earlier one.

        Raises:
            ValueError: no request can be to such a URL, or a response is none of these.
        """
        self._target.add(Rule(url, responses, method))

    def forget_sent(self) -> None:
        """Empty `sent`."""
        self._recorder.forget()

    def advance(
        self,
        duration: Duration = timedelta(0),
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> Journey:
        """Advance time by a duration; all that is due on the way happens, each at its time.

        A number is seconds, and text such as "5m" is read as well. Returns what ran since the last
        such call. A target's response takes no time.

        Raises:
            Conflict: the duration is negative.
            ValueError: it is no duration, or over a century; TypeError where it is another thing.
            Exception: whatever a function given to `respond` has raised.
        """
        passing = read_duration(
            duration, weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
        )
        return self._travelled(partial(self._running.travel.by, passing))

    def advance_to(self, moment: Moment) -> Journey:
        """Advance time to a moment. Raises: as `advance`, and ValueError without a zone."""
        to = read_moment("moment", moment)
        if to - self.now > MAX_DURATION:
            raise ValueError(f"moment: must be within a century from now, got {moment!r}")
        return self._travelled(partial(self._running.travel.to, to))

    def run_next(self) -> Journey:
        """Advance time until something is sent, if anything waits. Raises: as `advance`."""
        return self._travelled(self._running.travel.run_next)

    def drain(self) -> Journey:
        """Wait until all that is due by now is sent and has a response. Raises: as `advance`."""
        return self.advance()

    def _travelled(self, travel: Callable[[], Awaitable[Journey]]) -> Journey:
        if self._target.is_responding:
            raise RuntimeError(
                "time cannot move while a request has no response: a function given to `respond` "
                "may call booper, but not advance or drain it"
            )
        journey = self._running.portal.call(travel)
        self._target.raise_error()
        return journey

    def _make(self, database: Path) -> Booper:
        config = replace(
            self._config,
            database=Database(path=str(database)),
            delivery=replace(self._config.delivery, grace_seconds=0),  # nobody waits at the end
        )
        booper = Booper(
            config,
            api_key=KEY,
            clock=self._clock,
            random=Random(1),
            transport=self._target,
            app=self._app,
            user=DEFAULT_USER,
            is_temporary=True,
        )
        booper.observers.add(self._recorder)
        return booper

    @cached_property
    def _bridge(self) -> "_Bridge":
        running = self._running
        inside = embedded_transport(running.booper.administration, DEFAULT_USER)
        return _Bridge(running.portal, inside)

    @property
    def _running(self) -> _Running:
        """Return what is entered. Raises: RuntimeError, nothing is."""
        if self._entered is None:
            raise RuntimeError(
                "a VirtualBooper runs only inside a `with` block: with VirtualBooper() as booper: …"
            )
        return self._entered


class _Bridge(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that carries requests to booper's thread, from any other one."""

    def __init__(self, portal: BlockingPortal, inside: httpx.AsyncBaseTransport) -> None:
        self._portal = portal
        self._inside = inside

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange, and block until it is done."""
        return self._portal.call(self._exchange, request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange, and let the loop go on meanwhile."""
        return await anyio.to_thread.run_sync(self.handle_request, request)

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        response = await self._inside.handle_async_request(request)
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        content = b"".join([chunk async for chunk in stream])
        return httpx.Response(
            response.status_code, headers=response.headers, stream=httpx.ByteStream(content)
        )

"""The bench: one booper after another on a clock, a map of hosts and a sink that stay."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from booper.api.problems import ProblemResponse
from booper.app import Booper
from booper.clock import RunningClock, SystemClock
from booper.config import Config
from booper.dev.operations import Operations
from booper.dev.sink import PREFIX, Sink
from booper.engine.observer import Observer
from booper.engine.origin_map import OriginMap
from booper.errors import Forbidden, StoreUnavailable, TargetRefused
from booper.first_key import Address, addresses_of, is_loopback
from booper.guard.names import ip_literal
from booper.guard.target import parse_authority
from booper.travel import Journey, Travel

PUBLIC_KEY: Final = "sk_public_20230921"
"""The key of the published requests."""

HOSTED: Final = "https://scheduler.booper.dev"
"""Where the published requests go, which here is this very process."""


class Watcher(Observer):
    """An observer that is also told what is done to the bench itself."""

    def went(self, journey: Journey) -> None:
        """Note that the clock was moved."""

    def told_time(self, *, is_frozen: bool) -> None:
        """Note that the clock was stopped or set going."""

    def reset(self, caught: int) -> None:
        """Note a reset; `caught` is how many requests the sink had."""


class Bench:
    """A booper to develop against: its API, the sink, and the operations that move its time.

    It listens on `address`, where programs of this machine call it at `url`.

    Raises:
        ConfigError: an entry of `maps` is wrong.
    """

    def __init__(
        self,
        config: Config,
        clock: RunningClock,
        *,
        address: Address | Sequence[Address],
        url: str,
        maps: Sequence[str] = (),
        observers: Sequence[Observer] = (),
        watcher: Watcher | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.clock = clock
        self.sink = Sink(clock)
        self._config = config
        self._public = config.server.public
        self._addresses = addresses_of(address)
        self._origins = OriginMap.parse(maps, {HOSTED: url})
        self._observers = [*observers, watcher] if watcher else observers
        self._watcher = watcher
        self._transport = transport
        self._start_at = None if not clock.is_frozen else clock.now()
        self._stack = AsyncExitStack()
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> "Bench":
        """Start the first booper. Raises: StartError."""
        await self._start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop the last one."""
        await self._stack.aclose()

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the sink and the API; a call that meets a reset waits for its end."""
        if not self._is_meant(Headers(scope=scope).get("host", "")):
            error = Forbidden("this booper is for its own machine: call it localhost or 127.0.0.1")
            await ProblemResponse(error)(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"].startswith(PREFIX + "/"):
            await self.sink(scope, receive, send)
            return
        await self._ready.wait()
        await self.booper.asgi(scope, receive, send)

    async def go(self, move: Callable[[Travel], Awaitable[Journey]]) -> Journey:
        """Move the clock. Raises: Conflict, StoreUnavailable."""
        travel = self.travel
        try:
            journey = await move(travel)
        except StoreUnavailable as error:
            if self._ready.is_set() and travel is self.travel:
                raise
            raise StoreUnavailable("a reset has ended this move of the clock") from error
        if self._watcher is not None:
            self._watcher.went(journey)
        return journey

    async def set_frozen(self, is_frozen: bool) -> None:
        """Stop the clock or let it run, once it is not being moved."""
        async with self.travel.still():
            if is_frozen:
                self.clock.freeze()
            else:
                self.clock.run()
        if self._watcher is not None:
            self._watcher.told_time(is_frozen=is_frozen)

    async def reset(self) -> None:
        """Forget all jobs, schedules, logs, keys and what the sink has, and set the clock back.

        What is on its way is not waited for. A clock that runs goes back to the machine's time.
        """
        async with self._turn:
            self._ready.clear()
            await self._stack.aclose()
            database = Path(self._config.database.path)
            for suffix in ("", "-wal", "-shm"):
                database.with_name(database.name + suffix).unlink(missing_ok=True)
            caught = len(self.sink.arrived())
            self.sink.clear()
            self.clock.set(self._start_at or SystemClock().now())
            await self._start()
            if self._watcher is not None:
                self._watcher.reset(caught)

    async def wait_failed(self) -> None:
        """Return when the loop of a booper has ended though nobody asked for it."""
        while True:
            booper = self.booper
            await booper.wait_failed()
            async with self._turn:
                if booper is self.booper:
                    return

    def _is_meant(self, host: str) -> bool:
        """Return whether a request may come from a program here, judged by its Host header.

        The key is known to everybody, also to a web page whose own name leads to this machine (DNS
        rebinding): what listens here alone responds to no names of others.
        """
        try:
            name, _ = parse_authority(host)
        except TargetRefused:
            return False
        return (
            not all(is_loopback(host) for host, _ in self._addresses)
            or ip_literal(name) is not None
            or name in ("localhost", HOSTED.removeprefix("https://"))
            or (self._public is not None and host.lower() == self._public.host)
        )

    async def _start(self) -> None:
        operations = Operations(self)
        booper = Booper(
            self._config,
            api_key=PUBLIC_KEY,
            address=self._addresses,
            clock=self.clock,
            transport=self._transport,
            origins=self._origins,
            open_channels=True,
            open_pages=True,
            operations=operations.all,
        )
        for observer in self._observers:
            booper.observers.add(observer)
        self._stack = AsyncExitStack()
        self.booper = await self._stack.enter_async_context(booper)
        self.travel = Travel(booper, self.clock)
        self._ready.set()

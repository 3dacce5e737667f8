"""The composition root: `Booper` builds the parts of this process and owns their lifetime.

Constructing does no I/O; `async with booper:` makes it the holder of its database
(`booper.holder`); where another process has that, it stands by (`booper.standby`) until that one
is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from random import Random

import httpx
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from booper.api.operations import Operation
from booper.clock import Clock, unfrozen
from booper.config import Config, given_config
from booper.databases import clock_of
from booper.embedding import APP_USER, EmbeddedCalls, check_user, embedded_client
from booper.engine.observer import Observers
from booper.engine.origin_map import OriginMap
from booper.errors import ConfigError, StoreUnavailable
from booper.fence import Fence
from booper.first_key import Address, addresses_of, check_api_key
from booper.holder import Holder, holding
from booper.http.base import Client
from booper.http.certificates import Certificates
from booper.metrics.endpoint import with_metrics
from booper.parts import Parts, ways_out
from booper.setting_changes import Changes, changes
from booper.standby import Standby
from booper.store.sqlite import DatabaseLocked


class Booper(EmbeddedCalls):
    """A scheduler in this process: the loop, the store and the API over it.

    Without a `config` it is that of the file which `BOOPER_CONFIG` names, if it names one.
    `api_key` is a key that must work beside those in the store. `address` is where the API will
    listen (one host and port, or several): jobs may then reach its helper paths, and a public one
    needs a key. `clock`, `random` and `transport` are the edges to the world, for tests and
    simulations.

    Where several processes run one over the same database, as the workers of a web server do, one
    of them holds it, and the others hand it their calls until they can take its place. Unless
    `follow` is set, one that finds the database held does not start; nor does one with a `clock`
    of its own, since others do not know its time. Over PostgreSQL such a one is the only node.

    A database that `is_temporary` is thrown away at the end: booper works on it faster, in the
    event loop's own thread and without a journal on the disk.

    `origins` sends requests elsewhere, `operations` are more of them for the API. With
    `open_channels` messages to channels need no key, and are those of `api_key`'s user; with
    `open_pages` the dashboard needs no sign-in on this machine, and is that key's. Who is
    added to `observers` is told what the engine does.

    `app` is the program that jobs with a url such as `app:/tasks/send-mail` are delivered to, in
    this process; by `lifespan` it is the one that booper runs inside. Only `administration` takes
    creates of such jobs.

    Its `jobs`, `schedules`, `logs` and `keys` act for `user`.

    Raises:
        ConfigError: `config`, the file in BOOPER_CONFIG, `api_key`, `address`, `app` or `user` is
            wrong.
    """

    _running: Holder | Standby | None = None

    def __init__(
        self,
        config: Config | None = None,
        *,
        api_key: str | None = None,
        address: Address | Sequence[Address] | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        transport: httpx.AsyncBaseTransport | Client | None = None,
        app: ASGIApp | None = None,
        user: str = APP_USER,
        follow: bool = True,
        origins: OriginMap | None = None,
        open_channels: bool = False,
        open_pages: bool = False,
        operations: Sequence[Operation] = (),
        is_temporary: bool = False,
    ) -> None:
        self.config, self.observers = given_config(config), Observers()
        self._app, self._user, self._exit = _checked_app(app), check_user(user), AsyncExitStack()
        self._follows, self._transport = follow and clock is None, transport
        addresses, certificates, fence = addresses_of(address), Certificates(), Fence()
        client, guard = ways_out(self.config, addresses, transport, certificates, fence)
        self._parts = Parts(
            config=self.config,
            addresses=addresses,
            api_key=check_api_key(api_key),
            clock=clock or clock_of(self.config),
            random=random or Random(),
            observers=self.observers,
            client=client,
            guard=guard,
            certificates=certificates,
            operations=with_metrics(self.config.server.metrics, operations),
            origins=origins,
            open_channels=open_channels,
            open_pages=open_pages,
            is_temporary=is_temporary,
            fence=fence,
        )

    async def __aenter__(self) -> "Booper":
        """Open the store and start the loop; or stand by while another process has it open.

        Raises:
            StartError: the database cannot be used, or another process serves it.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(unfrozen(asyncio.get_running_loop()))
            try:
                self._running = await stack.enter_async_context(self._hold())
            except DatabaseLocked:
                if not self._follows:
                    raise
                self._running = self._stand_by(stack)
            self._exit = stack.pop_all()
        self._client = embedded_client(self.administration, self._user)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop: running attempts get their grace, everything else is kept for the next start."""
        await self._exit.aclose()
        self._client = None

    def use(self, config: Config) -> Changes:
        """Go on by other settings, as far as that needs no new start; return how far it is.

        Raises:
            ConfigError: they cannot be used, and nothing has changed.
        """
        found = changes(self.config, config)
        parts = self._parts.with_settings(found.config, self._transport)
        self.config, self._parts = found.config, parts
        if isinstance(self._running, Holder):
            self._running.use(parts)
        return found

    @asynccontextmanager
    async def lifespan(self, app: ASGIApp) -> AsyncIterator[None]:
        """Run inside another ASGI program, as its lifespan."""
        self._app = self._app or app
        async with self:
            yield

    @property
    def first_key(self) -> str | None:
        """Return the API key that this start has made, None if there was one."""
        return self._runs.first_key

    async def drain(self) -> None:
        """Claim no more, and give running attempts their grace; the API still responds.

        One that stands by does not take over any more.
        """
        await self._runs.drain()

    async def wait_failed(self) -> None:
        """Return when the loop has ended. Raises: whatever ended it before its time.

        One that stands by has no loop until it takes over; then that one is meant.
        """
        await self._runs.wait_failed()

    async def beat(self) -> StoreUnavailable | None:
        """Return once the loop has turned and the store has written; or why it cannot write.

        Where one of them is stuck, this does not return.

        Raises:
            RuntimeError: another process holds the database.
        """
        return await self._holder.beat()

    async def wait_idle(self) -> None:
        """Return once nothing is due at the clock's present time and nothing is on its way.

        Raises:
            RuntimeError: another process holds the database, and only that one can know.
        """
        await self._holder.scheduler.wait_idle()

    def begin_journey(self) -> None:
        """Read anew what waits, so that a traveller misses nothing of it."""
        self._holder.scheduler.reread()

    def travelled(self, duration: timedelta) -> None:
        """Note that the clock was just moved on by this much, on purpose."""
        self._holder.scheduler.skipped(duration)

    def next_at(self) -> datetime | None:
        """Return when there may be something to send next, None if nothing waits for a time.

        Exact while nothing is on its way: after `wait_idle`.
        """
        return self._holder.scheduler.next_at(self._parts.clock.now())

    def is_crowded(self) -> bool:
        """Return whether a response waits until others are read."""
        return self._parts.memory.is_short

    async def asgi(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve the API; usable from the start to the stop."""
        await self._runs.application(scope, receive, send)

    async def administration(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve the API to whoever is an administrator because they could get here."""
        await self._runs.administration(scope, receive, send)

    @property
    def _runs(self) -> Holder | Standby:
        if self._running is None:
            raise RuntimeError("booper is not running: use it inside `async with booper:`")
        return self._running

    @property
    def _holder(self) -> Holder:
        if isinstance(self._running, Holder):
            return self._running
        raise RuntimeError(
            "booper is not running, or another process holds the database, and only that one "
            "knows what is due; read the states of the jobs instead"
        )

    def _hold(self) -> AbstractAsyncContextManager[Holder]:
        return holding(self._parts, self._app)

    def _stand_by(self, stack: AsyncExitStack) -> Standby:
        """Hand every call to the process that holds the database, until this one does.

        Raises:
            StartError: the holder cannot be reached.
        """

        def took_over(holder: Holder) -> None:
            self._running = holder

        parts = self._parts
        standby = Standby(
            parts.database, self._hold, took_over, parts.clock, max_body_bytes=parts.max_body_bytes
        )
        stack.push_async_callback(standby.aclose)
        return standby


def _checked_app(app: ASGIApp | None) -> ASGIApp | None:
    """Return an ASGI application, None if there is none. Raises: ConfigError."""
    if app is None or callable(app):
        return app
    raise ConfigError(
        f"app: expected an ASGI application, got {app!r:.80}; import it, and give the object"
    )

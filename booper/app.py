"""The composition root: `Booper` builds the parts and owns their lifetime.

    config ──▶ store ──▶ scheduler (timers, delivery, guard) ──▶ API

Constructing does no I/O; `async with booper:` opens the store, starts the loop, and stops both.
Where another process has the store open, it follows that one (`booper.follower`), and does all of
it once that one is gone.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import httpx
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from booper.api.application import all_operations, create_application
from booper.api.cors import with_cors
from booper.api.memory import ResponseMemory
from booper.api.operations import Operation
from booper.api.services import Services
from booper.clock import Clock, SystemClock, unfrozen
from booper.config import Config
from booper.embedding import APP_USER, EmbeddedCalls, check_user, embedded_client
from booper.engine.channels import Channels
from booper.engine.commands import Commands
from booper.engine.delivery import Delivery
from booper.engine.observer import Observers
from booper.engine.origin_map import OriginMap
from booper.engine.reports import Reports
from booper.engine.scheduler import Scheduler
from booper.first_key import Address, addresses_of, check_api_key, ensure_key
from booper.follower import Faces, Follower, open_to_others
from booper.http.asgi import DELIVERED, AppTransport
from booper.http.base import Client
from booper.model.duration import parse_duration
from booper.model.retry import parse_backoff
from booper.origins import ways_of
from booper.parts import (
    USER_AGENT,
    check_app,
    make_client,
    make_config,
    make_guard,
    make_rate_limit,
    make_scheduler,
)
from booper.server.files import check_file_limit
from booper.server.limits import Limits
from booper.store.base import Store
from booper.store.sqlite import DatabaseLocked, FirstKeyFile, open_store
from booper.wire.redaction import Redaction

log = logging.getLogger("booper")

# A batch holds up to a thousand creates (contract §12).
MAX_BATCH_BYTES = 16 << 20


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
    of its own, since others do not know its time.

    `origins` sends requests elsewhere, `operations` are more of them for the API. With
    `open_channels` messages to channels need no key, and are those of `api_key`'s user. Who is
    added to `observers` is told what the engine does.

    `app` is the program that jobs with a url such as `app:/tasks/send-mail` are delivered to, in
    this process; by `lifespan` it is the one that booper runs inside. Only `administration` takes
    creates of such jobs.

    Its `jobs`, `schedules`, `logs` and `keys` act for `user`.

    Raises:
        ConfigError: `config`, the file in BOOPER_CONFIG, `api_key`, `address`, `app` or `user` is
            wrong.
    """

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
        operations: Sequence[Operation] = (),
    ) -> None:
        self.config = make_config(config)
        self.first_key: str | None = None
        self.observers = Observers()
        self._origins = origins
        self._open_channels = open_channels
        self._operations = all_operations(operations)
        self._addresses = addresses_of(address)
        self._app = check_app(app)
        self._user = check_user(user)
        self._clock = clock or SystemClock()
        self._is_shared = clock is None
        self._follows = follow and self._is_shared
        self._follower: Follower | None = None
        self._faces = Faces(self.asgi, self.administration)
        self._random = random or Random()
        # Per process, so that nothing learned from one run opens the helpers of the next.
        self._own_secret = secrets.token_urlsafe(32)
        self._channels = Channels(self._clock, self._random)
        self._memory = ResponseMemory()
        ways = ways_of(self.config, self._addresses)
        self._sender = make_client(self.config, transport, ways)
        self._exit = AsyncExitStack()
        self._scheduler: Scheduler | None = None
        self._loop: asyncio.Task[None] | None = None
        self._application: ASGIApp | None = None
        self._administration: ASGIApp | None = None
        self._redaction = Redaction.of(self.config.delivery.redact_headers)
        self._api_key = check_api_key(api_key)
        self._guard = make_guard(self.config, self._addresses, ways)

    async def __aenter__(self) -> "Booper":
        """Open the store and start the loop; or follow the process that has the database open.

        Raises:
            StartError: the database cannot be used, or another process serves it.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(unfrozen(asyncio.get_running_loop()))
            try:
                await self._start(stack)
            except DatabaseLocked:
                if not self._follows:
                    raise
                self._follower = await stack.enter_async_context(self._follow())
            self._exit = stack.pop_all()
        self._client = embedded_client(self.administration, self._user)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop: running attempts get their grace, everything else is kept for the next start."""
        await self._exit.aclose()
        self._client = None

    @asynccontextmanager
    async def lifespan(self, app: ASGIApp) -> AsyncIterator[None]:
        """Run inside another ASGI program, as its lifespan."""
        self._app = self._app or app
        async with self:
            yield

    async def drain(self) -> None:
        """Claim no more, and give running attempts their grace; the API still responds.

        One that follows does not take over any more.
        """
        if self._follower is not None:
            await self._follower.give_up()
        self._channels.close()  # an open feed would hold up whoever waits for connections
        if self._scheduler is not None:
            await self._scheduler.stop(timedelta(seconds=self.config.delivery.grace_seconds))

    async def wait_failed(self) -> None:
        """Return when the loop has ended. Raises: whatever ended it before its time.

        One that follows has no loop until it takes over; then that one is meant.
        """
        if self._follower is not None:
            await self._follower.wait()
            if self._loop is None:
                return  # drained before
        assert self._loop is not None, "booper is not running"
        await asyncio.shield(self._loop)

    async def wait_idle(self) -> None:
        """Return once nothing is due at the clock's present time and nothing is on its way.

        Raises:
            RuntimeError: another process holds the database, and only that one can know.
        """
        if self._scheduler is None:
            raise RuntimeError(
                "booper is not running, or another process holds the database, and only that one "
                "knows what is due; read the states of the jobs instead"
            )
        await self._scheduler.wait_idle()

    def begin_journey(self) -> None:
        """Read anew what waits, so that a traveller misses nothing of it."""
        assert self._scheduler is not None, "booper is not running, or only follows"
        self._scheduler.reread()

    def travelled(self, duration: timedelta) -> None:
        """Note that the clock was just moved on by this much, on purpose."""
        assert self._scheduler is not None, "booper is not running, or only follows"
        self._scheduler.skipped(duration)

    def next_at(self) -> datetime | None:
        """Return when there may be something to send next, None if nothing waits for a time.

        Exact while nothing is on its way: after `wait_idle`.
        """
        assert self._scheduler is not None, "booper is not running, or only follows"
        return self._scheduler.next_at(self._clock.now())

    def is_crowded(self) -> bool:
        """Return whether a response waits until others are read."""
        return self._memory.is_short

    async def asgi(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve the API; usable from the start to the stop."""
        assert self._application is not None, "booper is not running"
        await self._application(scope, receive, send)

    async def administration(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve the API to whoever is an administrator because they could get here."""
        assert self._administration is not None, "booper is not running"
        await self._administration(scope, receive, send)

    async def _start(self, stack: AsyncExitStack) -> None:
        database, server = self.config.database, self.config.server
        check_file_limit(
            server.max_connections if self._addresses else 0, self.config.delivery.concurrency
        )
        store = await stack.enter_async_context(
            open_store(Path(database.path), database.durability, self._random)
        )
        hosts = [host for host, _ in self._addresses]
        file, now = FirstKeyFile(Path(database.path)), self._clock.now()
        self.first_key = await ensure_key(store, self._api_key, hosts, file, now)
        if self.first_key is not None and not self._addresses:
            log.info("the first API key is in %s, for its owner alone to read", file.path)
        if self._is_shared:
            grace = self.config.delivery.grace_seconds
            limits = Limits(connections=server.max_connections)
            await open_to_others(
                stack, Path(database.path), self._faces, grace, limits, self.is_crowded
            )
        stack.push_async_callback(self._sender.aclose)
        reports = Reports(self._guard, self.config.retry.max_attempts, self._redaction)
        scheduler = self._make_scheduler(store, reports, self._way_inside(stack))
        self._loop = scheduler.start()
        stack.push_async_callback(self._end_loop, self._loop)
        stack.push_async_callback(self.drain)
        self._scheduler = scheduler
        services = self._make_services(store, scheduler, reports)
        self._application = with_cors(
            create_application(services, self._operations), self.config.server.cors_origins
        )
        self._administration = create_application(
            replace(services, is_administrator=True), self._operations
        )

    def _follow(self) -> Follower:
        """Hand every call to the process that holds the database, until this one does.

        Raises:
            StartError: the holder cannot be reached.
        """
        follower = Follower(
            Path(self.config.database.path),
            self._faces,
            self._start,
            self._clock,
            max_body_bytes=self._max_body_bytes(),
        )
        self._application, self._administration = follower.application, follower.administration
        return follower

    def _max_body_bytes(self) -> int:
        return max(self.config.server.max_body_bytes, MAX_BATCH_BYTES)

    def _make_services(self, store: Store, scheduler: Scheduler, reports: Reports) -> Services:
        config = self.config
        commands = Commands(
            store,
            scheduler,
            reports,
            self._channels,
            config.retry.max_attempts,
            config.channels.discord or None,
        )
        return Services(
            store=store,
            commands=commands,
            scheduler=scheduler,
            channels=self._channels,
            guard=self._guard,
            clock=self._clock,
            max_body_bytes=config.server.max_body_bytes,
            max_batch_bytes=self._max_body_bytes(),
            max_attempts=config.retry.max_attempts,
            backoff=parse_backoff(config.retry.backoff),
            redaction=self._redaction,
            user_agent=USER_AGENT,
            key_ttl=parse_duration(config.server.idempotency_ttl),
            own_secret=self._own_secret,
            rate_limit=make_rate_limit(config.server),
            has_app=self._app is not None,
            open_channels_key=self._api_key if self._open_channels else None,
            memory=self._memory,
        )

    def _way_inside(self, stack: AsyncExitStack) -> AppTransport | None:
        """Return what delivers to the program around booper, if there is one."""
        if self._app is None:
            return None
        delivery = self.config.delivery
        inside = AppTransport(
            self._app,
            marks={DELIVERED: True},
            host=delivery.app_host,
            grace_seconds=delivery.grace_seconds,
        )
        stack.push_async_callback(inside.aclose)
        return inside

    def _make_scheduler(
        self, store: Store, reports: Reports, inside: AppTransport | None
    ) -> Scheduler:
        sender = Delivery(
            self._sender,
            self._guard,
            self.config.delivery.max_response_bytes,
            self._own_secret,
            self._redaction.names,
            inside,
            self._origins,
        )
        return make_scheduler(
            self.config, store, reports, sender, self._clock, self._random, self.observers
        )

    async def _end_loop(self, loop: asyncio.Task[None]) -> None:
        """Wait for the loop's own end; a failure of it was told through `wait_failed`."""
        await asyncio.wait({loop})
        if (error := loop.exception()) is not None:
            log.critical("the loop failed", exc_info=error)

"""A booper that holds its database: the store, the loop that sends, and the API over both.

    config ──▶ store ──▶ scheduler (timers, delivery, guard) ──▶ API

`Parts` is what a process makes before it holds anything; `holding` makes the rest and ends it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from secrets import token_urlsafe
from typing import Final

from starlette.types import ASGIApp

from booper import __version__
from booper.api.application import create_application
from booper.api.cors import with_cors
from booper.api.limits import RateLimit
from booper.api.memory import ResponseMemory
from booper.api.operations import Operation
from booper.api.services import Services
from booper.clock import Clock
from booper.config import Config
from booper.engine.channels import Channels
from booper.engine.commands import Commands
from booper.engine.delivery import Delivery
from booper.engine.executor import Defaults, Executor
from booper.engine.heartbeat import Heartbeat
from booper.engine.observer import Observers
from booper.engine.origin_map import OriginMap
from booper.engine.reports import Reports
from booper.engine.scheduler import Scheduler
from booper.engine.signing import Secret
from booper.first_key import Address, ensure_key
from booper.guard.policy import Guard
from booper.http.asgi import DELIVERED, AppTransport
from booper.http.base import Client
from booper.model.duration import parse_duration
from booper.model.retry import parse_backoff
from booper.origins import limits_of
from booper.server.files import check_file_limit
from booper.server.forwarded import proxied
from booper.server.limits import Limits
from booper.server.sharing import sharing
from booper.store.base import Store
from booper.store.sqlite import FirstKeyFile, open_store
from booper.upkeep import before_upgrade, upkeep_of
from booper.wire.redaction import Redaction

log = logging.getLogger("booper")

USER_AGENT: Final = f"booper/{__version__}"

# A batch holds up to a thousand creates (contract §12).
MAX_BATCH_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a process makes once, whichever database it comes to hold.

    `open_channels` has messages to channels need no key, `is_shared` says whether other processes
    may share the database.
    """

    config: Config
    addresses: Sequence[Address]
    api_key: str | None
    clock: Clock
    random: Random
    observers: Observers
    client: Client
    guard: Guard
    operations: Sequence[Operation]
    origins: OriginMap | None
    open_channels: bool
    is_shared: bool
    memory: ResponseMemory = field(default_factory=ResponseMemory)
    own_secret: str = field(default_factory=partial(token_urlsafe, 32))
    """What opens booper's own helper paths; nothing learned from one run opens those of another."""

    @property
    def database(self) -> Path:
        """Return the path of the database."""
        return Path(self.config.database.path)

    @property
    def redaction(self) -> Redaction:
        """Return what hides secrets wherever requests and responses are shown."""
        return Redaction.of(self.config.delivery.redact_headers)

    @property
    def max_body_bytes(self) -> int:
        """Return how large a body may be where the largest is taken."""
        return max(self.config.server.max_body_bytes, MAX_BATCH_BYTES)


@dataclass(frozen=True, slots=True)
class Applications:
    """What a holder offers: the API, and the same to the administrator of its database."""

    application: ASGIApp
    administration: ASGIApp


class Holder:
    """What runs while the database is held. `first_key` is the key that its start has made."""

    def __init__(
        self,
        applications: Applications,
        scheduler: Scheduler,
        loop: asyncio.Task[None],
        channels: Channels,
        first_key: str | None,
        grace: timedelta,
        heartbeat: Heartbeat,
    ) -> None:
        self.application = applications.application
        self.administration = applications.administration
        self.scheduler = scheduler
        self.first_key = first_key
        self.beat = heartbeat.beat
        self._loop = loop
        self._channels = channels
        self._grace = grace

    async def drain(self) -> None:
        """Claim no more, and give running attempts their grace; the API still responds."""
        self._channels.close()  # an open feed would hold up whoever waits for connections
        await self.scheduler.stop(self._grace)

    async def wait_failed(self) -> None:
        """Return when the loop has ended. Raises: whatever ended it before its time."""
        await asyncio.shield(self._loop)

    async def wait_ended(self) -> None:
        """Wait for the loop's own end; a failure of it was told through `wait_failed`."""
        await asyncio.wait({self._loop})
        if (error := self._loop.exception()) is not None:
            log.critical("the loop failed", exc_info=error)


@asynccontextmanager
async def holding(parts: Parts, app: ASGIApp | None) -> AsyncIterator[Holder]:
    """Open the store and run the loop until the end of the block; `app` is the program around it.

    Raises:
        StartError: the database cannot be used, or another process holds it.
    """
    config = parts.config
    check_file_limit(
        config.server.max_connections if parts.addresses else 0, config.delivery.concurrency
    )
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            open_store(
                parts.database,
                config.database.durability,
                parts.random,
                limits_of(config),
                before_upgrade(config),
            )
        )
        first_key = await _first_key(parts, store)
        inside = None if app is None else _way_inside(app, config)
        channels = Channels(parts.clock, parts.random)
        reports = Reports(parts.guard, config.retry.max_attempts, parts.redaction)
        scheduler = _scheduler(parts, store, reports, inside)
        upkeep = upkeep_of(config, parts.clock)
        services = _services(parts, store, scheduler, reports, channels, has_app=app is not None)
        applications = _applications(parts, replace(services, backups=upkeep.backups))
        if parts.is_shared:
            await stack.enter_async_context(_sharing(parts, applications))
        stack.push_async_callback(parts.client.aclose)
        if inside is not None:
            stack.push_async_callback(inside.aclose)
        grace = timedelta(seconds=config.delivery.grace_seconds)
        heartbeat = Heartbeat(scheduler.turns, store, parts.clock)
        loop = scheduler.start(upkeep.agents)
        holder = Holder(applications, scheduler, loop, channels, first_key, grace, heartbeat)
        stack.push_async_callback(holder.wait_ended)
        stack.push_async_callback(holder.drain)
        yield holder


async def _first_key(parts: Parts, store: Store) -> str | None:
    hosts = [host for host, _ in parts.addresses]
    file = FirstKeyFile(parts.database)
    key = await ensure_key(store, parts.api_key, hosts, file, parts.clock.now())
    if key is not None and not parts.addresses:
        log.info("the first API key is in %s, which only its owner can read", file.path)
    return key


def _way_inside(app: ASGIApp, config: Config) -> AppTransport:
    """Return what delivers to the program around booper."""
    return AppTransport(
        app,
        marks={DELIVERED: True},
        host=config.delivery.app_host,
        grace_seconds=config.delivery.grace_seconds,
    )


def _scheduler(
    parts: Parts, store: Store, reports: Reports, inside: AppTransport | None
) -> Scheduler:
    """Return the loop with what makes its attempts."""
    config = parts.config
    delivery = Delivery(
        parts.client,
        parts.guard,
        config.delivery.max_response_bytes,
        parts.own_secret,
        parts.redaction.names,
        inside,
        parts.origins,
    )
    defaults = Defaults(
        timeout=timedelta(seconds=config.delivery.timeout_seconds),
        backoff=parse_backoff(config.retry.backoff),
        user_agent=USER_AGENT,
        secrets=[Secret.parse(text) for text in config.webhooks.secret],
        redaction=parts.redaction,
    )
    executor = Executor(
        store.queue, delivery, reports, parts.clock, parts.random, defaults, parts.observers
    )
    return Scheduler(store, executor, reports, parts.clock, parts.observers)


def _services(
    parts: Parts,
    store: Store,
    scheduler: Scheduler,
    reports: Reports,
    channels: Channels,
    *,
    has_app: bool,
) -> Services:
    config, server = parts.config, parts.config.server
    commands = Commands(
        store,
        scheduler,
        reports,
        channels,
        config.retry.max_attempts,
        config.channels.discord or None,
    )
    rate_limit = RateLimit(server.rate_limit, server.rate_burst) if server.rate_limit else None
    return Services(
        store=store,
        commands=commands,
        scheduler=scheduler,
        channels=channels,
        guard=parts.guard,
        clock=parts.clock,
        max_body_bytes=server.max_body_bytes,
        max_batch_bytes=parts.max_body_bytes,
        max_attempts=config.retry.max_attempts,
        backoff=parse_backoff(config.retry.backoff),
        redaction=parts.redaction,
        user_agent=USER_AGENT,
        key_ttl=parse_duration(server.idempotency_ttl),
        own_secret=parts.own_secret,
        rate_limit=rate_limit,
        has_app=has_app,
        open_channels_key=parts.api_key if parts.open_channels else None,
        memory=parts.memory,
        public_url=str(server.public or ""),
    )


def _applications(parts: Parts, services: Services) -> Applications:
    server = parts.config.server
    application = with_cors(create_application(services, parts.operations), server.cors_origins)
    return Applications(
        proxied(application, server.public, server.trusted_proxies),
        create_application(replace(services, is_administrator=True), parts.operations),
    )


def _sharing(parts: Parts, applications: Applications) -> AbstractAsyncContextManager[None]:
    return sharing(
        parts.database,
        applications.application,
        applications.administration,
        grace_seconds=parts.config.delivery.grace_seconds,
        limits=Limits(connections=parts.config.server.max_connections),
        is_crowded=lambda: parts.memory.is_short,
    )

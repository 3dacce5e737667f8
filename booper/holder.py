"""A booper that holds its database: the store, the loop that sends, and the API over both.

config ──▶ store ──▶ scheduler (timers, delivery, guard) ──▶ API
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random

from starlette.types import ASGIApp

from booper.alerting import Alarm, alarm_of, alert_delivery
from booper.assembly import USER_AGENT, Applications, Kept, executor_of, reports_of
from booper.config import Config
from booper.databases import opened
from booper.engine.agents import Agent
from booper.engine.attempt_counts import AttemptCounts
from booper.engine.changes import Changes
from booper.engine.channels import Channels
from booper.engine.feeds import Feeds
from booper.engine.heartbeat import Heartbeat
from booper.engine.node import Node
from booper.engine.scheduler import Scheduler
from booper.engine.shared_channels import SharedChannels
from booper.first_key import ensure_key, revoke_left_forever
from booper.http.asgi import DELIVERED, AppTransport
from booper.http.base import Client
from booper.measuring import measuring
from booper.model.origin import app_origin
from booper.origins import limits_of_node
from booper.parts import Parts
from booper.server.files import check_file_limit
from booper.server.forwarded import handed_on
from booper.server.limits import Limits
from booper.server.sharing import sharing
from booper.stop_signals import called_on_stop
from booper.store.base import Store
from booper.store.sharing import Notice
from booper.store.sqlite import FirstKeyFile
from booper.upkeep import Upkeep, upkeep_of

log = logging.getLogger("booper")


class Holder:
    """The parts that run while the database is held. `first_key` is the key that its start made."""

    def __init__(
        self,
        applications: Applications,
        scheduler: Scheduler,
        loop: asyncio.Task[None],
        kept: Kept,
        client: Client,
        first_key: str | None,
        grace: timedelta,
        heartbeat: Heartbeat,
        alarm: Alarm,
    ) -> None:
        self.application = applications.application
        self.administration = applications.administration
        self.scheduler = scheduler
        self.first_key = first_key
        self.beat = heartbeat.beat
        self._applications = applications
        self._kept = kept
        self._clients = [client]
        self._loop = loop
        self._grace = grace
        self._alarm = alarm

    def use(self, parts: Parts) -> None:
        """Go on by other settings; attempts that have begun end as they began."""
        self._clients.append(parts.client)
        self.scheduler.use(executor_of(parts, self._kept))
        self._applications.use(parts)
        self._alarm.use(parts.config, parts.client, parts.guard, parts.origins)

    async def close_clients(self) -> None:
        """Close the connections to targets, also those that older settings have opened."""
        for client in self._clients:
            await client.aclose()

    async def drain(self) -> None:
        """Claim no more, and give running attempts their grace; the API still responds."""
        self._kept.feeds.close()  # an open feed would hold up whoever waits for connections
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
        store = await stack.enter_async_context(_store(parts, has_app=app is not None))
        first_key = await _first_key(parts, store)
        inside = None if app is None else _way_inside(app, config)
        upkeep = await _upkeep(parts, store)
        stack.push_async_callback(upkeep.key_uses.write)  # after the last response
        kept = _kept(parts, store, inside, upkeep)
        scheduler = Scheduler(
            store, executor_of(parts, kept), reports_of(parts), parts.clock, parts.observers
        )
        heartbeat = Heartbeat(scheduler.turns, store, parts.clock)
        alarm = _alarm(parts, store, scheduler, upkeep, heartbeat)
        stack.enter_context(parts.observers.watching(alarm.observer))
        kept = replace(kept, alerts=alarm.alerts)
        applications = Applications(parts, kept, scheduler)
        await stack.enter_async_context(measuring(parts, kept, scheduler))
        if parts.is_shared:
            await stack.enter_async_context(_sharing(parts, applications))
        if inside is not None:
            stack.push_async_callback(inside.aclose)
        grace = timedelta(seconds=config.delivery.grace_seconds)
        loop = scheduler.start(_agents(parts, kept, scheduler, upkeep, alarm))
        holder = Holder(
            applications, scheduler, loop, kept, parts.client, first_key, grace, heartbeat, alarm
        )
        stack.push_async_callback(holder.close_clients)
        stack.push_async_callback(holder.wait_ended)
        stack.push_async_callback(holder.drain)
        yield holder


def _kept(parts: Parts, store: Store, inside: AppTransport | None, upkeep: Upkeep) -> Kept:
    feeds = Feeds(called_on_stop=called_on_stop)
    return Kept(
        store,
        feeds,
        _channels(parts, store, feeds),
        Changes(store, feeds, parts.clock),
        inside,
        upkeep.backups,
        upkeep.pruner,
        upkeep.space,
        AttemptCounts(parts.config.metrics.schedules),
    )


def _channels(parts: Parts, store: Store, feeds: Feeds) -> Channels:
    if store.sharing is None:
        return Channels(parts.clock, parts.random, feeds)
    return SharedChannels(store.sharing.messages, parts.clock, parts.random, feeds)


def _store(parts: Parts, *, has_app: bool) -> AbstractAsyncContextManager[Store]:
    config = parts.config
    return opened(
        config,
        parts.random,
        durability=parts.durability,
        limits=limits_of_node(config, has_app=has_app),
        fence=parts.fence,
        clock=parts.clock,
    )


async def _upkeep(parts: Parts, store: Store) -> Upkeep:
    """Return what keeps the database well; it is prepared for jobs that end."""
    upkeep = upkeep_of(parts.config, store, parts.clock)
    if upkeep.periods is not None:
        await upkeep.periods.prepare()
    return upkeep


def _alarm(
    parts: Parts, store: Store, scheduler: Scheduler, upkeep: Upkeep, heartbeat: Heartbeat
) -> Alarm:
    config = parts.config
    return alarm_of(
        config,
        store,
        scheduler,
        upkeep,
        heartbeat,
        alert_delivery(config, parts.client, parts.guard, parts.origins),
        USER_AGENT,
        parts.clock,
        Random(parts.random.getrandbits(64)),  # what it draws does not change what jobs do
    )


def _agents(
    parts: Parts, kept: Kept, scheduler: Scheduler, upkeep: Upkeep, alarm: Alarm
) -> Mapping[str, Agent]:
    """Return what runs beside the loop. What happens in a test is nobody's alarm."""
    store = kept.store
    agents = {**upkeep.agents, **kept.channels.agents}
    if alarm.is_heard or not parts.is_temporary:
        agents |= alarm.agents
    if store.sharing is not None:
        store.sharing.listen(partial(_hear, scheduler, kept.channels))
        agents |= Node(scheduler, parts.fence, parts.clock).agents
        agents["follower of changes"] = partial(kept.changes.follow, store.sharing)
        agents["revoker of left keys"] = partial(revoke_left_forever, store, parts.clock)
    return agents


def _hear(scheduler: Scheduler, channels: Channels, notice: Notice) -> None:
    """Do what another node's notice asks for."""
    scheduler.hear(notice)
    if notice.are_messages:
        channels.look()


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
        origin=app_origin(config.delivery.app_name),
    )


def _sharing(parts: Parts, applications: Applications) -> AbstractAsyncContextManager[None]:
    return sharing(
        parts.database,
        handed_on(applications.application),
        handed_on(applications.administration),
        grace_seconds=parts.config.delivery.grace_seconds,
        limits=Limits(connections=parts.config.server.max_connections),
        is_crowded=lambda: parts.memory.is_short,
    )

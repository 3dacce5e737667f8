"""What settings decide over one store: what makes attempts, and the API.

All of it can be made anew while the store, the loop and what is in flight go on.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from booper import __version__
from booper.api.application import create_application
from booper.api.cors import with_cors
from booper.api.limits import RateLimit, SharedRateLimit
from booper.api.request_counts import RequestCounts
from booper.api.services import Services
from booper.config import Server
from booper.dashboard.application import Dashboard
from booper.dashboard.policy import Hosts
from booper.engine.alerts import Alerts
from booper.engine.attempt_counts import AttemptCounts
from booper.engine.backups import Backups
from booper.engine.changes import Changes
from booper.engine.channels import Channels
from booper.engine.commands import Commands
from booper.engine.delivery import Delivery
from booper.engine.executor import Defaults, Executor
from booper.engine.feeds import Feeds
from booper.engine.pruner import Pruner
from booper.engine.reports import Reports
from booper.engine.scheduler import Scheduler
from booper.engine.signing import Secret
from booper.engine.space import SpaceKeeper
from booper.http.asgi import AppTransport
from booper.model.duration import parse_duration
from booper.model.retry import parse_backoff
from booper.parts import Parts
from booper.server.forwarded import proxied
from booper.store.base import Store
from booper.store.sharing import Rate, Sharing

USER_AGENT: Final = f"booper/{__version__}"


@dataclass(frozen=True, slots=True)
class Kept:
    """The parts that stay when settings change; `inside` leads to the program around booper.

    `backups` is None where the daemon makes none, `alerts` until its parts are there.
    """

    store: Store
    feeds: Feeds
    channels: Channels
    changes: Changes
    inside: AppTransport | None
    backups: Backups | None
    pruner: Pruner
    space: SpaceKeeper
    attempts: AttemptCounts
    alerts: Alerts | None = None
    requests: RequestCounts = field(default_factory=RequestCounts)


class Applications:
    """The applications of a holder: the API with its pages, and the API for the administrator."""

    def __init__(self, parts: Parts, kept: Kept, scheduler: Scheduler) -> None:
        self._kept = kept
        self._scheduler = scheduler
        self.use(parts)

    def use(self, parts: Parts) -> None:
        """Respond by these settings from the next request on."""
        services, server = services_of(parts, self._kept, self._scheduler), parts.config.server
        api = create_application(services, parts.operations, dashboard_of(parts, services))
        public = with_cors(api, server.cors_origins)
        self._application: ASGIApp = proxied(public, server.public, server.trusted_proxies)
        services = replace(services, is_administrator=True)
        self._administration: ASGIApp = create_application(services, parts.operations)

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request of whoever has a key."""
        await self._application(scope, receive, send)

    async def administration(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request of the administrator."""
        await self._administration(scope, receive, send)


def dashboard_of(parts: Parts, services: Services) -> Dashboard | None:
    """Return the pages beside the API, None if they are switched off."""
    server = parts.config.server
    if not server.pages:
        return None
    hosts = Hosts([host for host, _ in parts.addresses], server.hosts, server.public)
    open_key = parts.api_key if parts.open_pages else None
    return Dashboard(services, parts.operations, hosts, open_key)


def reports_of(parts: Parts) -> Reports:
    """Return what reports to the users' own URLs."""
    return Reports(parts.guard, parts.config.retry.max_attempts, parts.redaction)


def executor_of(parts: Parts, kept: Kept) -> Executor:
    """Return what makes attempts."""
    config = parts.config
    delivery = Delivery(
        parts.client,
        parts.guard,
        config.delivery.max_response_bytes,
        parts.own_secret,
        parts.redaction.names,
        kept.inside,
        parts.origins,
        parts.fence,
    )
    defaults = Defaults(
        timeout=timedelta(seconds=config.delivery.timeout_seconds),
        backoff=parse_backoff(config.retry.backoff),
        user_agent=USER_AGENT,
        secrets=[Secret.parse(text) for text in config.webhooks.secret],
        redaction=parts.redaction,
    )
    return Executor(
        kept.store.queue,
        delivery,
        reports_of(parts),
        parts.clock,
        parts.random,
        defaults,
        parts.observers,
    )


def services_of(parts: Parts, kept: Kept, scheduler: Scheduler) -> Services:
    """Return what the API works with."""
    config, server = parts.config, parts.config.server
    return Services(
        store=kept.store,
        commands=_commands(parts, kept, scheduler),
        scheduler=scheduler,
        feeds=kept.feeds,
        channels=kept.channels,
        changes=kept.changes,
        guard=parts.guard,
        certificates=parts.certificates,
        clock=parts.clock,
        max_body_bytes=server.max_body_bytes,
        max_batch_bytes=parts.max_body_bytes,
        max_attempts=config.retry.max_attempts,
        backoff=parse_backoff(config.retry.backoff),
        redaction=parts.redaction,
        user_agent=USER_AGENT,
        key_ttl=parse_duration(server.idempotency_ttl),
        own_secret=parts.own_secret,
        rate_limit=None if kept.store.sharing else _rate_limit(server),
        shared_rate_limit=_shared_rate_limit(server, kept.store.sharing),
        program=None if kept.inside is None else kept.inside.origin,
        open_channels_key=parts.api_key if parts.open_channels else None,
        backups=kept.backups,
        pruner=kept.pruner,
        space=kept.space,
        memory=parts.memory,
        requests=kept.requests,
        attempts=kept.attempts,
        alerts=kept.alerts,
        public_url=str(server.public or ""),
    )


def _commands(parts: Parts, kept: Kept, scheduler: Scheduler) -> Commands:
    config = parts.config
    return Commands(
        kept.store,
        scheduler,
        reports_of(parts),
        kept.feeds,
        config.retry.max_attempts,
        config.channels.discord or None,
    )


def _rate_limit(server: Server) -> RateLimit | None:
    return RateLimit(server.rate_limit, server.rate_burst) if server.rate_limit else None


def _shared_rate_limit(server: Server, sharing: Sharing | None) -> SharedRateLimit | None:
    if sharing is None or not server.rate_limit:
        return None
    return SharedRateLimit(Rate(server.rate_limit, server.rate_burst), sharing.count_requests)

"""The parts of a booper as its configuration wants them; `booper.app` puts them together."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random

import httpx
from starlette.types import ASGIApp

from booper import __version__
from booper.api.limits import RateLimit
from booper.certificates import InvalidCertificates, named_context
from booper.clock import Clock
from booper.config import Config, Server, read_config
from booper.engine.delivery import Delivery
from booper.engine.executor import Defaults, Executor
from booper.engine.observer import Observers
from booper.engine.reports import Reports
from booper.engine.scheduler import Scheduler
from booper.engine.signing import Secret
from booper.errors import ConfigError
from booper.guard.policy import Guard
from booper.http.adapter import HttpxClient
from booper.http.base import Client
from booper.http.client import SocketClient
from booper.model.retry import parse_backoff
from booper.origins import Ways, slots_of
from booper.server.files import files_to_spare
from booper.store.base import Store
from booper.wire.redaction import Redaction

USER_AGENT = f"booper/{__version__}"


def make_config(config: Config | None) -> Config:
    """Return the configuration that is given, else that of the file in `BOOPER_CONFIG`, if any.

    Raises:
        ConfigError: what is given is none, or the file is wrong.
    """
    if config is None:
        path = os.environ.get("BOOPER_CONFIG")
        return read_config(Path(path) if path else None, {})
    if not isinstance(config, Config):
        raise ConfigError(
            f"config: expected Config(…), got {config!r:.80}; BOOPER_CONFIG names a file"
        )
    return config


def check_app(app: ASGIApp | None) -> ASGIApp | None:
    """Return an ASGI application, None if there is none. Raises: ConfigError."""
    if app is None or callable(app):
        return app
    raise ConfigError(
        f"app: expected an ASGI application, got {app!r:.80}; import it, and give the object"
    )


def make_guard(config: Config, own: Sequence[tuple[str, int]], ways: Ways) -> Guard:
    """Return the guard; `own` are the addresses it listens on. Raises: ConfigError."""
    targets = config.targets
    try:
        return Guard(
            require_https=targets.require_https,
            allow_private_networks=targets.allow_private_networks,
            allow=targets.allow,
            own=own,
            is_left_to_proxy=ways.is_resolved_by_proxy,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def make_client(
    config: Config, transport: httpx.AsyncBaseTransport | Client | None, ways: Ways
) -> Client:
    """Return what sends requests: over sockets, where no other transport is given.

    Raises:
        ConfigError: a variable names no certificates.
    """
    if isinstance(transport, httpx.AsyncBaseTransport):
        return HttpxClient(transport)
    if transport is not None:
        return transport
    try:
        named_context(os.environ)
    except InvalidCertificates as error:
        raise ConfigError(str(error)) from error
    return SocketClient(
        max_idle_per_origin=max((config.delivery.per_host, *slots_of(config).values())),
        max_idle=files_to_spare(4 * config.delivery.concurrency),
        routes=ways.route,
    )


def make_scheduler(
    config: Config,
    store: Store,
    reports: Reports,
    sender: Delivery,
    clock: Clock,
    random: Random,
    observers: Observers,
) -> Scheduler:
    """Return the loop with what makes its attempts."""
    delivery = config.delivery
    defaults = Defaults(
        timeout=timedelta(seconds=delivery.timeout_seconds),
        backoff=parse_backoff(config.retry.backoff),
        user_agent=USER_AGENT,
        secrets=[Secret.parse(text) for text in config.webhooks.secret],
        redaction=Redaction.of(delivery.redact_headers),
    )
    executor = Executor(store.queue, sender, reports, clock, random, defaults, observers)
    return Scheduler(
        store,
        executor,
        reports,
        clock,
        concurrency=delivery.concurrency,
        per_origin=delivery.per_host,
        slots=slots_of(config),
        observers=observers,
    )


def make_rate_limit(server: Server) -> RateLimit | None:
    """Return the limit of each key, if there is one."""
    if server.rate_limit == 0:
        return None
    return RateLimit(server.rate_limit, server.rate_burst)

"""What a process makes of its settings before it holds a database."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from secrets import token_urlsafe
from typing import Final

import httpx

from booper.api.memory import ResponseMemory
from booper.api.operations import Operation
from booper.certificates import InvalidCertificates, named_context
from booper.clock import Clock, SystemClock
from booper.config import Config
from booper.engine.observer import Observers
from booper.engine.origin_map import OriginMap
from booper.errors import ConfigError
from booper.fence import Fence
from booper.first_key import Address
from booper.guard.policy import Guard
from booper.http.adapter import HttpxClient
from booper.http.base import Client
from booper.http.certificates import Certificates
from booper.http.client import SocketClient
from booper.origins import Ways, limits_of, ways_of
from booper.server.files import files_to_spare
from booper.wire.redaction import Redaction

# A batch holds up to a thousand creates (contract §12).
MAX_BATCH_BYTES: Final = 16 << 20

Transport = httpx.AsyncBaseTransport | Client | None
"""What sends requests instead of sockets, if anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that a process makes once, whichever database it comes to hold.

    `open_channels` has messages to channels need no key, `open_pages` has the dashboard need no
    sign-in on this machine: it is that of `api_key`. `is_temporary` says that the database is
    thrown away at the end.
    """

    config: Config
    addresses: Sequence[Address]
    api_key: str | None
    clock: Clock
    random: Random
    observers: Observers
    client: Client
    guard: Guard
    certificates: Certificates
    operations: Sequence[Operation]
    origins: OriginMap | None
    open_channels: bool
    open_pages: bool
    is_temporary: bool
    fence: Fence
    memory: ResponseMemory = field(default_factory=ResponseMemory)
    own_secret: str = field(default_factory=partial(token_urlsafe, 32))
    """What opens booper's own helper paths; nothing learned from one run opens those of another."""

    @property
    def database(self) -> Path:
        """Return the path of the database."""
        return Path(self.config.database.path)

    @property
    def is_shared(self) -> bool:
        """Return whether other processes may share the database file: they know our time.

        Those that have one of PostgreSQL are nodes of their own.
        """
        return isinstance(self.clock, SystemClock) and not self.config.database.url

    @property
    def durability(self) -> str:
        """Return what a change of the database waits for before it is acknowledged."""
        return "none" if self.is_temporary else self.config.database.durability

    @property
    def redaction(self) -> Redaction:
        """Return what hides secrets wherever requests and responses are shown."""
        return Redaction.of(self.config.delivery.redact_headers)

    @property
    def max_body_bytes(self) -> int:
        """Return how large a body may be where the largest is taken."""
        return max(self.config.server.max_body_bytes, MAX_BATCH_BYTES)

    def with_settings(self, config: Config, transport: Transport) -> "Parts":
        """Return the same with other settings. Raises: ConfigError."""
        client, guard = ways_out(config, self.addresses, transport, self.certificates, self.fence)
        return replace(self, config=config, client=client, guard=guard)


def ways_out(
    config: Config,
    own: Sequence[Address],
    transport: Transport,
    certificates: Certificates,
    fence: Fence,
) -> tuple[Client, Guard]:
    """Return what sends requests, and what judges them; `own` are the addresses listened on.

    The client notes in `certificates` what it is shown, and sends nothing once `fence` is closed.

    Raises:
        ConfigError: a setting cannot be used, or a file that it names.
    """
    ways = ways_of(config, own)
    return _client(config, transport, ways, certificates, fence), _guard(config, own, ways)


def _guard(config: Config, own: Sequence[tuple[str, int]], ways: Ways) -> Guard:
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


def _client(
    config: Config, transport: Transport, ways: Ways, certificates: Certificates, fence: Fence
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
    limits = limits_of(config)
    return SocketClient(
        max_idle_per_origin=max((limits.per_origin, *limits.slots.values())),
        max_idle=files_to_spare(4 * config.delivery.concurrency),
        routes=ways.route,
        certificates=certificates,
        fence=fence,
    )

"""A booper that a browser reaches: served over HTTP as `booper serve` does, on a virtual clock."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from starlette.types import ASGIApp

from booper.app import Booper
from booper.cli.binding import bound, bound_addresses
from booper.clock import VirtualClock
from booper.config import Config
from booper.server.limits import Limits
from booper.server.listener import Listener, listening
from tests.browser.target import PathTarget
from tests.conftest import KEY, START
from tests.support.api import Api

Wrap = Callable[[ASGIApp], ASGIApp]
"""What stands between a browser and booper, such as what plants a fault into its pages."""


class Site:
    """A booper and its address. Time stands still until `clock` is moved.

    `api` has the first key, which administers. `admin` needs no key. All jobs reach `target`.
    """

    def __init__(
        self,
        url: str,
        booper: Booper,
        api: Api,
        admin: Api,
        clock: VirtualClock,
        target: PathTarget,
    ) -> None:
        self.url = url
        self.booper = booper
        self.api = api
        self.admin = admin
        self.clock = clock
        self.target = target

    async def key(self, scope: str, **fields: object) -> str:
        """Return a new key of a scope, of the first user unless told otherwise."""
        made = await self.admin.act("/api/keys", {"name": scope, "scope": scope, **fields})
        return str(made["key"])


def unchanged(app: ASGIApp) -> ASGIApp:
    """Return an application as it is."""
    return app


@asynccontextmanager
async def serving_site(config: Config, wrap: Wrap = unchanged) -> AsyncIterator[Site]:
    """Serve a booper on a free port of 127.0.0.1 until the end of the block."""
    clock, target = VirtualClock(START), PathTarget()
    with bound(["127.0.0.1"], 0) as sockets:
        addresses = bound_addresses(sockets)
        async with (
            Booper(
                config,
                api_key=KEY,
                address=addresses,
                clock=clock,
                random=Random(1),
                transport=target,
            ) as booper,
            Api(booper.asgi, KEY) as api,
            Api(booper.administration) as admin,
            listening(Listener(wrap(booper.asgi), 1, sockets, Limits())),
        ):
            host, port = addresses[0]
            site = Site(f"http://{host}:{port}", booper, api, admin, clock, target)
            try:
                yield site
            finally:
                target.release()

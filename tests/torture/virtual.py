"""A whole booper in this process, on a clock and a target of the test's, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx

from booper.alert_settings import Alerts
from booper.app import Booper
from booper.clock import Clock
from booper.config import Config, Database, Delivery, Retention, Targets
from tests.conftest import KEY
from tests.support.api import Api


@asynccontextmanager
async def running(
    database: Path | Database,
    clock: Clock,
    target: httpx.AsyncBaseTransport,
    random: Random,
    *,
    is_temporary: bool = False,
) -> AsyncIterator[tuple[Booper, Api]]:
    """Run a booper that stops without grace; every URL is an allowed target of it.

    A database is a file's path, or the settings that name it. One that `is_temporary` is thrown
    away.
    """
    if isinstance(database, Path):
        database = Database(path=str(database), durability="normal")
    config = Config(
        alerts=Alerts(disk_free_bytes=0),  # a thread would be asked for it
        database=database,
        targets=Targets(require_https=False, allow_private_networks=True),
        delivery=Delivery(grace_seconds=0),
        # Whatever was accepted is looked for at the end, however late that is.
        retention=Retention(completed="forever", cancelled="forever", discarded="forever"),
    )
    async with (
        Booper(
            config,
            api_key=KEY,
            clock=clock,
            random=random,
            transport=target,
            is_temporary=is_temporary,
        ) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        yield booper, api

"""A booper that runs for a part of a test, so that another can go on with its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.target import FakeTarget


@asynccontextmanager
async def running(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> AsyncIterator[tuple[Booper, Api]]:
    """Run a booper, and a client of its API, until the end of the block.

    Its randomness is real: with the same seed at the same virtual time, ids would come twice.
    """
    async with (
        Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        yield booper, api

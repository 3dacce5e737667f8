"""`/api/nodes`: the processes that serve the database."""

import socket
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import StartError
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.postgres import postgres, url_in
from tests.support.scrape import scraped
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


async def test_one_booper_is_one_node(config: Config, admin: Api, api: Api) -> None:
    """Over SQLite it needs no lease, and has no clock but the database's."""
    [node] = await admin.read("/api/nodes")
    assert node["number"] > 0
    assert (node["name"], node["is_this"]) == (socket.gethostname(), True)
    assert abs(node["clock_offset_seconds"]) < 1
    if not config.database.url:
        assert (node["lease_age_seconds"], node["clock_offset_seconds"]) == (None, 0)
    scrape = await scraped(api)
    assert scrape.value("booper_nodes") == 1
    assert scrape.value("booper_node_number") == node["number"]
    assert abs(scrape.value("booper_node_clock_offset_seconds")) < 1


async def test_over_postgresql_all_nodes_are_listed(
    config: Config, target: FakeTarget, tmp_path: Path
) -> None:
    """Another one is not this one; metrics are of this one alone."""
    config = replace(config, database=replace(config.database, url=url_in(tmp_path)))
    async with (
        postgres(tmp_path),
        Booper(config, api_key=KEY, random=Random(1), transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        other, this = await api.read("/api/nodes")
        assert (other["is_this"], this["is_this"]) == (False, True)
        assert all(0 <= node["lease_age_seconds"] < 60 for node in (other, this))
        scrape = await scraped(api)
        assert scrape.value("booper_nodes") == 2
        assert scrape.value("booper_node_number") == this["number"]


async def test_a_booper_with_a_clock_of_its_own_is_the_only_node(
    config: Config, clock: VirtualClock, target: FakeTarget, tmp_path: Path
) -> None:
    """Others do not know its time; the start says so."""
    config = replace(config, database=replace(config.database, url=url_in(tmp_path)))
    async with postgres(tmp_path):
        with pytest.raises(StartError, match=r"a clock of its own.*must be the only one"):
            async with Booper(config, api_key=KEY, clock=clock, transport=target):
                pass
    async with Booper(config, api_key=KEY, clock=clock, transport=target):
        pass

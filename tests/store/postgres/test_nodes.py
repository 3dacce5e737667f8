"""Several nodes over one database: each is listed by all."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from booper.store.postgres.connections import Connector
from tests.support.postgres import postgres, url_in

pytestmark = pytest.mark.anyio


async def test_each_node_lists_all_and_knows_itself(tmp_path: Path) -> None:
    """In order of their numbers; who has ended is gone."""
    async with postgres(tmp_path) as one:
        async with postgres(tmp_path) as other:
            of_one, of_other = await one.nodes.list(), await other.nodes.list()
            assert [node.is_this for node in of_one] == [True, False]
            assert [node.is_this for node in of_other] == [False, True]
            assert [node.number for node in of_one] == [node.number for node in of_other]
        assert [node.is_this for node in await one.nodes.list()] == [True]


async def test_a_node_that_does_not_renew_is_shown_by_the_age_of_its_lease(tmp_path: Path) -> None:
    """A lease of four seconds that ended a minute ago was renewed 64 seconds ago."""
    with closing(Connector(url_in(tmp_path)).open()) as opened:
        opened.execute(
            "INSERT INTO nodes (name, started_at, expires_at, clock_offset)"
            " VALUES ('dead', 0, clock_timestamp() - interval '1 minute', -1500000)"
        )
    async with postgres(tmp_path) as store:
        [dead, _] = await store.nodes.list()
    assert dead.lease_age is not None
    assert 64 <= dead.lease_age.total_seconds() < 120
    assert (dead.name, dead.clock_offset) == ("dead", timedelta(seconds=-1.5))

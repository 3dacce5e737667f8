"""How many connections a node keeps: by them an operator sizes a server, or a pooler before it."""

import asyncio
from contextlib import closing
from pathlib import Path
from random import Random

import psycopg
import pytest

from booper.store.postgres.store import open_store
from booper.store.sharing import Rate
from tests.conftest import START
from tests.support.documents import DOCS
from tests.support.postgres import url_in
from tests.support.stores import key

pytestmark = pytest.mark.anyio

OTHERS = """
SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'test'
"""


@pytest.mark.parametrize(("is_pooled", "readers", "kept"), [(False, 3, 7), (True, 2, 5)])
async def test_a_node_keeps_as_many_connections_as_the_page_says(
    is_pooled: bool, readers: int, kept: int, tmp_path: Path
) -> None:
    """While it does all at once; behind a pooler it has a read less, and hears nobody by that."""
    url = url_in(tmp_path)
    async with open_store(
        url, Random(1), prepares=not is_pooled, listen_url=None if is_pooled else url
    ) as store:
        user = await store.keys.create(key("a"), START)
        with (
            closing(psycopg.connect(url, application_name="test")) as blocking,
            closing(psycopg.connect(url, application_name="test", autocommit=True)) as direct,
        ):
            blocking.execute("LOCK TABLE pauses, due IN ACCESS EXCLUSIVE MODE")
            reads = [asyncio.create_task(store.pauses.list()) for _ in range(10)]
            due = asyncio.create_task(store.queue.due(None, 1))
            while direct.execute(OTHERS).fetchone() != (kept, readers + 1):
                await asyncio.wait([due], timeout=0)
            assert store.sharing is not None
            await store.sharing.count_requests({user.id: 1}, Rate(1.0, 1))
            assert direct.execute(OTHERS).fetchone() == (kept + 1, readers + 1)
        await asyncio.gather(*reads, due)


def test_the_page_has_these_numbers() -> None:
    """A pool has what nodes keep at work: all their reads, one for what is short, one for all."""
    assert "Each node keeps seven connections to the database" in DOCS["nodes"]
    each = 2 + 1 + 1
    assert (each, each * 1 + 1, each * 2 + 1) == (4, 5, 9)
    assert "Give it four\nconnections to the server for each node" in DOCS["nodes"]
    assert "five for one node, nine for two" in DOCS["nodes"]

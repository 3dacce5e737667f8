"""A node behind a PgBouncer that has five connections for everything."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import psycopg
import pytest

from booper.fence import Fence
from booper.store.postgres.connections import Connection, Connector
from booper.store.postgres.lease import Lease, leasing
from booper.store.postgres.store import open_store
from tests.conftest import START
from tests.support.pgbouncer import POOL_SIZE, pooled
from tests.support.postgres import url_in

pytestmark = pytest.mark.anyio

BLOCK = "BEGIN; LOCK TABLE pauses, due IN ACCESS EXCLUSIVE MODE"
BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
PATIENCE_SECONDS = 3
"""As long as a node may do without a renewal of its lease."""


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Connection]:
    """Return a connection beside the pooler."""
    with closing(psycopg.connect(url_in(tmp_path), autocommit=True)) as connection:
        yield connection


async def test_long_reads_leave_connections_for_leases_and_changes(
    tmp_path: Path, direct: Connection
) -> None:
    """Also while partitions are dropped, which takes one more: a node goes on as if alone."""
    url = pooled(url_in(tmp_path))
    connector = Connector(url, prepares=False)
    async with (
        open_store(url, Random(1), prepares=False) as store,
        leasing(Lease(connector, Fence())) as lease,
    ):
        with closing(connector.open()) as periods, closing(psycopg.connect(url_in(tmp_path))) as by:
            by.execute(BLOCK)
            periods.execute("BEGIN")
            reads = [asyncio.create_task(store.pauses.list()) for _ in range(2 * POOL_SIZE)]
            due = asyncio.create_task(store.queue.due(None, 1))
            while direct.execute(BLOCKED).fetchone() != (3,):  # two of these reads, and the loop's
                await asyncio.wait([due], timeout=0)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await store.check_writable(START)
                await lease.renew()
            assert direct.execute(BLOCKED).fetchone() == (3,)
        assert await asyncio.gather(*reads) == [[]] * len(reads)
        assert (await due).found == []

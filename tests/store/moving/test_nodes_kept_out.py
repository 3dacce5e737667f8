"""While a database of PostgreSQL is moved, no node begins on it, and none waits without a word."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random

import psycopg
import pytest

from booper.errors import StartError, StoreUnavailable
from booper.fence import Fence
from booper.store.moving.opening import opened
from booper.store.postgres import open_store
from booper.store.postgres.connections import Connector
from booper.store.postgres.lease import Lease
from tests.support.postgres import postgres_url as postgres_url

pytestmark = pytest.mark.anyio

PATIENCE_SECONDS = 10
MOVED = r"booper migrate-store is moving it \(server process \d+\)"


@contextmanager
def moving(url: str, folder: Path) -> Iterator[None]:
    """Move a database of PostgreSQL to a file for as long as the block runs."""
    with opened(url, str(folder / "moved.db")):
        yield


@asynccontextmanager
async def left(url: str) -> AsyncIterator[Lease]:
    """Yield the lease of a node that was stopped for so long that it has lost it."""
    fence = Fence()
    lease = Lease(Connector(url), fence, "here")
    await lease.begin()
    fence.move(0.0)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE nodes SET expires_at = clock_timestamp()")
    yield lease
    lease.close()


async def test_a_node_that_starts_says_that_the_database_is_moved(
    tmp_path: Path, postgres_url: str
) -> None:
    """It would serve, at the end of the move, the database that was left."""
    async with open_store(postgres_url, Random(1)):
        pass
    with moving(postgres_url, tmp_path), pytest.raises(StartError, match=MOVED):
        async with asyncio.timeout(PATIENCE_SECONDS), open_store(postgres_url, Random(1)):
            pass
    async with open_store(postgres_url, Random(1)):
        pass


async def test_a_node_that_starts_names_another_lock(postgres_url: str) -> None:
    """Such as that of somebody who rewrites the table."""
    async with open_store(postgres_url, Random(1)):
        pass
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE nodes IN EXCLUSIVE MODE")
        pid = other.info.backend_pid
        with pytest.raises(
            StartError, match=rf"server process {pid} has locked the table nodes \(ExclusiveLock\)"
        ):
            async with asyncio.timeout(PATIENCE_SECONDS), open_store(postgres_url, Random(1)):
                pass


async def test_a_node_that_has_lost_its_lease_takes_none_meanwhile(
    tmp_path: Path, postgres_url: str
) -> None:
    """Its renewals say why, each of them."""
    async with left(postgres_url) as lease:
        before = lease.number
        with moving(postgres_url, tmp_path):
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match=MOVED):
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await lease.renew()
        await lease.renew()
        assert lease.number > before


async def test_a_node_that_has_lost_its_lease_ends_meanwhile(
    tmp_path: Path, postgres_url: str
) -> None:
    """Others forget it later."""
    async with left(postgres_url) as lease:
        with moving(postgres_url, tmp_path):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await lease.end()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM nodes").fetchone() == (1,)

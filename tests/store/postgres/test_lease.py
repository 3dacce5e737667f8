"""A node's lease: it goes on while both clocks allow it; a new one begins with nothing begun."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from booper.fence import Fence
from booper.store.postgres.connections import Connector
from booper.store.postgres.lease import NOBODY, Lease
from tests.support import postgres

pytestmark = pytest.mark.anyio
postgres_url = postgres.postgres_url


@asynccontextmanager
async def begun(url: str) -> AsyncIterator[tuple[Lease, Fence]]:
    """Yield a lease that has begun, with the fence that it moves."""
    fence = Fence()
    lease = Lease(Connector(url), fence, "here")
    await lease.begin()
    yield lease, fence
    await lease.end()


async def test_a_lease_goes_on_under_its_number(postgres_url: str) -> None:
    """It is renewed, and the node may send."""
    async with begun(postgres_url) as (lease, fence):
        before = lease.number
        await lease.renew()
        assert lease.number == before
        assert fence.is_open()


async def test_a_lease_that_has_ended_here_is_not_renewed(postgres_url: str) -> None:
    """The node has cut off what it had begun: only as another one can it have that made again."""
    async with begun(postgres_url) as (lease, fence):
        before = lease.number
        fence.move(0.0)
        await lease.renew()
        assert lease.number > before
        assert fence.is_open()


async def test_a_lease_that_others_have_ended_is_replaced(postgres_url: str) -> None:
    """The node takes a new number, also where its own clock would have let it send."""
    async with begun(postgres_url) as (lease, fence):
        before = lease.number
        with psycopg.connect(postgres_url) as connection:
            connection.execute("DELETE FROM nodes")
        await lease.renew()
        assert lease.number > before
        assert fence.is_open()


async def test_nothing_is_sent_before_the_old_claims_are_cut_off(postgres_url: str) -> None:
    """Claims come to an end first, then all that was begun is cut off, then the fence opens."""
    async with begun(postgres_url) as (lease, fence):
        seen = []

        async def settled() -> None:
            seen.append(("settled", fence.is_open(), lease.number))

        def cut() -> int:
            seen.append(("cut", fence.is_open(), lease.number))
            return 1

        lease.settled, fence.cut = settled, cut
        fence.move(0.0)
        await lease.renew()
        assert seen == [("settled", False, NOBODY), ("cut", False, NOBODY)]

"""A node's lease: it goes on while both clocks allow it; a new one begins with nothing begun."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from math import inf
from random import Random

import anyio
import psycopg
import pytest
from psycopg.errors import IdleInTransactionSessionTimeout

from booper.clock import Clock, VirtualClock, breathe
from booper.errors import StoreUnavailable
from booper.fence import Fence
from booper.store.postgres import lease as leases
from booper.store.postgres import open_store
from booper.store.postgres.connections import Connector
from booper.store.postgres.lease import NOBODY, Lease, leasing
from booper.store.postgres.node_rows import BEGINNING
from tests.conftest import START
from tests.support import postgres
from tests.support.stores import created, key, turns

pytestmark = pytest.mark.anyio
postgres_url = postgres.postgres_url


@asynccontextmanager
async def begun(url: str, time: Clock | None = None) -> AsyncIterator[tuple[Lease, Fence]]:
    """Yield a lease that has begun, with the fence that it moves."""
    fence = Fence()
    lease = Lease(Connector(url), fence, "here", time=time)
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


TIMES = [(VirtualClock(START), None), (None, VirtualClock(START)), (VirtualClock(START),) * 2]


@pytest.mark.parametrize(("first", "second"), TIMES)
async def test_a_node_with_a_time_of_its_own_is_the_only_one(
    first: Clock | None, second: Clock | None, postgres_url: str
) -> None:
    """Whichever of the two is there first; once it is gone, the other may begin."""
    async with begun(postgres_url, first) as (lease, _):
        other = Lease(Connector(postgres_url), Fence(), "there", time=second)
        with pytest.raises(StoreUnavailable, match=f"node {lease.number} on here serves it"):
            async with leasing(other):
                pass
        await lease.renew()
    async with begun(postgres_url, second):
        pass


async def test_a_node_that_has_died_is_in_nobodys_way(postgres_url: str) -> None:
    """Once its lease has ended."""
    async with begun(postgres_url, VirtualClock(START)):
        with psycopg.connect(postgres_url) as connection:
            connection.execute("UPDATE nodes SET expires_at = clock_timestamp()")
        async with begun(postgres_url):
            pass


async def test_a_lease_that_is_given_up_is_replaced(postgres_url: str) -> None:
    """Nothing is sent until then; a renewal that was under way does not take that back."""
    async with begun(postgres_url) as (lease, fence):
        before = lease.number
        lease.give_up()
        assert not fence.is_open()
        fence.move(inf)
        await lease.renew()
        after = lease.number
        assert after > before
        await lease.renew()
        assert lease.number == after


async def test_a_node_that_is_stopped_as_it_begins_is_not_in_the_way_for_long(
    postgres_url: str,
) -> None:
    """The server ends its transaction; nodes begin one after the other."""
    with closing(Connector(postgres_url).open()) as stopped:
        stopped.execute("BEGIN")
        stopped.execute(BEGINNING)
        timeout = "SHOW idle_in_transaction_session_timeout"
        assert stopped.execute(timeout).fetchall() == [("4s",)]
        stopped.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
        async with begun(postgres_url) as (lease, _):
            assert lease.number > 0
        with pytest.raises(IdleInTransactionSessionTimeout):
            stopped.execute("SELECT 1")


async def test_what_a_node_leaves_at_its_end_is_taken_over_at_once(postgres_url: str) -> None:
    """Its lease ends then, and not in four seconds; a node that leaves nothing is forgotten."""
    async with open_store(postgres_url, Random(1)) as other:
        alice = (await other.keys.create(key("alice's", user="alice"), START)).user_id
        assert await other.queue.rescue(START, lambda *_: ()) == 0
        async with open_store(postgres_url, Random(2)) as one:
            job = await created(one, alice)
            assert len((await turns(one, job)).begun) == 1
        assert await other.queue.rescue(START, lambda *_: ()) == 1
        with psycopg.connect(postgres_url) as connection:
            assert connection.execute("SELECT count(*) FROM nodes").fetchone() == (1,)


async def come(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    with anyio.fail_after(10):
        while not what():
            await breathe()


AT_ONCE = timedelta(milliseconds=1)
LATE = timedelta(hours=1)


async def test_whatever_fails_at_the_database_the_lease_is_renewed_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A table that is gone while a backup is put in its place, for example."""
    monkeypatch.setattr(leases, "RENEW_EVERY", AT_ONCE)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        async with leasing(Lease(Connector(postgres_url), Fence(), "here")):
            connection.execute("ALTER TABLE nodes RENAME TO elsewhere")
            await come(lambda: "is not renewed" in caplog.text)
            connection.execute("ALTER TABLE elsewhere RENAME TO nodes")
            expires_at = "SELECT expires_at FROM nodes"
            before = connection.execute(expires_at).fetchall()
            await come(lambda: connection.execute(expires_at).fetchall() > before)


async def test_what_is_on_its_way_is_cut_off_when_the_lease_has_ended(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as long as the lease is kept: also while the loop stops and waits for its attempts."""
    monkeypatch.setattr(leases, "RENEW_EVERY", LATE)
    monkeypatch.setattr(leases, "WATCH_EVERY", AT_ONCE)
    fence, cuts = Fence(), list[bool]()

    def cut() -> int:
        cuts.append(fence.is_open())
        return 1

    fence.cut = cut
    async with leasing(Lease(Connector(postgres_url), fence, "here")):
        for _ in range(100):
            await breathe()
        assert not cuts
        fence.move(0.0)
        await come(lambda: cuts)
    assert not any(cuts)

"""A database that does not respond: whatever waits for it gets an error in time."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final
from uuid import UUID

import psycopg
import pytest

from booper.errors import StoreUnavailable
from booper.fence import Fence
from booper.store.postgres.connections import Connector, reading
from booper.store.postgres.lease import Lease, leasing
from booper.store.postgres.rate_limits import counting
from booper.store.postgres.silence import Patience
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer, writing
from booper.store.sharing import Rate
from tests.support.pgbouncer import POOL_SIZE, pooled
from tests.support.postgres import postgres_url as postgres_url

pytestmark = pytest.mark.anyio

QUICK: Final = Patience(response=0.3, statement=0.6)
IN_TIME_SECONDS: Final = 5.0
"""Long enough for several errors one after another, and far below what PgBouncer has patience."""

NOT_KNOWN: Final = "whether that was made is not known"
NO_RESPONSE: Final = "no response within"
NOT_TAKEN: Final = "took no change"


class Stopped:
    """Backends of the server that stand still until the end of a test."""

    def __init__(self) -> None:
        self._numbers = list[int]()

    def stop(self, transaction: PostgresTransaction) -> None:
        """Have the backend of a transaction stand still."""
        number = transaction.connection.info.backend_pid
        os.kill(number, signal.SIGSTOP)
        self._numbers.append(number)

    def release(self) -> None:
        """Have them go on."""
        while self._numbers:
            os.kill(self._numbers.pop(), signal.SIGCONT)


@pytest.fixture
def stopped(postgres_url: str) -> Iterator[Stopped]:
    """Return what makes backends stand still."""
    made = Stopped()
    yield made
    made.release()


@contextmanager
def taken(url: str) -> Iterator[None]:
    """Take all connections of the pool of a database by transactions of others."""
    with ExitStack() as stack:
        for _ in range(POOL_SIZE):
            other = psycopg.connect(pooled(url), autocommit=True, prepare_threshold=None)
            stack.enter_context(closing(other)).execute("BEGIN")
        yield


def quick(url: str) -> Connector:
    """Return what connects to a database with little patience."""
    return Connector(url, prepares=False, patience=QUICK)


def targets(url: str) -> list[str]:
    """Return the pauses that are written."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT target FROM pauses ORDER BY target").fetchall()
        return [target for (target,) in rows]


def pausing(target: str) -> Callable[[PostgresTransaction], int]:
    """Return a change that writes a pause."""

    def write(transaction: PostgresTransaction) -> int:
        return transaction.execute("INSERT INTO pauses VALUES (%s, 1)", [target]).rowcount

    return write


def read_one(transaction: PostgresTransaction) -> object:
    """Read a number."""
    return transaction.execute("SELECT 1").fetchone()


async def test_changes_without_a_connection_of_the_pool_are_refused(postgres_url: str) -> None:
    """All that wait, and surely: the next one, when there is a connection, is written alone."""
    async with writing(Writer(quick(pooled(postgres_url)), lambda: 1)) as writer:
        with taken(postgres_url):
            async with asyncio.timeout(IN_TIME_SECONDS):
                for number in range(2):
                    asked = [writer.run(pausing(f"{number}-{each}.test")) for each in range(3)]
                    found = await asyncio.gather(*asked, return_exceptions=True)
                    assert [type(error) for error in found] == [StoreUnavailable] * 3
                    assert not any(NOT_KNOWN in str(error) for error in found)
        assert await writer.run(pausing("a.test")) == 1
    assert targets(postgres_url) == ["a.test"]


async def test_a_change_that_is_not_taken_is_refused(postgres_url: str) -> None:
    """It waits behind one that takes longer, which is written; itself it is not."""
    began, release = threading.Event(), threading.Event()

    def write_late(transaction: PostgresTransaction) -> int:
        began.set()
        release.wait()
        return pausing("a.test")(transaction)

    async with writing(Writer(quick(postgres_url), lambda: 1)) as writer:
        first = asyncio.create_task(writer.run(write_late))
        await asyncio.to_thread(began.wait)
        try:
            async with asyncio.timeout(IN_TIME_SECONDS):
                with pytest.raises(StoreUnavailable, match=NOT_TAKEN):
                    await writer.run(pausing("b.test"))
            assert (writer.changes, writer.commits.failures) == (1, 1)
        finally:
            release.set()
        assert await first == 1
        assert await writer.run(pausing("c.test")) == 1
    assert targets(postgres_url) == ["a.test", "c.test"]


async def test_changes_of_a_server_that_accepts_and_says_nothing_are_refused() -> None:
    """They do not wait until nobody tries to connect any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://booper@127.0.0.1:{server.getsockname()[1]}/nothing"
        writer = Writer(quick(url), lambda: 1)
        async with asyncio.timeout(IN_TIME_SECONDS - 1):  # to connect may take longer
            with pytest.raises(StoreUnavailable, match=NOT_TAKEN):
                await writer.run(pausing("a.test"))
    await writer.close()


async def test_a_server_that_is_silent_in_a_transaction_has_written_nothing(
    postgres_url: str, stopped: Stopped
) -> None:
    """It gets no COMMIT, also when it goes on."""

    def write(transaction: PostgresTransaction) -> None:
        pausing("a.test")(transaction)
        stopped.stop(transaction)
        transaction.execute("SELECT 1")

    async with writing(Writer(quick(postgres_url), lambda: 1)) as writer:
        async with asyncio.timeout(IN_TIME_SECONDS):
            with pytest.raises(StoreUnavailable, match=NO_RESPONSE) as refused:
                await writer.run(write)
        assert NOT_KNOWN not in str(refused.value)
        stopped.release()
        assert await writer.run(pausing("b.test")) == 1
    assert targets(postgres_url) == ["b.test"]


async def test_a_commit_without_a_response_is_not_known(
    postgres_url: str, stopped: Stopped
) -> None:
    """The server has it, and may make it when it goes on; the error says that."""

    def write(transaction: PostgresTransaction) -> None:
        pausing("a.test")(transaction)
        stopped.stop(transaction)

    async with writing(Writer(quick(postgres_url), lambda: 1)) as writer:
        async with asyncio.timeout(IN_TIME_SECONDS):
            with pytest.raises(StoreUnavailable, match=NOT_KNOWN):
                await writer.run(write)
            assert await writer.run(pausing("b.test")) == 1


async def test_reads_without_a_connection_of_the_pool_are_refused(postgres_url: str) -> None:
    """Those that wait for their turn are refused with the one that has it."""
    async with reading(quick(pooled(postgres_url)), 1) as readers:
        with taken(postgres_url):
            async with asyncio.timeout(IN_TIME_SECONDS):
                asked = [readers.run(read_one) for _ in range(50)]
                found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(error) for error in found] == [StoreUnavailable] * 50
        assert await readers.run(read_one) == (1,)


async def test_a_read_of_a_silent_server_is_refused(postgres_url: str, stopped: Stopped) -> None:
    """The next one has another connection."""

    def read(transaction: PostgresTransaction) -> None:
        stopped.stop(transaction)
        transaction.execute("SELECT 1")

    async with reading(quick(postgres_url), 1) as readers:
        async with asyncio.timeout(IN_TIME_SECONDS):
            with pytest.raises(StoreUnavailable, match=NO_RESPONSE):
                await readers.run(read)
        assert await readers.run(lambda transaction: 1) == 1


async def test_a_lease_and_a_rate_are_refused_too(postgres_url: str) -> None:
    """Both go on when there is a connection."""
    wanted, rate = {UUID(int=1): 1}, Rate(10.0, 10)
    connector = quick(pooled(postgres_url))
    async with counting(connector) as rates, leasing(Lease(connector, Fence())) as lease:
        with taken(postgres_url):
            async with asyncio.timeout(IN_TIME_SECONDS):
                with pytest.raises(StoreUnavailable, match=NO_RESPONSE):
                    await rates.count(wanted, rate)
                with pytest.raises(StoreUnavailable, match=NO_RESPONSE):
                    await lease.renew()
        await lease.renew()
        assert (await rates.count(wanted, rate))[UUID(int=1)].count == 1

"""The writer of a node: what it does when its process stands still."""

import asyncio
from contextlib import closing, suppress

import pytest

from booper.errors import StoreUnavailable
from booper.store.postgres.connections import Connection, Connector
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer, writing
from tests.conftest import START
from tests.support import postgres

pytestmark = pytest.mark.anyio

postgres_url = postgres.postgres_url

TIMEOUT = "SHOW idle_in_transaction_session_timeout"


async def test_a_process_that_stands_still_does_not_keep_its_locks(postgres_url: str) -> None:
    """The server ends its transaction; what comes when it goes on is written."""
    connector = Connector(postgres_url)
    backends: list[int] = []

    def stand_still(transaction: PostgresTransaction) -> None:
        assert transaction.execute(TIMEOUT).fetchone() == ("4s",)
        transaction.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
        backends.append(transaction.connection.info.backend_pid)
        if len(backends) == 1:
            wait_for_end(connector.open(), backends[0])
        transaction.execute("SELECT 1")

    def write(transaction: PostgresTransaction) -> int:
        return transaction.execute("INSERT INTO pauses VALUES ('a.test', 1)").rowcount

    async with writing(Writer(connector, lambda: 1)) as writer:
        with suppress(StoreUnavailable):  # or it was made again, if the client learns the reason
            await writer.run(stand_still)
        assert await writer.run(write) == 1


async def test_a_process_that_stands_still_in_a_claim_keeps_its_lock_for_less(
    postgres_url: str,
) -> None:
    """All nodes wait for it: half as long as for what else a transaction has locked."""

    def claim(transaction: PostgresTransaction) -> None:
        transaction.slots(START, [])
        assert transaction.execute(TIMEOUT).fetchone() == ("2s",)

    async with writing(Writer(Connector(postgres_url), lambda: 1)) as writer:
        for _ in range(7):  # more often than a statement is run before it is prepared
            await writer.run_last(claim)


async def test_a_change_that_meets_a_lock_fails_alone(postgres_url: str) -> None:
    """Of those that are committed together, after the last try; the others are written."""
    connector = Connector(postgres_url)

    def meet(transaction: PostgresTransaction) -> None:
        transaction.execute("SET LOCAL lock_timeout = 1; LOCK TABLE alone")

    def write(transaction: PostgresTransaction) -> int:
        return transaction.execute("INSERT INTO pauses VALUES ('a.test', 1)").rowcount

    async with writing(Writer(connector, lambda: 1)) as writer:
        with closing(connector.open()) as other, other.transaction():
            other.execute("LOCK TABLE alone")
            made = [writer.run(meet), writer.run(write), writer.run(meet)]
            first, count, last = await asyncio.gather(*made, return_exceptions=True)
    assert isinstance(first, StoreUnavailable)
    assert isinstance(last, StoreUnavailable)
    assert count == 1


def wait_for_end(watching: Connection, backend: int) -> None:
    """Return once a backend of the server has ended."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    with closing(watching):
        while watching.execute(query, [backend]).fetchone() != (0,):
            pass

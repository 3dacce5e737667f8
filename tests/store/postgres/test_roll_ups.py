"""Rows that are only added: writing those of one bucket or one number as one changes no sum."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from random import Random

import psycopg
import pytest
from msgspec.structs import replace

from booper.model.bucket import HOUR, MINUTES, Bucket, Happened
from booper.model.job import State
from booper.store.counters import OriginCounts
from booper.store.postgres.bucket_rows import (
    read_buckets,
    read_origins,
    read_spans,
    roll_up_buckets,
)
from booper.store.postgres.count_rows import add_counts, roll_up_counts
from booper.store.postgres.store import open_store
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.stored import stored
from tests.conftest import START
from tests.support import postgres
from tests.support.jobs import USER, executing

postgres_url = postgres.postgres_url

Begin = Callable[[], PostgresTransaction]

SECOND = timedelta(seconds=1)
SINCE = stored(START)
EXECUTING = executing(START)
COMPLETED = replace(EXECUTING, state=State.COMPLETED)


@pytest.fixture
def begin(postgres_url: str) -> Iterator[Begin]:
    """Return what begins a transaction, each on a connection of its own."""
    with ExitStack() as connections:

        def begin() -> PostgresTransaction:
            connection = connections.enter_context(psycopg.connect(postgres_url))
            return PostgresTransaction(connection, 1, is_writing=True)

        yield begin


def commit(transaction: PostgresTransaction) -> None:
    """Commit a transaction; the next statement begins another."""
    transaction.execute("COMMIT")


def happened(origin: str = "a.test", after: timedelta = timedelta(0)) -> Happened:
    """Return a completed attempt and one that failed."""
    lateness, durations = [SECOND, 2 * SECOND], [4 * SECOND, 90 * SECOND]
    return Happened(START + after, USER, origin, 1, 1, 0, 0, lateness, durations)


def rows(transaction: PostgresTransaction, table: str) -> int:
    """Return how many rows a table has."""
    [(count,)] = transaction.execute(f"SELECT count(*) FROM {table}")
    return int(count)


def counted(transaction: PostgresTransaction) -> dict[str, int]:
    """Return the number of jobs of each state, of the states that have a row."""
    query = "SELECT state, sum(count)::bigint FROM job_counts GROUP BY state"
    return dict(transaction.execute(query).fetchall())


def all_reads(
    transaction: PostgresTransaction,
) -> tuple[list[tuple[str, Bucket]], list[tuple[str, Bucket]], list[Bucket], OriginCounts]:
    """Return what each reader of buckets finds in two hours."""
    span = START, START + 2 * HOUR
    return (
        read_buckets(transaction, USER, *span, by_origin=False),
        read_buckets(transaction, USER, *span, by_origin=True),
        read_spans(transaction, USER, *span, HOUR),
        read_origins(transaction, *span),
    )


# --- buckets --------------------------------------------------------------------------------------


def test_readers_find_the_same_after_a_roll_up(begin: Begin) -> None:
    """Three rows of each of four buckets are written as one, with the same sums."""
    transaction = begin()
    for _ in range(3):
        transaction.buckets.add([happened(), happened("b.test"), happened("b.test", MINUTES)])
    before = all_reads(transaction)
    completed = [bucket.completed for _, bucket in before[0]]
    assert completed == [2 * 3, 1 * 3], "two origins in the first five minutes, one in the next"
    assert rows(transaction, "buckets") == 3 * 4
    assert roll_up_buckets(transaction, SINCE) == 3 * 4
    assert rows(transaction, "buckets") == 4
    assert all_reads(transaction) == before


def test_a_bucket_of_one_row_is_not_written_again(begin: Begin) -> None:
    """After a roll-up another one finds nothing to do."""
    transaction = begin()
    transaction.buckets.add([happened()])
    transaction.buckets.add([happened()])
    assert roll_up_buckets(transaction, SINCE) == 2 * 2
    assert roll_up_buckets(transaction, SINCE) == 0


def test_buckets_that_begin_earlier_are_left_as_they_are(begin: Begin) -> None:
    """Only what begins at the time or later is rolled up."""
    transaction = begin()
    for _ in range(2):
        transaction.buckets.add([happened(), happened(after=-HOUR)])
    assert roll_up_buckets(transaction, SINCE) == 2 * 2
    assert rows(transaction, "buckets") == 2 + 2 * 2


def test_what_is_added_during_a_roll_up_is_kept(begin: Begin) -> None:
    """A row of another node that is not committed yet is beside the one that sums up the others."""
    one, other = begin(), begin()
    one.buckets.add([happened()])
    one.buckets.add([happened()])
    commit(one)
    other.buckets.add([happened()])
    assert roll_up_buckets(one, SINCE) == 2 * 2
    commit(other)
    commit(one)
    [(_, bucket)] = read_buckets(one, USER, START, START + HOUR, by_origin=False)
    assert bucket.completed == 3
    assert bucket.lateness.total == 3 * (1 + 2) * SECOND


def test_one_node_at_a_time_rolls_buckets_up(begin: Begin) -> None:
    """A second node neither waits for the first nor counts anything twice."""
    one, other = begin(), begin()
    one.buckets.add([happened()])
    one.buckets.add([happened()])
    commit(one)
    assert roll_up_buckets(one, SINCE) == 2 * 2
    assert roll_up_buckets(other, SINCE) == 0
    commit(one)
    commit(other)
    assert roll_up_buckets(other, SINCE) == 0
    assert rows(other, "buckets") == 2


# --- job counts -----------------------------------------------------------------------------------


def test_the_rows_of_a_state_become_one(begin: Begin) -> None:
    """Three jobs begin and two of them complete: after a roll-up each state has one row."""
    transaction = begin()
    for _ in range(3):
        add_counts(transaction, [(None, EXECUTING)])
    add_counts(transaction, [(EXECUTING, COMPLETED)] * 2)
    assert counted(transaction) == {"executing": 1, "completed": 2}
    assert roll_up_counts(transaction) == 3 + 1, "the one row of completed jobs stays"
    assert rows(transaction, "job_counts") == 2
    assert counted(transaction) == {"executing": 1, "completed": 2}
    assert roll_up_counts(transaction) == 0


def test_a_state_that_no_job_has_keeps_no_row(begin: Begin) -> None:
    """Where all have left a state its rows are gone, and so are those of a user without jobs."""
    transaction = begin()
    add_counts(transaction, [(None, EXECUTING)])
    add_counts(transaction, [(EXECUTING, COMPLETED)])
    roll_up_counts(transaction)
    assert counted(transaction) == {"completed": 1}
    add_counts(transaction, [(COMPLETED, None)])
    roll_up_counts(transaction)
    assert rows(transaction, "job_counts") == 0


def test_a_move_within_a_state_adds_no_row(begin: Begin) -> None:
    """A job that changes but not its state is counted where it was."""
    transaction = begin()
    add_counts(transaction, [(EXECUTING, replace(EXECUTING, last_error="x"))])
    assert rows(transaction, "job_counts") == 0


def test_one_node_at_a_time_rolls_counts_up(begin: Begin) -> None:
    """A second node neither waits for the first nor counts anything twice."""
    one, other = begin(), begin()
    for _ in range(2):
        add_counts(one, [(None, EXECUTING)])
    commit(one)
    assert roll_up_counts(one) == 2
    assert roll_up_counts(other) == 0
    commit(one)
    assert counted(other) == {"executing": 2}


# --- by the store ---------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_store_rolls_up_both(postgres_url: str, begin: Begin) -> None:
    """Buckets from a time on, or all; what readers find is the same."""
    transaction = begin()
    for _ in range(2):
        add_counts(transaction, [(None, EXECUTING)])
        transaction.buckets.add([happened(), happened(after=-HOUR)])
    commit(transaction)
    before = all_reads(transaction)
    commit(transaction)
    async with open_store(postgres_url, Random(1)) as one, open_store(postgres_url, Random(2)):
        assert await one.counters.roll_up(START) == 2 + 2 * 2
        assert await one.counters.roll_up(None) == 2 * 2
        assert await one.counters.roll_up(None) == 0
    assert all_reads(transaction) == before
    assert counted(transaction) == {"executing": 2}

"""Periods of finished jobs: made before they come, and dropped when all in them is old."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.engine.pruner import Pruner
from booper.engine.space import SpaceKeeper
from booper.errors import PrunedElsewhere, StoreUnavailable
from booper.model.job import Job, State
from booper.model.retention import PRUNED_STATES, Retention
from booper.store.base import Store
from booper.store.postgres.connections import Connector
from booper.store.postgres.partitions import ALONE, Period, known_periods
from booper.store.postgres.pruning import ALONE as ALONE_BY_ROWS
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.pruning import Pruning, Spot
from booper.store.values import Pruned
from tests.conftest import KEY, START
from tests.support import stores
from tests.support.postgres import postgres, url_in
from tests.support.stores import begun, completed, discarded, entry, ids, page, settle
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

alice = stores.alice

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MIDNIGHT = START.replace(hour=0)
KEPT = Retention(
    completed=32 * DAY,
    cancelled=32 * DAY,
    discarded=64 * DAY,
    audit=365 * DAY,
    buckets=400 * DAY,
    schedule_runs=2,
    max_bytes=0,
)
# A period is an eighth of what is kept.
FIRST_END = MIDNIGHT + 4 * DAY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store."""
    async with postgres(tmp_path) as opened:
        yield opened


async def ended(store: Store, user: UUID, at: Any, state: State, **fields: Any) -> Job:
    """Store a job with an entry in its log that ends at a time."""
    job = await begun(store, user, **fields)
    after = completed(job, at) if state is State.COMPLETED else discarded(job, at)
    return await settle(store, job, after, [entry(job, at=at)])


def periods(folder: Path, state: State = State.COMPLETED) -> list[Period]:
    """Return the periods that the database of a folder has for a state."""
    with closing(Connector(url_in(folder)).open()) as opened:
        return known_periods(PostgresTransaction(opened, 0, is_writing=False), state)


async def prune(store: Store, now: Any, retention: Retention = KEPT) -> int:
    """Delete all that is old at a time, as the pruner does; return how many jobs went."""
    pruner = Pruner(store.pruning, retention, VirtualClock(now))
    await pruner.prune()
    return pruner.status.jobs


# --- making ---------------------------------------------------------------------------------------


async def test_a_booper_has_periods_for_all_states_before_its_first_job(
    config: Config, clock: VirtualClock, target: FakeTarget, tmp_path: Path
) -> None:
    """For today and the days to come, by the clock of its jobs."""
    config = replace(config, database=replace(config.database, url=url_in(tmp_path)))
    async with Booper(config, api_key=KEY, clock=clock, random=Random(1), transport=target):
        for state in PRUNED_STATES:
            [first, *_] = known = periods(tmp_path, state)
            assert first.begins_at == MIDNIGHT
            assert known[-1].ends_at > START + 2 * DAY


async def test_nodes_that_prepare_at_once_make_each_period_once(
    store: Store, tmp_path: Path
) -> None:
    """Also by different settings; who comes second finds all of today in one."""
    shorter = replace(KEPT, completed=8 * DAY)
    async with postgres(tmp_path) as other:
        await asyncio.gather(
            store.pruning.prepare(KEPT, START), other.pruning.prepare(shorter, START)
        )
    await store.pruning.prepare(KEPT, START)
    known = periods(tmp_path)
    assert known[0].begins_at == MIDNIGHT
    assert all(a.ends_at == b.begins_at for a, b in pairwise(known))
    assert known[-1].ends_at > START + 2 * DAY


async def test_nobody_waits_for_who_changes_partitions(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """What another node is about to do is left to it."""
    await store.pruning.prepare(KEPT, START)
    await ended(store, alice, START, State.COMPLETED)
    with closing(Connector(url_in(tmp_path)).open()) as other, other.transaction():
        assert other.execute(ALONE).fetchone() == (True,)
        await store.pruning.prepare(KEPT, START + 30 * DAY)
        assert await store.pruning.drop_old(KEPT, START + 99 * DAY) == 0
        with pytest.raises(PrunedElsewhere):
            await store.pruning.drop_oldest(State.COMPLETED, START + 99 * DAY)
    assert periods(tmp_path) == [Period(MIDNIGHT, FIRST_END, State.COMPLETED)]
    assert await store.pruning.drop_old(KEPT, START + 99 * DAY) == 1


async def test_a_day_without_a_period_leaves_the_next_days_theirs(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """What has ended today is in the partition for other days: periods begin tomorrow."""
    await ended(store, alice, START, State.COMPLETED)
    await store.pruning.prepare(KEPT, START + HOUR)
    assert periods(tmp_path) == [Period(MIDNIGHT + DAY, MIDNIGHT + 5 * DAY, State.COMPLETED)]
    assert periods(tmp_path, State.CANCELLED) == [Period(MIDNIGHT, FIRST_END, State.CANCELLED)]


async def test_a_database_that_takes_no_tables_is_unavailable(store: Store, tmp_path: Path) -> None:
    """Whoever prepares it tries again later."""
    with closing(Connector(url_in(tmp_path)).open()) as opened:
        name = opened.info.dbname
        opened.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(StoreUnavailable, match="read-only"):
            await store.pruning.prepare(KEPT, START)
    assert periods(tmp_path) == []


# --- what goes by age -----------------------------------------------------------------------------


async def test_a_period_goes_whole_when_all_in_it_is_old(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """No row of it before that; what has ended later or otherwise stays."""
    await store.pruning.prepare(KEPT, START)
    await store.pruning.prepare(KEPT, START + 3 * DAY)
    for at in (START, START + DAY):
        await ended(store, alice, at, State.COMPLETED)
    later = await ended(store, alice, FIRST_END, State.COMPLETED)
    failed = await ended(store, alice, START, State.DISCARDED)
    at = FIRST_END + 32 * DAY
    assert await prune(store, at - timedelta.resolution) == 0
    assert await prune(store, at) == 2
    assert sorted(await ids(store, alice, page())) == [later.id, failed.id]
    assert [period.begins_at for period in periods(tmp_path)] == [FIRST_END]


async def test_what_is_in_no_period_goes_by_rows(store: Store, alice: UUID, tmp_path: Path) -> None:
    """Jobs of other days, and those that asked for a time of their own, to the microsecond."""
    await store.pruning.prepare(KEPT, START)
    await ended(store, alice, START, State.COMPLETED, keep_for=HOUR)
    await ended(store, alice, START + 4 * DAY, State.COMPLETED)
    assert await prune(store, START + HOUR - timedelta.resolution) == 0
    assert await prune(store, START + HOUR) == 1
    assert await prune(store, START + 36 * DAY - timedelta.resolution) == 0
    assert await prune(store, START + 36 * DAY) == 1
    assert periods(tmp_path) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, 30 * DAY), (DAY, DAY), (HOUR, HOUR), (32 * DAY, 7 * DAY)],
)
async def test_a_period_that_is_long_beside_what_is_kept_goes_by_rows(
    store: Store, alice: UUID, before: timedelta | None, after: timedelta
) -> None:
    """Nobody keeps jobs for half as long again as was asked for, also after a change of that."""
    await store.pruning.prepare(replace(KEPT, completed=before), START)
    await ended(store, alice, START, State.COMPLETED)
    retention = replace(KEPT, completed=after)
    assert await prune(store, START + after - timedelta.resolution, retention) == 0
    assert await prune(store, START + after, retention) == 1


async def test_what_another_node_deletes_by_rows_is_left_to_it(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """Jobs, the audit and buckets: nothing goes twice, and no node waits for another."""
    job = await ended(store, alice, START, State.COMPLETED)
    now = START + 999 * DAY
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: store.pruning.prune([job.id], KEPT, now, 99, is_over_size=False),
        lambda: store.pruning.prune_audit(now, 99),
        lambda: store.pruning.prune_buckets(now, 99),
    ]
    with closing(Connector(url_in(tmp_path)).open()) as other, other.transaction():
        other.execute(ALONE_BY_ROWS)
        for step in steps:
            with pytest.raises(PrunedElsewhere):
                await step()
    assert await steps[0]() == Pruned(jobs=1, rows=2)


# --- what goes by size ----------------------------------------------------------------------------


class Watched:
    """A store's pruning that notes how it was asked for space."""

    def __init__(self, pruning: Pruning) -> None:
        self._pruning = pruning
        self.dropped: list[tuple[State, int | None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pruning, name)

    async def drop_oldest(self, state: State, now: Any) -> int | None:
        """Drop the oldest period of a state, and note how many jobs it had."""
        count = await self._pruning.drop_oldest(state, now)
        self.dropped.append((state, count))
        return count


async def test_a_database_over_its_size_loses_whole_periods_first(
    store: Store, alice: UUID
) -> None:
    """The oldest, of what was completed before what failed; then, by rows, what is of today."""
    for days in (0, 3, 7):
        await store.pruning.prepare(KEPT, START + days * DAY)
    for days in (0, 1, 5):
        await ended(store, alice, START + days * DAY, State.COMPLETED)
    await ended(store, alice, START, State.DISCARDED)
    await ended(store, alice, START + 9 * DAY, State.COMPLETED)
    watched, clock = Watched(store.pruning), VirtualClock(START + 9 * DAY)
    retention = replace(KEPT, max_bytes=1)
    pruner = Pruner(watched, retention, clock)
    await SpaceKeeper(watched, pruner, retention, clock).keep()
    assert watched.dropped[:5] == [
        (State.COMPLETED, 2),
        (State.COMPLETED, 1),
        (State.COMPLETED, None),
        (State.CANCELLED, 0),
        (State.CANCELLED, 0),
    ]
    assert (State.DISCARDED, 1) in watched.dropped
    assert pruner.status.jobs == 5
    assert await ids(store, alice, page()) == []


async def test_no_more_is_deleted_while_another_node_drops_a_period(
    store: Store, alice: UUID, tmp_path: Path
) -> None:
    """Of nodes that find the database over its size at once, one makes room; others look again."""
    await store.pruning.prepare(KEPT, START)
    await ended(store, alice, START, State.COMPLETED)
    clock, retention = VirtualClock(START + 9 * DAY), replace(KEPT, max_bytes=1)
    pruner = Pruner(store.pruning, retention, clock)
    space = SpaceKeeper(store.pruning, pruner, retention, clock)
    with closing(Connector(url_in(tmp_path)).open()) as other, other.transaction():
        other.execute(ALONE)
        with pytest.raises(PrunedElsewhere):
            await space.keep()
    assert pruner.status.jobs == 0
    await space.keep()
    assert pruner.status.jobs == 1


async def test_jobs_of_a_period_are_found_where_the_size_counts(store: Store, alice: UUID) -> None:
    """Of today's period, which is not dropped."""
    await store.pruning.prepare(KEPT, START)
    job = await ended(store, alice, START, State.COMPLETED)
    assert await store.pruning.drop_oldest(State.COMPLETED, START) is None
    find = store.pruning.find
    found = await find(State.COMPLETED, KEPT, START, Spot(), is_over_size=True)
    assert [each.id for each in found.jobs] == [job.id]
    found = await find(State.COMPLETED, KEPT, START + 99 * DAY, Spot(), is_over_size=False)
    assert (list(found.jobs), found.rest) == ([], None)

"""The numbers of one scrape, read from where they are kept: nothing here counts rows."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from booper.api.request_counts import Route
from booper.api.services import Services
from booper.engine.loop_state import LoopState
from booper.errors import StoreUnavailable
from booper.model.job import Kind, State
from booper.model.tally import Tallied
from booper.store.counters import DueCount
from booper.store.nodes import NodeInfo

T = TypeVar("T")

STORE_SECONDS: Final = 5.0
"""How long a scrape waits for the database; Prometheus waits for 10 seconds unless told."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one moment. None is what the database did not tell in time."""

    now: datetime
    loop: LoopState
    jobs: Mapping[tuple[Kind, State], int] | None
    due: DueCount | None
    sizes: Mapping[str, int] | None
    disk_free: int | None
    nodes: Sequence[NodeInfo] | None
    lateness: Tallied
    durations: Mapping[str, Tallied]
    attempts: Mapping[tuple[str, str, str], int]
    completed_at: Mapping[str, datetime | None]
    commit_durations: Tallied
    commit_sizes: Tallied
    commit_failures: int
    oldest_reader_seconds: float
    pruned_rows: int
    is_over_size: bool
    requests: Mapping[tuple[Route, int], int]


async def read(services: Services) -> Reading:
    """Read the numbers of this moment; those of the database first, which takes a while."""
    store, now = services.store, services.clock.now()
    waited_for = store.vitals.oldest_reader_seconds()
    jobs, due, sizes, disk_free, nodes = await asyncio.gather(
        _told(store.counters.jobs()),
        _told(store.counters.due(now)),
        _told(store.vitals.sizes()),
        _told(store.vitals.disk_free()),
        _told(store.nodes.list()),
    )
    attempts, commits = services.attempts, store.vitals.commits
    return Reading(
        now=now,
        loop=services.scheduler.state(),
        jobs=jobs,
        due=due,
        sizes=sizes,
        disk_free=disk_free,
        nodes=nodes,
        lateness=attempts.lateness(),
        durations=attempts.durations(),
        attempts=attempts.attempts(),
        completed_at={name: attempts.completed_at.get(name) for name in attempts.schedules},
        commit_durations=commits.durations.read(),
        commit_sizes=commits.sizes.read(),
        commit_failures=commits.failures,
        oldest_reader_seconds=max(waited_for, store.vitals.oldest_reader_seconds()),
        pruned_rows=services.pruner.status.rows if services.pruner is not None else 0,
        is_over_size=services.space is not None and services.space.status.is_over_size,
        requests=dict(services.requests),
    )


async def _told(reading: Awaitable[T]) -> T | None:
    """Return what the database tells; None if it cannot, or is stuck, which is a number too."""
    try:
        async with asyncio.timeout(STORE_SECONDS):
            return await reading
    except (StoreUnavailable, TimeoutError):
        return None

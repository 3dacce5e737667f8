"""What a store tells of itself: due jobs, the last runs of schedules, commits."""

from uuid import UUID

import pytest

from booper.errors import NotFound
from booper.model.tally import Tally
from booper.store.base import Store
from booper.store.counters import DueCount
from booper.store.vitals import Commits
from tests.conftest import START
from tests.support import stores
from tests.support.stores import (
    SECOND,
    STORED,
    completed,
    created,
    in_state,
    scheduled,
    settle,
)

pytestmark = pytest.mark.anyio

opening, process, store, alice = stores.opening, stores.process, stores.store, stores.alice


async def test_due_jobs_are_those_that_wait_and_whose_time_has_come(
    store: Store, alice: UUID
) -> None:
    """A job that executes, has ended or is due later is none of them."""
    for state in STORED:
        await in_state(store, alice, state)
    assert await store.counters.due(START) == DueCount(0, None)
    for seconds in (3, 1, 2):
        await created(store, alice, at=START + seconds * SECOND)
    assert await store.counters.due(START + 2 * SECOND) == DueCount(2, START + SECOND)


async def test_the_last_success_is_the_newest_end_of_a_run(store: Store, alice: UUID) -> None:
    """By name or id; a schedule whose runs have not completed has none."""
    fine = await scheduled(store, alice, name="fine")
    await scheduled(store, alice, name="waits")
    job = (await stores.claim(store, [stores.due(fine)]))[0]
    await settle(store, job, completed(job, START + 3 * SECOND))
    assert fine.schedule_id is not None
    names = ["fine", "waits", "unknown", str(fine.schedule_id)]
    at = START + 3 * SECOND
    assert await store.schedules.last_completed(names) == {"fine": at, str(fine.schedule_id): at}


async def test_each_commit_is_counted_with_its_changes(store: Store, alice: UUID) -> None:
    """What was refused for a reason of its own is no failure of the store."""
    before = store.vitals.commits.durations.read()
    await created(store, alice)
    with pytest.raises(NotFound):
        await store.jobs.run(alice, 99, START)
    after = store.vitals.commits.durations.read()
    assert sum(after.counts) - sum(before.counts) == 2
    assert after.total > before.total
    assert store.vitals.commits.failures == 0


def test_changes_that_the_store_could_not_write_are_failures() -> None:
    """Two of a group of three."""
    commits = Commits()
    commits.note(0.002, 3, 2)
    assert commits.failures == 2
    assert commits.sizes.read().total == 3


def test_a_tally_has_its_limits_in_the_parts_below_them() -> None:
    """As Prometheus's `le` does: less or equal."""
    tally = Tally((1, 2.5))
    for value in (0, 1, 1.5, 2.5, 3):
        tally.add(value)
    read = tally.read()
    assert (list(read.counts), read.total) == ([2, 2, 1], 8)

"""The pruner at work: what it deletes when, in which steps, and how large the file stays."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import Signal, VirtualClock
from booper.config import Config, Retention
from booper.engine.pruner import MAX_BYTES, MAX_ROWS, Pruner, batches
from booper.engine.space import SpaceKeeper
from booper.errors import PrunedElsewhere
from booper.model import retention as model
from booper.model.bucket import begin_of
from booper.store.base import Store
from booper.store.pruning import Prunable, Pruning
from booper.store.sqlite import open_store, pruning
from booper.store.values import Creation, Page, Pruned
from tests.conftest import KEY, START
from tests.support import stores
from tests.support.api import Api
from tests.support.databases import make_database
from tests.support.stores import claim, completed, due, entry, settle, wanted
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
MB = 1 << 20
KEPT = model.Retention(
    completed=30 * DAY,
    cancelled=30 * DAY,
    discarded=90 * DAY,
    audit=365 * DAY,
    buckets=400 * DAY,
    schedule_runs=20,
    max_bytes=0,
)


class NotedClock(VirtualClock):
    """A clock that notes for when its first waiter waits."""

    until: datetime | None = None

    def __init__(self) -> None:
        super().__init__(START)
        self.is_waited_for = asyncio.Event()

    async def wait(self, signal: Signal, until: datetime | None) -> None:
        """Note it."""
        self.until = until
        self.is_waited_for.set()
        await super().wait(signal, until)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait, at most 20 seconds, until there is something to see."""
    async with asyncio.timeout(20):
        while not await look():
            await asyncio.to_thread(bool)  # as long as a change takes on its thread


def size_of(path: Path) -> int:
    """Return how many bytes a database has, whatever of it is still in the log."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as opened:
        (count,) = opened.execute("PRAGMA page_count").fetchone()
        return int(count) * 4096


async def filled(store: Store, count: int, size: int = 0) -> list[int]:
    """Store completed jobs of a user, each with a log entry of this size; return their numbers."""
    user = await store.keys.user("alice", START)
    made = await store.jobs.create_many(
        [Creation(wanted(user)) for _ in range(count)], START, atomic=True
    )
    jobs = [each.job for each in made if not isinstance(each, Exception)]
    for job in await claim(store, [due(job) for job in jobs]):
        await settle(store, job, completed(job), [entry(job, "x", payload=f'"{"x" * size}"')])
    return [job.id for job in jobs]


class Watched:
    """A store's pruning that keeps what each change has deleted."""

    def __init__(self, pruning: Pruning) -> None:
        self._pruning = pruning
        self.changes: list[Pruned] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pruning, name)

    async def prune(self, job_ids: Sequence[int], *arguments: Any, **named: Any) -> Pruned:
        """Delete jobs, and keep how many there were."""
        pruned = await self._pruning.prune(job_ids, *arguments, **named)
        self.changes.append(pruned)
        return pruned


# --- when -----------------------------------------------------------------------------------------


async def test_a_new_database_is_pruned_from_the_start(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """A day after its end a job that is kept for a day is gone, with its log."""
    config = replace_retention(config, completed=(1, "day"))
    async with running(config, clock, target) as booper, Api(booper.asgi, KEY) as api:
        job = await api.create()
        await booper.wait_idle()
        clock.advance(DAY - timedelta(seconds=1))
        assert (await api.get(f"/api/jobs/{job['job_id']}")).status_code == 200
        clock.advance(timedelta(hours=1))
        await until(lambda: _is_gone(api, job["job_id"]))
        assert (await api.read("/api/logs")) == []
        metrics = (await Api(booper.administration).get("/metrics")).text
    # A job and the one row of its log: the request, and the response to it.
    assert "\nbooper_pruned_rows_total 2.0\n" in metrics
    assert "\nbooper_over_size 0.0\n" in metrics


async def test_a_job_that_asks_for_less_goes_earlier(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """`keep_for` of a create counts, whatever the settings say; its callback goes as well."""
    async with running(config, clock, target) as booper, Api(booper.asgi, KEY) as api:
        job = await api.create(keep_for=[1, "hour"], callback_url="https://target.test/done")
        other = await api.create()
        await booper.wait_idle()
        assert len(target.received) == 3
        clock.advance(timedelta(hours=2))
        await until(lambda: _is_gone(api, job["job_id"]))
        left = await api.read("/api/jobs?kind[]=request&kind[]=callback")
        assert [each["job_id"] for each in left] == [other["job_id"]]


async def test_an_older_database_is_left_alone_for_a_week_and_says_so(
    config: Config, clock: VirtualClock, target: FakeTarget, caplog: pytest.LogCaptureFixture
) -> None:
    """Its owner may not want it: a line in the log tells when it begins."""
    config = replace_retention(config, completed=0)
    job = await _older(config, clock, target)
    async with running(config, clock, target) as booper, Api(booper.asgi, KEY) as api:
        await until(lambda: _told(caplog, "from 2030-01-08 12:00 UTC on"))
        clock.advance(7 * DAY - timedelta(seconds=1))
        assert (await api.get(f"/api/jobs/{job}")).status_code == 200
    caplog.clear()
    async with running(config, clock, target) as booper, Api(booper.asgi, KEY) as api:
        await until(lambda: _told(caplog, "from 2030-01-08 12:00 UTC on"))  # the same after a start
        clock.advance(timedelta(seconds=1))
        await until(lambda: _is_gone(api, job))


async def test_an_older_database_is_pruned_at_once_if_that_is_asked_for(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """By `POST /api/prune`, which also holds after the next start."""
    config = replace_retention(config, completed=0)
    job = await _older(config, clock, target)
    async with running(config, clock, target) as booper, Api(booper.administration) as admin:
        response = await admin.post("/api/prune")
        assert response.status_code == 200
        assert response.json()["data"]["begins_at"] == "2030-01-01T12:00:00.000000Z"
        await until(lambda: _is_gone(Api(booper.asgi, KEY), job))


async def _older(config: Config, clock: VirtualClock, target: FakeTarget) -> int:
    """Make a database of an older booper, with a completed job; return its number."""
    async with running(config, clock, target) as booper, Api(booper.asgi, KEY) as api:
        job = await api.create(keep_for=[1, "day"])
        await booper.wait_idle()
    with closing(sqlite3.connect(config.database.path)) as opened, opened:
        opened.execute("UPDATE jobs SET keep_for = NULL")
        # As the migration leaves a file that has jobs.
        opened.execute("UPDATE pruning SET begins_at = NULL")
    return int(job["job_id"])


async def _is_gone(api: httpx.AsyncClient, job_id: int) -> bool:
    return (await api.get(f"/api/jobs/{job_id}")).status_code == 404


async def _told(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text


def replace_retention(config: Config, **settings: Any) -> Config:
    """Return a configuration with these settings in `[retention]`."""
    return replace(config, retention=Retention(**settings))


def running(config: Config, clock: VirtualClock, target: FakeTarget) -> Booper:
    """Return a booper on the virtual clock."""
    return Booper(config, api_key=KEY, clock=clock, random=Random(1), transport=target)


# --- in which steps -------------------------------------------------------------------------------

SIZES = [
    # rows and bytes of jobs, and how many of them go together
    ([(2, 100)] * 250, [100, 100, 50]),
    ([(150, 100), (50, 100), (1, 100)], [2, 1]),
    ([(2, MAX_BYTES - 100), (2, 100), (2, 100)], [2, 1]),
    ([(1000, 100), (2, 100)], [1, 1]),  # one that has too much goes alone
    ([], []),
]


@pytest.mark.parametrize(("jobs", "expected"), SIZES)
def test_jobs_go_together_up_to_200_rows_and_a_megabyte(
    jobs: list[tuple[int, int]], expected: list[int]
) -> None:
    """In order; both bounds hold for each change of more than one job."""
    prunable = [Prunable(number, rows, size) for number, (rows, size) in enumerate(jobs)]
    parts = list(batches(prunable))
    assert [len(part) for part in parts] == expected
    assert [job for part in parts for job in part] == prunable


async def test_no_change_deletes_more_than_200_rows(tmp_path: Path) -> None:
    """450 jobs with an entry each are 900 rows, and one with 1,000 entries has to go in parts."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        await filled(store, 450)
        user = await store.keys.user("alice", START)
        job = await stores.begun(store, user)
        await settle(store, job, completed(job), [entry(job, "x")] * 1000)
        watched = Watched(store.pruning)
        pruner = Pruner(watched, KEPT, VirtualClock(START + 30 * DAY))
        await pruner.prune()
        assert sum(change.jobs for change in watched.changes) == 451
        assert sum(change.rows for change in watched.changes) == 900 + 1001
        assert max(change.rows for change in watched.changes) <= MAX_ROWS == 200
        assert (pruner.status.jobs, pruner.status.rows) == (451, 1901)


async def test_a_change_in_spare_time_waits_for_the_others(tmp_path: Path) -> None:
    """What came behind it is committed before it."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        [number] = await filled(store, 1)
        user = await store.keys.user("alice", START)
        order: list[str] = []

        async def note(name: str, work: Awaitable[object]) -> None:
            await work
            order.append(name)

        deletion = store.pruning.prune([number], KEPT, START + 30 * DAY, 200, is_over_size=False)
        # All wait before the writer's turn comes.
        async with asyncio.TaskGroup() as group:
            group.create_task(note("deletion", deletion))
            for _ in range(3):
                group.create_task(note("create", store.jobs.create(Creation(wanted(user)), START)))
        assert order == ["create"] * 3 + ["deletion"]


async def test_old_buckets_go_and_newer_ones_stay(tmp_path: Path) -> None:
    """By their own time: 400 days."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        await filled(store, 3)
        everything = (START - DAY, START + 1000 * DAY)
        user = await store.keys.user("alice", START)
        by_day = begin_of(START, DAY), begin_of(START, DAY) + 1000 * DAY, DAY
        assert len(await store.counters.minutes(None, *everything)) == 1
        await Pruner(store.pruning, KEPT, VirtualClock(START + 399 * DAY)).prune()
        assert len(await store.counters.minutes(None, *everything)) == 1
        assert len(await store.counters.hours(None, *everything)) == 1
        assert len(await store.counters.spans(user, *by_day)) == 1
        await Pruner(store.pruning, KEPT, VirtualClock(START + 401 * DAY)).prune()
        assert await store.counters.minutes(None, *everything) == []
        assert await store.counters.hours(None, *everything) == []
        assert await store.counters.spans(user, *by_day) == []


async def test_old_entries_of_the_audit_go_and_newer_ones_stay(tmp_path: Path) -> None:
    """By their own time: 365 days; those of one day are deleted in several changes."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        for number in range(MAX_ROWS + 1):
            await store.pauses.add(f"{number}.test", START)
        await store.pauses.remove("0.test", START + 2 * DAY)
        first = Page(limit=100, order_by="id", descending=False)
        await Pruner(store.pruning, KEPT, VirtualClock(START + 364 * DAY)).prune()
        assert len(await store.history.changes(first)) == 100
        await Pruner(store.pruning, KEPT, VirtualClock(START + 366 * DAY)).prune()
        (left,) = await store.history.changes(first)
        assert (left.action, left.object) == ("resume", "0.test")


async def test_where_nothing_is_old_nothing_is_written(tmp_path: Path) -> None:
    """A reader looks; the writer's log stays as it is."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        await filled(store, 3)
        await store.pauses.add("paused.test", START)
        before = store.vitals.commits.sizes.read().counts
        await Pruner(store.pruning, KEPT, VirtualClock(START + 29 * DAY)).prune()
        assert store.vitals.commits.sizes.read().counts == before


# --- the size of the file -------------------------------------------------------------------------


def keeper(store: Store, max_bytes: int) -> tuple[SpaceKeeper, Pruner]:
    """Return what keeps a store under a size, and its pruner."""
    kept = replace_kept(max_bytes)
    clock = VirtualClock(START)
    pruner = Pruner(store.pruning, kept, clock)
    return SpaceKeeper(store.pruning, pruner, kept, clock), pruner


def replace_kept(max_bytes: int) -> model.Retention:
    """Return the retention of these tests with a size."""
    return replace(KEPT, max_bytes=max_bytes)


async def test_a_database_over_its_size_loses_its_oldest_jobs(tmp_path: Path) -> None:
    """300 jobs of 20 kB are over 6 MB; 4 MB have room for the newest half of them, about."""
    path = tmp_path / "booper.db"
    make_database(path)
    async with open_store(path, "normal", Random(1)) as store:
        numbers = await filled(store, 300, 20_000)
        assert size_of(path) > 6 * 10**6
        space_keeper, pruner = keeper(store, 4 * 10**6)
        space = await space_keeper.keep()
        assert size_of(path) == space.size <= 4 * 10**6
        user = await store.keys.user("alice", START)
        left = await stores.ids(store, user, stores.page(1000, order_by="id", descending=False))
        assert left == numbers[-len(left) :]
        assert 130 < len(left) < 190
        assert not space_keeper.status.is_over_size
        assert pruner.status.jobs == 300 - len(left)


async def test_a_size_that_cannot_be_reached_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Waiting jobs stay; the log tells it once, and once that it is over."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        user = await store.keys.user("alice", START)
        args = '{"url": "https://target.test/", "name": "' + "x" * 100_000 + '"}'
        jobs = [await stores.created(store, user, args=args) for _ in range(20)]
        space_keeper, _ = keeper(store, 1 * MB)
        for _ in range(3):
            await space_keeper.keep()
        assert space_keeper.status.is_over_size
        assert len(await stores.ids(store, user, stores.page())) == 20
        assert caplog.text.count("over [retention] max_bytes = 1048576") == 1
        for job in jobs:
            await stores.cancel(store, user, job.id)
        await space_keeper.keep()
        assert not space_keeper.status.is_over_size
        assert caplog.text.count("under [retention] max_bytes again") == 1
        assert size_of(tmp_path / "booper.db") <= MB


@pytest.mark.parametrize(("count", "is_given_back"), [(100, False), (300, True)])
async def test_much_free_space_is_given_back_and_little_is_kept(
    tmp_path: Path, count: int, is_given_back: bool
) -> None:
    """Over 4 MB, if that is the bound, and over a fifth; a tenth is left for what comes."""
    path = tmp_path / "booper.db"
    make_database(path)
    async with open_store(path, "normal", Random(1)) as store:
        await filled(store, count, 20_000)
        full = size_of(path)
        clock = VirtualClock(START + 30 * DAY)
        pruner = Pruner(store.pruning, KEPT, clock)
        await pruner.prune()
        assert size_of(path) == full, "free pages stay where they are"
        space = await SpaceKeeper(store.pruning, pruner, KEPT, clock, min_free=4 * MB).keep()
        assert (size_of(path) < full / 2) is is_given_back
        assert (space.free <= space.size // 10) is is_given_back


async def test_a_change_frees_pages_for_a_few_milliseconds_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long each takes: where there is no time at all, it is one."""
    monkeypatch.setattr(pruning, "FREE_SECONDS", 0.0)
    path = tmp_path / "booper.db"
    make_database(path)
    async with open_store(path, "normal", Random(1)) as store:
        await filled(store, 20, 20_000)
        await Pruner(store.pruning, KEPT, VirtualClock(START + 30 * DAY)).prune()
        before = await store.pruning.space()
        assert before.free > MB / 4
        await store.pruning.give_back(MB)
        assert before.size - (await store.pruning.space()).size in (4096, 8192)


async def test_a_file_stays_under_its_size_while_work_goes_on(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """Forty days of work that each add 7 % of the size: the file is never over it by a tenth.

    A day is over in a moment here, so each begins when what the one before has added is deleted.
    """
    most, path = 8 * MB, Path(config.database.path)
    target.respond(*[httpx.Response(200, content=b"x" * 5_000)] * (40 * 100))
    config = replace_retention(config, max_bytes=most)
    sizes: list[int] = []
    async with running(config, clock, target) as booper, Api(booper.asgi, KEY) as api:
        for _ in range(40):
            body = {"jobs": [{"url": f"https://target.test/{n}"} for n in range(100)]}
            assert (await api.post("/api/jobs/batch", json=body)).status_code == 201
            await booper.wait_idle()
            sizes.append(size_of(path))
            await until(lambda: _is_under(path, most))
            clock.advance(DAY)
    assert len(target.received) == 40 * 100
    assert max(sizes) > 0.9 * most, "the test itself must reach the size"
    assert max(sizes) <= 1.1 * most


async def _is_under(path: Path, size: int) -> bool:
    return size_of(path) <= size


class PrunedByOthers:
    """A store's pruning that another node is at."""

    def __init__(self, pruning: Pruning) -> None:
        self._pruning = pruning

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pruning, name)

    async def prune_audit(self, before: datetime, limit: int) -> int:
        """Refuse to."""
        raise PrunedElsewhere("another node")


async def test_a_pruner_that_meets_another_rests(tmp_path: Path) -> None:
    """That is no error; it looks again after ten seconds."""
    clock = NotedClock()
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        pruner = Pruner(PrunedByOthers(store.pruning), KEPT, clock)
        running = asyncio.create_task(pruner.run())
        await clock.is_waited_for.wait()
        running.cancel()
    assert clock.until == START + timedelta(seconds=10)
    assert (pruner.status.error, pruner.status.pruned_at) == ("", None)


@pytest.mark.parametrize(
    ("kept", "pause"),
    [
        (None, timedelta(hours=1)),
        (30 * DAY, timedelta(hours=1)),
        (timedelta(minutes=50), timedelta(minutes=1)),
        (timedelta(minutes=1), timedelta(seconds=10)),
    ],
)
async def test_the_shorter_jobs_are_kept_the_more_often_it_looks(
    tmp_path: Path, kept: timedelta | None, pause: timedelta
) -> None:
    """A fiftieth of the time that what goes first is kept, of 10 seconds to an hour."""
    clock = NotedClock()
    retention = replace(KEPT, completed=kept, cancelled=None, discarded=kept)
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        pruner = asyncio.create_task(Pruner(store.pruning, retention, clock).run())
        await clock.is_waited_for.wait()
        pruner.cancel()
    assert clock.until == START + pause

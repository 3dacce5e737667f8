"""What the store suites share: opening each store, jobs and schedules to put in, and short ways."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, closing
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.model.args import Args, encode_args
from booper.model.event import REQUEST, NewEntry
from booper.model.job import Attempt, Job, NewJob, State
from booper.model.key import NewKey
from booper.model.schedule import NewSchedule, Plan
from booper.store.base import Store
from booper.store.sqlite import open_store
from booper.store.values import (
    Claims,
    Creation,
    Due,
    DueJob,
    JobFilter,
    JobRef,
    Page,
    Place,
    Settlement,
)
from tests.conftest import START
from tests.support.databases import make_database
from tests.support.postgres import postgres, rows_of_postgres

Opening = Callable[[Path], AbstractAsyncContextManager[Store]]

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NOWHERE = UUID("00000000-0000-7000-8000-000000000000")
STORED = tuple(state for state in State if state is not State.AVAILABLE)

# Two processes that open one store make different ids.
SEEDS = count(1)


def sqlite(folder: Path) -> AbstractAsyncContextManager[Store]:
    """Open the SQLite store in a folder."""
    path = folder / "booper.db"
    if not path.exists():
        make_database(path)
    return open_store(path, "full", Random(next(SEEDS)))


STORES: list[Opening] = [sqlite, postgres]


@pytest.fixture(params=STORES, ids=lambda opening: opening.__name__)
def opening(request: pytest.FixtureRequest) -> Opening:
    """Return how to open a store in a folder; twice in the same folder is the same store."""
    chosen: Opening = request.param
    return chosen


class Process:
    """The process that has a store open; another may open it after its end."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Store]]) -> None:
        self._opening = opening
        self._opened = AsyncExitStack()

    async def open(self) -> Store:
        """Open the store, as this process or another one."""
        await self.end()
        return await self._opened.enter_async_context(self._opening())

    async def end(self) -> None:
        """End, with whatever it has claimed."""
        await self._opened.aclose()


Rows = Callable[[str], list[dict[str, Any]]]
"""Return what a query has of a database, by other means than the store."""


@pytest.fixture
def rows(opening: Opening, tmp_path: Path) -> Rows:
    """Return what reads the database of this test beside its store."""
    return rows_of_postgres(tmp_path) if opening is postgres else partial(_rows_of_sqlite, tmp_path)


def _rows_of_sqlite(folder: Path, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{folder / 'booper.db'}?mode=ro", uri=True)) as opened:
        opened.row_factory = sqlite3.Row
        return [dict(row) for row in opened.execute(query)]


Restart = Callable[[], Awaitable[Store]]
"""End the process that has the store open, and open the store in another one."""


@pytest.fixture
async def process(opening: Opening, tmp_path: Path) -> AsyncIterator[Process]:
    """Return the process that opens the store of this test."""
    process = Process(lambda: opening(tmp_path))
    yield process
    await process.end()


@pytest.fixture
async def store(process: Process) -> Store:
    """Return an empty store."""
    return await process.open()


@pytest.fixture
def restart(process: Process) -> Restart:
    """Return what opens the store in another process."""
    return process.open


@pytest.fixture
async def alice(store: Store) -> UUID:
    """Return a user."""
    return (await store.keys.create(key("alice's", user="alice"), START)).user_id


@pytest.fixture
async def bob(store: Store) -> UUID:
    """Return another user."""
    return (await store.keys.create(key("bob's", user="bob"), START)).user_id


def key(name: str, *, user: str | None = None) -> NewKey:
    """Return a key to store; its digest is made of its name."""
    return NewKey(name, user, sha256(name.encode()).digest())


def nothing(*_: Attempt | Job | datetime) -> Sequence[NewJob]:
    """Report nothing of an attempt or a job."""
    return ()


# --- what is put in ---


def wanted(
    user: UUID,
    *,
    at: datetime = START,
    host: str = "target.test",
    idempotency: str | None = None,
    **fields: Any,
) -> NewJob:
    """Return a job to store, due at `at`; `fields` are those of a `NewJob`."""
    args = Args(url=f"https://{host}/", idempotency_key=idempotency)
    given = {"args": encode_args(args), "max_attempts": 15, **fields}
    return NewJob(
        user_id=user,
        origin=f"https://{host}",
        scheduled_at=at,
        planned_at=at,
        idempotency_key=idempotency,
        **given,
    )


def repeating(
    user: UUID, *, at: datetime = START, max_attempts: int = 15, **fields: Any
) -> NewSchedule:
    """Return a schedule to store, every minute from `at` unless `fields` of its args say else."""
    timing = {} if "cron" in fields else {"repeat_every": (1, "minute")}
    args = Args(**{"url": "https://target.test/", **timing, **fields})
    return NewSchedule(
        user_id=user,
        args=encode_args(args),
        origin="https://target.test",
        anchor=at,
        first_at=Plan.of(args, at).first(),
        max_attempts=max_attempts,
        idempotency_key=args.idempotency_key,
        name=args.name,
        description=args.description,
        tags=tuple(args.tags or ()),
    )


async def created(store: Store, user: UUID, *, at: datetime = START, **fields: Any) -> Job:
    """Store a job and return it."""
    return (await store.jobs.create(Creation(wanted(user, at=at, **fields)), START)).job


async def scheduled(store: Store, user: UUID, *, at: datetime = START, **fields: Any) -> Job:
    """Store a schedule and return its first run."""
    return (await store.jobs.create(Creation(repeating(user, at=at, **fields)), START)).job


# --- what the loop does ---


def due(job: Job) -> Due:
    """Return a job as the timers know it."""
    return Due.of(job)


async def turns(
    store: Store, *jobs: Job, now: datetime = START, seen_at: datetime | None = None
) -> Claims:
    """Decide about jobs that were seen due (at `now` unless said otherwise)."""
    seen = [DueJob(due(job), seen_at or now) for job in jobs]
    return await store.queue.claim(seen, now, nothing)


async def claim(store: Store, dues: Sequence[Due], now: datetime = START) -> list[Job]:
    """Claim entries of the timers, and return the jobs whose attempts begin."""
    claims = await store.queue.claim([DueJob(item, now) for item in dues], now, nothing)
    return [attempt.job for attempt in claims.begun]


async def settle(
    store: Store, job: Job, after: Job, entries: Sequence[NewEntry] = (), **left: Any
) -> Job:
    """Settle an attempt; `left` is what it reports and leaves to its schedule."""
    at = entries[-1].at if entries else after.completed_at or after.discarded_at or START
    return (await store.queue.settle(Settlement(job, after, at, entries, **left))).job


async def cancel(store: Store, user: UUID, ref: JobRef, now: datetime = START) -> Job:
    """Cancel a job and return it."""
    return (await store.jobs.cancel(user, ref, now, nothing)).jobs[0]


async def begun(store: Store, user: UUID, **fields: Any) -> Job:
    """Store a job, begin its attempt and return it."""
    job = await created(store, user, **fields)
    (executing,) = await claim(store, [due(job)])
    return executing


def completed(job: Job, now: datetime = START) -> Job:
    """Return an executing job as a success leaves it."""
    return replace(job, state=State.COMPLETED, completed_at=now)


def retryable(job: Job, at: datetime) -> Job:
    """Return an executing job as a failure leaves it, to be sent again at `at`."""
    return replace(job, state=State.RETRYABLE, scheduled_at=at, last_error="timeout: no response")


def discarded(job: Job, now: datetime = START) -> Job:
    """Return an executing job as its last failure leaves it."""
    return replace(job, state=State.DISCARDED, discarded_at=now, last_error="timeout: no response")


async def in_state(store: Store, user: UUID, state: State, **fields: Any) -> Job:
    """Store a job and bring it to a state; waiting ones are due an hour after `START`."""
    if state is State.SCHEDULED:
        return await created(store, user, at=START + HOUR, **fields)
    job = await begun(store, user, **fields)
    return await brought(store, job, state)


async def brought(store: Store, job: Job, state: State) -> Job:
    """Move an executing job to a state."""
    match state:
        case State.RETRYABLE:
            return await settle(store, job, retryable(job, START + HOUR))
        case State.COMPLETED:
            return await settle(store, job, completed(job))
        case State.DISCARDED:
            return await settle(store, job, discarded(job))
        case State.CANCELLED:
            return await cancel(store, job.user_id, job.id)
        case _:
            return job


# --- what is read ---


def entry(job: Job, event: str = REQUEST, *, at: datetime = START, payload: str = "{}") -> NewEntry:
    """Return a log entry about a job."""
    return NewEntry(job.user_id, job.id, job.kind, event, at, payload)


def page(
    limit: int = 100,
    offset: int = 0,
    order_by: str = "inserted_at",
    *,
    descending: bool = True,
    after: tuple[int, int] | None = None,
) -> Page:
    """Return which part of a list is asked for; by default everything, newest first."""
    value, number = after or (0, 0)
    place = Place(after is not None, value, number, skip=offset)
    return Page(limit, order_by, descending, place)


async def ids(
    store: Store, user: UUID, part: Page, *states: State, now: datetime = START, **fields: Any
) -> list[int]:
    """Return the numbers of the jobs in a list; `fields` are those of a `JobFilter`."""
    matching = JobFilter(states=frozenset(states), **fields)
    return [job.id for job in await store.jobs.list(user, part, matching, now)]


async def waiting(store: Store, window: int = 100) -> list[int]:
    """Return the numbers of all waiting jobs, read in windows as the timers read them."""
    found: list[Due] = []
    last: Due | None = None
    while True:
        scan = await store.queue.due(last, window)
        assert len(scan.found) <= window
        found += scan.found
        last = scan.until
        if last is None:
            return [item.id for item in found]


async def dues(store: Store, limit: int = 10, after: Due | None = None) -> Sequence[Due]:
    """Return the next waiting jobs, as the timers know them."""
    return (await store.queue.due(after, limit)).found


async def paused(store: Store) -> list[str]:
    """Return the names of what is paused."""
    return [one.target for one in await store.pauses.list()]

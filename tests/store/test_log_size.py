"""What one job's log keeps is bounded, however often the job is tried and whatever it is told."""

from datetime import timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.model.event import LogEntry
from booper.model.job import Job
from booper.store.base import Store
from booper.store.rules.settling import MAX_JOB_BYTES, MAX_JOB_ENTRIES, TRIMMED_AFTER
from tests.conftest import START
from tests.support import stores
from tests.support.stores import begun, claim, due, entry, page, retryable, settle

pytestmark = pytest.mark.anyio

opening, process = stores.opening, stores.process
store, alice = stores.store, stores.alice

KIB = 1 << 10


async def fail(store: Store, job: Job, times: int, payload: str, entries: int) -> Job:
    """Fail a job so often, each time with so many entries; the newest has the last number."""
    now = START
    for number in range(times):
        now += timedelta(minutes=1)
        written = [entry(job, at=now, payload=payload % number) for _ in range(entries)]
        waiting = await settle(store, job, retryable(job, now), written)
        (job,) = await claim(store, [due(waiting)], now)
    return job


async def log_of(store: Store, job: Job) -> list[LogEntry]:
    """Return a job's whole log, newest first."""
    found, asked = list[LogEntry](), page(100)
    while True:
        part = await store.logs.list(job.user_id, asked, job.id, None)
        found += part
        if part.rest is None:
            return found
        asked = replace(asked, place=part.rest)


async def test_a_log_keeps_the_newest_8_mib(store: Store, alice: UUID) -> None:
    """80 responses of 256 KiB are 20 MiB: the newest 31 are kept, and what came since the look."""
    payload = f'{{"number":%d,"body":"{"x" * (256 * KIB)}"}}'
    job = await fail(store, await begun(store, alice), 80, payload, 1)
    kept = await log_of(store, job)
    assert len(kept) == MAX_JOB_BYTES // (256 * KIB) - 1
    assert [item.payload[:12] for item in kept] == [
        f'{{"number":{number},'[:12] for number in range(79, 79 - len(kept), -1)
    ]


async def test_a_log_keeps_the_newest_thousand_entries(store: Store, alice: UUID) -> None:
    """160 attempts of ten entries each; those of another job stay."""
    other = await begun(store, alice)
    other = await fail(store, other, 3, '{"number":%d}', 2)
    job = await fail(store, await begun(store, alice), 20 * TRIMMED_AFTER, '{"number":%d}', 10)
    kept = await log_of(store, job)
    assert len(kept) == MAX_JOB_ENTRIES
    assert kept[0].payload == '{"number":159}'
    assert len(await log_of(store, other)) == 6


async def test_the_log_of_a_few_attempts_is_not_touched(store: Store, alice: UUID) -> None:
    """Up to the eighth attempt everything is kept, however long."""
    payload = f'{{"number":%d,"body":"{"x" * (1024 * KIB)}"}}'
    job = await fail(store, await begun(store, alice), TRIMMED_AFTER - 1, payload, 2)
    assert len(await log_of(store, job)) == 2 * (TRIMMED_AFTER - 1)

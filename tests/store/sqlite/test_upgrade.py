"""A file of booper 0.1.0, opened by this version: nothing in it is lost, and all of it goes on."""

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from booper.clock import EPOCH
from booper.model.event import ERROR, REQUEST, RESPONSE, SKIPPED
from booper.model.job import Job, State
from booper.store.base import Store
from booper.store.sqlite import open_store, schema
from booper.store.values import DueJob, JobFilter
from tests.support.stores import SECOND, claim, completed, due, dues, nothing, page, settle

pytestmark = pytest.mark.anyio

ALICE = UUID(int=1)
SCHEDULE = UUID(int=2)
NOW = EPOCH + 1_000_000 * SECOND

# What is told of a job beside its state: how often it was tried, and when it ended.
STATES = {
    State.SCHEDULED: (0, None),
    State.EXECUTING: (1, None),
    State.RETRYABLE: (2, None),
    State.COMPLETED: (1, "completed_at"),
    State.DISCARDED: (15, "discarded_at"),
    State.CANCELLED: (0, "cancelled_at"),
}

EVENTS = (REQUEST, RESPONSE, REQUEST, ERROR, SKIPPED)


def old_file(path: Path) -> None:
    """Write a file with the first schema: a job in each state, a schedule with a run, a log."""
    with closing(sqlite3.connect(path)) as opened, opened:
        schema._apply(opened, 1, schema.migrations()[0])
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("INSERT INTO users VALUES (?, 'alice', 0)", (ALICE.bytes,))
        for state, (attempt, ended) in STATES.items():
            times = {"attempted_at": 1 if attempt else None} | ({ended: 2} if ended else {})
            insert_job(opened, state=state, attempt=attempt, **times)
        opened.execute(
            "INSERT INTO schedules (id, user_id, host, args, anchor, next_at, runs, state,"
            " previous, inserted_at) VALUES (?, ?, 'a.test', ?, 0, 60000000, 3, ?, '{}', 0)",
            (SCHEDULE.bytes, ALICE.bytes, ARGS_OF_SCHEDULE, '{"n": 1}'),
        )
        insert_job(
            opened,
            kind="run",
            schedule_id=SCHEDULE.bytes,
            args=ARGS_OF_SCHEDULE,
            scheduled_at=60_000_000,
            planned_at=60_000_000,
        )
        for number, event in enumerate(EVENTS):
            opened.execute(
                "INSERT INTO logs (id, user_id, job_id, kind, event, inserted_at, payload)"
                " VALUES (?, ?, 4, 'request', ?, ?, '{}')",
                (UUID(int=100 + number).bytes, ALICE.bytes, event, number),
            )


ARGS = '{"url": "https://a.test/x"}'
ARGS_OF_SCHEDULE = '{"url": "https://a.test/x", "repeat_every": 60}'


def insert_job(connection: sqlite3.Connection, **columns: object) -> None:
    """Insert a job, due at the beginning of time unless its columns say otherwise."""
    row: dict[str, object] = {
        "uuid": connection.execute("SELECT randomblob(16)").fetchone()[0],
        "user_id": ALICE.bytes,
        "kind": "request",
        "host": "a.test",
        "args": ARGS,
        "state": "scheduled",
        "attempt": 0,
        "max_attempts": 15,
        "interruptions": 0,
        "inserted_at": 0,
        "scheduled_at": 0,
        "planned_at": 0,
        **columns,
    }
    places = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({places})", row)


async def jobs(store: Store) -> list[Job]:
    """Return all jobs, oldest first."""
    listed = await store.jobs.list(ALICE, page(order_by="id", descending=False), JobFilter(), NOW)
    return list(listed)


async def test_a_file_of_the_first_version_goes_on_in_every_state(tmp_path: Path) -> None:
    """Jobs and entries are as they were; what was executing is made due again; all can be sent."""
    path = tmp_path / "booper.db"
    old_file(path)
    async with open_store(path, "full", Random(1)) as store:
        found = await jobs(store)
        assert [job.state for job in found] == [*STATES, State.SCHEDULED]
        assert [job.attempt for job in found] == [attempt for attempt, _ in STATES.values()] + [0]
        entries = await store.logs.list(ALICE, page(descending=False), 4, None)
        assert [entry.event for entry in entries] == list(EVENTS)
        for entry in entries:
            assert await store.logs.get(ALICE, entry.id) == entry
        assert await store.queue.rescue(NOW, nothing) == 1
        for job in [found[4], found[5]]:
            await store.jobs.retry(ALICE, job.id, NOW)
        begun = await claim(store, await dues(store), NOW)
        assert len(begun) == 6  # all but the completed one
        for job in begun:
            assert (await settle(store, job, completed(job, NOW))).state is State.COMPLETED
        (following,) = [job for job in await jobs(store) if job.state is State.SCHEDULED]
        assert following.schedule_id == SCHEDULE
        assert following.planned_at > NOW
        claims = await store.queue.claim([DueJob(due(following), NOW)], NOW, nothing)
        assert [attempt.state for attempt in claims.begun] == ['{"n": 1}']
    with closing(sqlite3.connect(path)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ended = opened.execute("SELECT ended_at FROM jobs WHERE id = 4").fetchone()
        assert ended == (2,)

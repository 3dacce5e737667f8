"""A database as it is after years: millions of jobs of three users, copied from real ones."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Targets
from booper.store.sqlite.bucket_rows import FILL_DAYS
from tests.benchmarks.fill import copy_rows, uuid_of
from tests.conftest import START
from tests.support.api import Api
from tests.support.target import FakeTarget

KEY = "sk_benchmark_benchmark_benchmark_benchmark"
USERS = ("bob", "carol")
"""The users beside the first one."""

DAYS = 29
"""Less than completed jobs are kept."""

MICROSECONDS = 1_000_000
NOW = START + timedelta(days=1)
TIMES = ("inserted_at", "scheduled_at", "planned_at", "attempted_at", "completed_at")
KEPT_LOGS = 1_000_000
"""Entries of so many finished jobs are there: those of older ones are pruned."""


def config(folder: Path) -> Config:
    """Return settings under which nothing is deleted and nothing is sent by itself."""
    return Config(
        database=Database(path=str(folder / "booper.db"), durability="normal"),
        targets=Targets(allow_private_networks=True),
    )


def fill_years(folder: Path, finished: int, waiting: int) -> None:
    """Make a database with so many jobs, a third of them of each user."""
    asyncio.run(_create_seeds(folder))
    with closing(sqlite3.connect(folder / "booper.db", isolation_level=None)) as connection:
        connection.create_function("uuid_of", 1, uuid_of, deterministic=True)
        for pragma in ("synchronous = OFF", "cache_size = -2000000", "journal_mode = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        indexes = _drop_indexes(connection)
        _copy_jobs(connection, finished, waiting)
        for statement in indexes:
            connection.execute(statement)
        _count(connection)
        _copy_buckets(connection)
        connection.execute("DELETE FROM days")
        connection.execute(FILL_DAYS)
        connection.execute("PRAGMA journal_mode = WAL")


async def _create_seeds(folder: Path) -> None:
    """Run a job and a schedule's run of each user, and leave one of each waiting."""
    clock = VirtualClock(START)
    async with Booper(config(folder), api_key=KEY, clock=clock, transport=FakeTarget()) as booper:
        async with Api(booper.asgi, KEY) as admin:
            made = [await admin.act("/api/keys", {"name": n, "user": n}) for n in USERS]
        for key in (KEY, *(each["key"] for each in made)):
            async with Api(booper.asgi, key) as api:
                await api.create(name="done", tags=["nightly"], body='{"order": 4711}')
                await api.create_schedule(name="hourly")
                await api.create(name="later", schedule_in=[40, "days"])
        clock.set(START + timedelta(hours=1, seconds=1))
        await booper.wait_idle()


def _drop_indexes(connection: sqlite3.Connection) -> list[str]:
    """Drop what is made faster afterwards; return how to make it."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL "
        "AND tbl_name IN ('jobs', 'logs', 'job_tags')"
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [statement for _, statement in found]


def _copy_jobs(connection: sqlite3.Connection, finished: int, waiting: int) -> None:
    """Copy the finished jobs and runs over the last days, and the waiting ones over the next."""
    seeds = connection.execute(
        "SELECT id, kind, state FROM jobs WHERE name IN ('done', 'later', 'hourly')"
    ).fetchall()
    done = [(number, kind) for number, kind, state in seeds if state == "completed"]
    later = [number for number, kind, state in seeds if state == "scheduled" and kind == "request"]
    for number, kind in done:
        # Nine of ten are jobs of their own; the others are runs of one schedule.
        share = finished * (9 if kind == "request" else 1) // 10 // (len(done) // 2)
        _copy_finished(connection, number, share)
    for number in later:
        due = f"scheduled_at + number * 7919 % ({DAYS} * 86400) * {MICROSECONDS}"
        changed = {**_fresh(connection), "scheduled_at": due, "planned_at": due}
        copy_rows(connection, "jobs", changed, waiting // len(later), f"WHERE id = {number}")


def _copy_finished(connection: sqlite3.Connection, number: int, count: int) -> None:
    """Copy a finished job, its tags and its entries, each copy a little later than the one before.

    The last one is a step older than the job itself.
    """
    step = DAYS * 86_400 * MICROSECONDS // max(count, 1)
    (last,) = connection.execute("SELECT max(id) FROM jobs").fetchone()
    shifts = {name: f"{name} - ({count} + 1 - number) * {step}" for name in TIMES}
    copy_rows(connection, "jobs", {**_fresh(connection), **shifts}, count, f"WHERE id = {number}")
    tags = {"job_id": f"{last} + number"}
    copy_rows(connection, "job_tags", tags, count, f"WHERE job_id = {number}")
    kept = min(count, KEPT_LOGS * count // 10_000_000 or count)
    (entries,) = connection.execute("SELECT max(seq) FROM logs").fetchone()
    changed = {
        "seq": "NULL",
        "id": f"uuid_of(seq + ({entries} + number) * 16)",
        "job_id": f"{last} + {count - kept} + number",
        "inserted_at": f"inserted_at - ({kept} + 1 - number) * {step}",
    }
    copy_rows(connection, "logs", changed, kept, f"WHERE job_id = {number}")


def _fresh(connection: sqlite3.Connection) -> dict[str, str]:
    (last,) = connection.execute("SELECT max(id) FROM jobs").fetchone()
    return {"id": f"{last} + number", "uuid": f"uuid_of({last} + number)"}


def _count(connection: sqlite3.Connection) -> None:
    """Bring the counters up to the copies."""
    connection.execute("UPDATE counted SET job_id = (SELECT max(id) FROM jobs)")
    connection.execute("DELETE FROM job_counts")
    connection.execute(
        "INSERT INTO job_counts SELECT user_id, kind, state, count(*) FROM jobs GROUP BY 1, 2, 3"
    )


def _copy_buckets(connection: sqlite3.Connection) -> None:
    """Fill the buckets of the last days: each five minutes, and each hour of fifty origins."""
    users = "user_id IN (SELECT id FROM users)"
    spans: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("origin = ''", 300, {}),
        ("origin <> ''", 3600, {"origin": "'https://o' || (number % 50) || '.test'"}),
    )
    for which, seconds, changed in spans:
        begin = f"begins_at - number / {len(changed) * 49 + 1} * {seconds * MICROSECONDS}"
        count = DAYS * 86_400 // seconds * (len(changed) * 49 + 1)
        first = f"WHERE {users} AND {which} GROUP BY user_id"
        changes = {**changed, "begins_at": begin}
        copy_rows(connection, "buckets", changes, count - 1, first)

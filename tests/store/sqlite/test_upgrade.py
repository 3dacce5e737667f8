"""Files of every schema so far, opened by this version: nothing in them is lost, all goes on."""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from anyio import run_process

from booper.errors import StartError
from booper.model.job import Job, State
from booper.store.base import Store
from booper.store.sqlite import open_store
from booper.store.sqlite.bucket_rows import FILL_DAYS
from booper.store.sqlite.checking import check_all
from booper.store.sqlite.schema import migrations
from booper.store.sqlite.upgrade_copy import no_copy
from booper.store.values import JobFilter
from tests.store.sqlite import kills
from tests.store.sqlite.files import FILES, put_file
from tests.support.databases import make_database
from tests.support.stores import claim, completed, dues, nothing, page, settle

pytestmark = pytest.mark.anyio

# The files were written on 2026-11-29.
NOW = datetime(2026, 12, 2, 12, tzinfo=UTC)
OLDER = sorted(number for number in FILES if number < len(migrations()))

# Columns that every schema has, and that no upgrade changes.
KEPT = {
    "users": "id, name, inserted_at",
    "keys": "id, user_id, name, scope, digest, inserted_at, revoked_at",
    "schedules": "id, user_id, args, anchor, next_at, runs, state, previous, disabled_at",
    "jobs": "id, uuid, user_id, kind, schedule_id, parent_id, idempotency_key, name, args, state, "
    "attempt, max_attempts, inserted_at, scheduled_at, planned_at, attempted_at, completed_at, "
    "discarded_at, cancelled_at, last_error",
    "job_tags": "tag, job_id",
    "logs": "seq, id, job_id, kind, event, inserted_at, payload",
}


def rows(path: Path) -> dict[str, list[Any]]:
    """Return what an upgrade must keep."""
    with closing(sqlite3.connect(path)) as opened:
        return {
            table: opened.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()
            for table, columns in KEPT.items()
        }


def schema_of(path: Path) -> set[str]:
    """Return the SQL of every table and index, without its spaces."""
    with closing(sqlite3.connect(path)) as opened:
        found = opened.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {"".join(sql.split()).replace('"', "") for (sql,) in found}


def version_of(path: Path) -> int:
    """Return the number of a file's schema."""
    with closing(sqlite3.connect(path)) as opened:
        (version,) = opened.execute("PRAGMA user_version").fetchone()
    return int(version)


def copies(folder: Path) -> list[str]:
    """Return the names of the copies from before upgrades, and of what is left of such."""
    return sorted(path.name for path in folder.iterdir() if ".schema-" in path.name)


async def upgraded(path: Path) -> None:
    """Open a database and close it."""
    async with open_store(path, "full", Random(1)):
        pass


async def jobs(store: Store, user: UUID) -> list[Job]:
    """Return a user's jobs, oldest first."""
    part = page(order_by="id", descending=False)
    return list(await store.jobs.list(user, part, JobFilter(), NOW))


def test_a_file_of_every_older_schema_is_kept() -> None:
    """Before a migration is added, `make.py` writes a file of the schema that it changes."""
    assert set(FILES) >= set(range(1, len(migrations())))


@pytest.mark.parametrize("schema", sorted(FILES))
async def test_an_upgrade_keeps_every_row(tmp_path: Path, schema: int) -> None:
    """The rows are as they were, the schema is a new file's, and they agree with each other."""
    path, new = tmp_path / "booper.db", tmp_path / "new.db"
    put_file(schema, path)
    before = rows(path)
    assert {job[9] for job in before["jobs"]} == {str(each) for each in State} - {"available"}
    await upgraded(path)
    assert rows(path) == before
    make_database(new)
    assert schema_of(path) == schema_of(new)
    with closing(sqlite3.connect(path)) as opened:
        assert check_all(opened) == []


@pytest.mark.parametrize("schema", [number for number in OLDER if 5 <= number <= 12])
async def test_an_upgrade_adds_up_the_days_that_are_over(tmp_path: Path, schema: int) -> None:
    """Of a file that has counted what happened: each day has what its buckets have."""
    path = tmp_path / "booper.db"
    put_file(schema, path)
    await upgraded(path)
    with closing(sqlite3.connect(path)) as opened:
        days = opened.execute("SELECT * FROM days").fetchall()
        assert days
        opened.execute("DELETE FROM days")
        opened.execute(FILL_DAYS)
        assert opened.execute("SELECT * FROM days").fetchall() == days


@pytest.mark.parametrize("schema", sorted(FILES))
async def test_everything_goes_on_after_an_upgrade(tmp_path: Path, schema: int) -> None:
    """What was cut off is due again, what waits can be sent, and schedules plan on."""
    path = tmp_path / "booper.db"
    put_file(schema, path)
    async with open_store(path, "full", Random(1)) as store:
        (user,) = {key.user_id for key in await store.keys.list()}
        executing = [job for job in await jobs(store, user) if job.state is State.EXECUTING]
        assert await store.queue.rescue(NOW, nothing) == len(executing) > 0
        begun = await claim(store, await dues(store, 100), NOW)
        runs = {job.schedule_id for job in begun} - {None}
        assert len(runs) == 2  # the hourly one and that of working days; the third is disabled
        assert {job.id for job in executing} <= {job.id for job in begun}
        for job in begun:
            assert (await settle(store, job, completed(job, NOW))).state is State.COMPLETED
        planned = [job for job in await jobs(store, user) if job.state is State.SCHEDULED]
        assert runs <= {job.schedule_id for job in planned if job.planned_at > NOW}
        assert [pause.target for pause in await store.pauses.list()] == ["paused.example"]
        assert await store.logs.list(user, page(), None, None)
    with closing(sqlite3.connect(path)) as opened:
        assert check_all(opened) == []


# --- the copy from before -------------------------------------------------------------------------


@pytest.mark.parametrize("schema", OLDER)
async def test_a_copy_from_before_an_upgrade_is_kept(tmp_path: Path, schema: int) -> None:
    """Beside the database, with its old schema and all its rows; of older copies none is left."""
    path = tmp_path / "booper.db"
    put_file(schema, path)
    before = rows(path)
    (tmp_path / "booper.db.schema-0").touch()
    (tmp_path / "booper.db.schema-notes").touch()
    await upgraded(path)
    copy = tmp_path / f"booper.db.schema-{schema}"
    assert copies(tmp_path) == [copy.name, "booper.db.schema-notes"]
    assert (version_of(copy), rows(copy)) == (schema, before)
    await upgraded(path)
    assert copies(tmp_path) == [copy.name, "booper.db.schema-notes"]


async def test_a_new_file_and_one_of_this_schema_are_not_copied(tmp_path: Path) -> None:
    """There is nothing to go back to."""
    path = tmp_path / "booper.db"
    await upgraded(path)
    await upgraded(path)
    assert copies(tmp_path) == []


async def test_an_upgrade_without_room_for_a_copy_is_refused(tmp_path: Path) -> None:
    """The file is as it was; without a copy it can be upgraded."""
    path = tmp_path / "booper.db"
    put_file(1, path)
    before = rows(path)
    # Of its pages only the first are there, so it takes no room; SQLite needs no more of them here.
    os.truncate(path, shutil.disk_usage(tmp_path).free // 4096 * 4096)
    with pytest.raises(StartError, match=r"free some space; --no-copy upgrades without a copy"):
        await upgraded(path)
    assert version_of(path) == 1
    assert rows(path) == before
    assert copies(tmp_path) == []
    put_file(1, path)
    async with open_store(path, "full", Random(1), before_upgrade=no_copy):
        pass
    assert rows(path) == before
    assert copies(tmp_path) == []


# --- killed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", OLDER)
async def test_an_upgrade_survives_a_kill_at_each_step(tmp_path: Path, schema: int) -> None:
    """Killed at any statement, or before any file is opened, renamed or removed.

    The file then has its old schema or the newest, with all its rows; the next start completes the
    upgrade, and leaves one whole copy and nothing else.
    """
    original = tmp_path / "original.db"
    put_file(schema, original)
    before = rows(original)
    program = [sys.executable, "-m", kills.__name__, str(original), str(tmp_path)]
    done = await run_process(program, check=True)
    steps = int(done.stdout)
    assert steps > 30
    for step in range(steps):
        path = tmp_path / str(step) / "booper.db"
        await upgraded(path)
        assert (version_of(path), rows(path)) == (len(migrations()), before), f"step {step}"
        made = copies(path.parent)
        # Killed after the upgrade, before a copy: there is none such step.
        assert made == [f"booper.db.schema-{schema}"], f"step {step}"
        copy = path.with_name(made[0])
        assert (version_of(copy), rows(copy)) == (schema, before), f"step {step}"

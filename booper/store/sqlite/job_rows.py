"""A job's row: reading one, writing a new one, and moving one that has not moved meanwhile."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import compress
from operator import is_not
from typing import Any, cast
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from booper.clock import EPOCH
from booper.errors import NotFound
from booper.model.job import Job, State
from booper.store.sqlite import bulk
from booper.store.sqlite.count_rows import MAX_NEW, count_moves, count_new
from booper.store.sqlite.damage import Watched, is_damage, set_aside, without_set_aside
from booper.store.sqlite.job_columns import (
    COLUMNS,
    IN_JSON,
    NAMES,
    NewRow,
    ended_job_of,
    job_of,
    new_row,
)
from booper.store.sqlite.values import IN_UNFINISHED, IN_WAITING
from booper.store.stored import stored, stored_or_none, stored_span
from booper.store.transaction import Draft, EndedJob, LostRace, Taken
from booper.store.values import JobRef

# In the order of `NewRow.values`: by name each row would cost as much again.
INSERT = """
INSERT INTO jobs (uuid, user_id, kind, schedule_id, parent_id, idempotency_key, key_until,
    keep_for, name, description, origin, path, args, max_attempts, inserted_at, scheduled_at,
    planned_at, state, attempt, interruptions)
SELECT *, 'scheduled', 0, 0 FROM (VALUES {rows}) WHERE column1 <> 0
"""

INSERT_TAG = """
INSERT OR IGNORE INTO job_tags (tag, job_id)
SELECT * FROM (VALUES {rows}) WHERE column1 <> 0
"""

DELETE_TAGS = "DELETE FROM job_tags WHERE job_id = :job_id"
KEEP = "UPDATE jobs SET key_until = :key_until, keep_for = :keep_for WHERE id = :job_id"

BY_ID = f"SELECT {COLUMNS} FROM jobs WHERE id = :ref"
LEFT_IDS = """
SELECT id FROM jobs INDEXED BY jobs_executing WHERE state = 'executing' AND owner <> :owner
"""
BY_UUID = f"SELECT {COLUMNS} FROM jobs WHERE uuid = :ref"

FIND_ALL = f"""
SELECT json_group_array(json_array({", ".join(IN_JSON.get(name, name) for name in NAMES)}))
FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))
"""

# An unfinished job holds its key, a finished one for as long as it asked; cancelling frees it.
HOLDING_KEY = f"""
SELECT {COLUMNS} FROM jobs
WHERE user_id = :user_id AND idempotency_key = :key AND schedule_id IS NULL
    AND ({IN_UNFINISHED}
        OR (key_until > :now AND state <> 'cancelled'))
ORDER BY id DESC LIMIT 1
"""

COUNT_WAITING = f"""
SELECT coalesce(sum(count), 0) FROM jobs_by_state
WHERE user_id = :user_id AND kind IN ('request', 'run') AND {IN_WAITING}
"""

NEXT_EVENT = f"""
SELECT {COLUMNS} FROM jobs
WHERE parent_id = :parent_id AND id > :id AND kind = 'webhook' AND state = 'scheduled'
ORDER BY id LIMIT 1
"""

# A webhook event is sent first only after those before it have been: this is one of them.
EARLIER_EVENT = """
SELECT EXISTS (
    SELECT 1 FROM jobs
    WHERE parent_id = :parent_id AND id < :id AND kind = 'webhook'
        AND (state = 'scheduled' OR (state = 'executing' AND attempt = 1))
)
"""

ENDED = f"""
SELECT id, kind, state, schedule_id, planned_at, ended_at, keep_for,
    iif(idempotency_key IS NOT NULL AND schedule_id IS NULL AND state <> 'cancelled',
        key_until, NULL),
    EXISTS (
        SELECT 1 FROM jobs AS reports WHERE reports.parent_id = jobs.id AND reports.{IN_UNFINISHED}
    )
FROM jobs WHERE id IN (SELECT value FROM json_each(:ids)) AND ended_at IS NOT NULL
"""

DELETE = "DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))"
DELETE_ALL_TAGS = "DELETE FROM job_tags WHERE job_id IN (SELECT value FROM json_each(:ids))"

_ID, _ARGS = NAMES.index("id"), NAMES.index("args")

# Of a text that is no plain `str` SQLite's module would look for an adapter first.
_WRITERS: dict[type, Callable[[Any], object]] = {type(EPOCH): stored, State: str}

_FIELDS = Job.__struct_fields__  # which are columns as well


class JobRows:
    """The jobs of one connection (`booper.store.transaction.JobTable`)."""

    __slots__ = ("_connection", "_new")

    def __init__(self, connection: Watched) -> None:
        self._connection = connection
        self._new = MAX_NEW  # not known yet

    draft = staticmethod(new_row)

    def insert(self, drafts: Sequence[Draft]) -> list[Job]:
        """Write new jobs and return them, numbered in this order."""
        if not drafts:
            return []
        new_rows = cast(Sequence[NewRow], drafts)  # which only `draft` makes
        if self._new >= MAX_NEW:  # before: what is written now may be a transaction by itself
            self._count_new()
        self._new += len(new_rows)
        numbers = bulk.insert(self._connection, INSERT, [row.values for row in new_rows])
        numbered = list(zip(numbers, new_rows, strict=True))
        if tagged := [(number, row.new.tags) for number, row in numbered if row.new.tags]:
            tags = [(tag, number) for number, tags in tagged for tag in tags]
            bulk.execute(self._connection, INSERT_TAG, tags)
        return [row.job(number) for number, row in numbered]

    def find(self, job_id: int) -> Job | None:
        """Return a job by its number, None if there is none."""
        row = self._connection.execute(BY_ID, {"ref": job_id}).fetchone()
        return job_of(row) if row is not None else None

    def find_all(self, job_ids: Sequence[int]) -> dict[int, Job]:
        """Return the jobs of these numbers, those there are, by number.

        All are one row, for each row of a result is a step that gives up the interpreter's lock:
        see `bulk`. Those that are set aside are left out.

        Raises: sqlite3.DatabaseError, if some lie on a damaged page; these are set aside now.
        """
        ids = _json_list(without_set_aside(self._connection, job_ids))
        try:
            (text,) = self._connection.execute(FIND_ALL, {"ids": ids}).fetchone()
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._set_aside_damaged(job_ids)
            raise
        rows = msgspec.json.decode(text)
        found = [self.find(row[_ID]) if row[_ARGS] is None else job_of(row) for row in rows]
        return {job.id: job for job in found if job is not None}

    def find_ended(self, job_ids: Sequence[int]) -> list[EndedJob]:
        """Return those of these jobs that have finished."""
        rows = self._connection.execute(ENDED, {"ids": _json_list(job_ids)})
        return [ended_job_of(row) for row in rows]

    def delete(self, job_ids: Sequence[int]) -> int:
        """Delete jobs that have no log, with their tags; return how many rows that were."""
        ids = {"ids": _json_list(job_ids)}
        tags = self._connection.execute(DELETE_ALL_TAGS, ids).rowcount
        return tags + self._connection.execute(DELETE, ids).rowcount

    def find_left(self) -> list[Job]:
        """Return the executing jobs of owners that are gone. Raises: see `find_all`.

        Only one process at a time has the file open: all others are gone.
        """
        values = {"owner": self._connection.owner}
        ids = [number for (number,) in self._connection.execute(LEFT_IDS, values)]
        return list(self.find_all(ids).values())

    def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""
        query, value = (BY_UUID, ref.bytes) if isinstance(ref, UUID) else (BY_ID, ref)
        row = self._connection.execute(query, {"ref": value}).fetchone()
        job = job_of(row) if row is not None else None
        if job is None or job.user_id != user_id:
            raise NotFound(f"there is no job {ref}")
        return job

    def move(self, before: Job, after: Job) -> Job:
        """Replace a job that is still as it was. Raises: LostRace, Taken."""
        self.move_all([(before, after)])
        return after

    def move_all(self, pairs: Sequence[tuple[Job, Job]]) -> None:
        """Replace jobs by what each has become. Raises: LostRace or Taken if one cannot be."""
        by_columns: dict[tuple[str, ...], list[tuple[object, ...]]] = {}
        for before, after in pairs:
            columns, values = _changes(before, after)
            seen = (before.id, str(before.state), before.owner, before.epoch)
            by_columns.setdefault(columns, []).append((*values, *seen))
        self._count_new()
        try:
            for columns, rows in by_columns.items():
                if columns and bulk.execute(self._connection, _update(columns), rows) != len(rows):
                    raise LostRace("a job has moved since it was read")
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE":
                raise Taken(str(error)) from error
            raise
        if self._connection.damage is None:
            count_moves(self._connection, pairs)

    def retag(self, job: Job, tags: Sequence[str]) -> None:
        """Replace a job's tags."""
        self._connection.execute(DELETE_TAGS, {"job_id": job.id})
        bulk.execute(self._connection, INSERT_TAG, [(tag, job.id) for tag in tags])

    def keep(self, job: Job, key_until: datetime | None, keep_for: timedelta | None) -> None:
        """Keep a job's key taken until a time, even if it has finished, and the job after it."""
        values = {"key_until": stored_or_none(key_until), "keep_for": stored_span(keep_for)}
        self._connection.execute(KEEP, {"job_id": job.id, **values})

    def holding_key(self, user_id: UUID, key: str, now: datetime) -> Job | None:
        """Return the newest job outside of schedules that holds a key, None if none does."""
        values = {"user_id": user_id.bytes, "key": key, "now": stored(now)}
        row = self._connection.execute(HOLDING_KEY, values).fetchone()
        return job_of(row) if row is not None else None

    def count_waiting(self, user_id: UUID) -> int:
        """Return how many of a user's own jobs wait for their time, as the counters have it."""
        values = {"user_id": user_id.bytes}
        return int(self._connection.execute(COUNT_WAITING, values).fetchone()[0])

    def next_event(self, event: Job) -> Job | None:
        """Return the first scheduled webhook event of the same job behind this one, or None."""
        values = {"parent_id": event.parent_id, "id": event.id}
        row = self._connection.execute(NEXT_EVENT, values).fetchone()
        return job_of(row) if row is not None else None

    def has_earlier_event(self, event: Job) -> bool:
        """Return whether an earlier webhook event of the same job has not been sent once."""
        values = {"parent_id": event.parent_id, "id": event.id}
        return bool(self._connection.execute(EARLIER_EVENT, values).fetchone()[0])

    def undone(self) -> None:
        """Note that something was undone: what was counted may be new again."""
        self._new = MAX_NEW

    def _count_new(self) -> None:
        """Count new jobs, if there may be any. In a damaged file `check --repair` does."""
        if self._new and self._connection.damage is None:
            count_new(self._connection)
            self._new = 0

    def _set_aside_damaged(self, job_ids: Sequence[int]) -> None:
        for number in job_ids:
            try:
                self.find(number)
            except sqlite3.DatabaseError as error:
                set_aside(self._connection, number, error)


def _json_list(job_ids: Sequence[int]) -> str:
    return msgspec.json.encode(list(job_ids)).decode()


def _changes(before: Job, after: Job) -> tuple[tuple[str, ...], list[object]]:
    """Return which columns a change sets, and to what: what a move leaves alone is the same."""
    values = astuple(after)
    moved = tuple(map(is_not, astuple(before), values))
    return tuple(compress(_FIELDS, moved)), [
        value if (write := _WRITERS.get(value.__class__)) is None else write(value)
        for value in compress(values, moved)
    ]


@lru_cache(maxsize=256)
def _update(columns: tuple[str, ...]) -> str:
    """Return the statement that sets these columns: compare-and-set, so no move is overwritten.

    Only what changes is set, for SQLite writes every index on a column anew that is.
    """
    changes = ", ".join(
        f"{column} = new.column{place}" for place, column in enumerate(columns, start=1)
    )
    seen = len(columns) + 1
    return f"""
    UPDATE jobs SET {changes} FROM (VALUES {{rows}}) AS new
    WHERE id = new.column{seen} AND jobs.state = new.column{seen + 1}
        AND jobs.owner = new.column{seen + 2} AND jobs.epoch = new.column{seen + 3}
    """

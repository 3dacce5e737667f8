"""A job's row: reading one, writing a new one, and moving one that has not moved meanwhile."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import compress
from operator import is_not
from random import Random
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from booper.clock import EPOCH
from booper.errors import NotFound
from booper.model.identity import uuid7
from booper.model.job import Job, Kind, NewJob, State
from booper.store.base import JobRef
from booper.store.sqlite import many
from booper.store.sqlite.damage import is_damage, set_aside, without_set_aside
from booper.store.sqlite.values import (
    loaded,
    loaded_or_none,
    stored,
    stored_or_none,
    user_of,
    uuid_or_none,
)

COLUMNS = """
id, uuid, user_id, kind, schedule_id, parent_id, idempotency_key, name, description, origin, path,
args, state, attempt, max_attempts, interruptions, inserted_at, scheduled_at, planned_at,
retry_until, attempted_at, completed_at, discarded_at, cancelled_at, last_error
"""

# In the order of `NewRow.values`: by name each row would cost as much again.
INSERT = """
INSERT INTO jobs (uuid, user_id, kind, schedule_id, parent_id, idempotency_key, key_until,
    name, description, origin, path, args, max_attempts, inserted_at, scheduled_at, planned_at,
    state, attempt, interruptions)
SELECT *, 'scheduled', 0, 0 FROM (VALUES {rows}) WHERE column1 IS NOT NULL
"""

INSERT_TAG = """
INSERT OR IGNORE INTO job_tags (tag, job_id)
SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
"""

DELETE_TAGS = "DELETE FROM job_tags WHERE job_id = :job_id"
KEEP_KEY = "UPDATE jobs SET key_until = :key_until WHERE id = :job_id"

BY_ID = f"SELECT {COLUMNS} FROM jobs WHERE id = :ref"
EXECUTING_IDS = "SELECT id FROM jobs INDEXED BY jobs_executing WHERE state = 'executing'"
BY_UUID = f"SELECT {COLUMNS} FROM jobs WHERE uuid = :ref"

MOST_ARGS_BYTES = 16 * 1024
"""How long the args of a job that is read with others may be; longer ones are read alone."""

_NAMES = COLUMNS.replace(",", " ").split()
_BLOBS = ("uuid", "user_id", "schedule_id")

# JSON has no bytes, and the args of many jobs could be longer together than a value may be.
_IN_JSON = {name: f"hex({name})" for name in _BLOBS} | {
    "args": f"iif(length(CAST(args AS BLOB)) <= {MOST_ARGS_BYTES}, args, NULL)"
}

FIND_ALL = f"""
SELECT json_group_array(json_array({", ".join(_IN_JSON.get(name, name) for name in _NAMES)}))
FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))
"""

_ID, _ARGS = _NAMES.index("id"), _NAMES.index("args")
_BLOB_PLACES = [_NAMES.index(name) for name in _BLOBS]

# By what stands in the table; calling the enumeration costs four times a look-up.
_KINDS = {kind.value: kind for kind in Kind}
_STATES = {state.value: state for state in State}

# Of a text that is no plain `str` SQLite's module would look for an adapter first.
_WRITERS: dict[type, Callable[[Any], object]] = {type(EPOCH): stored, State: str}

_FIELDS = Job.__struct_fields__  # which are columns as well


class LostRace(Exception):
    """Say that a job had moved when a change of it came to be written."""


class NewRow(msgspec.Struct, frozen=True, gc=False):
    """A new job's row, all but its number: prepared before the writing thread has it."""

    new: NewJob
    uuid: UUID
    inserted_at: datetime
    values: tuple[object, ...]

    def job(self, number: int) -> Job:
        """Return the job that stands in this row under a number."""
        new = self.new
        return Job(
            id=number,
            uuid=self.uuid,
            user_id=new.user_id,
            kind=new.kind,
            schedule_id=new.schedule_id,
            parent_id=new.parent_id,
            idempotency_key=new.idempotency_key,
            name=new.name,
            description=new.description,
            origin=new.origin,
            path=new.path,
            args=new.args,
            state=State.SCHEDULED,
            attempt=0,
            max_attempts=new.max_attempts,
            inserted_at=self.inserted_at,
            scheduled_at=new.scheduled_at,
            planned_at=new.planned_at,
        )


def prepare(new: NewJob, now: datetime, random: Random) -> NewRow:
    """Prepare a new job's row, on the caller's thread: the writing one has enough to do."""
    uuid = uuid7(now, random)
    values = (
        uuid.bytes,
        new.user_id.bytes,
        new.kind.value,
        new.schedule_id.bytes if new.schedule_id else None,
        new.parent_id,
        new.idempotency_key,
        stored_or_none(new.key_until),
        new.name,
        new.description,
        new.origin,
        new.path,
        new.args,
        new.max_attempts,
        stored(now),
        stored(new.scheduled_at),
        stored(new.planned_at),
    )
    return NewRow(new, uuid, now, values)


def insert_all(connection: sqlite3.Connection, new_rows: Sequence[NewRow]) -> list[Job]:
    """Write new jobs and return them, numbered in this order."""
    if not new_rows:
        return []
    numbers = many.insert(connection, INSERT, [row.values for row in new_rows])
    numbered = list(zip(numbers, new_rows, strict=True))
    tags = [(tag, number) for number, row in numbered for tag in row.new.tags]
    many.execute(connection, INSERT_TAG, tags)
    return [row.job(number) for number, row in numbered]


def insert(connection: sqlite3.Connection, new: NewJob, now: datetime, random: Random) -> Job:
    """Write a new job and return it."""
    return insert_all(connection, [prepare(new, now, random)])[0]


def replace_marks(connection: sqlite3.Connection, job: Job, new: NewJob) -> None:
    """Give a job the tags and the hold on its key of the one that replaces it."""
    retag(connection, job, new.tags)
    until = stored_or_none(new.key_until)
    connection.execute(KEEP_KEY, {"job_id": job.id, "key_until": until})


def retag(connection: sqlite3.Connection, job: Job, tags: Sequence[str]) -> None:
    """Give a job other tags."""
    connection.execute(DELETE_TAGS, {"job_id": job.id})
    many.execute(connection, INSERT_TAG, [(tag, job.id) for tag in tags])


def find(connection: sqlite3.Connection, job_id: int) -> Job | None:
    """Return a job by its number, None if there is none."""
    row = connection.execute(BY_ID, {"ref": job_id}).fetchone()
    return job_of(row) if row is not None else None


def find_all(connection: sqlite3.Connection, job_ids: Sequence[int]) -> dict[int, Job]:
    """Return the jobs of these numbers, those there are, by number.

    All are one row, for each row of a result is a step that gives up the interpreter's lock: see
    `many`. Those that are set aside are left out.

    Raises: sqlite3.DatabaseError, if some lie on a damaged page; these are set aside now.
    """
    ids = msgspec.json.encode(without_set_aside(connection, job_ids)).decode()
    try:
        (text,) = connection.execute(FIND_ALL, {"ids": ids}).fetchone()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            _set_aside_damaged(connection, job_ids)
        raise
    found = (_from_json(connection, row) for row in msgspec.json.decode(text))
    return {job.id: job for job in found if job is not None}


def find_executing(connection: sqlite3.Connection) -> list[Job]:
    """Return the jobs that are executing. Raises: see `find_all`."""
    ids = [number for (number,) in connection.execute(EXECUTING_IDS)]
    return list(find_all(connection, ids).values())


def _set_aside_damaged(connection: sqlite3.Connection, job_ids: Sequence[int]) -> None:
    for number in job_ids:
        try:
            find(connection, number)
        except sqlite3.DatabaseError as error:
            set_aside(connection, number, error)


def _from_json(connection: sqlite3.Connection, row: list[Any]) -> Job | None:
    if row[_ARGS] is None:
        return find(connection, row[_ID])
    for place in _BLOB_PLACES:
        row[place] = bytes.fromhex(row[place]) or None  # hex() of NULL is an empty text
    return job_of(row)


def get(connection: sqlite3.Connection, user_id: UUID, ref: JobRef) -> Job:
    """Return a user's job. Raises: NotFound."""
    query, value = (BY_UUID, ref.bytes) if isinstance(ref, UUID) else (BY_ID, ref)
    row = connection.execute(query, {"ref": value}).fetchone()
    job = job_of(row) if row is not None else None
    if job is None or job.user_id != user_id:
        raise NotFound(f"there is no job {ref}")
    return job


def write(connection: sqlite3.Connection, before: Job, after: Job) -> Job:
    """Replace a job. Raises: LostRace if it has moved."""
    write_all(connection, [(before, after)])
    return after


def write_all(connection: sqlite3.Connection, pairs: Sequence[tuple[Job, Job]]) -> None:
    """Replace jobs by what each has become. Raises: LostRace if one of them has moved."""
    by_columns: dict[tuple[str, ...], list[tuple[object, ...]]] = {}
    for before, after in pairs:
        columns, values = _changes(before, after)
        seen = (before.id, str(before.state), before.attempt)
        by_columns.setdefault(columns, []).append((*values, *seen))
    for columns, rows in by_columns.items():
        if columns and many.execute(connection, _update(columns), rows) != len(rows):
            raise LostRace("a job has moved since it was read")


def job_of(row: Sequence[Any]) -> Job:
    """Build a job from a row of `COLUMNS`."""
    return Job(
        id=row[0],
        uuid=UUID(bytes=row[1]),
        user_id=user_of(row[2]),
        kind=_KINDS[row[3]],
        schedule_id=uuid_or_none(row[4]),
        parent_id=row[5],
        idempotency_key=row[6],
        name=row[7],
        description=row[8],
        origin=row[9],
        path=row[10],
        args=row[11],
        state=_STATES[row[12]],
        attempt=row[13],
        max_attempts=row[14],
        interruptions=row[15],
        inserted_at=loaded(row[16]),
        scheduled_at=loaded(row[17]),
        planned_at=loaded(row[18]),
        retry_until=loaded_or_none(row[19]),
        attempted_at=loaded_or_none(row[20]),
        completed_at=loaded_or_none(row[21]),
        discarded_at=loaded_or_none(row[22]),
        cancelled_at=loaded_or_none(row[23]),
        last_error=row[24],
    )


def _changes(before: Job, after: Job) -> tuple[tuple[str, ...], list[object]]:
    """Return which columns a change sets, and to what: what a move leaves alone is the same."""
    values = astuple(after)
    moved = tuple(map(is_not, astuple(before), values))
    return tuple(compress(_FIELDS, moved)), [_value(value) for value in compress(values, moved)]


def _value(value: object) -> object:
    write = _WRITERS.get(value.__class__)
    return value if write is None else write(value)


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
        AND jobs.attempt = new.column{seen + 2}
    """

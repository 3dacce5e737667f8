"""A schedule's row, and the runs that belong to it: reading, writing, compare-and-set."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import compress
from operator import is_not
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from booper.errors import NotFound
from booper.model.job import Job
from booper.model.schedule import Schedule
from booper.store.sqlite import job_columns
from booper.store.sqlite.job_columns import job_of
from booper.store.sqlite.schedule_columns import COLUMNS, schedule_of, values_of
from booper.store.sqlite.values import IN_UNFINISHED
from booper.store.stored import loaded, stored, stored_or_none
from booper.store.transaction import DueSchedule, LostRace, OpenGap

FIND = f"SELECT {COLUMNS} FROM schedules WHERE id = :id"

INSERT = f"INSERT INTO schedules ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

DELETE = "DELETE FROM schedules WHERE id = :id"

HOLDING_KEY = f"""
SELECT {COLUMNS} FROM schedules
WHERE user_id = :user_id AND idempotency_key = :key AND ended_at IS NULL
"""

# A schedule has ended when its last run has begun; until that has finished it holds its key.
ENDING_HOLDING_KEY = f"""
SELECT {COLUMNS} FROM schedules
WHERE user_id = :user_id AND idempotency_key = :key AND EXISTS (
    SELECT 1 FROM jobs WHERE schedule_id = schedules.id AND kind = 'run'
        AND {IN_UNFINISHED}
)
LIMIT 1
"""

# Partial indexes serve only what says so in their own words; without these a claim would walk all
# runs that the schedule ever had.
WAITING_RUN = f"""
SELECT {job_columns.COLUMNS} FROM jobs
WHERE schedule_id = :id AND planned_at = :next_at AND kind = 'run' AND state <> 'cancelled'
    AND state = 'scheduled'
"""

IS_BLOCKED = f"""
SELECT EXISTS (
    SELECT 1 FROM jobs
    WHERE schedule_id = :id AND {IN_UNFINISHED}
        AND state <> 'scheduled' AND kind = 'run'
)
"""

FIND_DUE = f"SELECT {COLUMNS}, gap IS NOT NULL, ({IS_BLOCKED}) FROM schedules WHERE id = :id"


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{name}" for name in columns.replace(",", " ").split())


FIND_WITH_WAITING_RUN = f"""
SELECT {_of("schedules", COLUMNS)}, {_of("jobs", job_columns.COLUMNS)}
FROM schedules LEFT JOIN jobs ON jobs.schedule_id = schedules.id
    AND jobs.planned_at = schedules.next_at AND jobs.kind = 'run' AND jobs.state <> 'cancelled'
    AND jobs.state = 'scheduled'
WHERE schedules.id = :id
"""

NEWEST_RUN = f"""
SELECT {job_columns.COLUMNS} FROM jobs WHERE schedule_id = :id AND kind = 'run'
ORDER BY id DESC LIMIT 1
"""

LATEST_RUN = f"""
SELECT {job_columns.COLUMNS} FROM jobs WHERE schedule_id = :id
ORDER BY planned_at DESC, id DESC LIMIT 1
"""

# All jobs of a schedule are runs: the index alone is read.
RUNS_FROM = """
SELECT id FROM jobs WHERE schedule_id = :id ORDER BY id DESC LIMIT 1 OFFSET :count - 1
"""

IS_TAKEN = """
SELECT EXISTS (
    SELECT 1 FROM jobs
    WHERE schedule_id = :id AND planned_at = :at AND kind = 'run' AND state <> 'cancelled'
        AND id <> :but
)
"""

TAKEN = """
SELECT planned_at FROM jobs
WHERE schedule_id = :id AND planned_at > :after AND planned_at <= :until
    AND kind = 'run' AND state <> 'cancelled' AND id <> :but
ORDER BY planned_at LIMIT 10000
"""

# Only the newest can be of a later time.
CANCELLED = """
SELECT planned_at FROM (
    SELECT planned_at, kind, state, last_error FROM jobs
    WHERE schedule_id = :id ORDER BY id DESC LIMIT 1000
)
WHERE kind = 'run' AND state = 'cancelled' AND planned_at > :now
    AND coalesce(last_error, '') <> :but_error
"""

READ_GAP = "SELECT gap FROM schedules WHERE id = :id"
WRITE_GAP = "UPDATE schedules SET gap = :after WHERE id = :id AND gap IS :before"

_FIELDS = Schedule.__struct_fields__  # which are columns as well


class ScheduleRows:
    """The schedules of one connection (`booper.store.transaction.ScheduleTable`)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def insert(self, schedule: Schedule) -> None:
        """Write a new schedule."""
        self._connection.execute(INSERT, values_of(schedule))

    def find(self, schedule_id: UUID | None) -> Schedule | None:
        """Return a schedule, None if there is none."""
        if schedule_id is None:
            return None
        row = self._connection.execute(FIND, {"id": schedule_id.bytes}).fetchone()
        return schedule_of(row) if row is not None else None

    def find_due(self, schedule_id: UUID | None) -> DueSchedule | None:
        """Return a schedule with what decides about its due run, None if there is none."""
        if schedule_id is None:
            return None
        row = self._connection.execute(FIND_DUE, {"id": schedule_id.bytes}).fetchone()
        return None if row is None else DueSchedule(schedule_of(row), bool(row[-2]), bool(row[-1]))

    def find_with_waiting_run(self, schedule_id: UUID | None) -> tuple[Schedule | None, Job | None]:
        """Return a schedule and the run that waits for its next time, None for what is not."""
        if schedule_id is None:
            return None, None
        values = {"id": schedule_id.bytes}
        row = self._connection.execute(FIND_WITH_WAITING_RUN, values).fetchone()
        if row is None:
            return None, None
        waiting = row[len(_FIELDS) :]
        return schedule_of(row), job_of(waiting) if waiting[0] is not None else None

    def get(self, user_id: UUID, schedule_id: UUID) -> Schedule:
        """Return a user's schedule. Raises: NotFound."""
        schedule = self.find(schedule_id)
        if schedule is None or schedule.user_id != user_id:
            raise NotFound(f"there is no schedule {schedule_id}")
        return schedule

    def move(self, before: Schedule, after: Schedule) -> Schedule:
        """Replace a schedule that is still as it was. Raises: LostRace.

        Only what changes is compared and set: `$state` is no matter of whoever plans a run.
        """
        old, new = astuple(before), astuple(after)
        changed = tuple(map(is_not, old, new))
        columns = tuple(compress(_FIELDS, changed))
        if not columns:
            return after
        values = [_value(value) for value in (*compress(new, changed), *compress(old, changed))]
        cursor = self._connection.execute(_update(columns), [*values, before.id.bytes])
        if cursor.rowcount != 1:
            raise LostRace("a schedule has changed since it was read")
        return after

    def delete(self, schedule: Schedule) -> None:
        """Forget a schedule; its jobs stay."""
        self._connection.execute(DELETE, {"id": schedule.id.bytes})

    def holding_key(self, user_id: UUID, key: str) -> Schedule | None:
        """Return the schedule that holds a key: it has not ended, or has an unfinished run."""
        values = {"user_id": user_id.bytes, "key": key}
        for query in (HOLDING_KEY, ENDING_HOLDING_KEY):
            row = self._connection.execute(query, values).fetchone()
            if row is not None:
                return schedule_of(row)
        return None

    def waiting_run(self, schedule: Schedule) -> Job | None:
        """Return the run that waits for the schedule's next time."""
        return self._run(WAITING_RUN, schedule)

    def newest_run(self, schedule: Schedule) -> Job | None:
        """Return the run that was written last."""
        return self._run(NEWEST_RUN, schedule)

    def latest_run(self, schedule: Schedule) -> Job | None:
        """Return the run of the latest planned time."""
        return self._run(LATEST_RUN, schedule)

    def runs_from(self, schedule: Schedule, count: int) -> int:
        """Return the number of the first of its newest `count` runs, 0 if it has not so many."""
        values = {"id": schedule.id.bytes, "count": count}
        row = self._connection.execute(RUNS_FROM, values).fetchone()
        return row[0] if row is not None else 0

    def is_taken(self, schedule: Schedule, at: datetime, *, but: int = 0) -> bool:
        """Return whether a run (but one) has a planned time."""
        values = {"id": schedule.id.bytes, "at": stored(at), "but": but}
        return bool(self._connection.execute(IS_TAKEN, values).fetchone()[0])

    def taken(
        self, schedule_id: UUID, after: datetime, until: datetime | None = None, *, but: int = 0
    ) -> list[datetime]:
        """Return the planned times after a moment, up to another, that a run (but one) has."""
        values = {
            "id": schedule_id.bytes,
            "after": stored(after),
            "until": 2**63 - 1 if until is None else stored(until),
            "but": but,
        }
        return [loaded(at) for (at,) in self._connection.execute(TAKEN, values)]

    def cancelled(self, schedule: Schedule, now: datetime, but_error: str) -> set[datetime]:
        """Return later planned times whose runs were cancelled for another reason than an error."""
        values = {"id": schedule.id.bytes, "now": stored(now), "but_error": but_error}
        return {loaded(at) for (at,) in self._connection.execute(CANCELLED, values)}

    def read_gap(self, schedule: Schedule) -> OpenGap | None:
        """Return the gap at whose end a schedule stands."""
        (text,) = self._connection.execute(READ_GAP, {"id": schedule.id.bytes}).fetchone()
        return None if text is None else msgspec.json.decode(text, type=OpenGap)

    def write_gap(self, schedule: Schedule, before: OpenGap | None, after: OpenGap | None) -> None:
        """Replace a schedule's open gap, if it is still as it was. Raises: LostRace."""
        values = {"id": schedule.id.bytes, "before": _gap(before), "after": _gap(after)}
        if self._connection.execute(WRITE_GAP, values).rowcount != 1:
            raise LostRace("a schedule's gap has changed since it was read")

    def _run(self, query: str, schedule: Schedule) -> Job | None:
        values = {"id": schedule.id.bytes, "next_at": stored_or_none(schedule.next_at)}
        row = self._connection.execute(query, values).fetchone()
        return job_of(row) if row is not None else None


def _gap(gap: OpenGap | None) -> str | None:
    return None if gap is None else msgspec.json.encode(gap).decode()


def _value(value: object) -> object:
    match value:
        case datetime():
            return stored(value)
        case UUID():
            return value.bytes
        case _:
            return value


@lru_cache(maxsize=256)
def _update(columns: Sequence[str]) -> str:
    """Return the statement that sets these columns where each has still the value it had."""
    changes = ", ".join(f"{column} = ?" for column in columns)
    same = "".join(f"{column} IS ? AND " for column in columns)
    return f"UPDATE schedules SET {changes} WHERE {same}id = ?"

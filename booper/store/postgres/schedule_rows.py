"""A schedule's row, and the runs that belong to it: reading, writing, compare-and-set.

While it is written, whoever reads a schedule or its waiting run locks it until the transaction
ends: the schedule before its runs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from booper.errors import NotFound
from booper.model.job import Job
from booper.model.schedule import Schedule
from booper.store.postgres import job_columns
from booper.store.postgres.job_columns import job_of
from booper.store.postgres.schedule_columns import COLUMNS, NAMES, schedule_of, values_of
from booper.store.postgres.values import Row, text_in, text_out
from booper.store.stored import loaded, stored
from booper.store.transaction import DueSchedule, LostRace, OpenGap

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

FIND: Final = f"SELECT {COLUMNS}, gap IS NOT NULL FROM schedules WHERE id = %(id)s"

INSERT: Final = f"INSERT INTO schedules ({COLUMNS}) VALUES ({', '.join(['%s'] * len(NAMES))})"

DELETE: Final = "DELETE FROM schedules WHERE id = %(id)s"

KEY: Final = """
SELECT user_id, idempotency_key FROM schedules
WHERE id = %(id)s AND idempotency_key IS NOT NULL
"""

HOLDING_KEY: Final = f"""
SELECT {COLUMNS} FROM schedules
WHERE user_id = %(user_id)s AND idempotency_key = %(key)s AND ended_at IS NULL
"""

# A schedule has ended when its last run has begun; until that has finished it holds its key.
ENDING_HOLDING_KEY: Final = f"""
SELECT {COLUMNS} FROM schedules
WHERE user_id = %(user_id)s AND idempotency_key = %(key)s AND EXISTS (
    SELECT FROM live_jobs WHERE schedule_id = schedules.id AND kind = 'run'
)
LIMIT 1
"""

WAITING_RUN: Final = f"""
SELECT {job_columns.COLUMNS} FROM live_jobs
WHERE schedule_id = %(id)s AND planned_at = %(next_at)s AND kind = 'run' AND state = 'scheduled'
"""

IS_BLOCKED: Final = """
SELECT EXISTS (
    SELECT FROM live_jobs
    WHERE schedule_id = %(id)s AND kind = 'run' AND state IN ('executing', 'retryable')
)
"""

# All jobs of a schedule are runs, and a run that has finished is kept.
_RUNS: Final = f"""(
    SELECT {job_columns.COLUMNS} FROM live_jobs
    UNION ALL
    SELECT {job_columns.COLUMNS} FROM kept_jobs
) AS runs"""

# Written so that only the index of schedules has the order: for an equality PostgreSQL may go
# through the numbers of all jobs instead, in the hope that one of the schedule is among the first.
OF_SCHEDULE: Final = "schedule_id BETWEEN %(id)s AND %(id)s"
NEWEST_FIRST: Final = "ORDER BY schedule_id DESC, id DESC"

NEWEST_RUN: Final = f"""
SELECT {job_columns.COLUMNS} FROM {_RUNS} WHERE {OF_SCHEDULE} {NEWEST_FIRST} LIMIT 1
"""

LATEST_RUN: Final = f"""
SELECT {job_columns.COLUMNS} FROM {_RUNS} WHERE schedule_id = %(id)s
ORDER BY planned_at DESC, id DESC LIMIT 1
"""

RUNS_FROM: Final = f"""
SELECT id FROM {_RUNS} WHERE {OF_SCHEDULE} {NEWEST_FIRST} LIMIT 1 OFFSET %(count)s - 1
"""

IS_TAKEN: Final = """
SELECT EXISTS (
    SELECT FROM planned WHERE schedule_id = %(id)s AND at = %(at)s AND job_id <> %(but)s
)
"""

TAKEN: Final = """
SELECT at FROM planned
WHERE schedule_id = %(id)s AND at > %(after)s AND at <= %(until)s AND job_id <> %(but)s
ORDER BY at LIMIT 10000
"""

# Only the newest can be of a later time.
CANCELLED: Final = f"""
SELECT planned_at FROM (
    SELECT planned_at, state, last_error FROM kept_jobs
    WHERE {OF_SCHEDULE} {NEWEST_FIRST} LIMIT 1000
) AS newest
WHERE state = 'cancelled' AND planned_at > %(now)s
    AND coalesce(last_error, '') <> %(but_error)s
"""

READ_GAP: Final = "SELECT gap FROM schedules WHERE id = %(id)s"
WRITE_GAP: Final = """
UPDATE schedules SET gap = %(after)s WHERE id = %(id)s AND gap IS NOT DISTINCT FROM %(before)s
"""


class ScheduleRows:
    """The schedules of one transaction (`booper.store.transaction.ScheduleTable`)."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: "PostgresTransaction") -> None:
        self._transaction = transaction

    def insert(self, schedule: Schedule) -> None:
        """Write a new schedule."""
        self._transaction.execute(INSERT, values_of(schedule))

    def find(self, schedule_id: UUID | None) -> Schedule | None:
        """Return a schedule, None if there is none."""
        row = self._find(schedule_id)
        return schedule_of(row) if row is not None else None

    def find_due(self, schedule_id: UUID | None) -> DueSchedule | None:
        """Return a schedule with what decides about its due run, None if there is none."""
        row = self._find(schedule_id)
        if row is None:
            return None
        return DueSchedule(schedule_of(row), row[-1], self._is(IS_BLOCKED, {"id": schedule_id}))

    def find_with_waiting_run(self, schedule_id: UUID | None) -> tuple[Schedule | None, Job | None]:
        """Return a schedule and the run that waits for its next time, None for what is not."""
        schedule = self.find(schedule_id)
        return schedule, self.waiting_run(schedule) if schedule is not None else None

    def get(self, user_id: UUID, schedule_id: UUID) -> Schedule:
        """Return a user's schedule. Raises: NotFound."""
        if self._transaction.is_writing and (row := self._one(KEY, {"id": schedule_id})):
            self._transaction.locks.keys([(row[0], text_out(row[1]) or "")])
        schedule = self.find(schedule_id)
        if schedule is None or schedule.user_id != user_id:
            raise NotFound(f"there is no schedule {schedule_id}")
        return schedule

    def move(self, before: Schedule, after: Schedule) -> Schedule:
        """Replace a schedule that is still as it was. Raises: LostRace.

        Only what changes is compared and set: `$state` is no matter of whoever plans a run.
        """
        old, new = values_of(before), values_of(after)
        changed = tuple(map(ne, old, new))
        columns = tuple(compress(NAMES, changed))
        if not columns:
            return after
        values = [*compress(new, changed), *compress(old, changed), before.id]
        if self._transaction.execute(_update(columns), values).rowcount != 1:
            raise LostRace("a schedule has changed since it was read")
        return after

    def delete(self, schedule: Schedule) -> None:
        """Forget a schedule; its jobs stay."""
        self._transaction.execute(DELETE, {"id": schedule.id})

    def holding_key(self, user_id: UUID, key: str) -> Schedule | None:
        """Return the schedule that holds a key: it has not ended, or has an unfinished run.

        It is not locked: most only want to know of it, and would wait for what settles its run.
        """
        values = {"user_id": user_id, "key": text_in(key)}
        if self._transaction.is_writing:
            self._transaction.locks.keys([(user_id, key)])
        for query in (HOLDING_KEY, ENDING_HOLDING_KEY):
            row = self._one(query, values)
            if row is not None:
                return schedule_of(row)
        return None

    def waiting_run(self, schedule: Schedule) -> Job | None:
        """Return the run that waits for the schedule's next time.

        Whoever changes it has locked the schedule before.
        """
        if schedule.next_at is None:
            return None
        values = {"id": schedule.id, "next_at": stored(schedule.next_at)}
        return self._run(WAITING_RUN, values)

    def newest_run(self, schedule: Schedule) -> Job | None:
        """Return the run that was written last."""
        return self._run(NEWEST_RUN, {"id": schedule.id})

    def latest_run(self, schedule: Schedule) -> Job | None:
        """Return the run of the latest planned time."""
        return self._run(LATEST_RUN, {"id": schedule.id})

    def runs_from(self, schedule: Schedule, count: int) -> int:
        """Return the number of the first of its newest `count` runs, 0 if it has not so many."""
        row = self._one(RUNS_FROM, {"id": schedule.id, "count": count})
        return row[0] if row is not None else 0

    def is_taken(self, schedule: Schedule, at: datetime, *, but: int = 0) -> bool:
        """Return whether a run (but one) has a planned time."""
        return self._is(IS_TAKEN, {"id": schedule.id, "at": stored(at), "but": but})

    def taken(
        self, schedule_id: UUID, after: datetime, until: datetime | None = None, *, but: int = 0
    ) -> list[datetime]:
        """Return the planned times after a moment, up to another, that a run (but one) has."""
        values = {
            "id": schedule_id,
            "after": stored(after),
            "until": 2**63 - 1 if until is None else stored(until),
            "but": but,
        }
        return [loaded(at) for (at,) in self._transaction.execute(TAKEN, values)]

    def cancelled(self, schedule: Schedule, now: datetime, but_error: str) -> set[datetime]:
        """Return later planned times whose runs were cancelled for another reason than an error."""
        values = {"id": schedule.id, "now": stored(now), "but_error": text_in(but_error)}
        return {loaded(at) for (at,) in self._transaction.execute(CANCELLED, values)}

    def read_gap(self, schedule: Schedule) -> OpenGap | None:
        """Return the gap at whose end a schedule stands."""
        row = self._one(READ_GAP, {"id": schedule.id})
        text = row[0] if row is not None else None
        return None if text is None else msgspec.json.decode(text, type=OpenGap)

    def write_gap(self, schedule: Schedule, before: OpenGap | None, after: OpenGap | None) -> None:
        """Replace a schedule's open gap, if it is still as it was. Raises: LostRace."""
        values = {"id": schedule.id, "before": _gap(before), "after": _gap(after)}
        if self._transaction.execute(WRITE_GAP, values).rowcount != 1:
            raise LostRace("a schedule's gap has changed since it was read")

    def _find(self, schedule_id: UUID | None) -> Row | None:
        if schedule_id is None:
            return None
        lock = " FOR UPDATE" if self._transaction.is_writing else ""
        row = self._one(FIND + lock, {"id": schedule_id})
        if self._transaction.is_writing:
            self._transaction.locks.has_schedule(schedule_id)
        return row

    def _run(self, query: str, values: Mapping[str, object]) -> Job | None:
        row = self._one(query, values)
        return job_of(row) if row is not None else None

    def _is(self, query: str, values: Mapping[str, object]) -> bool:
        row = self._one(query, values)
        return row is not None and row[0] is True

    def _one(self, query: str, values: Mapping[str, object]) -> Row | None:
        return self._transaction.execute(query, values).fetchone()


def _gap(gap: OpenGap | None) -> str | None:
    return None if gap is None else msgspec.json.encode(gap).decode()


@lru_cache(maxsize=256)
def _update(columns: Sequence[str]) -> str:
    """Return the statement that sets these columns where each has still the value it had."""
    changes = ", ".join(f"{column} = %s" for column in columns)
    same = "".join(f"{column} IS NOT DISTINCT FROM %s AND " for column in columns)
    return f"UPDATE schedules SET {changes} WHERE {same}id = %s"

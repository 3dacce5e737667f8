"""A job's rows: reading, writing a new one, and moving one that has not moved meanwhile.

An unfinished job has a row in `live_jobs`, and one in `due` while it waits; a finished one has its
row in a partition of `ended_jobs`. Every method keeps these in step, with the planned times of runs
and the counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from psycopg.errors import UniqueViolation

from booper.errors import NotFound
from booper.model.job import FINISHED, Job
from booper.store.postgres import job_moves
from booper.store.postgres.count_rows import add_counts
from booper.store.postgres.job_columns import (
    COLUMNS,
    NEW_COLUMNS,
    NewRow,
    ended_job_of,
    job_of,
    new_row,
    tags_in,
)
from booper.store.postgres.job_moves import COME_BACK, END, IN_PLACES, LIVE, PLACES, Place
from booper.store.postgres.numbers import JOBS, drawing
from booper.store.postgres.values import IN_WAITING, array_of, text_array_of, text_in
from booper.store.stored import stored, stored_or_none, stored_span
from booper.store.transaction import Draft, EndedJob, LostRace, Taken
from booper.store.values import JobRef

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

_ARRAYS: Final = ", ".join(f"%s::{kind}[]" for kind in NEW_COLUMNS.values())
_WRITES: Final = [text_array_of if kind == "text" else array_of for kind in NEW_COLUMNS.values()]
_GIVEN: Final = ", ".join(name for name in NEW_COLUMNS if name != "tags")

_INSERT: Final = f"""
WITH new AS (
    INSERT INTO live_jobs ({_GIVEN}, tags, state, attempt, interruptions, owner, epoch)
    SELECT {_GIVEN}, ARRAY(SELECT json_array_elements_text(tags::json)), 'scheduled', 0, 0, 0, 0
    FROM unnest({_ARRAYS}) WITH ORDINALITY AS given ({", ".join(NEW_COLUMNS)}, place)
    {{condition}} ORDER BY place
    RETURNING id, uuid, user_id, kind, schedule_id, scheduled_at, planned_at, origin, path
), waiting AS (
    INSERT INTO due (job_id, at, origin, path) SELECT id, scheduled_at, origin, path FROM new
), taken AS (
    INSERT INTO planned (schedule_id, at, job_id)
    SELECT schedule_id, planned_at, id FROM new WHERE kind = 'run'
), counted AS (
    INSERT INTO job_counts (user_id, kind, state, count)
    SELECT user_id, kind, 'scheduled', count(*) FROM new GROUP BY user_id, kind
)
SELECT uuid, id FROM new
"""
INSERT: Final = _INSERT.format(condition=f"WHERE {drawing(JOBS)}")
INSERT_MORE: Final = _INSERT.format(condition="")

FIND_LIVE: Final = f"SELECT {COLUMNS} FROM live_jobs WHERE {{column}} = %s"
FIND_ENDED: Final = f"SELECT {COLUMNS} FROM ended_jobs WHERE {{column}} = %s"
FIND_ALL: Final = f"SELECT {COLUMNS} FROM live_jobs WHERE id = ANY(%s::bigint[]) ORDER BY id"

LEFT: Final = f"""
SELECT {COLUMNS} FROM live_jobs
WHERE state = 'executing' AND owner = ANY(%s) ORDER BY id FOR UPDATE
"""

RETAG: Final = """
UPDATE live_jobs SET tags = ARRAY(SELECT json_array_elements_text(%s::json)) WHERE id = %s
"""
KEEP: Final = "UPDATE live_jobs SET key_until = %s, keep_for = %s WHERE id = %s"

# An unfinished job holds its key, a finished one for as long as it asked; cancelling frees it.
HOLDING_KEY: Final = f"""
SELECT {COLUMNS} FROM jobs
WHERE user_id = %(user_id)s AND idempotency_key = %(key)s AND schedule_id IS NULL
    AND (state IN ('scheduled', 'executing', 'retryable')
        OR (key_until > %(now)s AND state <> 'cancelled'))
ORDER BY id DESC LIMIT 1
"""

COUNT_WAITING: Final = f"""
SELECT coalesce(sum(count), 0)::bigint FROM job_counts
WHERE user_id = %s AND kind IN ('request', 'run') AND {IN_WAITING}
"""

NEXT_EVENT: Final = f"""
SELECT {COLUMNS} FROM live_jobs
WHERE parent_id = %s AND id > %s AND kind = 'webhook' AND state = 'scheduled'
ORDER BY id LIMIT 1
"""
EARLIER_EVENT: Final = """
SELECT EXISTS (
    SELECT 1 FROM live_jobs
    WHERE parent_id = %s AND id < %s AND kind = 'webhook'
        AND (state = 'scheduled' OR (state = 'executing' AND attempt = 1))
)
"""

ENDED: Final = """
SELECT id, kind, state, schedule_id, planned_at, ended_at, keep_for,
    CASE WHEN idempotency_key IS NOT NULL AND schedule_id IS NULL AND state <> 'cancelled'
        THEN key_until END,
    EXISTS (SELECT 1 FROM live_jobs AS reports WHERE reports.parent_id = ended_jobs.id), class
FROM ended_jobs WHERE id = ANY(%s) ORDER BY id
"""

DELETE: Final = f"""
WITH gone AS (
    DELETE FROM ended_jobs WHERE id = ANY(%(ids)s) AND {IN_PLACES}
    RETURNING id, user_id, kind, state, tags
), counted AS (
    INSERT INTO job_counts (user_id, kind, state, count)
    SELECT user_id, kind, state, -count(*) FROM gone GROUP BY user_id, kind, state
), taken AS (
    DELETE FROM planned WHERE job_id IN (SELECT id FROM gone)
), late AS (
    DELETE FROM waits WHERE job_id IN (SELECT id FROM gone)
), changed AS (
    DELETE FROM audit_jobs WHERE job_id IN (SELECT id FROM gone)
)
SELECT count(*) + coalesce(sum(cardinality(tags)), 0) FROM gone
"""


class JobRows:
    """The jobs of one transaction (`booper.store.transaction.JobTable`)."""

    __slots__ = ("_places", "_transaction")

    def __init__(self, transaction: "PostgresTransaction") -> None:
        self._transaction = transaction
        self._places: dict[int, Place] = {}
        """Where jobs are that this transaction has locked: nobody else moves them meanwhile."""

    draft = staticmethod(new_row)

    def insert(self, drafts: Sequence[Draft]) -> list[Job]:
        """Write new jobs and return them, numbered in this order."""
        if not drafts:
            return []
        rows = cast(Sequence[NewRow], drafts)  # which only `draft` makes
        columns = zip(*(row.values for row in rows), strict=True)
        arrays = [write(column) for write, column in zip(_WRITES, columns, strict=True)]
        query = INSERT_MORE if self._transaction.locks.draws(JOBS) else INSERT
        try:
            numbers: dict[UUID, int] = dict(self._execute(query, arrays).fetchall())
        except UniqueViolation as error:
            raise Taken(str(error)) from error
        return [row.job(numbers[row.uuid]) for row in rows]

    def find(self, job_id: int) -> Job | None:
        """Return a job by its number, None if there is none."""
        return self._find("id", job_id)

    def find_all(self, job_ids: Sequence[int]) -> dict[int, Job]:
        """Return the unfinished jobs of these numbers, those there are, by number.

        Of a transaction that writes they are locked, and what another one has locked is left out,
        also a run whose schedule that is: whoever claims many jobs waits for nobody.
        """
        ids = [array_of(job_ids)]
        if not self._transaction.is_writing:
            return {row[0]: job_of(row) for row in self._execute(FIND_ALL, ids)}
        found = [job_of(row) for row in self._execute(f"{FIND_ALL} FOR UPDATE SKIP LOCKED", ids)]
        if any(job.schedule_id is not None for job in found):
            busy = self._transaction.locks.free_schedules_of_jobs(job_ids)
            found = [job for job in found if job.schedule_id not in busy]
        return {job.id: job for job in found}

    def find_ended(self, job_ids: Sequence[int]) -> list[EndedJob]:
        """Return those of these jobs that have finished, locked if this transaction writes."""
        lock = " FOR UPDATE" if self._transaction.is_writing else ""
        rows = self._execute(f"{ENDED}{lock}", [list(job_ids)]).fetchall()
        self._places |= {row[0]: (row[-1], row[5]) for row in rows if lock}
        return [ended_job_of(row[:-1]) for row in rows]

    def delete(self, job_ids: Sequence[int]) -> int:
        """Delete jobs that have no log, with their tags; return how many rows that were."""
        places = self.places(job_ids).values()
        self.forget_places()
        row = self._transaction.execute_at(places, DELETE, {"ids": list(job_ids)}).fetchone()
        return int(row[0]) if row else 0

    def find_left(self) -> list[Job]:
        """Return the executing jobs of owners that are gone, which this transaction replaces."""
        gone = list(self._transaction.gone())
        self._transaction.locks.schedules_of_owners(gone)
        return [job_of(row) for row in self._execute(LEFT, [gone])]

    def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""
        job = self._find("uuid" if isinstance(ref, UUID) else "id", ref)
        if job is None or job.user_id != user_id:
            raise NotFound(f"there is no job {ref}")
        return job

    def move(self, before: Job, after: Job) -> Job:
        """Replace a job that is still as it was. Raises: LostRace, Taken."""
        self.move_all([(before, after)])
        return after

    def move_all(self, pairs: Sequence[tuple[Job, Job]]) -> None:
        """Replace jobs by what each has become. Raises: LostRace or Taken if one cannot be."""
        ids = {job.schedule_id for job, _ in pairs if job.schedule_id is not None}
        self._transaction.locks.schedules(ids)
        comes_back = any(before.state in FINISHED for before, _ in pairs)
        try:
            # What comes back may find its key taken; the transaction goes on after that.
            with self._transaction.savepoint() if comes_back else nullcontext():
                self._move_all(pairs)
        except UniqueViolation as error:
            raise Taken(str(error)) from error
        add_counts(self._transaction, pairs)

    def _move_all(self, pairs: Sequence[tuple[Job, Job]]) -> None:
        for statement, numbers, arrays in job_moves.statements(pairs):
            if statement == COME_BACK:
                moved = self._transaction.execute_at(
                    job_moves.places_before(pairs), statement, arrays
                )
            else:
                moved = self._execute(statement, arrays)
            if moved.rowcount != len(numbers):
                raise LostRace("a job has moved since it was read")
            is_end = statement == END
            self._places |= _places_in(moved) if is_end else dict.fromkeys(numbers, LIVE)
        job_moves.follow(self._transaction, pairs, self._places)

    def retag(self, job: Job, tags: Sequence[str]) -> None:
        """Replace a waiting job's tags."""
        self._execute(RETAG, (tags_in(tags), job.id))

    def keep(self, job: Job, key_until: datetime | None, keep_for: timedelta | None) -> None:
        """Keep a job's key taken until a time, even if it has finished, and the job after it."""
        self._execute(KEEP, (stored_or_none(key_until), stored_span(keep_for), job.id))

    def holding_key(self, user_id: UUID, key: str, now: datetime) -> Job | None:
        """Return the newest job outside of schedules that holds a key, None if none does.

        Nobody else can take the key before the end of a transaction that writes. The job is not
        locked: most only want to know of it, and would wait for what settles it.
        """
        if self._transaction.is_writing:
            self._transaction.locks.keys([(user_id, key)])
        values = {"user_id": user_id, "key": text_in(key), "now": stored(now)}
        return self._one(self._execute(HOLDING_KEY, values).fetchone())

    def count_waiting(self, user_id: UUID) -> int:
        """Return how many of a user's own jobs wait for their time, as the counters have it."""
        row = self._execute(COUNT_WAITING, [user_id]).fetchone()
        return int(row[0]) if row else 0

    def next_event(self, event: Job) -> Job | None:
        """Return the first scheduled webhook event of the same job behind this one, or None."""
        return self._one(self._execute(NEXT_EVENT, (event.parent_id, event.id)).fetchone())

    def has_earlier_event(self, event: Job) -> bool:
        """Return whether an earlier webhook event of the same job has not been sent once."""
        row = self._execute(EARLIER_EVENT, (event.parent_id, event.id)).fetchone()
        return bool(row and row[0])

    def places(self, job_ids: Sequence[int]) -> Mapping[int, Place]:
        """Return the class and the end of each of these jobs, 'live' and 0 of unfinished ones."""
        known = {number: self._places[number] for number in job_ids if number in self._places}
        if others := [number for number in job_ids if number not in known]:
            known |= _places_in(self._execute(PLACES, {"ids": others}))
        return known

    def forget_places(self) -> None:
        """Look again where jobs are: some of their moves have been undone."""
        self._places.clear()

    def _find(self, column: str, value: object) -> Job | None:
        """Return a job, locked if this transaction writes; it may move while it is looked for."""
        lock = ""
        if self._transaction.is_writing:
            self._transaction.locks.schedule_of_job(column, value)
            lock = " FOR UPDATE"
        for query in (FIND_LIVE, FIND_ENDED, FIND_LIVE):
            row = self._execute(f"{query.format(column=column)}{lock}", [value]).fetchone()
            if row is not None:
                return job_of(row)
        return None

    def _execute(self, query: str, values: Any = None) -> Any:
        return self._transaction.execute(query, values)

    @staticmethod
    def _one(row: Sequence[Any] | None) -> Job | None:
        return None if row is None else job_of(row)


def _places_in(rows: Iterable[tuple[int, str, int]]) -> dict[int, Place]:
    return {number: (name, ended_at) for number, name, ended_at in rows}

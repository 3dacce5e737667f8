"""The locks of one transaction, in one order everywhere: keys, schedules by their ids, then jobs.

Two transactions that both wait for what the other has locked are a deadlock: the server notices it
after a second, and one of them begins again. Changes that are committed together are one
transaction, so the keys that they name are locked before the first of them is made, and a job or a
schedule that holds a key only for one that replaces it.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from booper.store.postgres.numbers import Numbers
from booper.store.postgres.values import text_in
from booper.store.values import UserKey

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

# Of two nodes that look for a key, one waits until the other has written who holds it.
LOCK_KEYS: Final = """
SELECT pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT hashtextextended(name, 0) AS number FROM unnest(%s::text[]) AS name
    ORDER BY number
) AS numbers
"""

LOCK_SCHEDULES: Final = "SELECT FROM schedules WHERE id = ANY(%s) ORDER BY id FOR UPDATE"

_LOCK_FOUND: Final = """
SELECT id FROM schedules WHERE id IN ({ids}) ORDER BY id FOR UPDATE
"""
LOCK_OF_JOB: Final = _LOCK_FOUND.format(
    ids="SELECT schedule_id FROM jobs WHERE {column} = %s AND schedule_id IS NOT NULL"
)
_OF_JOBS: Final = """
SELECT schedule_id FROM live_jobs WHERE id = ANY(%s) AND schedule_id IS NOT NULL
"""
LOCK_OF_JOBS: Final = _LOCK_FOUND.format(ids=_OF_JOBS)
LOCK_OF_OWNERS: Final = _LOCK_FOUND.format(
    ids="""
    SELECT schedule_id FROM live_jobs
    WHERE state = 'executing' AND owner = ANY(%s) AND schedule_id IS NOT NULL
    """
)

OF_JOBS: Final = f"SELECT id FROM schedules WHERE id IN ({_OF_JOBS})"
LOCK_FREE_OF_JOBS: Final = f"{OF_JOBS} ORDER BY id FOR UPDATE SKIP LOCKED"


class Locks:
    """The locks of a transaction that writes, each taken once."""

    __slots__ = ("_drawn", "_keys", "_schedules", "_transaction")

    def __init__(self, transaction: "PostgresTransaction") -> None:
        self._transaction = transaction
        self._drawn: set[Numbers] = set()
        self._keys: set[str] = set()
        self._schedules: set[UUID] = set()

    def keys(self, keys: Iterable[UserKey]) -> None:
        """Keep users' idempotency keys from being taken by anybody else."""
        names = {f"key {user_id} {text_in(key)}" for user_id, key in keys} - self._keys
        if names:
            self._transaction.execute(LOCK_KEYS, [list(names)])
            self._keys |= names

    def schedules(self, schedule_ids: Iterable[UUID]) -> None:
        """Lock schedules."""
        if missing := set(schedule_ids) - self._schedules:
            self._transaction.execute(LOCK_SCHEDULES, [list(missing)])
            self._schedules |= missing

    def schedule_of_job(self, column: str, value: object) -> None:
        """Lock the schedule of a job, which is found by a column of it."""
        self._lock(LOCK_OF_JOB.format(column=column), value)

    def schedules_of_jobs(self, job_ids: Sequence[int]) -> None:
        """Lock the schedules of unfinished jobs."""
        self._lock(LOCK_OF_JOBS, list(job_ids))

    def schedules_of_owners(self, owners: Sequence[int]) -> None:
        """Lock the schedules of the jobs that some owners have claimed."""
        self._lock(LOCK_OF_OWNERS, list(owners))

    def free_schedules_of_jobs(self, job_ids: Sequence[int]) -> Collection[UUID]:
        """Lock the schedules of unfinished jobs that nobody has locked, and return the others."""
        ids = [list(job_ids)]
        self._lock(LOCK_FREE_OF_JOBS, *ids)
        return {row[0] for row in self._transaction.execute(OF_JOBS, ids)} - self._schedules

    def has_schedule(self, schedule_id: UUID) -> None:
        """Note that a schedule was locked as it was read."""
        self._schedules.add(schedule_id)

    def draws(self, numbers: Numbers) -> bool:
        """Return whether it is shown that this transaction draws numbers; from now on it is."""
        is_shown = numbers in self._drawn
        self._drawn.add(numbers)
        return is_shown

    def forget(self) -> None:
        """Take locks anew from now on: some were lost with a part that was undone."""
        self._drawn.clear()
        self._keys.clear()
        self._schedules.clear()

    def _lock(self, query: str, value: object) -> None:
        self._schedules |= {row[0] for row in self._transaction.execute(query, [value])}

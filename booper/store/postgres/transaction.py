"""A connection with its tables, as the rules see them, and parts of a transaction undone alone."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

import psycopg

from booper.errors import StoreUnavailable
from booper.model.job import Job
from booper.store.limits import NO_LIMITS, LimitOf
from booper.store.postgres import cancelled_claims
from booper.store.postgres.alert_rows import IncidentRows
from booper.store.postgres.audit_rows import AuditRows
from booper.store.postgres.bucket_rows import BucketRows
from booper.store.postgres.claim_numbers import OldestClaim
from booper.store.postgres.free_keys import free_keys
from booper.store.postgres.job_moves import Place
from booper.store.postgres.job_rows import JobRows
from booper.store.postgres.locks import Locks
from booper.store.postgres.log_rows import LogRows
from booper.store.postgres.schedule_rows import ScheduleRows
from booper.store.postgres.sharing import SharedSlots
from booper.store.postgres.values import array_of
from booper.store.postgres.wait_rows import WaitRows
from booper.store.transaction import PartUndone
from booper.store.values import DueJob, UserKey

T = TypeVar("T")
Values = Mapping[str, Any] | Sequence[Any]

# Of the jobs that are gone with a node one at most was alone.
ALONE: Final = "SELECT job_id, attempt FROM alone WHERE owner = ANY(%s) LIMIT 1"
SET_ALONE: Final = """
INSERT INTO alone (owner, job_id, attempt) VALUES (%s, %s, %s)
ON CONFLICT (owner) DO UPDATE SET job_id = excluded.job_id, attempt = excluded.attempt
"""

# A lock that a renewal passes, and that keeps everybody from replacing the node.
HOLD_NODE: Final = """
SELECT 1 FROM nodes WHERE number = %s AND expires_at > clock_timestamp() FOR KEY SHARE
"""

# One node at a time, whose row nobody else replaces meanwhile.
GONE_NODE: Final = """
SELECT number FROM nodes WHERE expires_at <= clock_timestamp()
ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED
"""
# A second net: claims of nodes without a row.
GONE_OWNERS: Final = """
SELECT DISTINCT owner FROM live_jobs
WHERE state = 'executing' AND NOT EXISTS (SELECT 1 FROM nodes WHERE number = owner)
"""


class PostgresTransaction:
    """A connection: between BEGIN and COMMIT a `booper.store.transaction.Transaction`.

    One that `is_writing` locks what it reads. `node` is the number of this process, and
    `oldest_claim` what its earlier transactions have seen of claims.
    """

    is_damaged = False

    def __init__(
        self,
        connection: psycopg.Connection[tuple[Any, ...]],
        node: int,
        *,
        is_writing: bool,
        limit_of: LimitOf = NO_LIMITS.of,
        oldest_claim: OldestClaim | None = None,
    ) -> None:
        self._limit_of = limit_of
        self.oldest_claim = oldest_claim or OldestClaim()
        self.connection = connection
        self._node = node
        self._is_owner = False
        self.is_writing = is_writing
        self.locks = Locks(self)
        self.jobs = JobRows(self)
        self.schedules = ScheduleRows(self)
        self.log = LogRows(self)
        self.buckets = BucketRows(self)
        self.waits = WaitRows(self)
        self.audit = AuditRows(self)
        self.incidents = IncidentRows(self)
        self._gone: Sequence[int] | None = None

    def execute(self, query: str, values: Values | None = None) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement and return its cursor."""
        return self.connection.execute(query, values)

    def execute_at(
        self, places: Iterable[Place], query: str, values: Mapping[str, Any]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement whose condition is `IN_PLACES` and return its cursor.

        It is planned for these places, and locks no partition of others, of which one may be about
        to be dropped for minutes. A prepared statement would come to lock all partitions.
        """
        found = set(places)
        classes, ends = {name for name, _ in found}, {ended_at for _, ended_at in found}
        where = {"in_classes": array_of(classes), "in_ends": array_of(ends)}
        return self.connection.execute(query, {**values, **where}, prepare=False)

    @property
    def owner(self) -> int:
        """Return the number under which this node claims jobs.

        Nobody takes the node for dead from here to the end of the transaction.

        Raises:
            StoreUnavailable: its lease has ended.
        """
        if not self._is_owner:
            if self.execute(HOLD_NODE, [self._node]).fetchone() is None:
                raise StoreUnavailable(f"the lease of node {self._node} has ended")
            self._is_owner = True
        return self._node

    @property
    def has_claimed(self) -> bool:
        """Return whether jobs may have been claimed here."""
        return self._is_owner

    def part(self, work: Callable[[], T], job_id: int | None = None) -> T:
        """Run a part of the transaction; one that raises is undone alone. Raises: PartUndone.

        An error of the connection or the server is not of the part: it is raised as it is.
        """
        try:
            with self.savepoint():
                return work()
        except (psycopg.OperationalError, MemoryError):
            raise
        except Exception as error:  # whatever is wrong with it; the others go on
            raise PartUndone from error

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo the block alone if it raises."""
        self.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self.jobs.forget_places()
            self.locks.forget()
            self.oldest_claim.forget()
            if not self.connection.closed:
                self.execute("ROLLBACK TO part")
                self.execute("RELEASE part")
            raise
        self.execute("RELEASE part")

    def gone(self, *, is_thorough: bool = False) -> Sequence[int]:
        """Return the numbers of owners that are gone and that this transaction replaces.

        One that `is_thorough` looks for claims of nodes without a row, too.
        """
        if self._gone is None:
            rows = self.execute(GONE_NODE).fetchall()
            if not rows and is_thorough:
                rows = self.execute(GONE_OWNERS).fetchall()
            self._gone = [number for (number,) in rows]
        return self._gone

    def lock_keys(self, keys: Iterable[UserKey]) -> None:
        """Keep users' idempotency keys from being taken by anybody else."""
        self.locks.keys(keys)

    def free_keys(self, keys: Sequence[UserKey], now: datetime) -> Collection[UserKey]:
        """Return keys that nothing holds; those that are there twice are left out."""
        return free_keys(self, keys, now)

    def alone(self) -> tuple[int, int] | None:
        """Return the number and the attempt of the job that was sent alone, None if none was."""
        row = self.execute(ALONE, [list(self.gone())]).fetchone()
        return None if row is None else (row[0], row[1])

    def slots(self, now: datetime, due: Collection[DueJob]) -> SharedSlots:
        """Return what of this may begin `now`; no other claim takes any until the end."""
        return SharedSlots(self, self._limit_of, now, {seen.due.origin for seen in due})

    def end_cancelled(self, claimed: Job) -> None:
        """Note that nothing is on its way any more for a claim whose job was cancelled."""
        cancelled_claims.end(self, claimed)

    def set_alone(self, job: Job) -> None:
        """Note that a job's attempt is made with nothing else on its way."""
        self.execute(SET_ALONE, (self.owner, job.id, job.attempt))

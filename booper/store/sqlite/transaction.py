"""A connection with its tables, as the rules see them, and parts of a transaction undone alone."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from booper.model.job import Job
from booper.store.sqlite.alert_rows import IncidentRows
from booper.store.sqlite.audit_rows import AuditRows
from booper.store.sqlite.bucket_rows import BucketRows
from booper.store.sqlite.damage import Watched, is_damage, set_aside
from booper.store.sqlite.job_rows import JobRows
from booper.store.sqlite.log_rows import LogRows
from booper.store.sqlite.schedule_rows import ScheduleRows
from booper.store.sqlite.wait_rows import WaitRows
from booper.store.transaction import PartUndone
from booper.store.values import DueJob, UserKey

T = TypeVar("T")

ALONE = "SELECT job_id, attempt FROM alone"
SET_ALONE = "INSERT OR REPLACE INTO alone (id, job_id, attempt) VALUES (1, :job_id, :attempt)"


class SQLiteTransaction(Watched):
    """A connection: between BEGIN and COMMIT a `booper.store.transaction.Transaction`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.jobs = JobRows(self)
        self.schedules = ScheduleRows(self)
        self.log = LogRows(self)
        self.buckets = BucketRows(self)
        self.waits = WaitRows(self)
        self.audit = AuditRows(self)
        self.incidents = IncidentRows(self)
        self.is_full = False
        self.checkpoint_pages = 0
        self._waits = True
        self._checkpoints = True

    def wait_for_disk(self, is_wanted: bool) -> None:
        """Make the commits from now on wait for the disk, or leave that to a later one.

        In WAL mode one that waits takes along all before it, and none can be torn
        (https://www.sqlite.org/pragma.html#pragma_synchronous).
        """
        if self.is_full and is_wanted != self._waits:
            self.execute(f"PRAGMA synchronous = {'FULL' if is_wanted else 'NORMAL'}")
            self._waits = is_wanted

    def checkpoint_with_commits(self, is_wanted: bool) -> None:
        """Make the commits from now on checkpoint a log that is long, or leave that to a later one.

        It is the connection's own setting (https://www.sqlite.org/pragma.html#pragma_wal_autocheckpoint).
        """
        if is_wanted != self._checkpoints:
            pages = self.checkpoint_pages if is_wanted else 0
            self.execute(f"PRAGMA wal_autocheckpoint = {pages}").fetchone()
            self._checkpoints = is_wanted

    @property
    def is_damaged(self) -> bool:
        """Return whether some jobs cannot be written, so that each is better written alone."""
        return self.damage is not None

    def part(self, work: Callable[[], T], job_id: int | None = None) -> T:
        """Run a part of the transaction; one that raises is undone alone. Raises: PartUndone.

        An error of the disk or the file is not of the part: it is raised as it is.
        """
        self.execute("SAVEPOINT part")
        try:
            result = work()
        except (sqlite3.OperationalError, MemoryError):
            raise
        except Exception as error:  # whatever is wrong with it; the others go on
            if is_damage(error):
                if job_id is not None:
                    set_aside(self, job_id, error)
                raise
            self.execute("ROLLBACK TO part")
            self.execute("RELEASE part")
            self.jobs.undone()
            raise PartUndone from error
        self.execute("RELEASE part")
        return result

    def free_keys(self, keys: Sequence[UserKey], now: datetime) -> Collection[UserKey]:
        """Return none: to look each of them up costs no round trip."""
        return ()

    def slots(self, now: datetime, due: Collection[DueJob]) -> None:
        """Return None: the loop of the one process counts its slots by itself."""

    def end_cancelled(self, claimed: Job) -> None:
        """Note nothing: the loop of the one process knows what is on its way."""

    def alone(self) -> tuple[int, int] | None:
        """Return the number and the attempt of the job that was sent alone, None if none was."""
        found: tuple[int, int] | None = self.execute(ALONE).fetchone()
        return found

    def set_alone(self, job: Job) -> None:
        """Note that a job's attempt is made with nothing else on its way."""
        self.execute(SET_ALONE, {"job_id": job.id, "attempt": job.attempt})

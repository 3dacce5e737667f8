"""Rows of the audit: written with the change that each tells of."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from booper.model.audit import NewChange
from booper.store.sqlite import bulk
from booper.store.stored import stored

INSERT: Final = """
INSERT INTO audit (at, key_id, user_id, action, kind, object, jobs, detail)
VALUES (:at, :key_id, :user_id, :action, :kind, :object, 0, :detail)
"""

INSERT_JOBS: Final = """
INSERT OR IGNORE INTO audit_jobs (job_id, audit_id)
SELECT * FROM (VALUES {rows}) WHERE column1 <> 0
"""

COUNT: Final = "UPDATE audit SET jobs = jobs + :count WHERE id = :id"


class AuditRows:
    """The audit of one connection (`booper.store.records.AuditTable`)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(self, change: NewChange, job_ids: Sequence[int] = ()) -> int:
        """Write a change and which jobs it has changed; return its number."""
        values = {
            "at": stored(change.at),
            "key_id": change.by.key_id.bytes if change.by.key_id else None,
            "user_id": change.user_id.bytes if change.user_id else None,
            "action": str(change.action),
            "kind": str(change.kind),
            "object": change.object,
            "detail": change.detail,
        }
        number = self._connection.execute(INSERT, values).lastrowid
        assert number is not None
        self.extend(number, job_ids)
        return number

    def extend(self, number: int, job_ids: Sequence[int]) -> None:
        """Add jobs to those that a change has changed."""
        if job_ids:
            bulk.execute(self._connection, INSERT_JOBS, [(one, number) for one in job_ids])
            self._connection.execute(COUNT, {"id": number, "count": len(job_ids)})

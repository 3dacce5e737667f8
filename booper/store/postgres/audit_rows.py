"""Rows of the audit: written with the change that each tells of."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from booper.model.audit import NewChange
from booper.store.postgres.numbers import AUDIT, drawing
from booper.store.postgres.values import text_in
from booper.store.stored import stored

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

INSERT: Final = f"""
INSERT INTO audit (at, key_id, user_id, action, kind, object, jobs, detail)
SELECT %(at)s::bigint, %(key_id)s::uuid, %(user_id)s::uuid, %(action)s::text, %(kind)s::text,
    %(object)s::text, 0, %(detail)s::text
WHERE {drawing(AUDIT)}
RETURNING id
"""

INSERT_JOBS: Final = """
INSERT INTO audit_jobs (job_id, audit_id) SELECT unnest(%(job_ids)s::bigint[]), %(id)s
ON CONFLICT DO NOTHING
"""

COUNT: Final = "UPDATE audit SET jobs = jobs + %(count)s WHERE id = %(id)s"


class AuditRows:
    """The audit of one transaction (`booper.store.records.AuditTable`)."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: "PostgresTransaction") -> None:
        self._transaction = transaction

    def append(self, change: NewChange, job_ids: Sequence[int] = ()) -> int:
        """Write a change and which jobs it has changed; return its number."""
        values = {
            "at": stored(change.at),
            "key_id": change.by.key_id,
            "user_id": change.user_id,
            "action": change.action.value,
            "kind": change.kind.value,
            "object": text_in(change.object),
            "detail": text_in(change.detail),
        }
        row = self._transaction.execute(INSERT, values).fetchone()
        assert row is not None
        number: int = row[0]
        self.extend(number, job_ids)
        return number

    def extend(self, number: int, job_ids: Sequence[int]) -> None:
        """Add jobs to those that a change has changed."""
        if job_ids:
            self._transaction.execute(INSERT_JOBS, {"job_ids": list(job_ids), "id": number})
            self._transaction.execute(COUNT, {"id": number, "count": len(job_ids)})

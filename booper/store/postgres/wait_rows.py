"""Rows of waits: written with the claim that ends each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from booper.model.waiting import KeptWait
from booper.store.postgres.values import text_in
from booper.store.stored import stored

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

# An attempt that is released begins again under the same number.
ADD: Final = """
INSERT INTO waits (job_id, attempt, reason, target, since, until)
SELECT * FROM unnest(
    %(job_ids)s::bigint[], %(attempts)s::bigint[], %(reasons)s::text[], %(targets)s::text[],
    %(sinces)s::bigint[], %(untils)s::bigint[]
)
ON CONFLICT (job_id, attempt) DO UPDATE SET
    reason = excluded.reason, target = excluded.target,
    since = excluded.since, until = excluded.until
"""


class WaitRows:
    """The waits of one transaction (`booper.store.records.WaitTable`)."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: "PostgresTransaction") -> None:
        self._transaction = transaction

    def add(self, kept: Sequence[KeptWait]) -> None:
        """Write why attempts began late."""
        if not kept:
            return
        rows = list({(each.job_id, each.attempt): each for each in kept}.values())
        values = {
            "job_ids": [each.job_id for each in rows],
            "attempts": [each.attempt for each in rows],
            "reasons": [each.wait.reason.value for each in rows],
            "targets": [text_in(each.wait.target) for each in rows],
            "sinces": [stored(each.wait.since) for each in rows],
            "untils": [stored(each.until) for each in rows],
        }
        self._transaction.execute(ADD, values)

"""Claims whose jobs were cancelled while their requests were on their way.

The request goes on (contract §4) and its job executes no more. So the claim stands in a table of
its own, and holds its slot, until the node that made it notes that nothing is on its way any more.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from booper.model.job import Job, State
from booper.store.postgres.values import array_of, text_array_of

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

KEEP: Final = """
INSERT INTO cancelled_claims (owner, job_id, epoch, origin)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[])
"""
END: Final = "DELETE FROM cancelled_claims WHERE owner = %s AND job_id = %s AND epoch = %s"

COUNT: Final = """
SELECT 'cancelled', origin, count(*), 0 FROM cancelled_claims
WHERE EXISTS (SELECT FROM nodes WHERE number = owner) GROUP BY origin
"""
"""Those of nodes that may live, by origin, as `booper.store.postgres.sharing` counts."""


def keep(transaction: "PostgresTransaction", pairs: Iterable[tuple[Job, Job]]) -> None:
    """Keep the claims of those of these jobs that are cancelled by a move."""
    claimed = [
        before
        for before, after in pairs
        if before.state is State.EXECUTING and after.state is State.CANCELLED
    ]
    if claimed:
        arrays = (
            array_of(job.owner for job in claimed),
            array_of(job.id for job in claimed),
            array_of(job.epoch for job in claimed),
            text_array_of(job.origin for job in claimed),
        )
        transaction.execute(KEEP, arrays)


def end(transaction: "PostgresTransaction", claimed: Job) -> None:
    """Note that nothing is on its way any more for a claim."""
    transaction.execute(END, (claimed.owner, claimed.id, claimed.epoch))

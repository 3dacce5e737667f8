"""Rows of `job_counts` as jobs come, move and go: differences only, which whoever reads adds up.

Now and then the rows of one kind and state are written as one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from booper.model.job import Job

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

Counted = tuple[UUID, str, str]
"""A user, a kind and a state as stored."""

ADD: Final = """
INSERT INTO job_counts (user_id, kind, state, count)
SELECT * FROM unnest(
    %(user_ids)s::uuid[], %(kinds)s::text[], %(states)s::text[], %(counts)s::bigint[]
)
"""

# One node at a time; another's would wait for this one's rows, and find them gone.
ROLL_UP: Final = """
WITH several AS (
    SELECT user_id, kind, state FROM job_counts
    GROUP BY user_id, kind, state HAVING count(*) > 1 OR sum(count) = 0
), gone AS (
    DELETE FROM job_counts USING several
    WHERE job_counts.user_id = several.user_id AND job_counts.kind = several.kind
        AND job_counts.state = several.state
    RETURNING job_counts.*
), written AS (
    INSERT INTO job_counts (user_id, kind, state, count)
    SELECT user_id, kind, state, sum(count) FROM gone
    GROUP BY user_id, kind, state HAVING sum(count) <> 0
)
SELECT count(*) FROM gone
"""
ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('roll up counts', 0))"


def add_counts(
    transaction: "PostgresTransaction", moves: Iterable[tuple[Job | None, Job | None]]
) -> None:
    """Count jobs, each before and after a move that is written, where they are now.

    A new job was nowhere before, one that is deleted is nowhere after: None stands for that.
    """
    changes = Counter[Counted]()
    for before, after in moves:
        if before is not None and after is not None and before.state is after.state:
            continue
        if before is not None:
            changes[_counted(before)] -= 1
        if after is not None:
            changes[_counted(after)] += 1
    add_changes(transaction, changes)


def add_changes(transaction: "PostgresTransaction", changes: Mapping[Counted, int]) -> None:
    """Add to the numbers of jobs, by user, kind and state."""
    rows = [(*counted, count) for counted, count in changes.items() if count]
    if rows:
        columns = map(list, zip(*rows, strict=True))
        values = dict(zip(("user_ids", "kinds", "states", "counts"), columns, strict=True))
        transaction.execute(ADD, values)


def roll_up_counts(transaction: "PostgresTransaction") -> int:
    """Write the rows of each user, kind and state as one.

    Return how many rows those were, 0 if another node is at it.
    """
    row = transaction.execute(ALONE).fetchone()
    if row is None or not row[0]:
        return 0
    row = transaction.execute(ROLL_UP).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def _counted(job: Job) -> Counted:
    return job.user_id, job.kind.value, job.state.value

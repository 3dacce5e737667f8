"""Which node does what only one of them is to do: the one that began it, until its lease ends."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

LEADER: Final = """
SELECT node FROM leaders JOIN nodes ON number = node
WHERE task = %s AND expires_at > clock_timestamp() FOR SHARE OF leaders
"""
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('booper leader', 0))"
LEAD: Final = """
INSERT INTO leaders (task, node) VALUES (%s, %s)
ON CONFLICT (task) DO UPDATE SET node = excluded.node
"""


def leads(transaction: "PostgresTransaction", task: str) -> bool:
    """Return whether this node does a task; if nobody does it, this node does so from now on.

    Raises:
        StoreUnavailable: the lease of this node has ended.
    """
    own = transaction.owner
    if (leader := _leader(transaction, task)) is not None:
        return leader == own
    transaction.execute(LOCK)
    if (leader := _leader(transaction, task)) is not None:
        return leader == own
    transaction.execute(LEAD, (task, own))
    return True


def is_led_by_another(transaction: "PostgresTransaction", task: str) -> bool:
    """Return whether another node does a task; none begins it until this transaction ends."""
    return _leader(transaction, task) not in {None, transaction.owner}


def _leader(transaction: "PostgresTransaction", task: str) -> int | None:
    """Return the number of the node that does a task and whose lease holds, None if none does."""
    row = transaction.execute(LEADER, [task]).fetchone()
    return None if row is None else int(row[0])

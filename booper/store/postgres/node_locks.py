"""What keeps nodes from beginning: a move of the database, or another lock on their table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from psycopg.errors import LockNotAvailable

from booper.errors import StoreUnavailable
from booper.store.postgres.connections import Connection
from booper.store.postgres.node_rows import MAX_WAIT_MILLISECONDS

# Modes that conflict with a change of a row; the first is that of a move (`booper.store.moving`).
# https://www.postgresql.org/docs/15/explicit-locking.html#LOCKING-TABLES
MODE_OF_A_MOVE: Final = "ShareRowExclusiveLock"
HOLDER: Final = """
SELECT pid, mode FROM pg_locks
WHERE relation = 'nodes'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mode IN ('ShareRowExclusiveLock', 'ShareLock', 'ExclusiveLock', 'AccessExclusiveLock')
ORDER BY granted DESC, pid LIMIT 1
"""


@contextmanager
def changing_nodes(connection: Connection) -> Iterator[None]:
    """Change nodes in one transaction, in which the block limits how long it waits for a lock.

    Raises:
        StoreUnavailable: another session holds the table; it is named.
    """
    try:
        with connection.transaction():
            yield
    except LockNotAvailable as error:
        raise StoreUnavailable(_held(connection)) from error


def _held(connection: Connection) -> str:
    """Return what holds the table of nodes."""
    row = connection.execute(HOLDER).fetchone()
    if row is None:
        seconds = MAX_WAIT_MILLISECONDS // 1_000
        return f"another session had locked the table nodes for {seconds} seconds; try again"
    pid, mode = row
    what = (
        f"booper migrate-store is moving it (server process {pid})"
        if mode == MODE_OF_A_MOVE
        else f"server process {pid} has locked the table nodes ({mode})"
    )
    return f"{what}; no node can start until that has ended"

"""A database with many jobs in it, quickly: one real job of each kind, copied by SQL.

Copies are made of whole rows, so that they have whatever columns and indexes booper gives them.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

from tests.benchmarks.daemon import serving
from tests.benchmarks.jobs import HOUR, microseconds
from tests.benchmarks.target import Target

MONTH = 30 * 24 * HOUR
# A prime beside which every span up to a month has no common factor: due times in no order.
STRIDE = 1_000_003 * 7_919
SETTLED_SECONDS = 30.0

NUMBERS = """
WITH RECURSIVE numbers (number) AS (
    SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :count
)
"""


def fill(folder: Path, target: Target, *, waiting: int = 0, finished: int = 0) -> None:
    """Make a booper's database with so many jobs that wait, or that were sent a while ago."""
    with serving(folder, target) as daemon:
        if waiting:
            daemon.schedule(1, microseconds() + HOUR, 0)
        if finished:
            daemon.schedule(1, microseconds(), 0)
            target.wait(1, SETTLED_SECONDS)
    with closing(sqlite3.connect(folder / "booper.db", isolation_level=None)) as connection:
        connection.create_function("uuid_of", 1, uuid_of, deterministic=True)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        connection.execute("BEGIN")
        if waiting:
            _copy_waiting(connection, waiting - 1)
        if finished:
            _copy_finished(connection, finished - 1)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy_waiting(connection: sqlite3.Connection, count: int) -> None:
    due = f"scheduled_at + number * {STRIDE} % {MONTH}"
    changed = {"id": "NULL", "uuid": "uuid_of(number)", "scheduled_at": due, "planned_at": due}
    copy_rows(connection, "jobs", changed, count)


def _copy_finished(connection: sqlite3.Connection, count: int) -> None:
    copy_rows(connection, "jobs", {"id": "id + number", "uuid": "uuid_of(number)"}, count)
    (entries,) = connection.execute("SELECT max(seq) FROM logs").fetchone()
    changed = {
        "seq": f"seq + number * {entries}",
        "id": f"uuid_of(seq + number * {entries})",
        "job_id": "job_id + number",
    }
    copy_rows(connection, "logs", changed, count)


def copy_rows(
    connection: sqlite3.Connection,
    table: str,
    changed: dict[str, str],
    count: int,
    which: str = "",
) -> None:
    """Copy rows of a table, all or those of a WHERE clause, `count` times with columns changed."""
    names: Sequence[str] = [
        name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall()
    ]
    values = ", ".join(changed.get(name, name) for name in names)
    # Numbers outside, so that rows come in the order of their identifiers. The rows are found once.
    query = (
        f"INSERT INTO {table} ({', '.join(names)}) {NUMBERS}, copied AS MATERIALIZED "
        f"(SELECT * FROM {table} {which} ORDER BY 1) SELECT {values} FROM numbers CROSS JOIN copied"
    )
    connection.execute(query, {"count": count})


def uuid_of(number: int) -> bytes:
    """Return a time-ordered UUID (version 7) of a moment long past."""
    return UUID(int=1_600_000_000_000 << 80 | 0x7 << 76 | 0b10 << 62 | number).bytes

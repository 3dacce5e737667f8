"""A database of PostgreSQL as an end of a move, in which no node can start meanwhile."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Final

from psycopg.errors import LockNotAvailable

from booper.store.moving.ends import (
    ENDS,
    FINISHED,
    PROGRESS,
    UNFINISHED,
    Beginning,
    Ends,
    MoveRefused,
    Numbers,
    ends_of,
)
from booper.store.moving.postgres_rows import insert as insert
from booper.store.moving.postgres_rows import loaded_rows, stored_key, stored_rows
from booper.store.moving.tables import Key, Row, Table
from booper.store.postgres.connections import Connection, Connector
from booper.store.postgres.partitions import (
    DAY,
    MAX_PARTITIONS,
    make_partitions,
    uncovered_periods,
)
from booper.store.postgres.schema import migrate, migrations, shown
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.stored import loaded

MICROSECOND: Final = timedelta(microseconds=1)

# No node begins or renews its lease while another has this lock, and no other move begins. The
# server's own vacuum gives way after a second.
HOLD: Final = """
BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 3000;
LOCK TABLE nodes IN SHARE ROW EXCLUSIVE MODE
"""
LIVE_NODES: Final = "SELECT name FROM nodes WHERE expires_at > clock_timestamp() ORDER BY number"

# By an index, in which the order is there: nothing is put aside on the server's disk. Both are for
# one transaction alone: behind a pooler the connection is another one's after that.
READING: Final = "SET LOCAL transaction_read_only = on; SET LOCAL enable_sort = off"

VERSION: Final = "SELECT max(version) FROM booper_schema"
IS_THERE: Final = "SELECT to_regclass(%s) IS NOT NULL"

# A sequence that has given no number yet has its first one as its last.
DRAWN: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"
DRAW: Final = "SELECT setval(%s, %s)"
SEQUENCES: Final = {
    "jobs": "job_numbers",
    "logs": "log_numbers",
    "audit": "audit_id_seq",
    "incidents": "incidents_id_seq",
    "owners": "nodes_number_seq",
}
LAST_OWNER: Final = "SELECT coalesce(max(owner), 0) FROM live_jobs WHERE state = 'executing'"

# Of several nodes one is enough: each is only a reason to be careful with its job.
ALONE: Final = """
SELECT * FROM (
    SELECT job_id, alone.attempt FROM alone JOIN live_jobs ON live_jobs.id = job_id
    WHERE state = 'executing' AND live_jobs.owner = alone.owner
        AND live_jobs.attempt = alone.attempt
    ORDER BY job_id LIMIT 1
) AS first
"""
BEGIN: Final = (
    f"CREATE TABLE {UNFINISHED} (source text NOT NULL)",
    f"CREATE TABLE {PROGRESS} (name text PRIMARY KEY, last text NOT NULL)",
)
NOTE_SOURCE: Final = f"INSERT INTO {UNFINISHED} (source) VALUES (%s)"
LAST: Final = f"SELECT last FROM {PROGRESS} WHERE name = %s"
NOTE: Final = f"""
INSERT INTO {PROGRESS} (name, last) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET last = excluded.last
"""
FINISH: Final = (
    f"DROP TABLE IF EXISTS {FINISHED}",
    f"ALTER TABLE {UNFINISHED} RENAME TO {FINISHED}",
    f"DROP TABLE {PROGRESS}",
)


class PostgresEnd:
    """A database in which no node starts (`booper.store.moving.ends.End`).

    `held` is the connection that keeps nodes out.
    """

    def __init__(self, connection: Connection, held: Connection, url: str) -> None:
        self._connection = connection
        self._held = held
        self._url = url

    @property
    def shown(self) -> str:
        """Return the URL without its password."""
        return shown(self._url)

    def check_held(self) -> None:
        """Check that nodes are kept out still. Raises: psycopg.Error."""
        self._held.execute("SELECT 1")

    def numbers(self) -> Numbers:
        """Return the last numbers that it has given."""
        drawn = {
            kind: self._number(DRAWN.format(sequence=sequence))
            for kind, sequence in SEQUENCES.items()
        }
        owner = self._number(LAST_OWNER)
        return Numbers(**{**drawn, "owners": max(owner, drawn["owners"])})

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        match table.name:
            case "alone":
                what = f"({ALONE}) AS alone"
            case "buckets":
                what = f"(SELECT FROM buckets GROUP BY {', '.join(table.key)}) AS buckets"
            case name:
                what = name
        return self._number(f"SELECT count(*) FROM {what}")

    def rows(self, table: Table, after: Key | None = None) -> Iterator[Row]:
        """Yield the rows of a table in order of its key, those behind `after` if given."""
        query = _query(table, is_behind=after is not None)
        key = [] if after is None else stored_key(table, after)
        with self._connection.transaction():
            self._connection.execute(READING)
            yield from loaded_rows(table, self._connection.cursor().stream(query, key))

    def ends(self) -> Ends:
        """Return when jobs have ended that nothing keeps."""
        return ends_of(self._connection.execute(ENDS))

    def beginning(self) -> Beginning | None:
        """Return what is known of a move to here, None if none has begun."""
        for name in (UNFINISHED, FINISHED):
            if _is_there(self._connection, name):
                [(source,)] = self._connection.execute(f"SELECT source FROM {name}")
                return Beginning(source, name == FINISHED)
        return None

    def begin(self, source: str, ends: Ends) -> None:
        """Make partitions for jobs that have ended, and note that a move from a source begins.

        Partitions for days of which jobs are here already could be made only by reading them all.
        """
        transaction = PostgresTransaction(self._connection, 0, is_writing=True)
        for state, (first, last) in ends.items():
            days = -(-(last - first) // (MAX_PARTITIONS * DAY // MICROSECOND)) + 1
            between = (loaded(first), loaded(last))
            for period in uncovered_periods(transaction, state, *between, days):
                with self._connection.transaction():
                    make_partitions(transaction, period)
        with self._connection.transaction():
            for statement in BEGIN:
                self._connection.execute(statement)
            self._connection.execute(NOTE_SOURCE, [source])

    def last(self, table: Table) -> Key | None:
        """Return the key of the last row that a move has written to a table."""
        row = self._connection.execute(LAST, [table.name]).fetchone()
        return None if row is None else table.read(row[0])

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows of a table and how far it is filled now, in one transaction."""
        with self._connection.transaction():
            insert(self._connection, table, stored_rows(table, rows))
            last = table.written(table.key_of(rows[-1]))
            self._connection.execute(NOTE, [table.name, last])

    def finish(self, numbers: Numbers) -> None:
        """Go on behind these numbers, and note that the move is finished."""
        own = self.numbers()
        with self._connection.transaction():
            for kind, sequence in SEQUENCES.items():
                if (number := max(getattr(own, kind), getattr(numbers, kind))) > 0:
                    self._connection.execute(DRAW, [sequence, number])
            for statement in FINISH:
                self._connection.execute(statement)
        self._connection.execute("ANALYZE (SKIP_LOCKED)")  # that of nodes is locked by us

    def _number(self, query: str) -> int:
        [(number,)] = self._connection.execute(query)
        return int(number)


@contextmanager
def source_database(url: str) -> Iterator[PostgresEnd]:
    """Open a database that is to be moved; it is only read. Raises: MoveRefused, psycopg.Error."""
    connector = Connector(url, prepares=False)
    with closing(connector.open()) as connection, closing(connector.open()) as held:
        version, newest = _version(connection), len(migrations())
        if version != newest:
            raise MoveRefused(
                f"{shown(url)} has schema {version} and this booper has {newest}: "
                "start this booper with it once, stop it, and move it then"
            )
        if _is_there(connection, UNFINISHED):
            raise MoveRefused(
                f"{shown(url)} is only partly filled by a move; finish that move first"
            )
        _hold(held, url)
        yield PostgresEnd(connection, held, url)


@contextmanager
def target_database(url: str) -> Iterator[PostgresEnd]:
    """Open a database that is to be filled. Raises: StartError, psycopg.Error."""
    connector = Connector(url, prepares=False)
    with closing(connector.open()) as connection, closing(connector.open()) as held:
        version, newest = _version(connection), len(migrations())
        if not version:
            migrate(connection)
        elif version != newest:
            raise MoveRefused(f"{shown(url)} was made by another booper; move to a new database")
        _hold(held, url)
        yield PostgresEnd(connection, held, url)


def _version(connection: Connection) -> int:
    """Return the number of a database's schema, 0 if it has none."""
    if not _is_there(connection, "booper_schema"):
        return 0
    [(version,)] = connection.execute(VERSION)
    return version or 0


def _hold(connection: Connection, url: str) -> None:
    """Keep nodes out for as long as the connection is open. Raises: MoveRefused, one runs."""
    try:
        connection.execute(HOLD)
    except LockNotAvailable as error:
        raise MoveRefused(
            f"{shown(url)} is used by another booper or another move; stop it first"
        ) from error
    nodes = [name for (name,) in connection.execute(LIVE_NODES)]
    if nodes:
        raise MoveRefused(
            f"{shown(url)} is served by {len(nodes)} booper nodes ({', '.join(nodes)}); stop them, "
            "or wait 4 seconds after a crash"
        )


def _is_there(connection: Connection, name: str) -> bool:
    [(is_there,)] = connection.execute(IS_THERE, [name])
    return bool(is_there)


def _query(table: Table, *, is_behind: bool) -> str:
    """Return what reads a table in order of its key, from its begin or behind a key."""
    key = ", ".join(table.key)
    where = f"WHERE ({key}) > ({', '.join(['%s'] * len(table.key))})" if is_behind else ""
    if table.name == "alone":
        return f"{ALONE} {where}"
    columns, group = table.names, ""
    if table.name == "buckets":
        columns = [name if name in table.key else f"sum({name})::bigint" for name in columns]
        group = f"GROUP BY {key}"
    return f"SELECT {', '.join(columns)} FROM {table.name} {where} {group} ORDER BY {key}"

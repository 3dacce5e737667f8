"""A SQLite file as an end of a move, locked as if it were served."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

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
from booper.store.moving.tables import Key, Row, Table, Values
from booper.store.sqlite.bucket_rows import FILL_DAYS
from booper.store.sqlite.count_rows import count_new
from booper.store.sqlite.lock import FileLock, ProcessLock
from booper.store.sqlite.schema import migrate, migrations, read_version

TAGS: Final = "SELECT job_id, tag FROM job_tags WHERE job_id > ? ORDER BY job_id, tag"
ADD_TAG: Final = "INSERT INTO job_tags (tag, job_id) VALUES (?, ?)"

# One that no job has any more means nothing.
ALONE: Final = """
SELECT job_id, alone.attempt FROM alone JOIN jobs ON jobs.id = job_id
WHERE state = 'executing' AND jobs.attempt = alone.attempt AND job_id > ?
"""
COUNT_ALONE: Final = f"SELECT count(*) FROM ({ALONE})"
SET_ALONE: Final = "INSERT OR REPLACE INTO alone (id, job_id, attempt) VALUES (1, ?, ?)"
SET_PRUNING: Final = "INSERT OR REPLACE INTO pruning (id, begins_at) VALUES (?, ?)"

# What AUTOINCREMENT goes by (https://www.sqlite.org/autoinc.html).
DRAWN: Final = "SELECT name, seq FROM sqlite_sequence"
FORGET_DRAWN: Final = "DELETE FROM sqlite_sequence WHERE name = ?"
DRAW: Final = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"
LAST_ENTRY: Final = "SELECT coalesce(max(seq), 0) FROM logs"
LAST_OWNER: Final = "SELECT coalesce(max(owner), 0) FROM jobs WHERE state = 'executing'"

MADE: Final = "SELECT name FROM sqlite_schema WHERE name IN (?, ?)"
BEGIN: Final = (
    f"CREATE TABLE {UNFINISHED} (source TEXT NOT NULL)",
    f"CREATE TABLE {PROGRESS} (name TEXT PRIMARY KEY, last TEXT NOT NULL)",
)
NOTE_SOURCE: Final = f"INSERT INTO {UNFINISHED} (source) VALUES (?)"
LAST: Final = f"SELECT last FROM {PROGRESS} WHERE name = ?"
NOTE: Final = f"INSERT OR REPLACE INTO {PROGRESS} (name, last) VALUES (?, ?)"
FINISH: Final = (
    f"DROP TABLE IF EXISTS {FINISHED}",
    f"ALTER TABLE {UNFINISHED} RENAME TO {FINISHED}",
    f"DROP TABLE {PROGRESS}",
)


class SQLiteEnd:
    """A file that this process has locked (`booper.store.moving.ends.End`)."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @property
    def shown(self) -> str:
        """Return the path."""
        return str(self._path)

    def check_held(self) -> None:
        """Return: a lock of the operating system stays as long as the process."""

    def numbers(self) -> Numbers:
        """Return the last numbers that it has given."""
        drawn: Mapping[str, int] = dict(self._connection.execute(DRAWN))
        [(entry,)] = self._connection.execute(LAST_ENTRY)
        [(owner,)] = self._connection.execute(LAST_OWNER)
        return Numbers(
            jobs=drawn.get("jobs", 0),
            logs=entry,
            audit=drawn.get("audit", 0),
            incidents=drawn.get("incidents", 0),
            owners=max(owner, drawn.get("owners", 0)),
        )

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        if table.name == "alone":
            cursor = self._connection.execute(COUNT_ALONE, (-1,))
        else:
            cursor = self._connection.execute(f"SELECT count(*) FROM {table.name}")
        [(count,)] = cursor
        return int(count)

    def rows(self, table: Table, after: Key | None = None) -> Iterator[Row]:
        """Yield the rows of a table in order of its key, those behind `after` if given."""
        if table.name == "alone":
            yield from self._connection.execute(ALONE, after or (-1,))
            return
        names = _own_columns(table)
        key, wanted = ", ".join(table.key), ""
        if after is not None:
            wanted = f"WHERE ({key}) > ({', '.join('?' * len(after))})"
        query = f"SELECT {', '.join(names)} FROM {table.name} {wanted} ORDER BY {key}"
        found = self._connection.execute(query, after or ())
        if len(names) == len(table.columns):
            yield from found
            return
        yield from self._tagged(found, after)

    def _tagged(self, jobs: Iterator[Row], after: Key | None) -> Iterator[Row]:
        """Yield jobs in order with their tags behind them; both are read side by side."""
        tags = groupby(self._connection.execute(TAGS, after or (0,)), key=itemgetter(0))
        number, its = next(tags, (None, iter(())))
        for job in jobs:
            while number is not None and number < job[0]:
                number, its = next(tags, (None, iter(())))
            yield (*job, [tag for _, tag in its] if number == job[0] else [])

    def ends(self) -> Ends:
        """Return when jobs have ended that nothing keeps."""
        return ends_of(self._connection.execute(ENDS))

    def beginning(self) -> Beginning | None:
        """Return what is known of a move to here, None if none has begun."""
        made = [name for (name,) in self._connection.execute(MADE, (UNFINISHED, FINISHED))]
        if not made:
            return None
        is_finished = UNFINISHED not in made
        [(source,)] = self._connection.execute(
            f"SELECT source FROM {FINISHED if is_finished else UNFINISHED}"
        )
        return Beginning(source, is_finished)

    def begin(self, source: str, ends: Ends) -> None:
        """Note that a move from a source begins; jobs that have ended need no room of their own."""
        with self._transaction():
            for statement in BEGIN:
                self._connection.execute(statement)
            self._connection.execute(NOTE_SOURCE, (source,))

    def last(self, table: Table) -> Key | None:
        """Return the key of the last row that a move has written to a table."""
        row = self._connection.execute(LAST, (table.name,)).fetchone()
        return None if row is None else table.read(row[0])

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows of a table and how far it is filled now, in one transaction."""
        with self._transaction():
            self._insert(table, rows)
            self._connection.execute(NOTE, (table.name, table.written(table.key_of(rows[-1]))))

    def _insert(self, table: Table, rows: Sequence[Row]) -> None:
        names = _own_columns(table)
        insert = (
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        )
        match table.name:
            case "jobs":
                self._connection.executemany(insert, [row[:-1] for row in rows])
                tags = [(tag, row[0]) for row in rows for tag in row[-1]]
                self._connection.executemany(ADD_TAG, tags)
                count_new(self._connection)
            case "alone":
                self._connection.executemany(SET_ALONE, rows)
            case "pruning":
                self._connection.executemany(SET_PRUNING, rows)
            case _:
                self._connection.executemany(insert, rows)

    def finish(self, numbers: Numbers) -> None:
        """Go on behind these numbers, and note that the move is finished."""
        own = self.numbers()
        drawn = {
            "jobs": max(own.jobs, numbers.jobs),
            "audit": max(own.audit, numbers.audit),
            "incidents": max(own.incidents, numbers.incidents),
            "owners": max(own.owners, numbers.owners),
        }
        with self._transaction():
            self._connection.execute(FILL_DAYS)
            for name, number in drawn.items():
                self._connection.execute(FORGET_DRAWN, (name,))
                self._connection.execute(DRAW, (name, number))
            for statement in FINISH:
                self._connection.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@contextmanager
def source_file(path: Path) -> Iterator[SQLiteEnd]:
    """Open a file that is to be moved; it is only read. Raises: StartError."""
    if not path.is_file():
        raise MoveRefused(f"there is no database {path}")
    with ProcessLock(path), FileLock(path), closing(_connect(path)) as connection:
        version, newest = read_version(connection, str(path)), len(migrations())
        if version < newest:
            raise MoveRefused(
                f"{path} has schema {version} and this booper has {newest}: "
                "start this booper with it once, stop it, and move it then"
            )
        end = SQLiteEnd(connection, path)
        if (begun := end.beginning()) is not None and not begun.is_finished:
            raise MoveRefused(f"{path} is only partly filled by a move; finish that move first")
        connection.execute("PRAGMA query_only = ON")
        yield end


@contextmanager
def target_file(path: Path) -> Iterator[SQLiteEnd]:
    """Open a file that is to be filled, made where there is none. Raises: StartError."""
    with ProcessLock(path):
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with FileLock(path), closing(_connect(path)) as connection:
            if not read_version(connection, str(path)):
                migrate(connection, str(path))
            elif read_version(connection, str(path)) < len(migrations()):
                raise MoveRefused(f"{path} was made by an older booper; move to a new file")
            yield SQLiteEnd(connection, path)


def _own_columns(table: Table) -> list[str]:
    """Return the names of the columns; tags, which are the last, have a table of their own."""
    return [name for name, kind in table.columns.items() if kind is not Values.TAGS]


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)
